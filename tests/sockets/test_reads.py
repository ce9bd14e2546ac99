"""How far users have read: on their other sockets, in the database and over REST, and whose rows they may move."""

from contextlib import suppress

import pytest
from django.db import transaction

from notifications import inbox, notify
from notifications.models import Notification
from realtime.chat import read_positions, rooms
from realtime.chat.read_positions import Mark, Moved
from realtime.delivery import publishing
from realtime.models import Membership
from realtime.protocol.errors import ErrorCode
from realtime.storage import log
from realtime.storage.database import run
from tests.clients.socket import is_refused
from tests.people import NO_KEY, client_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def general(shared):
    write(10)
    return shared


@pytest.fixture
def private(alice):
    return rooms.create_room(alice.pk, title="Private", slug="private", private=True)


def write(count, slug="general"):
    log.commit([(f"room.{slug}", b'{"type":"news"}')] * count)


def position(user, slug="general"):
    return Membership.objects.get(user=user, room__slug=slug).last_read_seq


async def test_it_sends_to_the_users_other_sockets(site, alice, bob, general):
    phone, laptop, other = await site.connect(bob), await site.connect(bob), await site.connect(alice)
    await other.settle()
    ack = await phone.ask("read", room_id="general", seq=7)
    assert (ack["type"], ack["status"]) == ("ack", "ok")
    frame = await laptop.find("read")
    assert frame == {"type": "read", "data": {"room_id": "general", "seq": 7, "unread": 3}}
    assert "read" not in [frame["type"] for frame in [*await phone.settle(), *await other.settle()]]
    assert await run(position, bob) == 7


async def test_it_only_grows_and_ends_with_the_stream(site, bob, general):
    phone, laptop = await site.connect(bob), await site.connect(bob)
    for seq, expected in [(5, 5), (4, 5), (5, 5), (2**63 - 1, 10), (9, 10)]:
        assert (await phone.ask("read", room_id="general", seq=seq))["type"] == "ack"
        assert await run(position, bob) == expected
    heard = [frame["data"]["seq"] for frame in await laptop.settle() if frame["type"] == "read"]
    assert heard == [5, 10]


async def test_it_is_for_members(site, carol, general, private):
    socket = await site.connect(carol)
    assert is_refused(await socket.ask("read", room_id="general", seq=1), ErrorCode.FORBIDDEN)
    assert is_refused(await socket.ask("read", room_id="private", seq=1), ErrorCode.NOT_FOUND)
    assert is_refused(await socket.ask("read", room_id="nowhere", seq=1), ErrorCode.NOT_FOUND)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"room_id": "general"},
        {"seq": 1},
        {"room_id": "general", "seq": -1},
        {"room_id": "general", "seq": 1, "notification_ids": [1]},
        {"notification_ids": [1], "seq": 1},
        {"notification_ids": [0]},
        {"notification_ids": ["1"]},
        {"notification_ids": list(range(1, 1002))},
    ],
    ids=str,
)
async def test_it_refuses_other_shapes(site, bob, fields):
    socket = await site.connect(bob)
    assert is_refused(await socket.ask("read", **fields), ErrorCode.INVALID_MESSAGE)


async def test_it_marks_ones_own_notifications(site, alice, bob):
    own = [(await run(notify, bob, "mention", title="t", message="m")).pk for _ in range(3)]
    foreign = (await run(notify, alice, "mention", title="t", message="m")).pk
    phone, laptop = await site.connect(bob), await site.connect(bob)
    for _again in range(2):
        assert (await phone.ask("read", notification_ids=[*own[:2], foreign, NO_KEY]))["type"] == "ack"
    heard = [frame for frame in await laptop.settle() if frame["type"] == "read"]
    assert heard == [{"type": "read", "data": {"notification_ids": own[:2]}}]
    assert await run(lambda: set(Notification.objects.unread().values_list("pk", flat=True))) == {own[2], foreign}


async def test_sockets_hear_what_site_code_and_the_admin_mark(site, alice, bob):
    own = [(await run(notify, bob, "mention", title="t", message="m")).pk for _ in range(3)]
    foreign = (await run(notify, alice, "mention", title="t", message="m")).pk
    sockets = [await site.connect(bob), await site.connect(bob)]
    other = await site.connect(alice)
    assert await run(inbox.mark_read, bob, [own[0], foreign]) == own[:1]
    assert await run(inbox.mark_read, bob.pk, [own[0]]) == []
    assert await run(inbox.mark_all, "read", Notification.objects.filter(pk__in=[*own, foreign])) == 3
    for socket, expected in ((sockets[0], [own[:1], own[1:]]), (sockets[1], [own[:1], own[1:]]), (other, [[foreign]])):
        heard = [frame["data"] for frame in await socket.settle() if frame["type"] == "read"]
        assert heard == [{"notification_ids": ids} for ids in expected]
    assert not await run(Notification.objects.unread().exists)


def mark_and_roll_back(user, pk):
    with suppress(ZeroDivisionError), transaction.atomic():
        inbox.mark_read(user, [pk])
        raise ZeroDivisionError


async def test_sockets_hear_nothing_of_a_mark_that_was_rolled_back(site, bob):
    pk = (await run(notify, bob, "mention", title="t", message="m")).pk
    socket = await site.connect(bob)
    await run(mark_and_roll_back, bob, pk)
    assert "read" not in [frame["type"] for frame in await socket.settle()]


async def test_it_keeps_no_notifications_itself(site, bob, monkeypatch):
    monkeypatch.setattr(read_positions, "_readers", [])
    socket = await site.connect(bob)
    assert is_refused(await socket.ask("read", notification_ids=[1]), ErrorCode.NOT_FOUND)


def test_it_moves_many_positions_at_once(alice, bob, carol, general, private, django_assert_max_num_queries):
    key = str(bob.pk)
    marks = [
        Mark(key, "general", 4),
        Mark(str(alice.pk), "general", 9),
        Mark(key, "general", 6),
        Mark(key, "private", 1),
    ]
    with django_assert_max_num_queries(7):  # two for the rights, one for the streams, one transaction with two
        first, second, third, refused = read_positions.mark_read(marks)
    assert (first, second, third) == (Moved(6, 4), Moved(9, 1), None)
    assert refused.code == ErrorCode.NOT_FOUND
    assert (position(bob), position(alice)) == (6, 9)


def test_it_counts_what_is_unread(alice, bob, carol, general):
    def unread(user):
        listed = client_for(user).get("/api/v1/rooms").json()["rooms"][0]
        assert client_for(user).get("/api/v1/rooms/general").json() == listed
        return listed["unread"]

    assert (unread(alice), unread(bob), unread(carol)) == (10, 10, None)
    read_positions.mark_read([Mark(str(bob.pk), "general", 8)])
    assert (unread(alice), unread(bob)) == (10, 2)
    publishing.publish("room.general", {"type": "news"})
    assert unread(bob) == 3


def test_it_has_read_what_was_written_before_one_came(alice, carol, general):
    rooms.join(carol.pk, "general")
    assert position(carol) == 10
    rooms.delete(alice.pk, "general")
    rooms.create_room(carol.pk, title="Another", slug="general")
    assert position(carol) == 11  # one number lies between two rooms
    rooms.add_member(carol.pk, "general", alice.pk)
    write(1)
    rooms.add_member(carol.pk, "general", alice.pk, "owner")
    assert position(alice) == 11
