"""What leaves through ASGI's `send`, under servers that are not ours."""

import asyncio

from realtime import connection
from realtime.connection import QueueSink
from realtime.frames import Frame
from tests.paper import body


async def test_it_cuts_nothing_off_while_it_waits_for_a_slow_peer(monkeypatch):
    """The event that was just being sent was lost when a replay waited longer than that for room."""
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.01)
    reads, sent = asyncio.Event(), []

    async def send(message):
        await reads.wait()
        sent.append(message["text"].encode())

    sink = QueueSink(send)
    sink.send([Frame(body(1)), Frame(body(2))])
    await sink.writable()
    sink.send([Frame(body(3))])
    reads.set()
    await sink.drained()
    assert sent == [body(1), body(2), body(3)]
    assert sink.queued_bytes() == 0
