"""Whoever writes to rows of several readers locks them in one order, so that no two wait for each other.

One connection holds the third of four rows. Another one, which is to write to all, waits for it; it must hold the first
two then, and not the last. The rows are created and named in other orders.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Model

from notifications import clock, inbox, mute, notify, personal, summaries, unmute, waking, withdraw
from notifications.mailing import bounces, claims
from notifications.mailing.retrying import retry_failed
from notifications.models import Delivery, GroupMember, Notification
from notifications.preferences import changing
from realtime.models import Room
from tests.notifications.choices import Time, choose
from tests.notifications.mails import Office
from tests.notifications.rows import sent
from tests.patience import PATIENCE_SECONDS
from tests.people import make_user
from tests.racing import at_once, somebody_waits, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


def assert_in_order(rows: Iterable[Model], act: Callable[[], Any]) -> None:
    """`rows` are four, in the order in which `act` is to lock them."""
    keys = [row.pk for row in rows]
    objects = type(next(iter(rows)))._base_manager
    is_held, held = threading.Event(), list[int]()

    def hold() -> None:
        with transaction.atomic():
            objects.select_for_update().get(pk=keys[2])
            is_held.set()
            wait_until(somebody_waits)
            free = objects.select_for_update(skip_locked=True).filter(pk__in=keys).values_list("pk", flat=True)
            held.extend(key for key in keys if key not in set(free))

    def act_meanwhile() -> None:
        assert is_held.wait(PATIENCE_SECONDS)
        act()

    assert at_once(hold, act_meanwhile) == [None, None]
    assert held == keys[:2]


@pytest.fixture
def readers() -> list[Any]:
    return [make_user(f"reader{number}") for number in range(4)]


@pytest.fixture
def rows(readers: list[Any], alice: Any) -> list[Notification]:
    """A group of each reader, in the order of the readers. The first reader's is the newest."""
    found = [sent(reader, "new_like", actor=alice, group_key="post", dedupe_key="one") for reader in reversed(readers)]
    return found[::-1]


@pytest.mark.parametrize("expired", [{3}, {0, 3}, {0, 2, 3}, {0, 1, 2, 3}])
@pytest.mark.parametrize("is_read", [True, False])
def test_keys_of_what_has_expired(
    readers: list[Any], rows: list[Notification], bob: Any, expired: set[int], is_read: bool
) -> None:
    """Those who have not got it, or no more, get it now. What is read is in no group that could grow."""
    Notification.objects.exclude(pk=rows[3].pk).update(dedupe_key="other")
    GroupMember.objects.exclude(notification=rows[3].pk).update(dedupe_key="other")
    chosen = Notification.objects.filter(pk__in=[rows[number].pk for number in expired])
    chosen.update(dedupe_key="one", expires_at=clock.now(), group_open=not is_read)
    assert_in_order(rows, lambda: notify(readers[::-1], "new_like", actor=bob, group_key="post", dedupe_key="one"))
    found = Notification.objects.filter(group_open=True).order_by("recipient_id")
    assert [row.group_count for row in found] == [1 if number in expired else 2 for number in range(4)]


@pytest.mark.parametrize("present", [set(), {0}, {3}, {1, 2}])
@pytest.mark.parametrize("old", [set(), {3}, {0, 2}])
@pytest.mark.parametrize("dedupe_key", ["", "two"])
def test_groups_that_grow_end_or_are_repeated(
    readers: list[Any],
    rows: list[Notification],
    bob: Any,
    monkeypatch: pytest.MonkeyPatch,
    present: set[int],
    old: set[int],
    dedupe_key: str,
) -> None:
    there = frozenset(readers[number].pk for number in present)
    monkeypatch.setattr("realtime.integration.find_present", lambda stream, keys: there)
    long_ago = clock.now() - timedelta(days=9)
    Notification.objects.filter(pk__in=[rows[number].pk for number in old]).update(created_at=long_ago)
    options = {"group_key": "post", "unless_present": "room.general", "dedupe_key": dedupe_key}
    assert_in_order(rows, lambda: notify(readers[::-1], "new_like", actor=bob, **options))
    found = Notification.objects.filter(group_open=True).order_by("recipient_id")
    assert [(row.group_count, row.seen_at is not None) for row in found] == [
        (1 if number in old else 2, number in present) for number in range(4)
    ]
    assert Notification.objects.count() == 4 + len(old)


def test_groups_of_many_readers_are_grown_by_short_statements_in_the_same_order(
    readers: list[Any], rows: list[Notification], bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.bulk.FEW_ROWS", 1)
    assert_in_order(rows, lambda: notify(readers[::-1], "new_like", actor=bob, group_key="post"))


def test_notifications_that_are_withdrawn(rows: list[Notification], readers: list[Any]) -> None:
    Notification.objects.filter(pk__in=[rows[0].pk, rows[3].pk]).update(dedupe_key="other")
    assert_in_order(rows, lambda: withdraw(dedupe_key="one"))


def test_notifications_in_and_out_of_groups_that_are_withdrawn(readers: list[Any], alice: Any) -> None:
    rows = [sent(reader, "mention", message="hello", dedupe_key="one") for reader in readers[:2]]
    rows += [sent(reader, "new_like", actor=alice, group_key="post", dedupe_key="one") for reader in readers[2:]]
    assert_in_order(rows, lambda: withdraw(dedupe_key="one"))


@pytest.mark.parametrize("name", ["summaries", "wake", "send again", "mark all", "erase", "expire"])
def test_jobs_and_staff(rows: list[Notification], alice: Any, name: str) -> None:
    now = clock.now()
    Notification.objects.update(withheld_until=now, withheld_by="limit", expires_at=None)
    if name == "wake":
        Notification.objects.update(snoozed_until=now)
    if name == "expire":
        Notification.objects.update(expires_at=now)
    keys = [row.pk for row in reversed(rows)]
    acts: dict[str, Callable[[], Any]] = {
        "summaries": partial(summaries.send_due, now),
        "wake": partial(waking.wake, now),
        "send again": partial(waking.send_again, keys, now),
        "mark all": lambda: inbox.mark_all("archive", Notification.objects.filter(pk__in=keys)),
        "erase": partial(personal.erase_user, alice),
        "expire": partial(waking.expire, now),
    }
    assert_in_order(rows, acts[name])


# Mails: in the order of their notifications


@pytest.fixture
def mails(office: Office, erin: Any) -> list[Delivery]:
    """Four of one reader, in the order of their notifications. The first is the newest."""
    rows = [sent(erin, "mention", message="hello") for _ in range(4)]
    Delivery.objects.all().delete()
    found = [Delivery.objects.create(notification=row, user=erin, due_at=office.time.now) for row in reversed(rows)]
    return found[::-1]


def test_a_worker_stores_what_has_become_of_mails(mails: list[Delivery], office: Office) -> None:
    claimed = claims.claim(office.time.now)
    assert claimed is not None
    assert_in_order(mails, lambda: claims.settle(claimed, mails[::-1]))


def test_mails_that_are_tried_or_sent_again(mails: list[Delivery], office: Office) -> None:
    Delivery.objects.update(state="failed")
    assert_in_order(mails, lambda: retry_failed(Delivery.objects.all()))
    Delivery.objects.update(state="failed")
    keys = [mail.notification_id for mail in reversed(mails)]
    assert_in_order(mails, lambda: waking.send_again(keys, office.time.now))


def test_a_mail_service_reports(mails: list[Delivery]) -> None:
    Delivery.objects.update(state="sent", message_id="id")
    event = SimpleNamespace(
        message_id="id", event_type="failed", description="no", mta_response="", reject_reason="", recipient=""
    )
    assert_in_order(mails, lambda: bounces.on_tracking(None, event))


def test_readers_change_what_they_want(mails: list[Delivery], erin: Any, office: Office) -> None:
    Delivery.objects.update(reason="online", due_at=office.time.now + timedelta(hours=1))
    assert_in_order(mails, lambda: choose(erin, away_minutes=1))


def test_readers_take_something_back(mails: list[Delivery], erin: Any) -> None:
    inbox.act(erin.pk, "read")
    Delivery.objects.update(state="suppressed", reason="read")
    assert_in_order(mails, lambda: inbox.act(erin.pk, "unread"))
    Delivery.objects.update(state="suppressed", reason="mute")
    room = Room.objects.create(slug="lunch")
    mute(erin, room)
    assert_in_order(mails, lambda: unmute(erin, room))


def test_mails_whose_notifications_are_deleted(mails: list[Delivery]) -> None:
    Notification.objects.update(group_key="all")
    assert_in_order(mails, lambda: withdraw(group_key="all"))


def test_what_waits_for_one_reader(erin: Any, time: Time) -> None:
    rows = [sent(erin, "mention", message="hello") for _ in range(4)]
    Notification.objects.update(withheld_by="mute", withheld_until=time.now + timedelta(hours=1))
    for row in reversed(rows):  # so that they lie in another order
        Notification.objects.filter(pk=row.pk).update(reason="x")
    assert_in_order(rows, lambda: changing.reconsider(erin.pk, has_unmuted=False))
