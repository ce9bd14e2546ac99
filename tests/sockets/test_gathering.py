"""Frames that leave together, for sockets that ask for it."""

import pytest

from realtime.chat import rooms
from realtime.delivery import batches, publishing
from realtime.sockets.node import get_node
from realtime.storage.database import run
from tests.clients.socket import Ending, until
from tests.sockets.batching import marks, ping, say, send_batch

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "60000"


async def receive_batch(socket):
    """The frames of the next frame, which has to be a batch."""
    frame = await socket.receive()
    assert frame.keys() == {"type", "messages"}, frame
    assert frame["type"] == "batch"
    return frame["messages"]


def only_connection():
    (connection,) = get_node().hub.connections.values()
    return connection


async def test_it_gathers_frames_until_they_are_enough(site, alice):
    socket = await site.connect(alice, query={"batch": "3", "flush_ms": LONG})
    for number in range(7):
        await socket.send(ping(number))
    assert marks(await receive_batch(socket)) == [0, 1, 2]
    assert marks(await receive_batch(socket)) == [3, 4, 5]


async def test_it_gathers_frames_until_it_is_time(site, alice):
    socket = await site.connect(alice, query={"batch": "1000", "flush_ms": "10"})
    await socket.send(ping(1))
    assert marks(await receive_batch(socket)) == [1]
    await send_batch(socket, ping(2), ping(3))
    assert marks(await receive_batch(socket)) == [2, 3]


@pytest.mark.parametrize(
    "query", [{"batch": ""}, {"batch": "", "flush_ms": ""}, {"batch": "ten"}, {"batch": "10", "flush_ms": "soon"}]
)
async def test_it_has_a_size_and_a_time_of_its_own(site, alice, query, monkeypatch):
    monkeypatch.setattr(batches, "FLUSH_MS", 30)
    socket = await site.connect(alice, query=query)
    await send_batch(socket, *(ping(number) for number in range(12)))
    assert marks(await receive_batch(socket)) == list(range(10))
    assert marks(await receive_batch(socket)) == [10, 11]  # when it is time


async def test_it_moves_numbers_into_their_bounds(site, alice):
    socket = await site.connect(alice, query={"batch": "-5", "flush_ms": "99999999999"})
    await send_batch(socket, ping(1), ping(2))
    assert [marks(await receive_batch(socket)) for _ in range(2)] == [[1], [2]]
    quick = await site.connect(alice, query={"batch": "99999999999", "flush_ms": "0"})
    await quick.send(ping(1))
    assert marks(await receive_batch(quick)) == [1]


async def test_it_batches_for_who_asks_only(site, alice):
    for query in ({}, {"flush_ms": "10"}):
        socket = await site.connect(alice, query=query)
        await socket.send(ping(1))
        assert (await socket.receive())["type"] == "pong"


async def test_it_gathers_what_others_send(site, alice, bob, general, configure):
    configure(PRESENCE_AUDIENCE="nobody")
    writer = await site.connect(alice)
    reader = await site.connect(bob, query={"batch": "4", "flush_ms": LONG})
    await reader.send({"type": "join", "id": "j", "room_id": "general"})
    await until(lambda: any("room.general" in c.subscriptions.live for c in get_node().hub.connections.values()))
    await send_batch(writer, *(say(str(number)) for number in range(3)))
    joined, *chats = await receive_batch(reader)
    assert joined["id"] == "j"
    assert [chat["data"]["message"] for chat in chats] == ["0", "1", "2"]


async def test_it_goes_on_in_batches_after_a_resume(site, alice, bob, general, configure):
    configure(PRESENCE_AUDIENCE="nobody")
    writer = await site.connect(alice)
    await send_batch(writer, *(say(str(number)) for number in range(5)), id="b")
    while (await writer.receive()).get("id") != "b":
        pass
    await run(rooms.join, bob.pk, "general")
    reader = await site.connect(bob, query={"batch": "6", "flush_ms": LONG})
    await reader.send({"type": "resume", "streams": {"room.general": 0}})
    reader.contract.rewind("room.general", 0)
    frames = await receive_batch(reader)
    assert [frame["type"] for frame in frames] == ["chat"] * 5 + ["resumed"]


async def test_it_sends_what_has_gathered_before_the_goodbye(site, alice):
    socket = await site.connect(alice, query={"batch": "1000", "flush_ms": LONG})
    await send_batch(socket, ping(1), ping(2))
    await until(only_connection().sink.queued_bytes)
    await run(publishing.disconnect_user, alice.pk)
    assert marks(await receive_batch(socket)) == [1, 2]
    assert (await socket.receive())["type"] == "disconnect"
    assert await socket.ending() == Ending(4403, "KICKED")


async def test_it_sends_heartbeats_at_once_and_after_what_has_gathered(site, alice, general, configure):
    configure(HEARTBEAT_SECONDS=0.5, HEARTBEAT_MISSES=1_000)
    socket = await site.connect(alice, query={"batch": "1000", "flush_ms": LONG})
    await send_batch(socket, {"type": "join", "room_id": "general"}, say("Hello!"))
    frames = []
    while not any(frame["type"] == "chat" for frame in frames):
        frames += await receive_batch(socket)
        assert frames[-1]["type"] == "heartbeat"
        assert only_connection().subscriptions.positions.confirmed.get("room.general", 0) == 0
        await socket.send({"type": "pong"})
    await until(lambda: only_connection().subscriptions.positions.confirmed["room.general"] == 1)


async def test_it_batches_on_sockets_of_a_room(site, alice, general):
    query = {"batch": "2", "flush_ms": LONG}
    socket = await site.connect(alice, path="/ws/chat/general", query=query)
    await socket.send("Hello!")
    first, second = await receive_batch(socket)
    assert {first.get("type"), second.get("type")} == {"message", None}
    assert first["message_id"] == second["message_id"]


async def test_it_forgets_what_has_gathered_for_who_has_gone(site, alice):
    socket = await site.connect(alice, query={"batch": "1000", "flush_ms": LONG})
    await socket.send(ping(1))
    sink = only_connection().sink
    await until(sink.queued_bytes)
    await socket.close()
    await until(lambda: not get_node().hub.connections)
    sink._flush()  # it is time
    assert (await site.connect(alice)).greeting["online_count"] == 1
