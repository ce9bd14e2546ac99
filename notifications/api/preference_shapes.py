"""Shapes of a request that changes preferences, which the OpenAPI document also shows. Used by `preferences`."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from notifications import clock, types
from notifications.api.fields import ChoiceOrNoneField, ExactTimeField, ShortListField
from notifications.api.serializers import StrictShape
from notifications.models import Digest
from notifications.models.preference import MOST_AWAY_MINUTES, validate_zone
from notifications.preferences.spans import CLOCK, MOST_SPANS


class SwitchesShape(StrictShape):
    socket = serializers.BooleanField(required=False)
    mail = serializers.BooleanField(required=False)
    web_push = serializers.BooleanField(required=False)


class ChoicesShape(StrictShape):
    socket = ChoiceOrNoneField()
    mail = ChoiceOrNoneField()
    web_push = ChoiceOrNoneField()


class QuietHoursShape(StrictShape):
    days = ShortListField(
        child=serializers.IntegerField(min_value=1, max_value=7),
        min_length=1,
        max_length=7,
        help_text=_("Weekdays; 1 is Monday."),
    )
    start = serializers.RegexField(CLOCK, help_text=_("A time of the day, such as 22:00."))
    end = serializers.RegexField(CLOCK, help_text=_("On the same day or, if that is over then, on the next one."))


class DigestShape(StrictShape):
    every = serializers.ChoiceField(
        Digest.choices, required=False, help_text=_("The first mail comes at once, and the rest together.")
    )
    hour = serializers.IntegerField(
        min_value=0, max_value=23, required=False, help_text=_("For `daily` and `weekly`, in your time zone.")
    )
    weekday = serializers.IntegerField(
        min_value=1, max_value=7, required=False, help_text=_("For `weekly`; 1 is Monday.")
    )


class MutedUntilField(ExactTimeField):
    """The end of a mute. One that is over is no mute."""

    def to_internal_value(self, value: Any) -> Any:
        moment = super().to_internal_value(value)
        return None if moment <= clock.now() else moment


class ByKeyField(serializers.DictField):
    """Choices by the key of a category or a type."""

    child = ChoicesShape()
    default_error_messages = {"unknown": _("There is no “{name}” here. Choose from: {known}.")}

    def __init__(self, *, known: Any, **options: Any) -> None:
        super().__init__(**options)
        self._known = known  # returns the keys that exist

    def to_internal_value(self, data: Any) -> Any:
        known = self._known()
        for name in data if isinstance(data, dict) else ():
            if name not in known:
                self.fail("unknown", name=name, known=", ".join(sorted(known)))
        return super().to_internal_value(data)


class PreferencesShape(StrictShape):
    channels = SwitchesShape(required=False, help_text=_("Switches for everything that comes in one way."))
    muted_until = MutedUntilField(
        required=False, allow_null=True, help_text=_("Nothing but what is critical disturbs you before this time.")
    )
    time_zone = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=64,
        validators=[validate_zone],
        help_text=_("For quiet hours and digests, such as Europe/Berlin; that of the site if empty."),
    )
    quiet_hours: Any = serializers.ListSerializer(
        child=QuietHoursShape(),
        required=False,
        max_length=MOST_SPANS,
        help_text=_("What comes then waits until they are over."),
    )
    digest = DigestShape(required=False)
    away_minutes = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MOST_AWAY_MINUTES,
        help_text=_("How long you are away before you get a mail; null: as the site has it."),
    )
    categories = ByKeyField(known=types.categories, required=False)
    types = ByKeyField(known=lambda: dict(types.choices()), required=False)

    @staticmethod
    def as_changes(given: dict[str, Any]) -> dict[str, Any]:
        """What was given, for `changing.change`."""
        same = ("muted_until", "time_zone", "quiet_hours", "away_minutes", "categories", "types")
        changes = {name: given[name] for name in same if name in given}
        digest = {
            "digest" if name == "every" else f"digest_{name}": value for name, value in given.get("digest", {}).items()
        }
        return {**changes, **given.get("channels", {}), **digest}
