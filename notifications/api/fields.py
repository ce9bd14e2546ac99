"""Fields of requests: keys, times and places in a list. Used by `serializers`."""

import re
from collections.abc import Callable, Collection
from datetime import UTC, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from notifications import clock
from notifications.inbox import Place
from notifications.inbox.lists import MAX_ID
from realtime.integration.rest import MomentField, shown_as

KEYS_AT_ONCE = 100
FURTHEST = timedelta(days=3660)  # of a snooze or a mute
NUMBER = re.compile(r"[1-9]\d{0,18}", re.ASCII)


def read_id(given: str) -> int | None:
    """The id of a notification that a client sent, or None if it cannot be one."""
    return int(given) if NUMBER.fullmatch(given) and int(given) <= MAX_ID else None


class KeysField(serializers.CharField):
    """Keys separated by commas, such as `new_like,mention`; in JSON also a list of them."""

    default_error_messages = {
        "too_many": _("At most {limit} keys at once."),
        "unknown": _("There is no “{name}” here. Choose from: {known}."),
    }

    def __init__(self, *, known: Callable[[], Collection[str]] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._known = known  # returns the keys that exist; without it, there may be any

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and len(data) > KEYS_AT_ONCE:  # before each of them is looked at
            self.fail("too_many", limit=KEYS_AT_ONCE)
        texts = [serializers.CharField().run_validation(text) for text in (data if isinstance(data, list) else [data])]
        keys = [key.strip() for text in texts for key in text.split(",") if key.strip()]
        if len(keys) > KEYS_AT_ONCE:
            self.fail("too_many", limit=KEYS_AT_ONCE)
        known = self._known() if self._known else keys
        for key in keys:
            if key not in known:
                self.fail("unknown", name=key, known=", ".join(known))
        return keys


@shown_as({"oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}}]})
class KeyListField(KeysField):
    """The same in JSON, for the OpenAPI document."""


class ShortListField(serializers.ListField):
    """A list that is refused for its length before its entries are looked at: a million of them take seconds."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            self.run_validators(data)
        return super().to_internal_value(data)


class ChoiceOrNoneField(serializers.BooleanField):
    """true, false, or null. An empty text, which REST framework also takes for null, is wrong."""

    NULL_VALUES = {None}

    def __init__(self, **options: Any) -> None:
        # Without `allow_null`, an absent field would count as false, as in an HTML form.
        super().__init__(required=False, allow_null=True, **options)


class ExactTimeField(MomentField):
    """A time in ISO 8601 with a time zone."""

    default_error_messages = {"invalid": _("Enter a time with a time zone, such as 2030-01-31T08:00:00Z.")}

    def to_internal_value(self, value: Any) -> Any:
        try:
            moment = parse_datetime(value) if isinstance(value, str) else None
            if moment is not None and not is_naive(moment):
                return clock.nearest_as_stored(moment.astimezone(UTC))
        except (ValueError, OverflowError):
            pass
        self.fail("invalid")


class FutureField(ExactTimeField):
    """A moment that is still to come."""

    default_error_messages = {"past": _("Choose a time in the future, at most ten years from now.")}

    def to_internal_value(self, value: Any) -> Any:
        moment = super().to_internal_value(value)
        if not clock.now() < moment <= clock.now() + FURTHEST:
            self.fail("past")
        return moment


class PlaceField(serializers.CharField):
    """A place in a list, as an answer with a list has it."""

    default_error_messages = {"invalid": _("Enter `newest` or `next` of a list.")}

    def to_internal_value(self, data: Any) -> Any:
        try:
            return Place.read(super().to_internal_value(data))
        except ValueError:
            self.fail("invalid")


@shown_as({"oneOf": [{"type": "string"}, {"type": "integer"}]})
class UpToField(PlaceField):
    """A place, or the id of a notification, which is an int after validation."""

    default_error_messages = {"invalid": _("Enter `newest` of a list, or the id of a notification.")}

    def to_internal_value(self, data: Any) -> Any:
        pk = None if isinstance(data, bool) else read_id(str(data))
        return super().to_internal_value(data) if pk is None else pk
