"""Withdrawing notifications: by key, by what they are about, and when that is deleted."""

from typing import Any

import pytest
from django.db import transaction

from notifications import mute, types, unmute, withdraw
from notifications.models import Notification
from notifications.withdrawing import connect_targets
from realtime.models import Room
from tests.notifications.rows import pushed, sent
from tests.shop.models import Book, Item, ItemProxy

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


def test_by_what_it_is_about(bob: Any, room: Room) -> None:
    sent(bob, "mention", message="gone", target=room)
    other = sent(bob, "mention", message="kept", target=bob)
    assert withdraw(target=room) == 1
    assert list(Notification.objects.all()) == [other]


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
