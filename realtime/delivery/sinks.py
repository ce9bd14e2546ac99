"""The two ways of writing frames to one socket. Made at the handshake, held by the connection.

`TransportSink` writes shared bytes to our server's transport. Under any other server, `QueueSink` awaits ASGI's `send`
from a bounded queue. Both behave the same and differ only in speed.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from realtime.protocol.errors import RECONNECT_CODES, Closed
from realtime.protocol.frames import Disconnect, encode
from realtime.protocol.outgoing import Frame

# How long sending our last frames may take: the server may be stuck with a peer that reads nothing.
CLOSE_SECONDS = 5

Send = Callable[[dict[str, Any]], Awaitable[None]]


class TransportSocket(Protocol):
    """What our server's socket offers (`realtime.server`)."""

    def write(self, data: bytes) -> None: ...
    def queued_bytes(self) -> int: ...
    def close(self, code: int, reason: str) -> None: ...
    def is_full(self) -> bool: ...
    async def wait_writable(self) -> None: ...


class Sink(Protocol):
    """Where frames go. `queued_bytes` is what still waits to be written."""

    # Writes the bytes of whole frames; None if the sink cannot do that.
    @property
    def fast_write(self) -> Callable[[bytes], None] | None: ...

    def queued_bytes(self) -> int: ...
    def send(self, frames: Sequence[Frame]) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    async def drained(self) -> None: ...  # returns when the application may return
    def is_full(self) -> bool: ...  # whether there is no room now
    async def writable(self) -> None: ...  # returns when there is room


class TransportSink:
    """Writes to the transport of our own server."""

    __slots__ = ("_socket", "fast_write")

    def __init__(self, socket: TransportSocket) -> None:
        self._socket = socket
        self.fast_write: Callable[[bytes], None] | None = socket.write

    def queued_bytes(self) -> int:
        return self._socket.queued_bytes()

    def send(self, frames: Sequence[Frame]) -> None:
        self._socket.write(b"".join([frame.wire for frame in frames]))

    def close(self, code: int, reason: str) -> None:
        self._socket.close(code, reason)

    async def drained(self) -> None:
        """Nothing to wait for: the transport writes the rest by itself."""

    def is_full(self) -> bool:
        return self._socket.is_full()

    async def writable(self) -> None:
        await self._socket.wait_writable()


class QueueSink:
    """Awaits ASGI's `send`, one frame at a time, from a task that lives only while there is something to send."""

    __slots__ = ("_queue", "_queued", "_send", "_task", "deadline", "fast_write")

    def __init__(self, send: Send) -> None:
        self._send = send
        # The deadline for reading, which a stuck server would never end. Set by the consumer while it reads.
        self.deadline: asyncio.Timeout | None = None
        self._queue: deque[tuple[dict[str, Any], int]] = deque()  # messages with their sizes in bytes
        self._queued = 0
        self._task: asyncio.Task[None] | None = None
        self.fast_write: Callable[[bytes], None] | None = None

    def queued_bytes(self) -> int:
        return self._queued

    def send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._put({"type": "websocket.send", "text": frame.payload.decode()}, len(frame.payload))

    def close(self, code: int, reason: str) -> None:
        self._put({"type": "websocket.close", "code": code, "reason": reason}, 0)
        if self.deadline is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time() + CLOSE_SECONDS)

    async def drained(self) -> None:
        if self._task is not None:
            task = self._task
            await asyncio.wait([task], timeout=CLOSE_SECONDS)
            task.cancel()

    def is_full(self) -> bool:
        return self._task is not None

    async def writable(self) -> None:
        if self._task is not None:
            # `wait` does not cancel the task, which would lose the frame that it is sending.
            await asyncio.wait([self._task])

    def _put(self, message: dict[str, Any], size: int) -> None:
        self._queue.append((message, size))
        self._queued += size
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._queue:
                message, size = self._queue.popleft()
                await self._deliver(message)
                self._queued -= size
        except Exception:
            # The peer has gone. Each server raises its own exception for that. The reader notices it and cleans up.
            self._queue.clear()
        finally:
            self._task = None

    async def _deliver(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except Exception:
            if message["type"] != "websocket.close":
                raise
            # A server may refuse the reserved codes, and would leave the socket open. The frame before had the code.
            await self._send({"type": "websocket.close"})


def say_goodbye(sink: Sink, why: Closed) -> None:
    """Send a `disconnect` frame, because browsers show no more of a close than its code, and then the close."""
    goodbye = Disconnect(why.code, why.reason, why.code in RECONNECT_CODES, why.retry_after_ms)
    sink.send((Frame(encode(goodbye), alone=True),))
    sink.close(int(why.code), why.reason)
