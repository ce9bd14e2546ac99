"""Everything that is shared by the sockets of one process, over a real log."""

import asyncio
import random
import threading
import time

import pytest

from realtime.delivery import bridge, distribution, feed, hub, review
from realtime.delivery.backlog import COME_BACK
from realtime.delivery.envelopes import Control, Envelope, Passing
from realtime.protocol.errors import Closed
from realtime.protocol.streams import Subscriptions
from realtime.storage import database, log, numbering
from realtime.storage.database import DatabaseUnavailable
from tests.paper import body, open_connection
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)
SEQS = list(range(1, 21))


@pytest.fixture(autouse=True)
def short_waits(settings, monkeypatch):
    settings.REALTIME = {**settings.REALTIME, "GAP_WAIT_MS": 1}
    monkeypatch.setattr(feed, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(hub, "RETRY_SECONDS", 0.01)


@pytest.fixture
async def process():
    process = hub.Hub()
    process.start()
    bridge.serve(process)
    yield process
    bridge.retire(process)
    await process.stop()
    database.shutdown()


async def write(stream, *seqs):
    """Store events; `seqs` are what they are expected to become."""
    events = await database.run(log.commit, [(stream, body(seq)) for seq in seqs])
    assert [event.seq for event in events] == list(seqs)
    return [tuple(event) for event in events]


async def join(process, stream, user="1"):
    connection, socket = open_connection(user)
    process.register(connection)
    async with process.open_feeds([stream]) as feeds:
        connection.subscriptions.ask(feeds[0].name)
        process.attach(connection, feeds[0])
    return connection, socket


def away(function, monkeypatch, failures):
    """The database fails that many times before `function` works."""
    module = log if hasattr(log, function) else numbering
    left, real = iter(range(failures)), getattr(module, function)

    def fail_first(*args):
        if next(left, None) is not None:
            raise DatabaseUnavailable
        return real(*args)

    monkeypatch.setattr(module, function, fail_first)


@pytest.mark.parametrize("seed", range(3))
async def test_it_delivers_each_event_once_whatever_the_bus_does(process, seed):
    chance = random.Random(seed)
    _, socket = await join(process, "room.a")
    events = await write("room.a", *SEQS)
    arriving = [event for event in events for _ in range(chance.choice([0, 1, 1, 2]))]
    chance.shuffle(arriving)
    while arriving:
        size = chance.randint(1, 5)
        process.take(Envelope(events=arriving[:size]))
        del arriving[:size]
    await process.compare_positions()
    assert await socket.until_seq(20) == SEQS


async def write_large(stream, sizes):
    bodies = [(stream, b'{"type":"test","text":"%s"}' % (b"x" * size)) for size in sizes]
    return [tuple(event) for event in await database.run(log.commit, bodies)]


async def test_it_delivers_so_many_bytes_of_a_stream_in_one_turn_and_reads_the_rest(process):
    """What a site has published in one commit would close sockets that keep up as slow ones."""
    (_, socket), (_, other) = await join(process, "room.a"), await join(process, "room.b", "2")
    events = await write_large("room.a", [40_000] * 30)
    small = await write("room.b", 1)
    process.take(Envelope(events=events + small))
    assert (socket.seqs, other.seqs) == (list(range(1, 20)), [1])
    assert await socket.until_seq(30) == list(range(1, 31))


async def test_it_delivers_one_event_at_once_however_large_it_is(process):
    _, socket = await join(process, "room.a")
    events = await write_large("room.a", [900_000, 10])
    process.take(Envelope(events=events))
    assert socket.seqs == [1]
    assert await socket.until_seq(2) == [1, 2]


async def test_it_fills_a_hole_from_the_log(process):
    _, socket = await join(process, "room.a")
    events = await write("room.a", *SEQS)
    process.take(Envelope(events=[events[0], events[-1]]))
    assert socket.seqs == [1]
    assert await socket.until_seq(20) == SEQS
    assert socket.frames[5] == {"type": "test", "n": 6, "stream": "room.a", "seq": 6}


async def test_it_finds_the_last_event_of_a_burst(process):
    _, socket = await join(process, "room.a")
    await write("room.a", 1, 2)
    await write("room.b", 1)
    await process.compare_positions()
    assert await socket.until_seq(2) == [1, 2]


async def test_it_reads_what_another_process_did_not_send(process):
    _, socket = await join(process, "room.a")
    await write("room.a", 1, 2, 3)
    process.take(Envelope(positions={"room.a": 3, "room.b": 7}))
    assert await socket.until_seq(3) == [1, 2, 3]
    await write("room.a", 4)
    process.take(Envelope(compares=True))
    assert await socket.until_seq(4) == [1, 2, 3, 4]
    assert list(process.feeds) == ["room.a"]


async def test_it_compares_again_when_it_is_asked_while_it_compares(process, monkeypatch):
    _, socket = await join(process, "room.a")
    read, later = numbering.standings, iter([True])

    def write_after_reading(streams):
        found = read(streams)
        if next(later, None):
            log.commit([("room.a", body(1))])
            process.publish_from_thread(Envelope(compares=True))
        return found

    monkeypatch.setattr(numbering, "standings", write_after_reading)
    process.take(Envelope(compares=True))
    assert await socket.until_seq(1) == [1]


async def test_it_stores_messages_while_many_streams_are_read(process, monkeypatch):
    """After an outage, all feeds have something to read. They must not take all database threads."""
    sockets = [(await join(process, f"room.{n}", str(n)))[1] for n in range(8)]
    begun, release, missed = threading.Semaphore(0), threading.Event(), log.missed

    def wait_and_read(*asked):
        begun.release()
        assert release.wait(PATIENCE_SECONDS)
        return missed(*asked)

    monkeypatch.setattr(log, "missed", wait_and_read)
    for n in range(8):
        await write(f"room.{n}", 1)
    process.take(Envelope(positions={f"room.{n}": 1 for n in range(8)}))
    for _ in range(hub.READS_AT_ONCE):
        assert await asyncio.to_thread(begun.acquire, timeout=PATIENCE_SECONDS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await write("room.a", 1)
    release.set()
    assert [await socket.until_seq(1) for socket in sockets] == [[1]] * 8


async def test_it_finds_it_after_the_bus_has_recovered_and_the_database_after_it(process, monkeypatch):
    _, socket = await join(process, "room.a")
    await write("room.a", 1, 2, 3)
    away("standings", monkeypatch, 2)
    away("missed", monkeypatch, 2)
    process.compare_soon()
    process.compare_soon()
    assert await socket.until_seq(3) == [1, 2, 3]


async def test_it_passes_over_what_is_pruned(process):
    _, socket = await join(process, "room.a")
    await write("room.a", 1, 2)
    await database.run(log.forget, "room.a")
    process.take(Envelope(events=await write("room.a", 3)))
    assert await socket.until_seq(3) == [3]


async def test_it_begins_after_the_position_it_names(process):
    await write("room.a", 1, 2, 3)
    connection, socket = open_connection()
    async with process.open_feeds(["room.a", "room.b"]) as feeds:
        assert [feed.position for feed in feeds] == [3, 0]
        connection.subscriptions.ask(feeds[0].name)
        process.attach(connection, feeds[0])
    assert list(process.feeds) == ["room.a"]
    process.take(Envelope(events=await write("room.a", 4)))
    assert socket.seqs == [4]


async def test_it_loses_nothing_that_is_stored_while_a_position_is_read(process, monkeypatch):
    read = review._read_standings

    def read_slowly(streams):
        found = read(streams)
        events = log.commit([("room.a", body(1)), ("room.a", body(2))])
        asyncio.run_coroutine_threadsafe(take([tuple(event) for event in events]), process.loop).result(
            PATIENCE_SECONDS
        )
        return found

    async def take(events):
        process.take(Envelope(events=events))

    monkeypatch.setattr(process._reviewer._standings, "_work", read_slowly)
    async with process.open_feeds(["room.a"]) as feeds:
        assert feeds[0].position == 2  # held, and given out before anybody was attached


async def test_it_gives_a_late_joiner_exactly_what_follows(process):
    others = [await join(process, "room.a", str(user)) for user in range(20)]
    events = await write("room.a", *SEQS)
    process.take(Envelope(events=events[:10]))  # the first goes out, nine gather
    connection, socket = open_connection("99")
    async with process.open_feeds(["room.a"]) as feeds:
        position = feeds[0].position
        connection.subscriptions.ask(feeds[0].name)
        process.attach(connection, feeds[0])
    process.take(Envelope(events=events[10:]))
    assert await socket.until_seq(20) == SEQS[position:]
    assert [await other.until_seq(20) for _, other in others] == [SEQS] * 20


async def test_it_reads_one_position_for_many_who_join_at_once(process, monkeypatch):
    asked = []
    standing = numbering.Standing(7, 0)
    read = lambda names: asked.append(list(names)) or dict.fromkeys(names, standing)  # noqa: E731
    monkeypatch.setattr(numbering, "standings", read)
    sockets = await asyncio.gather(*[join(process, "room.a", str(user)) for user in range(300)])
    assert len(asked) <= 2
    process.take(Envelope(events=[("room.a", 8, body(8))]))
    assert {tuple(socket.seqs) for _, socket in sockets} == {(8,)}


async def test_it_keeps_a_feed_that_somebody_is_about_to_join(process):
    connection, _ = await join(process, "room.a")
    async with process.open_feeds(["room.a"]) as feeds:
        process.unregister(connection)
        assert process.feeds["room.a"] is feeds[0]
        process.take(Envelope(events=await write("room.a", 1)))
        assert feeds[0].position == 1
    assert process.feeds == {}


async def test_it_forgets_feeds_that_could_not_be_opened(process, monkeypatch):
    away("standings", monkeypatch, 1)
    with pytest.raises(DatabaseUnavailable):
        async with process.open_feeds(["room.a", "room.b"]):
            pytest.fail("it has no position")
    assert process.feeds == {}
    _, socket = await join(process, "room.a")
    process.take(Envelope(events=await write("room.a", 1)))
    assert socket.seqs == [1]


async def test_it_ignores_streams_that_nobody_here_wants(process):
    process.take(Envelope(events=[("room.a", 5, body(5))], passing=[Passing(body(1), stream="room.a")]))
    assert process.feeds == {}


async def test_it_knows_the_sockets_of_a_user(process, settings):
    settings.REALTIME = {**settings.REALTIME, "MAX_CONNECTIONS_PER_USER": 2}
    first, _ = await join(process, "room.a")
    second, _ = await join(process, "room.a")
    assert first.quota is second.quota
    with pytest.raises(Closed, match="TOO_MANY_CONNECTIONS"):
        process.register(open_connection()[0])
    process.unregister(first)
    process.unregister(first)
    third, _ = await join(process, "room.a")
    assert process.users == {"1": {second, third}}
    for connection in (second, third):
        process.unregister(connection)
    assert (process.users, process.connections, process.feeds) == ({}, {}, {})


async def test_it_passes_on_what_is_not_stored(process):
    connections = {user: await join(process, f"room.{user}", user) for user in ("1", "2", "3")}
    for passing in (
        Passing(b'{"type":"to stream"}', stream="room.1"),
        Passing(b'{"type":"to users"}', users=("2", "3", "4")),
        Passing(b'{"type":"to all"}', exclude="3"),
    ):
        process.take(Envelope(passing=[passing]))
    heard = {user: [f["type"] for f in socket.frames] for user, (_, socket) in connections.items()}
    assert heard == {"1": ["to stream", "to all"], "2": ["to users", "to all"], "3": ["to users"]}


async def test_it_passes_on_once_what_is_sent_again(process, monkeypatch):
    monkeypatch.setattr(distribution, "MOST_PASSED", 2)
    _, socket = await join(process, "room.general")
    for id in (7, 8, 7, 8, 0, 0, 9, 7):
        process.take(Envelope(passing=[Passing(b'{"type":"%d"}' % id, stream="room.general", id=id)]))
    assert [frame["type"] for frame in socket.frames] == ["7", "8", "0", "0", "9", "7"]


async def test_it_closes_and_unsubscribes_whom_a_control_names(process):
    (one, socket_one), (two, socket_two) = await join(process, "room.a", "1"), await join(process, "room.a", "2")
    three, socket_three = await join(process, "room.a", "3")
    process.registry.change_login(three, "login")
    process.take(Envelope(controls=[Control("unsubscribe", user="1", stream="room.a")]))
    assert (one.subscriptions.live, two.subscriptions.live) == (set(), {"room.a"})
    assert "room.a" not in one.subscriptions
    process.take(Envelope(controls=[Control("disconnect", user="2", code=4403, reason="KICKED")]))
    process.take(Envelope(controls=[Control("disconnect", login="login", code=4401, reason="UNAUTHENTICATED")]))
    closed = [socket.closed for socket in (socket_one, socket_two, socket_three)]
    assert closed == [None, (4403, "KICKED"), (4401, "UNAUTHENTICATED")]
    process.take(Envelope(controls=[Control("unsubscribe", stream="room.a")]))
    assert process.feeds == {}


async def test_the_end_of_a_room_costs_nothing_for_other_sockets(process, monkeypatch):
    for number in range(3):
        await join(process, f"room.{number}")
    asked = []
    monkeypatch.setattr(Subscriptions, "is_about", lambda _, stream, room: asked.append(stream) or False)
    for stream in ("room.1", "room.other"):
        process.take(Envelope(controls=[Control("unsubscribe", stream=stream, room=7)]))
    assert asked == ["room.1"]


async def test_it_asks_everybody_to_come_back_when_too_many_rights_have_ended(process, settings):
    settings.REALTIME = {**settings.REALTIME, "RESTART_WINDOW_SECONDS": 0.01}
    sockets = [(await join(process, "room.a", user))[1] for user in ("1", "2")]
    before = time.monotonic()
    process.take(Envelope(controls=[COME_BACK]))
    # A socket that is let in at this moment looks up its rights again.
    assert process.registry.ended_users.has_since("3", before)
    assert process.registry.ended_logins.has_since("login", before)
    for socket in sockets:
        await socket.until(lambda socket=socket: socket.frames)
        assert socket.frames[0] | {"reconnect": True, "retry_after_ms": 2000} == socket.frames[0]
        assert socket.closed == (1013, "OVERLOADED")


async def test_it_closes_no_socket_without_a_login_when_a_login_ends(process):
    _, socket = await join(process, "room.a")
    process.take(Envelope(controls=[Control("disconnect", login="", code=4401, reason="UNAUTHENTICATED")]))
    assert socket.closed is None


async def test_it_takes_publications_from_other_threads(process):
    _, socket = await join(process, "room.a")
    assert bridge.find_hub() is process
    await asyncio.to_thread(process.publish_from_thread, Envelope(events=await write("room.a", 1)))
    assert await socket.until_seq(1) == [1]


async def test_it_is_not_found_when_it_is_closed():
    process = hub.Hub()
    bridge.serve(process)
    process.compare_soon()
    comparing = process._comparing
    bridge.retire(process)
    await process.stop()
    await asyncio.wait([comparing])
    assert bridge.find_hub() is None
    database.shutdown()
