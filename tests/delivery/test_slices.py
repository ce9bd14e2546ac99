"""Work in time slices: other things go between, the order is kept, and an error stops nothing."""

import asyncio

import pytest

from realtime.delivery import hub
from realtime.delivery import slices as all_slices
from realtime.delivery.envelopes import Control, Envelope, Passing
from realtime.delivery.feed import EarlyBytes, Feed
from realtime.delivery.slices import Slices
from tests.paper import PaperLog, body, open_connection


@pytest.fixture
def slices(monkeypatch):
    """Each step takes as long as a slice."""
    monkeypatch.setattr(all_slices, "SLICE_SECONDS", 0.0)
    return Slices


def steps(name, count, done):
    for number in range(1, count + 1):
        done.append(f"{name}{number}")
        yield
    done.append(f"{name} end")


async def test_it_does_what_is_little_at_once(monkeypatch):
    monkeypatch.setattr(all_slices, "SLICE_SECONDS", 600.0)
    done, slices = [], Slices(asyncio.get_running_loop())
    assert slices.add(steps("a", 3, done)).is_set()
    assert done == ["a1", "a2", "a3", "a end"]


async def test_other_things_go_between(slices):
    loop, done = asyncio.get_running_loop(), []
    slices = slices(loop)
    ended = slices.add(steps("a", 3, done))
    assert done == ["a1"]
    loop.call_soon(done.append, "a message")
    await ended.wait()
    assert done == ["a1", "a2", "a message", "a3", "a end"]


async def test_what_is_added_later_waits(slices):
    done, slices = [], slices(asyncio.get_running_loop())
    slices.add(steps("a", 2, done))
    await slices.add(steps("b", 2, done)).wait()
    assert done == ["a1", "a2", "a end", "b1", "b2", "b end"]


async def test_whoever_waits_waits_for_their_own_steps(slices):
    done, slices = [], slices(asyncio.get_running_loop())
    slices.add(steps("a", 2, done))
    ended = slices.add(steps("b", 2, done))
    later = slices.add(steps("c", 9, done))
    await ended.wait()
    assert "b end" in done
    assert not later.is_set()


async def test_what_waits_is_bounded(slices, monkeypatch):
    """Beyond the bound the oldest is finished at once, and what is added meanwhile by its steps waits, too."""
    monkeypatch.setattr(all_slices, "WAITING_LIMIT", 2)

    def add_more():
        yield
        slices.add(steps("more", 1, done))

    done, slices = [], slices(asyncio.get_running_loop())
    slices.add(add_more())
    slices.add(steps("b", 1, done))
    assert done == []
    last = slices.add(steps("c", 1, done))
    assert done == []
    slices.add(steps("d", 1, done))
    assert done == ["b1", "b end"]
    await last.wait()
    slices.finish()
    assert done == ["b1", "b end", "c1", "c end", "more1", "more end", "d1", "d end"]


async def test_it_is_blocked_as_long_as_something_blocks(slices):
    done, slices = [], slices(asyncio.get_running_loop())
    slices.add(steps("a", 2, done))
    assert not slices.is_blocked
    ended = slices.add(steps("b", 2, done), blocks=True)
    slices.add(steps("c", 2, done))
    assert slices.is_blocked
    await ended.wait()
    assert not slices.is_blocked
    slices.finish()
    assert done[-1] == "c end"


async def test_an_error_ends_only_its_own_steps(slices, caplog):
    def fail():
        yield
        raise ValueError("a broken frame")

    done, slices = [], slices(asyncio.get_running_loop())
    slices.add(fail())
    await slices.add(steps("b", 1, done)).wait()
    assert done == ["b1", "b end"]
    assert [record.getMessage() for record in caplog.records] == ["A publication could not be delivered"]


@pytest.fixture
async def process():
    process = hub.Hub()
    yield process
    await process.stop()


async def test_what_very_many_get_from_a_site_lets_a_message_go_first(process, slices):
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
    await process.take_in_slices(Envelope(events=[("user.1", 2, body(2))]))
    assert [socket.seqs for socket in sockets] == [[1, 2], [1], [1], [1], [1, 2]]


LEAVE = Control("unsubscribe", user="9", stream="room.general")
KICK = Control("disconnect", user="9", code=4403, reason="KICKED")


async def fill(process, count=5):
    """Something of the site's waits in the slices."""
    for user in range(1, count + 1):
        subscribed(process, f"user.{user}", str(user))
    process.publish_from_thread(Envelope(events=[(f"user.{user}", 1, body(1)) for user in range(1, count + 1)]))
    await asyncio.sleep(0)


@pytest.mark.parametrize("control", [LEAVE, KICK])
@pytest.mark.parametrize("way", ["from a thread", "from the bus"])
async def test_nobody_gets_what_was_published_after_their_right_had_ended(process, slices, control, way):
    socket, other = (subscribed(process, "room.general", user) for user in ("9", "8"))
    await fill(process)
    bus = asyncio.ensure_future(process.take_in_slices(Envelope(controls=[control]))) if way == "from the bus" else None
    if bus is None:
        process.publish_from_thread(Envelope(controls=[control]))
    await asyncio.sleep(0)
    process.publish(Envelope(events=[("room.general", 1, body(1))], passing=[passing("1")]))
    await process.take_in_slices(Envelope())
    assert [frame["type"] for frame in socket.frames] == ["left" if control is LEAVE else "disconnect"]
    assert [frame["type"] for frame in other.frames] == ["test", "passing 1"]


@pytest.mark.parametrize("control", [LEAVE, KICK])
async def test_everybody_gets_what_was_published_before_their_right_ended(process, slices, control):
    """Also what waits in the slices, and what gathers for many sockets."""
    socket = subscribed(process, "room.general", "9")
    crowd = [subscribed(process, "room.general", str(user)) for user in range(20, 40)]
    await fill(process)
    process.publish_from_thread(Envelope(events=[("room.general", 1, body(1)), ("room.general", 2, body(2))]))
    process.publish_from_thread(Envelope(controls=[control]))
    await asyncio.sleep(0)
    await process.take_in_slices(Envelope(events=[("room.general", 3, body(3))]))
    assert socket.seqs == [1, 2]
    assert socket.frames[-1]["type"] == ("left" if control is LEAVE else "disconnect")
    await crowd[0].until_seq(3)


async def test_what_waits_is_delivered_when_the_process_stops(slices):
    process = hub.Hub()
    socket = subscribed(process, "room.general", "9")
    await fill(process)
    process.publish_from_thread(Envelope(events=[("room.general", 1, body(1))]))
    await process.stop()
    assert socket.seqs == [1]


async def test_the_bus_waits_for_its_own_envelope_only(process, slices):
    """A site that publishes all the time must not keep other processes waiting."""
    socket = subscribed(process, "room.general", "9")
    await fill(process)
    taking = asyncio.ensure_future(process.take_in_slices(Envelope(events=[("room.general", 1, body(1))])))
    await asyncio.sleep(0)
    process.publish_from_thread(Envelope(events=[("user.1", seq, body(seq)) for seq in range(2, 1_000)]))
    await taking
    assert socket.seqs == [1]
    assert process._distributor._slices._waiting


def passing(name):
    return Passing(b'{"type":"passing %s"}' % name.encode(), stream="room.general")


def subscribed(process, stream, user):
    """A socket that has a stream whose log is empty."""
    connection, socket = open_connection(user)
    process.register(connection)
    connection.subscriptions.ask(stream)
    connection.subscriptions.attach(stream, 0)
    feed = process.feeds.setdefault(stream, Feed(stream, PaperLog(0).missed, EarlyBytes()))
    feed.start(0)
    feed.fanout.add(connection)
    return socket


async def test_an_error_in_one_event_keeps_neither_the_next_ones_nor_a_right(process, monkeypatch, caplog):
    def accept(feed, seq, text):
        if feed is process.feeds["user.1"]:
            raise ValueError("a broken event")
        whole(feed, seq, text)

    whole = Feed.accept
    monkeypatch.setattr(Feed, "accept", accept)
    subscribed(process, "user.1", "1")
    socket = subscribed(process, "room.general", "9")
    await process.take_in_slices(Envelope([("user.1", 1, body(1)), ("room.general", 1, body(1))], controls=[LEAVE]))
    assert [frame["type"] for frame in socket.frames] == ["test", "left"]
    assert [record.getMessage() for record in caplog.records] == ["A publication could not be delivered"]
