"""Withheld pushes end in one summary: how many still wait, and since when."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from notifications import inbox, mute, notify, summaries, unmute, withdraw
from notifications.models import Notification, TypeSwitch
from realtime.models import Room
from realtime.protocol.frames import format_time
from tests.notifications.choices import MIDNIGHT, NIGHT, NOON, Time, choose, register
from tests.notifications.rows import pushed, sent
from tests.racing import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def night(bob: Any, time: Time) -> Time:
    """It is midnight, and bob has quiet hours until seven."""
    time.set(MIDNIGHT)
    choose(bob, quiet_hours=[NIGHT])
    return time


def told(user: Any) -> list[tuple[int, str]]:
    """The summaries that the user has got: how many, and since when."""
    return [(frame["data"]["count"], frame["data"]["since"]) for frame in pushed(user, "notifications_waiting")]


def run(time: Time, **units: float) -> None:
    summaries.send_due(time.pass_by(**units))


def test_after_the_quiet_hours(bob: Any, night: Time) -> None:
    for number in range(3):
        night.pass_by(minutes=10)
        sent(bob, "mention", message=str(number))
    run(night, hours=6, minutes=29)
    assert pushed(bob) == []
    run(night, minutes=1)
    assert [frame["type"] for frame in pushed(bob)] == ["notifications_waiting"]
    (frame,) = pushed(bob)
    since = format_time(MIDNIGHT + timedelta(minutes=10))
    assert frame["data"] == {"count": 3, "since": since, "unread": 3, "unseen": 3}
    run(night, minutes=1)
    assert len(pushed(bob)) == 1


@pytest.mark.parametrize("act", ["read", "archive", "delete", "snooze"])
def test_what_the_reader_has_dealt_with_is_not_counted(bob: Any, night: Time, act: Any) -> None:
    done, kept = (sent(bob, "mention", message="hello") for _ in range(2))
    inbox.act(bob.pk, act, ids=[done.pk], until=NOON)
    run(night, hours=7)
    assert [count for count, _ in told(bob)] == [1]
    inbox.act(bob.pk, "read", ids=[kept.pk])


def test_without_anything_left_nothing_is_told(bob: Any, night: Time) -> None:
    sent(bob, "mention", message="read", dedupe_key="k")
    sent(bob, "mention", message="gone", dedupe_key="m")
    withdraw(dedupe_key="m")
    inbox.act(bob.pk, "read")
    run(night, hours=7)
    assert told(bob) == []
    assert not Notification.objects.filter(withheld_until__isnull=False).exists()


def test_what_was_pushed_meanwhile_is_not_counted(bob: Any, night: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True)
    sent(bob, "mention", message="hello")
    sent(bob, "alarm")
    run(night, hours=7)
    assert [count for count, _ in told(bob)] == [1]


def test_what_would_not_be_sent_any_more_is_not_counted(bob: Any, night: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("mention", "new_like", "new_comment"):
        sent(bob, kind, message="hello")
    choose(bob, types={"new_like": {"socket": False}})
    TypeSwitch.objects.create(type="new_comment", off=True)
    run(night, hours=7)
    assert [count for count, _ in told(bob)] == [1]


def test_longer_quiet_hours(bob: Any, night: Time) -> None:
    sent(bob, "mention", message="hello")
    choose(bob, quiet_hours=[{**NIGHT, "end": "09:00"}])
    run(night, hours=8)
    assert told(bob) == []
    run(night, hours=1)
    assert [count for count, _ in told(bob)] == [1]


def test_who_ends_them_early_is_told_at_once(bob: Any, night: Time) -> None:
    sent(bob, "mention", message="hello")
    night.pass_by(minutes=1)
    choose(bob, quiet_hours=[])
    run(night)
    assert [count for count, _ in told(bob)] == [1]


def test_a_mute_of_everything(bob: Any, time: Time) -> None:
    choose(bob, muted_until=NOON + timedelta(hours=1))
    sent(bob, "mention", message="hello")
    run(time, hours=1)
    assert told(bob) == [(1, format_time(NOON))]


def test_a_mute_of_an_object_has_an_end_of_its_own(bob: Any, night: Time) -> None:
    room = Room.objects.create(slug="lunch")
    mute(bob, room, NOON)
    sent(bob, "mention", message="muted", target=room)
    sent(bob, "mention", message="quiet")
    run(night, hours=7)
    assert [count for count, _ in told(bob)] == [1]
    run(night, hours=5)
    assert [count for count, _ in told(bob)] == [1, 1]


def test_a_mute_without_an_end_is_told_when_it_is_taken_back(bob: Any, time: Time) -> None:
    """It was put to rest, and nobody is reminded of what was muted for good."""
    room = Room.objects.create(slug="lunch")
    mute(bob, room)
    sent(bob, "mention", message="muted", target=room)
    time.pass_by(days=400)
    unmute(bob, room)
    run(time)
    assert told(bob) == []


def test_who_takes_a_mute_back_is_told_at_once(bob: Any, time: Time) -> None:
    room = Room.objects.create(slug="lunch")
    mute(bob, room, NOON + timedelta(days=7))
    sent(bob, "mention", message="muted", target=room)
    time.pass_by(minutes=1)
    unmute(bob, room)
    run(time)
    assert [count for count, _ in told(bob)] == [1]


def test_a_storm_ends_in_one_count(bob: Any, time: Time, settings: Any) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "PUSHES_PER_MINUTE": 3}
    for number in range(10):
        sent(bob, "mention", message=str(number))
        time.pass_by(seconds=1)
    run(time)
    assert told(bob) == []
    time.set(NOON + timedelta(minutes=1))
    run(time)
    assert told(bob) == [(7, format_time(NOON + timedelta(seconds=3)))]
    assert len(pushed(bob, "notification")) == 3
    assert inbox.counts(bob.pk).unread == 10


def test_each_reader_is_told_of_their_own(alice: Any, bob: Any, night: Time) -> None:
    choose(alice, quiet_hours=[NIGHT])
    notify([alice, bob], "mention", message="both")
    notify(alice, "mention", message="hers")
    run(night, hours=7)
    assert ([count for count, _ in told(alice)], [count for count, _ in told(bob)]) == ([2], [1])


def test_a_summary_counts_all_however_much_waits_for_others(
    alice: Any, bob: Any, night: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "ROWS_AT_ONCE", 4)
    choose(alice, quiet_hours=[NIGHT])
    for _ in range(3):
        notify([alice, bob], "mention", message="both")
    run(night, hours=7)
    assert ([count for count, _ in told(alice)], [count for count, _ in told(bob)]) == ([3], [3])


def test_the_queries_are_those_of_pages_not_of_readers(night: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "READERS_AT_ONCE", 40)
    users = [get_user_model().objects.create_user(f"user{number}") for number in range(100)]
    for user in users:
        choose(user, quiet_hours=[NIGHT])
    counts = []
    for day, number in enumerate((100, 30)):
        night.set(MIDNIGHT + timedelta(days=day))
        notify(users[:number], "mention", message="hello")
        night.pass_by(hours=7)
        with CaptureQueriesContext(connection) as queries:
            summaries.send_due(night.now)
        counts.append(len(queries))
    assert counts[0] <= 3 * counts[1]  # three pages, and one
    assert [len(told(user)) for user in users] == [2] * 30 + [1] * 70


@pytest.mark.django_db(transaction=True)
def test_two_workers_tell_each_reader_once(time: Time) -> None:
    users = [get_user_model().objects.create_user(f"user{number}") for number in range(20)]
    for user in users:
        choose(user, muted_until=NOON + timedelta(hours=1))
    notify(users, "mention", message="hello")
    now = time.pass_by(hours=1)
    assert at_once(*[partial(summaries.send_due, now)] * 4) == [False] * 4
    assert [told(user) for user in users] == [[(1, format_time(NOON))]] * 20
