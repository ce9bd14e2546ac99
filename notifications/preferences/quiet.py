"""Quiet hours: whether a moment lies in them, and when they end; and the moments of times of the day. Pure.

They are by the clock on the reader's wall, so a night in which the clocks change has an hour more or less. A time that
this clock skips counts as the moment of the jump. Of a time that it shows twice, spans begin with the first and end
with the second.
"""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
# Spans that adjoin are followed for so long; who is always quiet is looked at again after that.
DAYS_AHEAD = 8


class Span(NamedTuple):
    """From `start` on a weekday (1 is Monday) to the next `end`, on the same day or, if that is over, the next one."""

    weekday: int
    start: time
    end: time

    def has(self, weekday: int, at: time) -> bool:
        """Whether the clock is in the span at this time of a week."""
        if self.start < self.end:
            return weekday == self.weekday and self.start <= at < self.end
        return (weekday == self.weekday and at >= self.start) or (weekday == self.weekday % 7 + 1 and at < self.end)


@cache
def zone_names() -> frozenset[str]:
    """Every time zone that readers can choose."""
    # These are files among the others, and mean something else on each machine, or nothing.
    return frozenset(zoneinfo.available_timezones() - {"Factory", "localtime", "posixrules"})


@cache
def find_zone(name: str) -> ZoneInfo | None:
    """None for a name that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def quiet_until(moment: datetime, spans: tuple[Span, ...], zone: tzinfo) -> datetime | None:
    """When the quiet hours end that the moment lies in; None outside of them. Moments are aware."""
    if not spans:
        return None
    local = moment.astimezone(zone)
    at, weekday = local.time(), local.isoweekday()
    is_twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    if not is_twice and not any(span.has(weekday, at) for span in spans):
        return None  # nearly always, and quickly
    for start, end in _periods(spans, zone, local.date()):
        if start <= moment < end:
            return end
    return None


def next_time(after: datetime, at: time, zone: tzinfo, weekday: int | None = None) -> datetime:
    """The first moment after `after` at which it is `at` in the zone, on this weekday or on any."""
    today = after.astimezone(zone).date()
    days = (today + DAY * number for number in range(9))
    moments = (_first(day, at, zone) for day in days if weekday in (None, day.isoweekday()))
    return next(moment for moment in moments if moment > after)


@lru_cache(maxsize=4_096)
def _periods(spans: tuple[Span, ...], zone: tzinfo, today: date) -> list[tuple[datetime, datetime]]:
    """The quiet hours from yesterday on, as pairs of moments in UTC; those that adjoin or overlap are one."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted(_of_days(spans, zone, today)):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _of_days(spans: tuple[Span, ...], zone: tzinfo, today: date) -> Iterator[tuple[datetime, datetime]]:
    for number in range(-1, DAYS_AHEAD):
        day = today + DAY * number
        for span in spans:
            if span.weekday == day.isoweekday():
                last_day = day if span.start < span.end else day + DAY
                start, end = _first(day, span.start, zone), _last(last_day, span.end, zone)
                if start < end:  # else the clock skips all of it
                    yield start, end


def _first(day: date, at: time, zone: tzinfo) -> datetime:
    return _moment(datetime.combine(day, at), zone, fold=0)


def _last(day: date, at: time, zone: tzinfo) -> datetime:
    return _moment(datetime.combine(day, at), zone, fold=1)


def _moment(local: datetime, zone: tzinfo, fold: int) -> datetime:
    moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    early, late = sorted(local.replace(tzinfo=zone, fold=side).astimezone(UTC) for side in (0, 1))
    return _jump(early, late, zone)


def _jump(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The moment between these two at which the clock jumps, to the second."""
    offset = before.astimezone(zone).utcoffset()
    seconds, low = int((after - before).total_seconds()), 0
    while seconds - low > 1:
        middle = (low + seconds) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            seconds = middle
    return before + timedelta(seconds=seconds)
