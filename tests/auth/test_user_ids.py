"""Users in the arguments of site code: a user or a primary key, and nothing else."""

from decimal import Decimal
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.db import models
from django.test.utils import isolate_apps
from django.utils.functional import SimpleLazyObject

import realtime
from notifications import notify
from realtime.auth import user_ids
from realtime.auth.user_ids import read_user
from realtime.manager import manager
from realtime.models import Event, Room

User = get_user_model()
NOBODY = [
    None,
    "",
    "bob",
    "01",
    " 1",
    "1\0",
    True,
    1.0,
    Decimal(1),
    b"1",
    AnonymousUser(),
    SimpleLazyObject(AnonymousUser),
    User(username="unsaved"),
    User(pk="bob"),
    Group(pk=1),
    User,
    object(),
    [1],
]
FRAME = {"type": "x"}


@pytest.mark.parametrize("wrong", NOBODY, ids=lambda wrong: type(wrong).__name__)
def test_it_takes_nothing_but_users(wrong):
    with pytest.raises(TypeError, match=r"A user or a primary key of auth\.User is needed, not "):
        read_user(wrong)


def test_it_takes_users_and_their_keys(bob):
    for given in (bob, SimpleLazyObject(lambda: bob), bob.pk, str(bob.pk), User(pk=str(bob.pk))):
        assert read_user(given) == bob.pk


@pytest.mark.parametrize(
    "given", ["6fa459ea-ee8a-3ca4-94e3-1ed1ff4a3b0e", UUID("6fa459ea-ee8a-3ca4-94e3-1ed1ff4a3b0e")]
)
def test_a_key_may_be_an_object(monkeypatch, given):
    from django.db.models import UUIDField

    monkeypatch.setattr(user_ids, "_key_field", UUIDField)
    assert str(read_user(given)) == "6fa459ea-ee8a-3ca4-94e3-1ed1ff4a3b0e"
    with pytest.raises(TypeError):
        read_user(1.5)


@pytest.mark.parametrize("wrong", ["\ud800", "bob\udfff", "\0", "x" * 255])
def test_a_key_may_be_a_text_that_can_be_stored(monkeypatch, wrong):
    monkeypatch.setattr(user_ids, "_key_field", lambda: models.CharField(max_length=254))
    assert user_ids.read_id(wrong) is None
    for text in ("bob", "\U0001f600"):
        assert user_ids.read_id(text) == text


@isolate_apps("tests.shop")
def test_a_user_of_a_model_with_a_key_of_its_own_has_the_key_of_the_user():
    class Customer(User):
        number = models.AutoField(primary_key=True)
        user = models.OneToOneField(User, models.CASCADE, parent_link=True)

        class Meta:
            app_label = "shop"

    customer = Customer(number=7, id=5, user_id=5)
    assert (customer.pk, read_user(customer)) == (7, 5)


CALLS = {
    "send_to_user": lambda user: realtime.send_to_user(user, FRAME),
    "disconnect_user": realtime.disconnect_user,
    "create_room": lambda user: realtime.create_room(user, title="Club"),
    "notify": lambda user: notify(user, "new_like", actor=None, message="x"),
    "is_user_online": manager.is_user_online,
    "get_user_connections_count": manager.get_user_connections_count,
    "get_entries": lambda user: manager.get_entries([user]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("wrong", [None, AnonymousUser(), "bob", Room(pk=1)], ids=["None", "anonymous", "text", "room"])
def test_every_function_refuses_what_is_no_user_and_stores_nothing(transactional_db, call, wrong):
    with pytest.raises(TypeError):
        call(wrong)
    assert not Event.objects.exists()
    assert not Room.objects.exists()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_function_takes_a_user_and_a_key(transactional_db, bob, call):
    for given in (bob, bob.pk, str(bob.pk), User(pk=str(bob.pk))):
        call(given)
    assert set(Event.objects.values_list("stream", flat=True)) <= {f"user.{bob.pk}"}


async def test_a_users_sockets_are_found_by_the_user(site, bob):
    socket = await site.connect(bob)
    socket.contract.site_types.add("x")
    assert await manager.ais_user_online(bob)
    assert await manager.aget_user_connections_count(bob) == 1
    assert list(await manager.aget_entries([bob])) == [str(bob.pk)]
    await realtime.asend_to_user(bob, FRAME)
    assert (await socket.receive())["type"] == "x"
    await sync_to_async(realtime.disconnect_user)(bob)
    assert await socket.ending() == (4403, "KICKED")
