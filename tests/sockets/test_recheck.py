"""What is looked up again about open sockets, and what becomes of those that have lost a right."""

import pytest

from realtime.auth import tokens
from realtime.chat import direct, rooms
from realtime.protocol.streams import room_stream
from realtime.sockets import recheck as rechecks
from realtime.sockets.recheck import recheck
from realtime.storage.database import run
from tests.paper import open_connection

pytestmark = pytest.mark.django_db(transaction=True)


class Hub:
    """Of paper: it knows connections, and notes what is revoked."""

    def __init__(self):
        self.connections, self.revoked = {}, []

    def open(self, user, login="", **joined):
        connection, socket = open_connection(str(user.pk), login)
        for slug, room in joined.items():
            connection.subscriptions.ask(room_stream(slug))
            connection.subscriptions.grant(room_stream(slug), room)
        self.connections[connection.id] = connection
        return connection, socket

    def revoke(self, connection, stream):
        self.revoked.append((connection, stream))
        connection.subscriptions.remove(stream)


@pytest.fixture
def hub():
    return Hub()


async def test_it_leaves_alone_who_has_lost_nothing(hub, alice, bob, shared):
    login = await run(tokens.start_login, alice)
    _, first = hub.open(alice, login["realtime_login"], general=shared.pk)
    _, second = hub.open(bob, general=shared.pk)
    await recheck(hub)
    assert (first.closed, second.closed, hub.revoked) == (None, None, [])


@pytest.mark.parametrize("how", ["disabled", "deleted"])
async def test_it_closes_the_sockets_of_a_user_who_is_gone(hub, alice, bob, how):
    _, socket = hub.open(bob)
    _, other = hub.open(alice)
    if how == "disabled":
        await run(type(bob).objects.filter(pk=bob.pk).update, is_active=False)
    else:
        await run(type(bob).objects.filter(pk=bob.pk).delete)
    await recheck(hub)
    assert (socket.closed, other.closed) == ((4403, "USER_DISABLED"), None)


async def test_it_closes_the_sockets_of_a_login_that_is_over(hub, alice):
    over, other = [await run(tokens.start_login, alice) for _ in range(2)]
    sockets = [hub.open(alice, login)[1] for login in (over["realtime_login"], other["realtime_login"], "")]
    await run(over.blacklist)
    await recheck(hub)
    assert [socket.closed for socket in sockets] == [(4401, "UNAUTHENTICATED"), None, None]


async def test_it_takes_away_rooms_of_which_a_user_is_no_member(hub, alice, bob, shared):
    mine, _ = hub.open(alice, general=shared.pk)
    lost, socket = hub.open(bob, general=shared.pk)
    await run(shared.memberships.filter(user=bob).delete)
    await recheck(hub)
    assert hub.revoked == [(lost, "room.general")]
    assert socket.closed is None
    assert mine.subscriptions.rooms() == {"general": shared.pk}


async def test_it_leaves_alone_a_room_that_is_just_being_joined(hub, bob, general):
    connection, _ = hub.open(bob)
    connection.subscriptions.ask("room.general")
    await recheck(hub)
    assert hub.revoked == []


@pytest.mark.parametrize("then", ["left", "made again"])
async def test_it_leaves_alone_what_has_changed_during_the_look_up(hub, bob, general, monkeypatch, then):
    """The room was left, or another one has its name by now, and the socket is in that one."""
    connection, _ = hub.open(bob, general=general.pk)
    look_up = rechecks.look_up

    def look_up_late(*given):
        rights = look_up(*given)
        connection.subscriptions.remove("room.general")
        if then == "made again":
            connection.subscriptions.ask("room.general")
            connection.subscriptions.grant("room.general", general.pk + 1)
        return rights

    monkeypatch.setattr(rechecks, "look_up", look_up_late)
    await recheck(hub)
    assert hub.revoked == []


async def test_it_looks_up_some_sockets_at_a_time(hub, alice, monkeypatch):
    monkeypatch.setattr(rechecks, "CHUNK", 2)
    asked = []

    def look_up(connections, rooms):
        asked.append(len(connections))
        return rechecks.Rights({}, set(), set())

    monkeypatch.setattr(rechecks, "look_up", look_up)
    sockets = [hub.open(alice)[1] for _ in range(5)]
    await recheck(hub)
    assert asked == [2, 2, 1]
    assert {socket.closed for socket in sockets} == {(4403, "USER_DISABLED")}


def test_it_asks_three_questions(hub, alice, bob, shared, django_assert_max_num_queries):
    connections = [hub.open(user, f"login-{user.pk}", general=shared.pk)[0] for user in (alice, bob)]
    with django_assert_max_num_queries(3):
        rights = rechecks.look_up(connections, [{"general": shared.pk}] * 2)
    assert rights.passwords.keys() == {str(alice.pk), str(bob.pk)}
    assert {(str(alice.pk), shared.pk), (str(bob.pk), shared.pk)} <= rights.members


async def test_it_looks_at_the_rooms_that_sockets_have_joined(hub, alice, bob, carol, shared, monkeypatch):
    """Users have direct rooms with everybody to whom they have written, and may be members of many others."""
    seen = []
    monkeypatch.setattr(rechecks, "_enforce", lambda hub, connection, joined, rights: seen.append(rights.members))
    for other in (alice, carol):
        await run(direct.open_pair, bob.pk, other.pk)
    await run(rooms.create_room, bob, title="Not joined")
    hub.open(bob, general=shared.pk)
    await recheck(hub)
    assert seen == [{(str(bob.pk), shared.pk)}]


def test_it_asks_one_more_for_all_sessions(hub, client, alice, django_assert_num_queries):
    """Those that are in the database are looked up together; a socket without one costs nothing."""
    client.force_login(alice)
    connections = [hub.open(alice, f"login-{number}")[0] for number in range(3)]
    for connection in connections[:2]:
        connection.session_key = client.session.session_key
    with django_assert_num_queries(3):
        rights = rechecks.look_up(connections, [{}] * 3)
    assert list(rights.sessions) == [client.session.session_key]
    with django_assert_num_queries(2):
        assert rechecks.look_up(connections[2:], [{}]).sessions == {}
