"""Work in turns of the event loop: other things go between, the order is kept, and an error stops nothing."""

import asyncio

import pytest

from realtime.delivery import hub
from realtime.delivery import turns as all_turns
from realtime.delivery.envelopes import Envelope
from realtime.delivery.feed import EarlyBytes, Feed
from realtime.delivery.turns import Turns
from tests.paper import PaperLog, body, open_connection


@pytest.fixture
def turns(monkeypatch):
    """Each step takes as long as a turn."""
    monkeypatch.setattr(all_turns, "TURN_SECONDS", 0.0)
    return Turns


def steps(name, count, done):
    for number in range(1, count + 1):
        done.append(f"{name}{number}")
        yield
    done.append(f"{name} end")


async def test_it_does_what_is_little_at_once():
    done, turns = [], Turns(asyncio.get_running_loop())
    turns.add(steps("a", 3, done))
    assert done == ["a1", "a2", "a3", "a end"]
    assert turns.idle.is_set()


async def test_other_things_go_between(turns):
    loop, done = asyncio.get_running_loop(), []
    turns = turns(loop)
    turns.add(steps("a", 3, done))
    assert done == ["a1"]
    loop.call_soon(done.append, "a message")
    await turns.idle.wait()
    assert done == ["a1", "a2", "a message", "a3", "a end"]


async def test_what_is_added_later_waits(turns):
    done, turns = [], turns(asyncio.get_running_loop())
    turns.add(steps("a", 2, done))
    turns.add(steps("b", 2, done))
    await turns.idle.wait()
    assert done == ["a1", "a2", "a end", "b1", "b2", "b end"]


async def test_an_error_ends_only_its_own_steps(turns, caplog):
    def fail():
        yield
        raise ValueError("a broken frame")

    done, turns = [], turns(asyncio.get_running_loop())
    turns.add(fail())
    turns.add(steps("b", 1, done))
    await turns.idle.wait()
    assert done == ["b1", "b end"]
    assert [record.getMessage() for record in caplog.records] == ["A publication could not be delivered"]


@pytest.fixture
async def process():
    process = hub.Hub()
    yield process
    await process.stop()


async def test_what_very_many_get_from_a_site_lets_a_message_go_first(process, turns):
    """Also one that has the next number of a stream whose event is still to be delivered."""
    users = [str(number) for number in range(1, 6)]
    sockets = [subscribed(process, f"user.{user}", user) for user in users]
    room = subscribed(process, "room.general", "6")
    process.publish_from_thread(Envelope(events=[(f"user.{user}", 1, body(1)) for user in users]))
    await asyncio.sleep(0)
    assert [socket.seqs for socket in sockets] == [[1], [], [], [], []]
    process.publish(Envelope(events=[("room.general", 1, body(1)), ("user.5", 2, body(2))]))
    assert room.seqs == [1]
    assert sockets[4].seqs == []
    await process.take_in_turns(Envelope(events=[("user.1", 2, body(2))]))
    assert [socket.seqs for socket in sockets] == [[1, 2], [1], [1], [1], [1, 2]]


def subscribed(process, stream, user):
    """A socket that has a stream whose log is empty."""
    connection, socket = open_connection(user)
    feed = process.feeds.setdefault(stream, Feed(stream, PaperLog(0).missed, EarlyBytes()))
    feed.start(0)
    feed.fanout.add(connection)
    return socket
