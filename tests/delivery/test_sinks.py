"""What leaves through ASGI's `send`, under servers that are not ours."""

import asyncio

import pytest

from realtime.delivery.sinks import QueueSink
from realtime.protocol.outgoing import Frame
from realtime.sockets.handshake import RealtimeConsumer
from realtime.sockets.node import get_node, stop_node
from realtime.storage import database
from tests.paper import body
from tests.people import make_token


async def test_it_cuts_nothing_off_while_it_waits_for_a_slow_peer():
    """The event that was just being sent was lost when a replay waited longer than that for room."""
    reads, sent = asyncio.Event(), []

    async def send(message):
        await reads.wait()
        sent.append(message["text"].encode())

    sink = QueueSink(send)
    sink.send([Frame(body(1)), Frame(body(2))])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sink.writable(), 0.01)
    sink.send([Frame(body(3))])
    reads.set()
    await sink.drained()
    assert sent == [body(1), body(2), body(3)]
    assert sink.queued_bytes() == 0


async def test_it_closes_without_a_code_where_the_server_refuses_the_code():
    """daphne refuses the reserved codes, and left the socket open."""
    sent = []

    async def send(message):
        if message.get("code", 1000) != 1000:
            raise ValueError("invalid close code")
        sent.append(message["type"])

    sink = QueueSink(send)
    sink.send([Frame(body(1))])
    sink.close(1009, "FRAME_TOO_LARGE")
    await sink.drained()
    assert sent == ["websocket.send", "websocket.close"]


@pytest.mark.django_db(transaction=True)
async def test_it_forgets_a_socket_whose_server_fails(alice, caplog):
    """The way out failed as well, so the socket counted as open for ever."""
    steps = iter([{"type": "websocket.connect"}, OSError("the server's own")])
    sent = []

    async def receive():
        step = next(steps)
        if isinstance(step, Exception):
            raise step
        return step

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "headers": [], "query_string": f"token={make_token(alice)}".encode()}
    try:
        await RealtimeConsumer()(scope, receive, send)
        assert get_node().hub.connections == {}
        assert [message.get("code") for message in sent][-1] == 1011
        assert [record.getMessage() for record in caplog.records] == ["A socket could not be opened"]
    finally:
        await stop_node()
        database.shutdown()
