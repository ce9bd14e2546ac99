"""Shapes of the requests of this app's REST API, which the OpenAPI document also shows. Used by the views."""

from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.utils.html import is_html_input

from notifications import types
from notifications.api.fields import (
    ChoiceOrNoneField,
    ExactTimeField,
    FutureField,
    KeyListField,
    KeysField,
    PlaceField,
    ShortListField,
    UpToField,
)
from notifications.inbox import Filters
from notifications.inbox.acts import IDS_AT_ONCE, STEPS
from notifications.inbox.lists import BOXES, MAX_ID
from realtime.integration.rest import Shape, UserIdField

SNOOZE = "snooze"
MOST_NAMED = 100  # fields that are wrong
OBJECTS = (serializers.BaseSerializer, serializers.DictField)
TYPES = _("Only these types, separated by commas.")
CATEGORIES = _("Only these categories, separated by commas.")
LEVELS = _("Only these levels, separated by commas.")


def known_categories() -> Collection[str]:
    return dict.fromkeys([types.GENERAL, *types.categories()])


def known_levels() -> Collection[str]:
    return types.LEVELS


class FilterShape(Shape):
    box = serializers.ChoiceField(list(BOXES), default="inbox", help_text=_("Which list it is."))
    unread = ChoiceOrNoneField(help_text=_("Only those that are unread, or only the others."))
    type = KeysField(required=False, help_text=TYPES)
    category = KeysField(known=known_categories, required=False, help_text=CATEGORIES)
    level = KeysField(known=known_levels, required=False, help_text=LEVELS)
    reason = serializers.CharField(
        max_length=64, required=False, help_text=_("Only those that you got for this reason, such as `mentioned`.")
    )
    actor = UserIdField(required=False, help_text=_("Only those that this user has caused."))
    since = ExactTimeField(required=False, help_text=_("Only those that arrived at this time or later."))


class InboxQuery(FilterShape):
    before = PlaceField(required=False, help_text=_("For the next page: `next` of the page before."))
    limit = serializers.IntegerField(
        min_value=1, max_value=200, default=50, help_text=_("How many notifications the page may have.")
    )


class StrictShape(Shape):
    # Refuses fields that do not exist: with a misspelt filter, an act would change more than was meant, and a misspelt
    # switch would seem to be turned.
    def to_internal_value(self, data: Any) -> Any:
        # In a form, an object has no value of its own: it would be left out.
        known = {
            name: field
            for name, field in self.fields.items()
            if not (is_html_input(data) and isinstance(field, OBJECTS))
        }
        unknown = [key for key in data if key not in known] if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError(
                {str(key): [_("There is no such field.")] for key in unknown[:MOST_NAMED]}
            )
        return super().to_internal_value(data)


class ActFilterShape(StrictShape, FilterShape):
    type = KeyListField(required=False, help_text=TYPES)
    category = KeyListField(known=known_categories, required=False, help_text=CATEGORIES)
    level = KeyListField(known=known_levels, required=False, help_text=LEVELS)


class ActShape(StrictShape):
    until = FutureField(required=False, help_text=_("For `snooze`, which needs it: when it comes back."))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return _with_until(self.context["act"], attrs)


class ActsShape(StrictShape):
    act = serializers.ChoiceField(list(STEPS))
    ids = ShortListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID),
        min_length=1,
        max_length=IDS_AT_ONCE,
        required=False,
        help_text=_("These notifications. Those that do not exist are left out."),
    )
    filter = ActFilterShape(required=False, help_text=_("Or those of a list, with the filters of the list."))
    up_to = UpToField(
        required=False,
        help_text=_(
            "`newest` of the list: what has arrived since stays as it is. An id stands for the place of a notification"
            " that has not moved."
        ),
    )
    until = FutureField(required=False, help_text=_("For `snooze`, which needs it: when they come back."))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = attrs.keys() & {"ids", "filter", "up_to"}
        if given not in ({"ids"}, {"up_to"}, {"filter", "up_to"}):
            raise serializers.ValidationError(_("Give either `ids`, or `up_to` with or without `filter`."))
        return _with_until(attrs["act"], attrs)


class UndoShape(Shape):
    undo = serializers.CharField(max_length=1000, help_text=_("`undo` of an answer, at most ten minutes old."))


class MuteShape(StrictShape):
    until = FutureField(
        required=False, allow_null=True, default=None, help_text=_("Leave it out for a mute without an end.")
    )


def as_filters(given: dict[str, Any]) -> Filters:
    """The filters in the validated data of a FilterShape; {} if it was left out."""
    return Filters(
        box=given.get("box", "inbox"),
        unread=given.get("unread"),
        types=given.get("type"),
        categories=given.get("category"),
        levels=given.get("level"),
        reason=given.get("reason"),
        actor=given.get("actor"),
        since=given.get("since"),
    )


def _with_until(act: str, attrs: dict[str, Any]) -> dict[str, Any]:
    if (act == SNOOZE) != ("until" in attrs):
        raise serializers.ValidationError({"until": [_("`snooze` needs it, and no other act.")]})
    return attrs
