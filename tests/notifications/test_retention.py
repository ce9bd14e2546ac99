"""Retention: what is deleted when it is old, what is kept, and how it lets others write."""

import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from notifications import cancel_announcement, jobs, pruning, retention
from notifications.announcements.numbers import Numbers, numbers_of
from notifications.inbox import act, undo
from notifications.models import AnnouncementState, Change, GroupMember, Notification
from notifications.retention import Pruned
from tests.notifications.announced import announce
from tests.patience import PATIENCE_SECONDS
from tests.racing import at_once

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY = timedelta(days=1)


def make(user: Any, title: str, age: float, *, read_age: float | None = None, **fields: Any) -> Notification:
    """A notification that arrived so many days ago, and was read so many days ago."""
    at = NOW - age * DAY
    read_at = None if read_age is None else NOW - read_age * DAY
    stamps = {"created_at": at, "arrived_at": at, "read_at": read_at, "seen_at": read_at}
    return Notification.objects.create(recipient=user, type="mention", title=title, **{**stamps, **fields})


def left() -> set[str]:
    return set(Notification.objects.values_list("title", flat=True))


# What is deleted


def test_it_deletes_what_was_read_after_90_days_and_what_was_not_after_180(bob: Any) -> None:
    make(bob, "young and read", 89, read_age=88)
    make(bob, "old and read", 91, read_age=91)
    make(bob, "old and read lately", 91, read_age=1)
    make(bob, "old and unread", 91)
    make(bob, "older and unread", 179)
    make(bob, "very old and unread", 181)
    assert retention.prune_old(NOW) == Pruned(read=2, unread=1)
    assert left() == {"young and read", "old and unread", "older and unread"}


def test_the_site_says_how_old(bob: Any, settings: Any) -> None:
    make(bob, "read", 8, read_age=8)
    make(bob, "unread", 3)
    settings.NOTIFICATIONS = {"READ_DAYS": 7, "UNREAD_DAYS": 2.5}
    assert retention.prune_old(NOW) == Pruned(read=1, unread=1)


@pytest.mark.parametrize(("key", "kept"), [("READ_DAYS", "read"), ("UNREAD_DAYS", "unread")])
def test_zero_keeps_them_for_ever(bob: Any, settings: Any, key: str, kept: str) -> None:
    make(bob, "read", 9999, read_age=9998)
    make(bob, "unread", 9999)
    settings.NOTIFICATIONS = {key: 0}
    retention.prune_old(NOW)
    assert left() == {kept}


@pytest.mark.parametrize("key", ["READ_DAYS", "UNREAD_DAYS"])
@pytest.mark.parametrize("value", [-1, 40_000, "90", None, float("nan")])
def test_wrong_numbers_are_refused(settings: Any, key: str, value: Any) -> None:
    from notifications.checks import check_settings

    settings.NOTIFICATIONS = {key: value}
    assert [error.msg.split()[0] for error in check_settings()] == [f"NOTIFICATIONS['{key}']"]


def test_what_belongs_to_it_goes_with_it(alice: Any, bob: Any) -> None:
    row = make(bob, "old", 200)
    GroupMember.objects.create(notification=row, person=str(alice.pk))
    Change.objects.create(notification=row, at=NOW - DAY, field="read_at")
    retention.prune_old(NOW)
    assert not GroupMember.objects.exists()
    assert not Change.objects.exists()


# What is kept


def test_what_is_snoozed_or_came_back_lately_is_kept(bob: Any) -> None:
    make(bob, "snoozed", 300, snoozed_until=NOW + DAY)
    make(bob, "came back", 300, arrived_at=NOW - 2 * DAY)
    make(bob, "came back and was read", 300, read_age=1, arrived_at=NOW - 2 * DAY)
    assert retention.prune_old(NOW) == Pruned()


@pytest.mark.parametrize("name", ["read", "archive", "unread", "unarchive", "snooze"])
def test_an_act_can_be_undone_as_long_as_it_could_without_it(bob: Any, name: Any) -> None:
    is_read, is_archived = name == "unread", name == "unarchive"
    row = make(bob, "old", 300, read_age=200 if is_read else None, archived_at=NOW - 200 * DAY if is_archived else None)
    before = Notification.objects.values().get()
    outcome = act(bob.pk, name, ids=[row.pk], until=timezone.now() if name == "snooze" else None)
    assert outcome.changed == 1
    now = timezone.now()
    assert retention.prune(now, 90, 180).read + retention.prune(now, 90, 180).unread == 0
    undo(bob.pk, outcome.undo)
    assert Notification.objects.values().get() == before


def test_what_can_no_longer_be_undone_is_forgotten(bob: Any) -> None:
    minute = timedelta(minutes=1)
    make(bob, "deleted long ago", 1, deleted_at=NOW - 11 * minute)
    row = make(bob, "deleted", 1, deleted_at=NOW - 9 * minute)
    Change.objects.create(notification=row, at=NOW - 11 * minute, field="read_at")
    young = Change.objects.create(notification=row, at=NOW - 9 * minute, field="read_at")
    retention.forget_undone(NOW)
    assert left() == {"deleted"}
    assert Change.objects.get() == young


# States of announcements


def note(user: Any, announcement: Any, age: float, **stamps: Any) -> AnnouncementState:
    at = NOW - age * DAY
    stamps = {name: at for name, is_set in stamps.items() if is_set}
    return AnnouncementState.objects.create(
        user=user, announcement=announcement, created_at=at, **{"seen_at": at, **stamps}
    )


def test_states_of_announcements_that_are_over_go_and_their_numbers_stay(alice: Any, bob: Any, carol: Any) -> None:
    over, live = announce("over"), announce("live")
    cancel_announcement(over)
    type(over).objects.update(over_at=NOW - 100 * DAY)
    type(over).objects.filter(pk=live.pk).update(over_at=None)
    note(alice, over, 200, read_at=True, confirmed_at=True)
    unread = note(bob, over, 100)
    dismissed = note(carol, over, 100, dismissed_at=True)
    kept = note(alice, live, 300, read_at=True, dismissed_at=True)
    assert retention.prune_old(NOW).states == 2
    assert set(AnnouncementState.objects.all()) == {unread, kept}
    assert dismissed not in AnnouncementState.objects.all()
    over.refresh_from_db()
    assert numbers_of([over, live]) == {
        over.pk: Numbers(reached=3, seen=3, read=1, confirmed=1),
        live.pk: Numbers(reached=3, seen=1, read=1, confirmed=0),
    }
    type(over).objects.update(over_at=NOW - 200 * DAY)
    AnnouncementState.objects.update(created_at=NOW - 200 * DAY)
    type(over).objects.filter(pk=live.pk).update(over_at=None)
    assert retention.prune_old(NOW).states == 1
    over.refresh_from_db()
    assert numbers_of([over])[over.pk].seen == 3


@pytest.mark.parametrize("at_once_with_others", [False, True])
def test_numbers_stay_when_readers_are_deleted(alice: Any, bob: Any, carol: Any, at_once_with_others: bool) -> None:
    announcement = announce("news")
    note(alice, announcement, 1, read_at=True, confirmed_at=True)
    note(bob, announcement, 1)
    note(carol, announcement, 1, read_at=True)
    if at_once_with_others:
        type(alice).objects.filter(pk__in=[alice.pk, bob.pk]).delete()
    else:
        for user in (alice, bob):
            user.delete()
    announcement.refresh_from_db()
    assert AnnouncementState.objects.get().user == carol
    assert numbers_of([announcement])[announcement.pk] == Numbers(reached=3, seen=3, read=2, confirmed=1)


# In portions


def test_it_deletes_in_portions_and_rests_between_them(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(pruning, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr("notifications.pruning.time.sleep", rests.append)
    for number in range(5):
        make(bob, f"n{number}", 200 + number)
    assert retention.prune_old(NOW).unread == 5
    assert rests == [pruning.PAUSE_SECONDS] * 2


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_it_waits_for_nobody_who_is_writing(bob: Any) -> None:
    busy, other = make(bob, "busy", 200), make(bob, "other", 201)
    is_locked, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            Notification.objects.filter(pk=busy.pk).update(title="written")
            is_locked.set()
            assert may_end.wait(PATIENCE_SECONDS)

    def prune() -> Pruned:
        assert is_locked.wait(PATIENCE_SECONDS)
        try:
            return retention.prune_old(NOW)
        finally:
            may_end.set()

    assert at_once(write, prune) == [None, Pruned(unread=1)]
    assert left() == {"written"}
    assert not Notification.objects.filter(pk=other.pk).exists()
    assert retention.prune_old(NOW).unread == 1


@pytest.mark.django_db(transaction=True)
def test_several_that_prune_at_once_delete_everything_once(bob: Any) -> None:
    for number in range(20):
        make(bob, f"n{number}", 200 + number)
    results = at_once(*[lambda: retention.prune_old(NOW).unread] * 3)
    retention.prune_old(NOW)
    assert sum(results) <= 20
    assert not left()


# By hand and by the jobs


def test_the_command(bob: Any) -> None:
    make(bob, "read", 91, read_age=91)
    make(bob, "unread", 100)
    make(bob, "deleted", 1, deleted_at=NOW - DAY)
    output = StringIO()
    call_command("prune_notifications", stdout=output)
    assert output.getvalue() == "Deleted: 1 read and 0 unread notifications, 0 states of announcements.\n"
    assert left() == {"unread"}
    call_command("prune_notifications", "--unread-days", "99", verbosity=0)
    assert not left()


@pytest.mark.parametrize("days", ["-1", "nan", "40000"])
def test_the_command_refuses_ages_that_make_no_sense(days: str) -> None:
    with pytest.raises(CommandError, match="0 to 36500 days"):
        call_command("prune_notifications", "--read-days", days)


def test_it_is_among_the_jobs(bob: Any) -> None:
    make(bob, "old", 200)
    make(bob, "deleted", 1, deleted_at=NOW - DAY)
    jobs.run_due()
    assert not left()
