"""What devices are told last is what one counts, whatever happens to one inbox at the same time."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from notifications import clock, inbox, waking, withdraw
from notifications.models import Notification
from realtime.models import Event
from realtime.storage import pending
from tests.notifications.choices import register
from tests.notifications.rows import pushed, sent
from tests.patience import PATIENCE_SECONDS
from tests.racing import at_once

pytestmark = pytest.mark.django_db(transaction=True)

one_writer = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")


@pytest.fixture
def rows(bob: Any, monkeypatch: pytest.MonkeyPatch) -> list[Notification]:
    """One to be read, one that expires, one that is snoozed, and one to be withdrawn."""
    register(monkeypatch, "offer", time_to_live=timedelta(hours=1))
    found = [sent(bob, name, dedupe_key=key, message=key) for name, key in KINDS]
    now = clock.now()
    Notification.objects.filter(pk=found[1].pk).update(expires_at=now)
    Notification.objects.filter(pk=found[2].pk).update(snoozed_until=now)
    return found


KINDS = [("mention", "read"), ("offer", "expires"), ("mention", "snoozed"), ("mention", "gone")]


def do_withdraw(bob: Any) -> None:
    assert withdraw(dedupe_key="gone") == 1


def do_expire(bob: Any) -> None:
    waking.expire(clock.now())


def do_wake(bob: Any) -> None:
    waking.wake(clock.now())


def do_notify(bob: Any) -> None:
    sent(bob, "mention", message="new")


def told_last(user: Any) -> tuple[int, bool]:
    """What a client shows as unread that adds up as the protocol says, and whether it had to ask for the counts."""
    unread, counted_at, has_asked = 0, "", False
    frames = pushed_in_order(user)
    for frame in frames:
        if frame["type"] != "notification":
            unread, counted_at = frame["data"]["unread"], frame["timestamp"]
        elif frame["timestamp"] <= counted_at:
            unread, has_asked = inbox.counts(user.pk).unread, True
        elif frame["data"]["arrived_at"] == frame["data"]["created_at"]:
            unread += 1
    return unread, has_asked


def pushed_in_order(user: Any) -> list[dict[str, Any]]:
    keys = list(Event.objects.filter(stream=f"user.{user.pk}").order_by("id").values_list("seq", flat=True))
    return [frame for _, frame in sorted(zip(keys, pushed(user), strict=True), key=lambda pair: pair[0])]


@one_writer
@pytest.mark.parametrize("reads_first", [True, False])
@pytest.mark.parametrize("other", [do_withdraw, do_expire, do_wake, do_notify])
def test_reading_while_something_else_happens(
    bob: Any, rows: list[Notification], other: Callable[[Any], None], reads_first: bool
) -> None:
    is_done, is_over = threading.Event(), threading.Event()

    def read(bob: Any) -> None:
        assert inbox.mark_read(bob, [rows[0].pk]) == [rows[0].pk]

    first, second = (read, other) if reads_first else (other, read)

    def begin() -> None:
        with transaction.atomic():
            first(bob)
            is_done.set()
            assert is_over.wait(PATIENCE_SECONDS)

    def come_between() -> None:
        assert is_done.wait(PATIENCE_SECONDS)
        second(bob)
        is_over.set()

    assert at_once(begin, come_between) == [None, None]
    assert told_last(bob)[0] == inbox.counts(bob.pk).unread


@pytest.mark.parametrize("other", [do_withdraw, do_notify])
def test_what_was_committed_first_and_is_told_of_last(
    bob: Any, rows: list[Notification], other: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread is slow between the commit and the number of its event."""
    sequence, slow = pending.sequence, threading.local()
    is_committed, is_over = threading.Event(), threading.Event()

    def sequence_slowly(keys: Any) -> Any:
        if getattr(slow, "is_meant", False):
            is_committed.set()
            assert is_over.wait(PATIENCE_SECONDS)
        return sequence(keys)

    monkeypatch.setattr(pending, "sequence", sequence_slowly)

    def begin() -> None:
        slow.is_meant = True
        other(bob)

    def come_between() -> None:
        assert is_committed.wait(PATIENCE_SECONDS)
        inbox.mark_read(bob, [rows[0].pk])
        is_over.set()

    assert at_once(begin, come_between) == [None, None]
    assert told_last(bob) == (inbox.counts(bob.pk).unread, other is do_notify)
