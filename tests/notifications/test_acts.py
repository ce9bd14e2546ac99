"""What a reader does with notifications, what others hear of it, and how it is undone."""

import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notifications import inbox
from notifications.inbox import CannotUndo, Filters, Place
from notifications.inbox.acts import STEPS
from notifications.models import Change, Notification
from notifications.testing import clock
from realtime.testing import published
from tests.notifications.rows import pushed, sent
from tests.patience import PATIENCE_SECONDS
from tests.people import NO_KEY
from tests.racing import at_once

pytestmark = pytest.mark.django_db

COLUMNS = ("seen_at", "read_at", "archived_at", "snoozed_until", "deleted_at")


def states(user: Any) -> dict[int, tuple[Any, ...]]:
    rows = Notification.objects.filter(recipient=user).values_list("pk", *COLUMNS)
    return {row[0]: row[1:] for row in rows}


def in_an_hour() -> Any:
    return timezone.now() + timedelta(hours=1)


def do(user: Any, name: Any, **options: Any) -> inbox.Outcome:
    if name == "snooze":
        options["until"] = in_an_hour()
    return inbox.act(user.pk, name, **options)


@pytest.fixture
def five(alice: Any, bob: Any) -> list[int]:
    """Notifications of bob; alice has one, too, which nothing may touch."""
    sent(alice, "mention", message="hers")
    return [sent(bob, "mention", message=str(number)).pk for number in range(5)]


@pytest.mark.parametrize(
    ("name", "before", "counts"),
    [
        ("seen", [], (5, 3)),
        ("read", [], (3, 3)),
        ("unread", ["read"], (5, 3)),
        ("archive", [], (3, 3)),
        ("unarchive", ["archive"], (5, 5)),
        ("snooze", [], (3, 3)),
        ("unsnooze", ["snooze"], (5, 5)),
        ("delete", [], (3, 3)),
    ],
)
def test_every_act_changes_what_it_names_and_can_be_undone(
    alice: Any, bob: Any, five: list[int], name: Any, before: list[Any], counts: tuple[int, int]
) -> None:
    for earlier in before:
        do(bob, earlier, ids=five[:2])
    was, hers = states(bob), states(alice)
    outcome = do(bob, name, ids=[*five[:2], *states(alice), NO_KEY])
    assert (outcome.changed, outcome.ids) == (2, five[:2])
    frame = pushed(bob, "inbox")[-1]["data"]
    assert frame == {"unread": counts[0], "unseen": counts[1], "act": name, "notification_ids": five[:2]}
    assert {pk for pk, state in states(bob).items() if state != was[pk]} == set(five[:2])
    assert do(bob, name, ids=five[:2]).changed == (2 if name == "snooze" else 0)
    if name != "snooze":
        undone = inbox.undo(bob.pk, outcome.undo)
        assert undone.changed == 2
        assert states(bob) == was
        assert inbox.undo(bob.pk, outcome.undo).changed == 0
    assert states(alice) == hers


def test_undoing_touches_only_what_nobody_has_changed_since(bob: Any, five: list[int]) -> None:
    read = do(bob, "read")
    do(bob, "archive", ids=five[:1])
    do(bob, "unread", ids=five[1:2])
    do(bob, "read", ids=five[1:2])
    again = states(bob)[five[1]]
    assert inbox.undo(bob.pk, read.undo).changed == 4
    now = states(bob)
    assert now[five[1]] == again
    assert [now[pk][1] for pk in five if pk != five[1]] == [None] * 4
    assert now[five[0]][2] is not None


def test_undoing_an_overwriting_act_whose_value_was_overwritten_again(bob: Any, five: list[int]) -> None:
    do(bob, "read")
    was = states(bob)
    unread = do(bob, "unread")
    do(bob, "read", ids=five[:1])
    again = do(bob, "unread", ids=five[:1])
    assert inbox.undo(bob.pk, unread.undo).changed == 4
    now = states(bob)
    assert now[five[0]][1] is None
    assert {pk: now[pk] for pk in five[1:]} == {pk: was[pk] for pk in five[1:]}
    assert inbox.undo(bob.pk, again.undo).changed == 1


def test_snoozing_again_is_undone_to_the_first_snooze(bob: Any, five: list[int]) -> None:
    do(bob, "snooze", ids=five[:2])
    was = states(bob)
    later = inbox.act(bob.pk, "snooze", ids=five[:3], until=in_an_hour() + timedelta(days=1))
    assert inbox.undo(bob.pk, later.undo).changed == 3
    assert states(bob) == was


@pytest.mark.parametrize("names", [("snooze", "archive"), ("archive", "snooze")])
@pytest.mark.parametrize("most", [2, 1_000])
def test_what_is_put_into_another_list_returns_when_that_is_undone(
    bob: Any, five: list[int], monkeypatch: pytest.MonkeyPatch, names: tuple[str, str], most: int
) -> None:
    monkeypatch.setattr("notifications.inbox.acts.IDS_AT_ONCE", most)
    states_before, undos = [], []
    for name, ids in zip(names, (five[:3], five), strict=True):
        states_before.append(states(bob))
        undos.append(do(bob, name, ids=ids).undo)
    column = {"archive": 2, "snooze": 3}[names[1]]
    assert all(state[column] and not state[5 - column] for state in states(bob).values())
    for _ in names:
        assert inbox.undo(bob.pk, undos.pop()).changed in (3, 5)
        assert states(bob) == states_before.pop()


@pytest.mark.parametrize(("name", "again"), [("archive", "snooze"), ("snooze", "archive")])
def test_what_is_in_another_list_since_is_not_put_back(bob: Any, five: list[int], name: str, again: str) -> None:
    do(bob, name)
    taken_back = do(bob, f"un{name}")
    do(bob, again, ids=five[:2])
    was = states(bob)
    assert inbox.undo(bob.pk, taken_back.undo).ids == five[2:]
    assert all(states(bob)[pk] == was[pk] for pk in five[:2])


@pytest.mark.parametrize("text", ["", "x", "a:b:c", None, 7])
def test_undo_needs_the_text_of_ones_own_act(alice: Any, bob: Any, five: list[int], text: Any) -> None:
    own = do(bob, "read").undo
    with pytest.raises(CannotUndo):
        inbox.undo(bob.pk, text)
    with pytest.raises(CannotUndo):
        inbox.undo(alice.pk, own)


def test_undo_ends_after_ten_minutes(bob: Any, five: list[int]) -> None:
    with clock() as time:
        first, second = do(bob, "read", ids=five[:1]).undo, do(bob, "read", ids=five[1:]).undo
        time.move(599)
        assert inbox.undo(bob.pk, first).changed == 1
        time.move(2)
        with pytest.raises(CannotUndo):
            inbox.undo(bob.pk, second)


def test_all_of_a_list_up_to_what_the_reader_saw(alice: Any, bob: Any, five: list[int]) -> None:
    do(bob, "archive", ids=five[:1])
    newest = inbox.page(bob.pk, Filters(), None, 1)[0]
    late = sent(bob, "mention", message="late")
    outcome = inbox.act(bob.pk, "read", filters=Filters(), place=Place(newest.arrived_at, newest.pk))
    assert outcome.ids == five[1:]
    assert set(Notification.objects.filter(recipient=bob).unread().values_list("pk", flat=True)) == {five[0], late.pk}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_an_act_leaves_alone_what_is_committed_after_it(bob: Any) -> None:
    is_sent, is_over = threading.Event(), threading.Event()

    def send_late() -> None:
        with transaction.atomic():
            sent(bob, "mention", message="late")
            is_sent.set()
            assert is_over.wait(PATIENCE_SECONDS)

    def read_all() -> None:
        assert is_sent.wait(PATIENCE_SECONDS)
        newest = sent(bob, "mention", message="newest")
        assert do(bob, "read", filters=Filters(), place=Place.of(newest)).ids == [newest.pk]
        is_over.set()

    assert at_once(send_late, read_all) == [None, None]
    late, newest = Notification.objects.order_by("arrived_at")
    assert (late.message, late.is_read, newest.is_read) == ("late", False, True)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_what_is_committed_while_very_many_are_snoozed_is_left_alone(
    bob: Any, five: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.inbox.acts.IDS_AT_ONCE", 3)
    was, late = states(bob), []

    def let_one_come(execute: Any, sql: str, params: Any, *given: Any) -> Any:
        done = execute(sql, params, *given)
        if sql.startswith(f"INSERT INTO {Change._meta.db_table}") and "snoozed_until" in params:
            late.extend(at_once(partial(sent, bob, "mention", message="late")))
        return done

    with connection.execute_wrapper(let_one_come):
        outcome = do(bob, "snooze", filters=Filters())
    assert outcome.changed == 5
    assert inbox.undo(bob.pk, outcome.undo).changed == 5
    assert states(bob) == was | {late[0].pk: (None,) * len(COLUMNS)}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["read", "archive", "delete", "snooze", "unread", "unarchive", "unsnooze"])
@pytest.mark.parametrize("others_come", [False, True])
def test_what_is_deleted_while_very_many_are_changed_is_left_out(
    bob: Any, monkeypatch: pytest.MonkeyPatch, name: Any, others_come: bool
) -> None:
    """Where one comes for one that goes, their number stays."""
    monkeypatch.setattr("notifications.inbox.acts.IDS_AT_ONCE", 3)
    rows = [sent(bob, "mention", message="x", group_key=f"g{number}") for number in range(5)]
    step = STEPS[name]
    if taken_back := {"unread": "read", "unarchive": "archive", "unsnooze": "snooze"}.get(name):
        do(bob, taken_back, filters=Filters())

    def come_and_go() -> None:
        Notification.objects.filter(pk=rows[2].pk).delete()
        if others_come:
            late = sent(bob, "mention", message="late")
            if taken_back:
                Notification.objects.filter(pk=late.pk).update(**{step.column: in_an_hour()})

    def meanwhile(execute: Any, sql: str, params: Any, *given: Any) -> Any:
        done = execute(sql, params, *given)
        last = "group_open" if step.is_set else step.column
        if sql.startswith(f"INSERT INTO {Change._meta.db_table}") and last in params:
            assert at_once(come_and_go) == [None]
        return done

    with connection.execute_wrapper(meanwhile):
        outcome = do(bob, name, filters=Filters(box="all"))
    # What comes is undone, too, where the moment of the act says what that has changed.
    assert outcome.changed == 4 + (others_come and step.is_set)
    assert inbox.undo(bob.pk, outcome.undo).changed == outcome.changed


def test_very_many_are_named_by_nobody(bob: Any, five: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifications.inbox.acts.IDS_AT_ONCE", 3)
    outcome = do(bob, "read")
    assert (outcome.changed, outcome.ids) == (5, None)
    assert pushed(bob, "inbox")[-1]["data"] == {"unread": 0, "unseen": 0, "act": "read", "notification_ids": None}
    with CaptureQueriesContext(connection) as asked:
        assert inbox.undo(bob.pk, outcome.undo).changed == 5
    # A statement that looked them up within itself could do so again for each, where the database guesses wrongly.
    # Groups are looked up by the changes that say so.
    others = ("COUNT(", Change._meta.db_table)
    about_rows = [query["sql"] for query in asked.captured_queries if not any(part in query["sql"] for part in others)]
    assert not [sql for sql in about_rows if "notifications_notification" in sql and sql.count("SELECT") > 1]
    assert not [sql for sql in about_rows if "FOR UPDATE" in sql]


def test_an_action_is_taken_once(alice: Any, bob: Any, five: list[int]) -> None:
    assert not inbox.take_action(alice.pk, five[0], "accept")
    assert inbox.take_action(bob.pk, five[0], "accept")
    assert not inbox.take_action(bob.pk, five[0], "decline")
    row = Notification.objects.get(pk=five[0])
    assert (row.action, row.is_read, row.seen_at is not None) == ("accept", True, True)


@pytest.mark.parametrize("is_read", [False, True])
def test_an_action_of_what_is_unread_is_told_as_reading_it(bob: Any, five: list[int], is_read: bool) -> None:
    if is_read:
        inbox.act(bob.pk, "read", ids=five[:1])
    with published() as frames:
        inbox.take_action(bob.pk, five[0], "accept")
        inbox.take_action(bob.pk, five[0], "accept")
    told = [frame["data"] for frame in frames if frame["type"] == "read"]
    assert told == ([] if is_read else [{"notification_ids": five[:1]}])


@pytest.mark.parametrize("name", ["seen", "read"])
def test_what_an_action_was_taken_of_stays_read(bob: Any, five: list[int], name: Any) -> None:
    undo = inbox.act(bob.pk, name, ids=five[:2]).undo
    inbox.take_action(bob.pk, five[0], "accept")
    assert inbox.undo(bob.pk, undo).ids == [five[1]]
    row, other = Notification.objects.filter(pk__in=five[:2]).order_by("pk")
    assert (row.is_read, row.seen_at is not None, row.action) == (True, True, "accept")
    assert (other.is_read, other.seen_at) == (False, None)


@pytest.mark.parametrize("name", ["archive", "unsnooze"])
def test_undoing_snoozes_nothing_again_of_which_an_action_was_taken(bob: Any, five: list[int], name: Any) -> None:
    do(bob, "snooze", ids=five)
    undo = inbox.act(bob.pk, name, ids=five).undo
    inbox.take_action(bob.pk, five[0], "accept")
    inbox.undo(bob.pk, undo)
    snoozed = Notification.objects.filter(recipient=bob).exclude(snoozed_until=None)
    assert sorted(snoozed.values_list("pk", flat=True)) == five[1:]
    assert not Notification.objects.exclude(archived_at=None).exists()


def test_reading_again_after_an_action_is_undone(bob: Any, five: list[int]) -> None:
    inbox.take_action(bob.pk, five[0], "accept")
    inbox.act(bob.pk, "unread", ids=five[:1])
    assert inbox.undo(bob.pk, inbox.act(bob.pk, "read", ids=five[:1]).undo).ids == five[:1]
    assert not Notification.objects.get(pk=five[0]).is_read


def test_a_reader_may_be_named_as_a_user(bob: Any, five: list[int]) -> None:
    outcome = inbox.act(bob, "read", ids=five[:1])
    assert pushed(bob, "inbox")[-1]["data"]["act"] == "read"
    assert inbox.undo(bob, outcome.undo).changed == 1
    assert pushed(bob, "inbox")[-1]["data"]["act"] == "undo"
    assert inbox.take_action(bob, five[0], "accept")
    assert pushed(bob, "inbox")[-1]["data"]["act"] == "act"
    with pytest.raises(TypeError):
        inbox.act(None, "read")


@pytest.mark.parametrize("name", ["nope", "snooze"])
def test_what_is_no_act(bob: Any, five: list[int], name: Any) -> None:
    with pytest.raises(ValueError, match="The acts are"):
        inbox.act(bob.pk, name, ids=five)
    assert not Notification.objects.filter(recipient=bob).exclude(read_at=None).exists()


def test_every_act_has_a_step() -> None:
    assert set(STEPS) == {"seen", "read", "unread", "archive", "unarchive", "snooze", "unsnooze", "delete"}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite changes rows where they are")
def test_what_is_read_stays_in_its_page(bob: Any) -> None:
    Notification.objects.bulk_create([Notification(recipient=bob, type="mention") for _ in range(1_000)])
    pages = pages_of_notifications()
    outcome = inbox.act(bob.pk, "read", filters=Filters())
    assert pages_of_notifications() == pages
    assert inbox.undo(bob.pk, outcome.undo).changed == 1_000


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite explains in another way")
def test_undoing_very_many_looks_each_up_by_itself(bob: Any) -> None:
    """Also while the database does not know how many an act has just changed."""
    Notification.objects.bulk_create([Notification(recipient=bob, type="mention") for _ in range(1_500)])
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {Notification._meta.db_table}, {Change._meta.db_table}")
    outcome = do(bob, "snooze", filters=Filters())
    with CaptureQueriesContext(connection) as asked:
        assert inbox.undo(bob.pk, outcome.undo).changed == 1_500
    writing = [query["sql"] for query in asked.captured_queries if query["sql"].startswith("UPDATE")]
    with connection.cursor() as cursor:
        for sql in writing:
            if '"before"' in sql:
                cursor.execute(f"EXPLAIN {sql}")
                (*_, lookup) = "\n".join(line for (line,) in cursor.fetchall()).partition("SubPlan")
                assert "realtime_notifications_changes" in lookup, lookup
    assert sum('"before"' in sql for sql in writing) == 2


def pages_of_notifications() -> list[tuple[int, int]]:
    """The primary key of each notification, with the number of its page."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, (ctid::text::point)[0]::bigint FROM notifications_notification ORDER BY id")
        return cursor.fetchall()
