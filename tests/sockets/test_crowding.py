"""A user who has as many sockets as allowed: the dead ones make room, the others do not."""

import time
from types import SimpleNamespace

import pytest

from realtime.delivery.registry import ANSWER_SECONDS
from realtime.sockets import crowding
from realtime.sockets.node import get_node
from tests.clients.socket import Ending, until
from tests.settings import REALTIME

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = Ending(4409, "TOO_MANY_CONNECTIONS")


@pytest.fixture(autouse=True)
def limit(configure):
    configure(MAX_CONNECTIONS_PER_USER=3)


@pytest.fixture
def clock():
    """Time passes when the test wants: everything that was noted before is so much older."""

    def move(seconds):
        registry = get_node().hub.registry
        for connection in registry.connections.values():
            connection.heard_at -= seconds
        registry.asked_at.update({user: at - seconds for user, at in registry.asked_at.items()})

    return move


def connections():
    return list(get_node().hub.connections.values())


async def test_dead_sockets_make_room_for_the_one_that_comes_back(site, alice, clock):
    """As of a browser that lost its network a moment ago: all three look as if they were open."""
    sockets = [await site.connect(alice) for _ in range(3)]
    refused = await site.knock(alice)
    assert await refused.ending() == REFUSED
    assert (refused.contract.goodbye.reconnect, refused.contract.goodbye.retry_after_ms) == (True, 6_000)
    for socket in sockets:
        assert (await socket.receive())["type"] == "heartbeat"
    clock(ANSWER_SECONDS)
    again = [await site.connect(alice) for _ in range(3)]
    for socket in sockets:
        assert await socket.ending() == (4408, "HEARTBEAT_TIMEOUT")
    await again[0].settle()
    assert len(connections()) == 3


async def test_those_who_answer_stay(site, alice, clock):
    sockets = [await site.connect(alice) for _ in range(3)]
    assert await (await site.knock(alice)).ending() == REFUSED
    for socket in sockets:
        await socket.settle()
    clock(ANSWER_SECONDS)
    for socket in sockets:
        await socket.settle()
    assert await (await site.knock(alice)).ending() == REFUSED
    assert [connection.closing for connection in connections()] == [False] * 3
    await sockets[0].close()
    await until(lambda: len(connections()) == 2)
    await site.connect(alice)


async def test_only_those_who_do_not_answer_are_ended(site, alice, clock):
    alive, dead, other = [await site.connect(alice) for _ in range(3)]
    assert await (await site.knock(alice)).ending() == REFUSED
    clock(ANSWER_SECONDS)
    await alive.settle()
    await other.settle()
    new = await site.connect(alice)
    assert await dead.ending() == (4408, "HEARTBEAT_TIMEOUT")
    for socket in (alive, other, new):
        await socket.settle()


async def test_one_that_has_missed_its_heartbeat_is_ended_at_once(site, alice, clock):
    dead, *alive = [await site.connect(alice) for _ in range(3)]
    clock(REALTIME["HEARTBEAT_SECONDS"] + ANSWER_SECONDS + 1)
    for socket in alive:
        await socket.settle()
    await site.connect(alice)
    assert await dead.ending() == (4408, "HEARTBEAT_TIMEOUT")


async def test_a_process_that_stood_still_takes_nobody_for_dead(site, alice, monkeypatch):
    """It asked nobody meanwhile, and the first that it does then is to open one more socket."""
    sockets = [await site.connect(alice) for _ in range(3)]
    seconds = REALTIME["HEARTBEAT_SECONDS"] + ANSWER_SECONDS + 1
    stub = SimpleNamespace(monotonic=lambda: time.monotonic() + seconds, time=time.time)
    for module in ("delivery.clock", "delivery.connection", "sockets.crowding", "sockets.intake"):
        monkeypatch.setattr(f"realtime.{module}.time", stub)
    assert await (await site.knock(alice)).ending() == REFUSED
    for socket in sockets:
        await socket.settle()


async def test_nobody_is_asked_more_often_than_they_can_answer(site, alice, monkeypatch):
    monkeypatch.setattr(crowding, "ANSWER_SECONDS", 600)  # however long the refusals take
    sockets = [await site.connect(alice) for _ in range(3)]
    for _ in range(4):
        assert await (await site.knock(alice)).ending() == REFUSED
    for socket in sockets:
        assert [frame["type"] for frame in await socket.settle()] == ["heartbeat"]


async def test_the_sockets_of_others_are_left_alone(site, alice, bob, clock):
    other = await site.connect(bob)
    for _ in range(3):
        await site.connect(alice)
    assert await (await site.knock(alice)).ending() == REFUSED
    clock(ANSWER_SECONDS)
    await site.connect(alice)
    assert await other.settle() == []


async def test_nothing_is_remembered_of_those_who_have_gone(site, alice):
    sockets = [await site.connect(alice) for _ in range(3)]
    assert await (await site.knock(alice)).ending() == REFUSED
    for socket in sockets:
        await socket.close()
    await until(lambda: not connections())
    assert get_node().hub.registry.asked_at == {}
