"""Withdrawing notifications: by key, by what they are about, and when that is deleted."""

import re
import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from notifications import follow, followers, inbox, mute, notify, portions, types, unmute, waking, withdraw, withdrawing
from notifications.models import Notification
from notifications.withdrawing import connect_targets
from realtime.models import Room
from tests.notifications.choices import Time, register
from tests.notifications.rows import pushed, row_of, sent
from tests.patience import PATIENCE_SECONDS
from tests.people import make_user
from tests.racing import at_once, somebody_waits, wait_until
from tests.shop.models import Book, Item, ItemProxy, Shelf

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Room:
    return Room.objects.create(slug="lunch")


@pytest.mark.parametrize("by", ["dedupe_key", "group_key"])
def test_by_a_key(alice: Any, bob: Any, by: str) -> None:
    gone = [sent(user, "mention", message="gone", **{by: "k"}) for user in (alice, bob)]
    kept = sent(bob, "mention", message="kept", **{by: "other"})
    assert withdraw(**{by: "k"}) == 2
    assert list(Notification.objects.all()) == [kept]
    for user, row, unread in ((alice, gone[0], 0), (bob, gone[1], 1)):
        (frame,) = pushed(user, "notification_removed")
        assert frame["data"] == {"notification_ids": [row.pk], "unread": unread, "unseen": unread}
    assert withdraw(**{by: "k"}) == 0


def like(reader: Any, actor: Any, key: str) -> None:
    sent(reader, "new_like", actor=actor, group_key="like:7", dedupe_key=key)


def test_one_of_a_group_is_taken_out_of_it(bob: Any) -> None:
    fans = [make_user(f"fan{number}") for number in range(5)]
    for fan in fans:
        like(bob, fan, f"like:{fan.pk}")
    for fan, message in (
        (fans[1], "fan4 and 3 others liked your post"),
        (fans[4], "fan3 and 2 others liked your post"),
        (fans[3], "fan2 and 1 other liked your post"),
    ):
        assert withdraw(dedupe_key=f"like:{fan.pk}") == 1
        assert withdraw(dedupe_key=f"like:{fan.pk}") == 0
        assert row_of(bob).render().message == message
    assert pushed(bob, "inbox")[-1]["data"]["notification_ids"] == [row_of(bob).pk]
    for fan, message in ((fans[0], "fan2 liked your post"), (fans[2], "")):
        assert withdraw(dedupe_key=f"like:{fan.pk}") == 1
        assert [row.render().message for row in Notification.objects.all()] == [message] * bool(message)
    assert not Notification.objects.exists()
    assert len(pushed(bob, "notification_removed")) == 1


def test_who_is_in_a_group_with_two_keys_stays_in_it_with_one(alice: Any, bob: Any, carol: Any) -> None:
    for actor, key in ((alice, "a"), (alice, "b"), (carol, "c")):
        like(bob, actor, key)
    withdraw(dedupe_key="a")
    assert row_of(bob).group_count == 2
    withdraw(dedupe_key="b")
    assert (row_of(bob).group_count, row_of(bob).group_actors[0]["name"]) == (1, "carol")
    withdraw(dedupe_key="c")
    assert not Notification.objects.exists()


def test_one_without_an_actor_is_taken_out_of_its_group(bob: Any) -> None:
    for key in ("a", "b"):
        sent(bob, "mention", message="x", group_key="g", dedupe_key=key)
    withdraw(dedupe_key="b")
    assert row_of(bob).group_count == 1
    withdraw(dedupe_key="a")
    assert not Notification.objects.exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_one_that_is_withdrawn_twice_at_once_is_taken_out_once(bob: Any) -> None:
    fans = [make_user(f"fan{number}") for number in range(3)]
    for fan in fans:
        like(bob, fan, f"like:{fan.pk}")
    row, held = row_of(bob), threading.Event()
    outcomes: list[Any] = []

    def withdraw_first() -> None:
        with transaction.atomic():
            outcomes.append(withdraw(dedupe_key=f"like:{fans[0].pk}"))
            held.set()
            wait_until(somebody_waits)

    def withdraw_second() -> None:
        assert held.wait(PATIENCE_SECONDS)
        outcomes.append(withdraw(dedupe_key=f"like:{fans[0].pk}"))

    assert at_once(withdraw_first, withdraw_second) == [None, None]
    assert outcomes == [1, 0]
    assert row_of(bob).pk == row.pk
    assert row_of(bob).group_count == 2
    assert [person["name"] for person in row_of(bob).group_actors] == ["fan2", "fan1"]
    assert len(pushed(bob, "inbox")) == 1


def test_by_what_it_is_about(bob: Any, room: Room) -> None:
    sent(bob, "mention", message="gone", target=room)
    other = sent(bob, "mention", message="kept", target=bob)
    assert withdraw(target=room) == 1
    assert list(Notification.objects.all()) == [other]


def test_what_is_about_an_object_that_was_just_made_is_about_it_when_it_is_loaded(alice: Any, bob: Any) -> None:
    made = Shelf.objects.create(code=uuid4().hex)
    follow(alice, made)
    sent(bob, "mention", message="gone", target=made)
    loaded = Shelf.objects.get()
    assert list(followers(loaded)) == [alice]
    assert withdraw(target=loaded) == 1


@pytest.fixture
def comments(bob: Any, carol: Any, erin: Any, monkeypatch: pytest.MonkeyPatch) -> list[Item]:
    """Those of bob and carol, of which erin has one row. The type ends with a comment."""
    register(monkeypatch, "comment", message="%(actor)s commented", group_key="post:7", ends_with="shop.Item")
    connect_targets()
    found = [Item.objects.create(name=actor.username) for actor in (bob, carol)]
    for actor, comment in zip((bob, carol), found, strict=True):
        sent(erin, "comment", actor=actor, target=comment, link=f"/{comment.pk}", dedupe_key=f"comment:{comment.pk}")
    return found


def test_a_group_is_about_what_its_newest_is_about(comments: list[Item], erin: Any) -> None:
    row = row_of(erin)
    assert (row.target_key, row.link) == (str(comments[1].pk), f"/{comments[1].pk}")
    comments[0].delete()
    assert row_of(erin).render().message == "carol and bob commented"
    comments[1].delete()
    assert not Notification.objects.exists()


def test_in_a_group_about_several_objects_each_is_withdrawn_by_its_key(comments: list[Item], erin: Any) -> None:
    withdraw(dedupe_key=f"comment:{comments[1].pk}")
    assert row_of(erin).render().message == "bob commented"
    withdraw(dedupe_key=f"comment:{comments[0].pk}")
    assert not Notification.objects.exists()


def puts_in_order(sql: str) -> bool:
    """Whether it looks for notifications, other than by their keys, and puts them in the order of locking."""
    is_ordered = re.search(r'FROM "notifications_notification" .*ORDER BY ("\w+"\."recipient_id"|1) ASC', sql)
    return is_ordered is not None and not re.search(r'"notifications_notification"\."id" IN \(\d', sql)


@pytest.mark.parametrize("by", ["target", "dedupe_key", "group_key"])
def test_very_many_are_put_in_order_once(room: Room, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """And not for each portion: that would be a million rows a thousand times."""
    monkeypatch.setattr(withdrawing, "ROWS_AT_ONCE", 2)
    users = [make_user(f"user{number}") for number in range(9)]
    given = {"target": room, "dedupe_key": "k", "group_key": "g"}
    assert notify(users, "mention", message="hello", **{by: given[by]}) == 9  # type: ignore[arg-type]
    with CaptureQueriesContext(connection) as queries:
        assert withdraw(**{by: given[by]}) == 9  # type: ignore[arg-type]
    # Once more to see that there are no others.
    assert sum(puts_in_order(query["sql"]) for query in queries) <= 2
    assert not Notification.objects.exists()
    assert [len(pushed(user, "notification_removed")) for user in users] == [1] * 9


def test_a_reader_of_several_is_told_once_however_many_others_have(
    alice: Any, bob: Any, carol: Any, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But of very many in portions: a frame for a million would be too large."""
    monkeypatch.setattr(withdrawing, "ROWS_AT_ONCE", 4)
    users = [alice] * 3 + [bob] * 3 + [carol] * 9
    for user in users:
        sent(user, "mention", message="hello", target=room)
    assert withdraw(target=room) == len(users)
    told = [pushed(user, "notification_removed") for user in (alice, bob, carol)]
    assert [[len(frame["data"]["notification_ids"]) for frame in frames] for frames in told] == [[3], [3], [8, 1]]


@pytest.mark.parametrize("due", ["expire", "wake"])
def test_what_is_due_is_chosen_in_the_order_in_which_it_is_due(
    time: Time, monkeypatch: pytest.MonkeyPatch, due: str
) -> None:
    """An index has that order, and not the one in which rows are locked: very many would be sorted for each portion."""
    for module in (withdrawing, waking):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 2)
    register(monkeypatch, "offer", time_to_live=timedelta(hours=1))
    users = [make_user(f"user{number}") for number in range(5)]
    for user in reversed(users):
        row = sent(user, "offer" if due == "expire" else "mention", message="hello")
        if due == "wake":
            inbox.act(user.pk, "snooze", ids=[row.pk], until=time.now + timedelta(hours=1))
        time.pass_by(minutes=1)
    work = waking.expire if due == "expire" else waking.wake
    monkeypatch.setattr(portions, "RUN_SECONDS", 0)
    assert work(time.pass_by(hours=2)) is True
    kind = "notification_removed" if due == "expire" else "inbox"
    assert [len(pushed(user, kind)) - (due == "wake") for user in users] == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("given", [{}, {"dedupe_key": ""}, {"dedupe_key": "a", "group_key": "b"}])
def test_exactly_one_must_be_given(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="needs one"):
        withdraw(**given)


def test_a_rollback_withdraws_nothing(bob: Any) -> None:
    sent(bob, "mention", message="kept", dedupe_key="k")
    with transaction.atomic():
        withdraw(dedupe_key="k")
        transaction.set_rollback(True)
    assert Notification.objects.count() == 1


def test_a_deleted_target_withdraws_what_is_about_it_if_the_type_says_so(
    bob: Any, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(types, "_types", dict(types._types))
    types.register("room_news", title="News", message="Of the room", ends_with="realtime.Room")
    connect_targets()
    sent(bob, "room_news", target=room)
    kept = sent(bob, "mention", message="kept", target=room)
    room.delete()
    assert list(Notification.objects.all()) == [kept]


def test_a_target_that_is_deleted_as_an_object_of_another_class(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy is the same object. One with columns of its own is another."""
    monkeypatch.setattr(types, "_types", dict(types._types))
    types.register("item_news", title="News", message="Of the item", ends_with="shop.Item")
    connect_targets()
    item, book = Item.objects.create(), Book.objects.create()
    for target in (item, book, book.item_ptr):
        sent(bob, "item_news", target=target)
    ItemProxy.objects.get(pk=item.pk).delete()
    assert Notification.objects.count() == 2
    book.delete()
    assert not Notification.objects.exists()


def test_who_has_muted_it_is_not_disturbed(alice: Any, bob: Any, room: Room) -> None:
    mute(bob, room)
    sent(bob, "mention", message="silent", target=room)
    sent(alice, "mention", message="loud", target=room)
    assert (len(pushed(bob)), len(pushed(alice))) == (0, 1)
    unmute(bob, room)
    sent(bob, "mention", message="loud", target=room)
    assert len(pushed(bob)) == 1
    assert Notification.objects.count() == 3
