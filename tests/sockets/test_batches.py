"""Many commands in one frame: each is answered as if it had come alone."""

import pytest

from realtime.models import Message
from realtime.protocol.errors import ErrorCode
from realtime.sockets.node import get_node
from realtime.storage.database import run
from tests.clients.socket import Ending, is_refused, until
from tests.sockets.batching import marks, ping, say, send_batch

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_answers_each_command_as_if_it_had_come_alone(site, alice, general):
    socket = await site.connect(alice)
    await send_batch(
        socket,
        ping(1),
        {"type": "join", "id": "j", "room_id": "general"},
        say("Hello!", id="m"),
        {"type": "typing", "id": "t", "data": {"is_typing": True, "context": "general"}},
        {"type": "leave", "id": "l", "room_id": "general"},
        {"type": "join", "id": "k", "room_id": "no-such-room"},
    )
    frames = []
    while not frames or frames[-1].get("id") != "k":
        frames.append(await socket.receive())
    answers = {frame["id"]: frame["type"] for frame in frames if "id" in frame}
    assert marks(frames) == [1]
    assert answers.items() >= {"j": "joined", "t": "ack", "l": "left", "k": "error"}.items()
    assert [id for id in answers if id != "m"] == ["j", "t", "l", "k"]
    (connection,) = get_node().hub.connections.values()
    await until(lambda: not connection.pending)
    assert await run(Message.objects.count) == 1


async def test_it_acknowledges_the_batch_after_all_of_it(site, alice, general):
    socket = await site.connect(alice)
    for commands in (
        [say("one", id="1"), say("two", id="2")],
        [{"type": "join", "id": "3", "room_id": "general"}, say("three", id="4")],
        [ping(1)],
        [],
    ):
        await send_batch(socket, *commands, id="b")
        before = []
        while (frame := await socket.receive()).get("id") != "b":
            before.append(frame)
        assert frame == {"type": "ack", "id": "b", "status": "ok", "timestamp": frame["timestamp"]}
        answered = {frame.get("id") for frame in before if frame["type"] in ("ack", "joined")}
        assert answered == {command["id"] for command in commands if "id" in command}


async def test_it_keeps_the_order_of_messages(site, alice, bob, general):
    writer, reader = await site.connect(alice), await site.connect(bob)
    await reader.ask("join", room_id="general")
    words = [str(number) for number in range(100)]
    await send_batch(writer, *(say(word) for word in words))
    assert [(await reader.find("chat"))["data"]["message"] for _ in words] == words


async def test_it_goes_on_after_a_bad_element(site, alice):
    socket = await site.connect(alice)
    await send_batch(
        socket,
        5,
        "ping",
        None,
        [ping(0)],
        {"type": "fly", "id": "1"},
        {"type": "join", "id": "2", "room_id": "A room"},
        {"id": "3"},
        ping(1),
        id="b",
    )
    frames = [await socket.receive() for _ in range(9)]
    codes = ["INVALID_MESSAGE"] * 4 + ["UNKNOWN_MESSAGE_TYPE"] + ["INVALID_MESSAGE"] * 2
    assert [frame.get("error_code") for frame in frames] == [*codes, None, None]
    assert [frame.get("id") for frame in frames] == [None] * 4 + ["1", "2", "3", None, "b"]


async def test_it_refuses_batches_in_batches(site, alice):
    socket = await site.connect(alice)
    await send_batch(socket, {"type": "batch", "id": "inner", "messages": [ping(1)]}, ping(2))
    refused = await socket.receive()
    assert is_refused(refused, ErrorCode.INVALID_MESSAGE)
    assert refused["id"] == "inner"
    assert marks([await socket.receive()]) == [2]


@pytest.mark.parametrize("messages", [None, 5, "ping", {}, [{"type": "ping"}] * 101])
async def test_it_refuses_what_is_no_batch(site, alice, messages):
    socket = await site.connect(alice)
    answer = await socket.ask("batch", messages=messages)
    assert is_refused(answer, ErrorCode.INVALID_MESSAGE)
    assert await socket.settle() == []


async def test_it_takes_a_hundred(site, alice):
    socket = await site.connect(alice)
    await send_batch(socket, *(ping(number) for number in range(100)))
    assert marks([await socket.receive() for _ in range(100)]) == list(range(100))


async def test_it_is_one_frame_of_json(site, alice):
    socket = await site.connect(alice)
    await socket.send('{"type":"batch","messages":[{"type":"ping"},{]}')
    assert is_refused(await socket.receive(), ErrorCode.INVALID_JSON)
    assert await socket.settle() == []


async def test_it_counts_each_command(site, alice, configure):
    configure(COMMANDS_BURST=4, COMMANDS_PER_SECOND=0.001, RATE_LIMIT_ERRORS=3)
    socket = await site.connect(alice)
    await send_batch(socket, *({"type": "ping", "id": str(number)} for number in range(5)))
    frames = [await socket.receive() for _ in range(5)]
    assert [frame["type"] for frame in frames] == ["pong"] * 3 + ["error"] * 2
    assert [frame["id"] for frame in frames] == list("01234")
    await send_batch(socket, ping(0), id="b")  # refused as a whole
    assert (await socket.receive())["id"] == "b"
    await socket.send(ping(0))
    assert await socket.ending() == Ending(4429, "RATE_LIMITED")


async def test_it_counts_bad_elements(site, alice, configure):
    configure(BAD_FRAMES=3)
    socket = await site.connect(alice)
    await send_batch(socket, 1, 2, 3, ping(4))
    assert await socket.ending() == Ending(4400, "TOO_MANY_ERRORS")


async def test_it_does_not_let_a_later_frame_overtake(site, alice, general):
    socket = await site.connect(alice)
    await send_batch(socket, {"type": "join", "room_id": "general"}, ping(1), {"type": "leave", "room_id": "general"})
    await socket.send(ping(2))
    frames = [await socket.receive() for _ in range(4)]
    assert [frame["type"] for frame in frames] == ["joined", "pong", "left", "pong"]
