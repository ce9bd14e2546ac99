"""Quiet hours as readers write them, turned into spans. Pure. Called by the models, `store` and the REST API."""

from collections.abc import Iterable
from datetime import time
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from notifications.preferences.quiet import Span

MOST_SPANS = 20
# `\d` would also match the digits of other scripts, which `time` does not read.
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"

Weekday = Annotated[int, Meta(ge=1, le=7, description="1 is Monday.")]
Clock = Annotated[str, Meta(pattern=CLOCK, description="A time of the day, such as 22:00.")]


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `start` to the next `end` on each of the days; the end may be on the next day."""

    days: Annotated[list[Weekday], Meta(min_length=1, max_length=7)]
    start: Clock
    end: Clock


Rules = Annotated[list[QuietHours], Meta(max_length=MOST_SPANS)]


def read_quiet_hours(value: Any) -> list[QuietHours]:
    """Raises ValueError for what is not a list of quiet hours."""
    return msgspec.convert(value, Rules)


def spans_of(stored: Any) -> tuple[Span, ...]:
    """The spans of quiet hours as they are stored. What cannot be read is left out: it was not stored by us."""
    if not stored:
        return ()
    return _spans(msgspec.json.encode(stored))


@lru_cache(maxsize=4_096)
def _spans(text: bytes) -> tuple[Span, ...]:
    try:
        rules: Iterable[QuietHours] = msgspec.json.decode(text, type=Rules)
        return tuple(sorted({Span(day, _time(rule.start), _time(rule.end)) for rule in rules for day in rule.days}))
    except ValueError:
        return ()


def _time(text: str) -> time:
    return time.fromisoformat(text)
