"""Quiet hours by the clock on the wall: over midnight, on long and short days, and until when."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.preferences.quiet import Span, find_zone, next_time, quiet_until
from notifications.preferences.spans import read_quiet_hours, spans_of

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)
EVERY_DAY = range(1, 8)


def spans(*ranges: str, days: range = EVERY_DAY) -> tuple[Span, ...]:
    """`22:00-07:00` on each of the days."""
    pairs = [tuple(map(time.fromisoformat, text.split("-"))) for text in ranges]
    return tuple(Span(day, start, end) for start, end in pairs for day in days)


def local(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    # In UTC, because a time that comes twice never equals one of another zone.
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def end_at(moment: datetime, *ranges: str, zone: ZoneInfo = BERLIN) -> str | None:
    """When the quiet hours end, by the clock of the zone."""
    until = quiet_until(moment, spans(*ranges), zone)
    return until and f"{until.astimezone(zone):%d %H:%M %z}"


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2030-01-16 21:59", None),
        ("2030-01-16 22:00", "17 07:00 +0100"),
        ("2030-01-17 00:00", "17 07:00 +0100"),
        ("2030-01-17 06:59", "17 07:00 +0100"),
        ("2030-01-17 07:00", None),
        ("2030-01-17 12:00", None),
    ],
)
def test_over_midnight(at: str, end: str | None) -> None:
    assert end_at(local(at), "22:00-07:00") == end


def test_a_span_belongs_to_the_weekday_on_which_it_begins() -> None:
    friday = (Span(5, time(22), time(7)),)
    for day, expected in ((18, True), (17, False), (19, False)):  # 2030-01-18 is a Friday
        assert (quiet_until(local(f"2030-01-{day} 23:00"), friday, BERLIN) is not None) == expected
    assert quiet_until(local("2030-01-19 03:00"), friday, BERLIN) is not None
    assert quiet_until(local("2030-01-18 03:00"), friday, BERLIN) is None
    sunday = (Span(7, time(22), time(7)),)
    assert quiet_until(local("2030-01-21 06:00"), sunday, BERLIN) is not None  # a Monday


@pytest.mark.parametrize(
    ("at", "ranges", "end"),
    [
        ("2030-01-16 12:30", ("12:00-13:00", "22:00-07:00"), "16 13:00 +0100"),
        ("2030-01-16 23:30", ("22:00-00:00", "00:00-06:30"), "17 06:30 +0100"),  # they adjoin
        ("2030-01-16 20:30", ("20:00-22:00", "21:00-23:30"), "16 23:30 +0100"),  # they overlap
        ("2030-01-16 20:30", ("20:00-23:30", "21:00-22:00"), "16 23:30 +0100"),
        ("2030-01-16 13:00", ("12:00-13:00",), None),
    ],
)
def test_several_spans(at: str, ranges: tuple[str, ...], end: str | None) -> None:
    assert end_at(local(at), *ranges) == end


def test_the_same_time_twice_is_a_whole_day() -> None:
    monday = (Span(1, time(8), time(8)),)
    assert quiet_until(local("2030-01-14 08:00"), monday, BERLIN) == local("2030-01-15 08:00")
    assert quiet_until(local("2030-01-15 07:59"), monday, BERLIN) == local("2030-01-15 08:00")
    assert quiet_until(local("2030-01-15 08:00"), monday, BERLIN) is None


def test_who_is_always_quiet_is_looked_at_again_within_days() -> None:
    always = spans("00:00-00:00")
    until = quiet_until(local("2030-01-16 12:00"), always, BERLIN)
    assert until is not None
    assert timedelta(days=7) < until - local("2030-01-16 12:00") < timedelta(days=9)


# In Berlin, 2030-03-31 has 23 hours (02:00 becomes 03:00), and 2030-10-27 has 25 (03:00 becomes 02:00).


@pytest.mark.parametrize(
    ("at", "span", "end"),
    [
        ("2030-03-30 23:00", "22:00-07:00", "31 07:00 +0200"),
        ("2030-03-31 01:30", "01:00-02:30", "31 03:00 +0200"),  # 02:30 does not come: it ends with the jump
        ("2030-03-31 03:10", "02:30-06:00", "31 06:00 +0200"),  # nor does it begin: it begins with the jump
        ("2030-03-31 03:10", "02:15-02:45", None),  # the clock skips it
        ("2030-03-31 01:59", "02:15-02:45", None),
        ("2030-10-26 23:00", "22:00-07:00", "27 07:00 +0100"),
    ],
)
def test_when_the_clocks_change(at: str, span: str, end: str | None) -> None:
    assert end_at(local(at), span) == end


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize(
    ("span", "minute", "quiet"),
    [
        ("22:00-02:30", 15, True),  # ends with the second 02:30
        ("22:00-02:30", 45, None),
        ("02:30-06:00", 15, None),
        ("02:30-06:00", 45, True),  # begins with the first 02:30
    ],
)
def test_a_time_that_comes_twice(fold: int, span: str, minute: int, quiet: bool | None) -> None:
    moment = local(f"2030-10-27 02:{minute}", fold=fold)
    if quiet is None:  # between the two, the span lasts
        quiet = (span, fold) in {("22:00-02:30", 0), ("02:30-06:00", 1)}
    assert (quiet_until(moment, spans(span), BERLIN) is not None) == quiet


def test_a_night_lasts_as_long_as_it_lasts() -> None:
    lengths = []
    for evening in ("2030-01-16 22:00", "2030-03-30 22:00", "2030-10-26 22:00"):
        until = quiet_until(local(evening), spans("22:00-07:00"), BERLIN)
        assert until is not None
        lengths.append((until - local(evening)) / timedelta(hours=1))
    assert lengths == [9, 8, 10]


def test_a_day_that_a_zone_has_skipped() -> None:
    """Samoa went from 29 to 31 December 2011."""
    apia = ZoneInfo("Pacific/Apia")
    until = quiet_until(local("2011-12-29 23:00", apia), spans("22:00-07:00"), apia)
    assert until == local("2011-12-31 07:00", apia)


moments = st.datetimes(datetime(2030, 3, 28), datetime(2030, 4, 2)) | st.datetimes(
    datetime(2030, 10, 25), datetime(2030, 11, 5)
)
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))
some_spans = st.lists(st.builds(Span, st.integers(1, 7), times, times), max_size=4).map(tuple)


@given(moments, some_spans, st.sampled_from([BERLIN, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")]))
def test_it_is_quiet_up_to_the_end_and_not_at_it(naive: datetime, wanted: tuple[Span, ...], zone: ZoneInfo) -> None:
    moment = naive.replace(tzinfo=UTC)
    until = quiet_until(moment, wanted, zone)
    at = moment.astimezone(zone)
    if any(span.has(at.isoweekday(), at.time()) for span in wanted):
        assert until is not None
    if until is None or until - moment > timedelta(days=6):
        return
    assert until > moment
    assert quiet_until(until - MINUTE / 60, wanted, zone) == until
    assert quiet_until(until, wanted, zone) is None


@pytest.mark.parametrize(
    ("after", "at", "weekday", "expected"),
    [
        ("2030-01-16 07:59", time(8), None, "2030-01-16 08:00"),
        ("2030-01-16 08:00", time(8), None, "2030-01-17 08:00"),
        ("2030-01-16 09:00", time(8), 3, "2030-01-23 08:00"),  # it is a Wednesday
        ("2030-01-16 09:00", time(8), 4, "2030-01-17 08:00"),
        ("2030-03-30 09:00", time(2, 30), None, "2030-03-31 03:00"),  # which the clock skips
    ],
)
def test_the_next_time(after: str, at: time, weekday: int | None, expected: str) -> None:
    assert next_time(local(after), at, BERLIN, weekday) == local(expected)


def test_a_time_that_comes_twice_is_met_once() -> None:
    first = next_time(local("2030-10-27 00:00"), time(2, 30), BERLIN)
    assert first == local("2030-10-27 02:30")
    assert next_time(first, time(2, 30), BERLIN) == local("2030-10-28 02:30")


def test_days_follow_each_other() -> None:
    found = [local("2030-10-25 12:00")]
    for _ in range(5):
        found.append(next_time(found[-1], time(8), BERLIN))
    days = [moment.astimezone(BERLIN).date() for moment in found]
    assert [(later - earlier).days for earlier, later in pairwise(days)] == [1] * 5
    assert days[-1] == date(2030, 10, 30)


def test_an_unknown_zone() -> None:
    assert find_zone("Mars/Olympus") is find_zone("../etc/passwd") is find_zone("") is None


@pytest.mark.parametrize(
    "wrong",
    [
        "22:00",
        [{"days": [1], "start": "22:00"}],
        [{"days": [], "start": "22:00", "end": "07:00"}],
        [{"days": [0], "start": "22:00", "end": "07:00"}],
        [{"days": [8], "start": "22:00", "end": "07:00"}],
        [{"days": [1], "start": "24:00", "end": "07:00"}],
        [{"days": [1], "start": "22:00", "end": "7:00"}],
        [{"days": [1], "start": "22:00", "end": "07:00\n"}],
        [{"days": [1], "start": "22:0\u0966", "end": "07:00"}],  # a zero of another script
        [{"days": [1], "start": "22:00", "end": "07:0\uff10"}],
        [{"days": [1], "start": "22:00", "end": "07:00", "zone": "UTC"}],
        [{"days": [1], "start": "22:00", "end": "07:00"}] * 21,
    ],
)
def test_what_are_no_quiet_hours(wrong: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- in words of msgspec
        read_quiet_hours(wrong)
    assert spans_of(wrong) == ()


def test_the_same_day_twice_is_one_span() -> None:
    assert spans_of([{"days": [1, 1], "start": "22:00", "end": "07:00"}]) == (Span(1, time(22), time(7)),)
