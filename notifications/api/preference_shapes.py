"""Shapes of a request that changes preferences, which the OpenAPI document also shows. Used by `preferences`."""

from datetime import UTC
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from notifications import clock, types
from notifications.models import Digest
from notifications.models.preference import MOST_AWAY_MINUTES, validate_zone
from notifications.preferences.spans import CLOCK, MOST_SPANS
from realtime.integration.rest import MomentField, Shape


class StrictShape(Shape):
    # Refuses fields that do not exist: a misspelt switch would seem to be turned.
    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) if isinstance(data, dict) else set()
        if unknown:
            raise serializers.ValidationError({str(key): [_("There is no such field.")] for key in unknown})
        return super().to_internal_value(data)


class SwitchesShape(StrictShape):
    socket = serializers.BooleanField(required=False)
    mail = serializers.BooleanField(required=False)
    web_push = serializers.BooleanField(required=False)


class ChoicesShape(StrictShape):
    socket = serializers.BooleanField(required=False, allow_null=True)
    mail = serializers.BooleanField(required=False, allow_null=True)
    web_push = serializers.BooleanField(required=False, allow_null=True)


class QuietHoursShape(StrictShape):
    days = serializers.ListField(
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


class UntilField(MomentField):
    """A time in ISO 8601 with a time zone."""

    default_error_messages = {"invalid": _("Enter a time with a time zone, such as 2030-01-31T08:00:00Z.")}

    def to_internal_value(self, value: Any) -> Any:
        try:
            moment = parse_datetime(value) if isinstance(value, str) else None
            if moment is not None and not is_naive(moment):
                return clock.as_stored(moment.astimezone(UTC))
        except (ValueError, OverflowError):
            pass
        self.fail("invalid")


class ByKeyField(serializers.DictField):
    """Choices by the key of a category or a type."""

    child = ChoicesShape()
    default_error_messages = {"unknown": _("There is no “{name}” here. Choose from: {known}.")}

    def __init__(self, *, known: Any, **options: Any) -> None:
        super().__init__(**options)
        self._known = known  # returns the keys that exist

    def to_internal_value(self, data: Any) -> Any:
        given = super().to_internal_value(data)
        known = self._known()
        for name in given:
            if name not in known:
                self.fail("unknown", name=name, known=", ".join(sorted(known)))
        return given


class PreferencesShape(StrictShape):
    channels = SwitchesShape(required=False, help_text=_("Switches for everything that comes in one way."))
    muted_until = UntilField(
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
