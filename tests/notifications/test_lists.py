"""Lists and counts of an inbox: tabs, filters, pages."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from notifications import ages, inbox
from notifications.inbox import Filters, Place
from notifications.inbox.counting import counts_of
from notifications.models import Notification
from tests.notifications.rows import plans, sent

pytestmark = pytest.mark.django_db


def listed(user: Any, **filters: Any) -> list[str]:
    return [row.message or "" for row in inbox.page(user.pk, Filters(**filters), None, 50)]


@pytest.fixture
def rows(alice: Any, bob: Any) -> dict[str, Notification]:
    later = timezone.now() + timedelta(hours=1)
    made = {
        "plain": sent(bob, "mention", message="plain"),
        "order": sent(bob, "order_status_changed", message="order", order_id=1, status="sent", reason="yours"),
        "hers": sent(bob, "new_like", message="hers", actor=alice),
        "archived": sent(bob, "mention", message="archived"),
        "snoozed": sent(bob, "mention", message="snoozed"),
        "deleted": sent(bob, "mention", message="deleted"),
        "expired": sent(bob, "mention", message="expired"),
    }
    inbox.act(bob.pk, "archive", ids=[made["archived"].pk])
    inbox.act(bob.pk, "snooze", ids=[made["snoozed"].pk], until=later)
    inbox.act(bob.pk, "delete", ids=[made["deleted"].pk])
    Notification.objects.filter(pk=made["expired"].pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    sent(alice, "mention", message="foreign")
    return made


def test_tabs_and_filters(alice: Any, bob: Any, rows: dict[str, Notification]) -> None:
    assert listed(bob) == ["hers", "order", "plain"]
    assert listed(bob, box="archived") == ["archived"]
    assert listed(bob, box="snoozed") == ["snoozed"]
    assert listed(bob, box="all") == ["snoozed", "archived", "hers", "order", "plain"]
    assert listed(bob, types=["mention"]) == ["plain"]
    assert listed(bob, categories=["orders", "unknown"]) == ["order"]
    assert listed(bob, categories=["social"]) == ["hers", "plain"]
    assert listed(bob, levels=["error"]) == []
    assert listed(bob, reason="yours") == ["order"]
    assert listed(bob, actor=alice.pk) == ["hers"]
    assert listed(bob, since=rows["order"].arrived_at) == ["hers", "order"]
    inbox.act(bob.pk, "read", ids=[rows["order"].pk])
    assert listed(bob, unread=True) == ["hers", "plain"]
    assert listed(bob, unread=False) == ["order"]


def test_what_is_archived_is_not_snoozed(bob: Any) -> None:
    row, later = sent(bob, "mention", message="x"), timezone.now() + timedelta(hours=1)
    inbox.act(bob.pk, "snooze", ids=[row.pk], until=later)
    inbox.act(bob.pk, "archive", ids=[row.pk])
    assert (listed(bob, box="archived"), listed(bob, box="snoozed")) == (["x"], [])
    inbox.act(bob.pk, "snooze", ids=[row.pk], until=later)
    assert (listed(bob, box="archived"), listed(bob, box="snoozed")) == ([], ["x"])
    Notification.objects.update(archived_at=timezone.now())  # as nobody but others' code writes it
    assert (listed(bob, box="archived"), listed(bob, box="snoozed")) == (["x"], [])


def test_a_group_is_listed_for_everybody_in_it(alice: Any, bob: Any, carol: Any) -> None:
    for fan in (alice, carol):
        sent(bob, "new_like", message="liked", actor=fan, group_key="like:7")
    sent(bob, "new_like", message="alone", actor=carol)
    assert listed(bob, actor=alice.pk) == ["liked"]
    assert listed(bob, actor=carol.pk) == ["alone", "liked"]
    assert listed(bob, actor=bob.pk) == []
    assert inbox.act(bob.pk, "read", filters=Filters(actor=alice.pk)).changed == 1


def test_counts_are_of_the_inbox(bob: Any, rows: dict[str, Notification]) -> None:
    assert inbox.counts(bob.pk) == inbox.lists.Counts(unread=3, unseen=3)
    inbox.act(bob.pk, "seen", ids=[rows["plain"].pk])
    assert inbox.counts(bob.pk) == inbox.lists.Counts(unread=3, unseen=2)


def test_pages_follow_each_other_without_repeats(bob: Any) -> None:
    now = timezone.now()
    ids = [sent(bob, "mention", message="x").pk for _ in range(7)]
    Notification.objects.update(arrived_at=now)  # the ids decide
    found: list[int] = []
    place = None
    for _ in range(4):
        rows = inbox.page(bob.pk, Filters(), place, 2)
        found += [row.pk for row in rows[:2]]
        place = Place(rows[min(1, len(rows) - 1)].arrived_at, rows[min(1, len(rows) - 1)].pk)
    assert found == ids[::-1]


def test_counts_look_at_no_more_than_they_show(bob: Any, django_assert_num_queries: Any) -> None:
    Notification.objects.bulk_create([Notification(recipient=bob, type="mention") for _ in range(150)])
    with django_assert_num_queries(2) as queries:
        assert inbox.counts(bob.pk) == inbox.lists.Counts(unread=100, unseen=100)
    assert all("LIMIT 100" in query["sql"] for query in queries)


@pytest.fixture
def many(alice: Any, bob: Any) -> None:
    """Of alice all are unread, of bob one."""
    now = timezone.now()
    theirs = [Notification(recipient=alice, type="mention") for _ in range(3_000)]
    read = [Notification(recipient=bob, type="mention", seen_at=now, read_at=now) for _ in range(3_000)]
    Notification.objects.bulk_create([*theirs, *read, Notification(recipient=bob, type="mention")])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notifications_notification")


@pytest.mark.usefixtures("many")
def test_counts_use_an_index(alice: Any, bob: Any) -> None:
    for reader in (alice, bob):
        counted = plans(lambda reader=reader: inbox.counts(reader.pk)) + plans(
            lambda reader=reader: counts_of([reader.pk])
        )
        assert len(counted) == 3
        for plan in counted:
            assert "realtime_notifications_unread" in plan
            assert not re.search("Seq Scan|SCAN (n|notifications_notification)$", plan, re.M)


@pytest.mark.usefixtures("many")
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite explains in another way")
def test_lists_use_an_index(alice: Any, bob: Any) -> None:
    for reader in (alice, bob):
        (listed,) = plans(lambda reader=reader: inbox.page(reader.pk, Filters(), None, 50))
        assert "realtime_notifications_list" in listed
        assert "Sort" not in listed
    # Those that are unread are few, and may be older than all that are read.
    first, second = plans(lambda: inbox.page(bob.pk, Filters(unread=True), None, 50))
    assert "realtime_notifications_unread" in first
    assert "realtime_notifications_list" not in second


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite explains in another way")
def test_acts_write_into_three_indexes_and_age_needs_none(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ages, "KEYS_AT_ONCE", 100)
    now = timezone.now()
    rows = [
        Notification(recipient=bob, type="mention", created_at=now - timedelta(days=n)) for n in range(5_000, 0, -1)
    ]
    Notification.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notifications_notification")
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'notifications_notification'")
        # Of a row that was notified by nobody about nothing: all others have conditions that it does not fit.
        whole = {line.split(" USING ")[1] for (line,) in cursor.fetchall() if " WHERE " not in line}
    room = "WITH (fillfactor='45')"
    assert whole == {f"btree (id) {room}", f"btree (recipient_id, arrived_at, id) {room}"}
    day = timedelta(days=1)
    chosen = Notification.objects.order_by("-pk").filter(
        created_at__gte=now - 2_001 * day, created_at__lt=now - 2_000 * day
    )
    for plan in [
        *plans(lambda: list(ages.narrow(chosen))),
        *plans(lambda: list(ages.portions_before(chosen, now - day))),
    ]:
        assert "notifications_notification_pkey" in plan
        assert "Seq Scan" not in plan


@pytest.mark.parametrize("few", [1, 3])
def test_a_list_of_what_is_unread_is_the_same_for_few_and_for_many(
    bob: Any, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(inbox.lists, "FEW", few)
    rows = [sent(bob, "mention", message=str(number)) for number in range(4)]
    inbox.act(bob.pk, "seen", ids=[rows[2].pk])
    inbox.act(bob.pk, "read", ids=[rows[1].pk])
    assert listed(bob, unread=True) == ["3", "2", "0"]
    page = inbox.page(bob.pk, Filters(unread=True), Place.of(rows[3]), 1)
    assert [row.message for row in page] == ["2", "0"]
