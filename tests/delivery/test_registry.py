"""The sockets of one loop: who is counted, who is found, and what a user keeps while away."""

import asyncio

import pytest

from realtime.delivery import registry as registries
from realtime.delivery.envelopes import Control
from realtime.delivery.registry import Registry
from realtime.protocol.errors import CloseCode, Closed
from tests.paper import open_connection


def open_registry(*who):
    """With a socket for each pair of a user and a login."""
    registry, connections = Registry(), [open_connection(user, login)[0] for user, login in who]
    for connection in connections:
        registry.add(connection)
    return registry, connections


async def test_it_has_no_more_sockets_of_a_user_than_allowed(settings):
    settings.REALTIME = {**settings.REALTIME, "MAX_CONNECTIONS_PER_USER": 2}
    registry, (first, _) = open_registry(("1", ""), ("1", ""))
    with pytest.raises(Closed) as refused:
        registry.add(open_connection("1")[0])
    assert refused.value.code == CloseCode.TOO_MANY_CONNECTIONS
    assert len(registry.connections) == 2
    registry.add(open_connection("2")[0])  # another user has room of their own
    registry.remove(first)
    registry.add(open_connection("1")[0])


async def test_it_removes_a_socket_once():
    registry, (connection,) = open_registry(("1", ""))
    assert registry.remove(connection)
    assert not registry.remove(connection)
    assert not registry.remove(open_connection("2")[0])  # which was never there
    assert (registry.connections, registry.users) == ({}, {})


async def test_it_finds_the_sockets_of_users():
    registry, (first, second, other, _) = open_registry(("1", ""), ("1", ""), ("2", ""), ("3", ""))
    assert registry.find(["1", "2", "nobody"], None) == {first, second, other}
    assert registry.find(["1"], first.id) == {second}


@pytest.mark.parametrize(
    ("control", "places"),
    [
        (Control("disconnect", user="1"), [0, 1]),
        (Control("disconnect", login="a"), [0]),
        (Control("unsubscribe", user="1", stream="room.general"), [0, 1]),
        (Control("unsubscribe", stream="room.general"), [1, 2]),
        (Control("unsubscribe", stream="room.other"), []),
        (Control("unsubscribe", stream="topic.prices"), [0, 1, 2]),
        (Control("disconnect", user="9"), []),
        (Control("disconnect", login="z"), []),
        (Control("disconnect"), []),
        (Control("disconnect", login=""), []),  # sockets without a login are not one login
    ],
)
async def test_it_knows_whom_a_control_means(control, places):
    registry, connections = open_registry(("1", "a"), ("1", "b"), ("2", ""))
    for connection in connections[1:]:
        connection.subscriptions.ask("room.general")  # the right is being looked up
    connections[1].subscriptions.grant("room.general", 7)
    meant = registry.named_by(control)
    assert len(meant) == len(places)
    assert set(meant) == {connections[place] for place in places}


async def test_it_knows_a_login_by_its_name_of_now():
    registry, (first, second) = open_registry(("1", "a"), ("1", "a"))
    registry.change_login(first, "b")
    assert first.login == "b"
    named = {login: registry.named_by(Control("disconnect", login=login)) for login in ("a", "b")}
    assert named == {"a": [second], "b": [first]}
    registry.change_login(second, "")
    registry.remove(first)
    registry.change_login(first, "c")  # its socket has closed meanwhile
    assert registry.logins == {}


async def test_it_forgets_the_rooms_of_a_socket_that_has_closed():
    registry, (first, second) = open_registry(("1", ""), ("2", ""))
    for connection in (first, second):
        connection.subscriptions.ask("room.general")
        connection.subscriptions.ask("user.1")
    second.subscriptions.withdraw("room.general")
    assert registry.rooms == {"room.general": {first.id}}
    registry.remove(first)
    first.subscriptions.close()
    first.subscriptions.ask("room.general")
    assert registry.rooms == {}


async def let_time_pass():
    """Until the loop has called what is due: that takes two turns."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_user_has_one_quota():
    _, (first, second, other) = open_registry(("1", ""), ("1", ""), ("2", ""))
    assert first.quota is second.quota
    assert first.quota is not other.quota


async def test_coming_back_does_not_fill_a_quota(monkeypatch):
    monkeypatch.setattr(registries, "QUOTA_SECONDS", 0.0)
    registry, (first,) = open_registry(("1", ""))
    registry.remove(first)
    second = open_connection("1")[0]
    registry.add(second)
    assert second.quota is first.quota
    await let_time_pass()
    third = open_connection("1")[0]
    registry.add(third)
    assert third.quota is first.quota  # the user was there again


async def test_coming_and_going_does_not_fill_a_quota_either(monkeypatch):
    """The time after an earlier departure ended soon after a later one: so a user had one burst after the other."""
    monkeypatch.setattr(registries, "QUOTA_SECONDS", 0.0)
    registry, (first,) = open_registry(("1", ""))
    registry.remove(first)
    monkeypatch.setattr(registries, "QUOTA_SECONDS", 60.0)
    second, third = [open_connection("1")[0] for _ in range(2)]
    registry.add(second)
    registry.remove(second)
    await let_time_pass()
    registry.add(third)
    assert third.quota is first.quota


async def test_it_forgets_the_quota_of_a_user_who_stays_away(monkeypatch):
    monkeypatch.setattr(registries, "QUOTA_SECONDS", 0.0)
    registry, (first,) = open_registry(("1", ""))
    registry.remove(first)
    await let_time_pass()
    second = open_connection("1")[0]
    registry.add(second)
    assert second.quota is not first.quota
