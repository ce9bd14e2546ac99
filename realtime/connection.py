"""One socket as the fabric sees it (L2), and the two ways of writing to it. Made by the consumer, held by the hub.

A `Sink` takes frames: `DirectSink` writes shared bytes to the transport of our own server, `QueueSink` awaits ASGI's
`send` from a bounded queue under any other. Same behaviour, other speed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from realtime import protocol
from realtime.conf import settings
from realtime.dialects import Dialect
from realtime.errors import RECONNECT_CODES, CloseCode, Closed
from realtime.frames import Frame, translate
from realtime.limits import ErrorBudget, Quota
from realtime.progress import Progress

if TYPE_CHECKING:
    from realtime.auth import Identity

CLOSE_SECONDS = 5  # for our last frames to leave through a server that may be stuck with a peer that reads nothing

Send = Callable[[dict[str, Any]], Awaitable[None]]


class DirectSocket(Protocol):
    """What our server's socket offers (`realtime.server`)."""

    def write(self, data: bytes) -> None: ...
    def queued_bytes(self) -> int: ...
    def close(self, code: int, reason: str) -> None: ...
    def is_full(self) -> bool: ...
    async def wait_writable(self) -> None: ...


class Sink(Protocol):
    """Where frames go. `queued_bytes` is what still waits to be written."""

    @property
    def fast_write(
        self,
    ) -> Callable[[bytes], None] | None: ...  # takes the bytes of whole frames; None where that cannot be done

    def queued_bytes(self) -> int: ...
    def send(self, frames: Sequence[Frame]) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    async def drained(self) -> None: ...  # when the application may return
    def is_full(self) -> bool: ...  # whether a client that is slow has yet to make room
    async def writable(self) -> None: ...  # when there is room for more


class DirectSink:
    """Writes to the transport of our own server."""

    __slots__ = ("_socket", "fast_write")

    def __init__(self, socket: DirectSocket) -> None:
        self._socket = socket
        self.fast_write: Callable[[bytes], None] | None = socket.write

    def queued_bytes(self) -> int:
        return self._socket.queued_bytes()

    def send(self, frames: Sequence[Frame]) -> None:
        self._socket.write(b"".join([frame.wire for frame in frames]))

    def close(self, code: int, reason: str) -> None:
        self._socket.close(code, reason)

    async def drained(self) -> None:
        """The transport goes on by itself."""

    def is_full(self) -> bool:
        return self._socket.is_full()

    async def writable(self) -> None:
        await self._socket.wait_writable()


class QueueSink:
    """Awaits ASGI's `send`, one frame at a time, from a task that lives only while there is something to send."""

    __slots__ = ("_queue", "_queued", "_send", "_task", "deadline", "fast_write")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.deadline: asyncio.Timeout | None = None  # of reading, which a stuck server would never end
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
            await asyncio.wait([self._task])  # never cancelled here: what it is sending would be lost

    def _put(self, message: dict[str, Any], size: int) -> None:
        self._queue.append((message, size))
        self._queued += size
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._queue:
                message, size = self._queue.popleft()
                await self._send(message)
                self._queued -= size
        except Exception:
            # The peer has gone: servers say so each in its own words. The reader hears of it and cleans up.
            self._queue.clear()
        finally:
            self._task = None


class Connection:
    """One open socket. All of it belongs to one event loop."""

    __slots__ = (
        "__weakref__",
        "closing",
        "dialect",
        "end_timer",
        "errors",
        "expires_at",
        "fast_write",
        "heard_at",
        "held",
        "home",
        "id",
        "name",
        "pending",
        "progress",
        "quota",
        "rooms",
        "session",
        "session_id",
        "settled",
        "sink",
        "streams",
        "user_id",
        "user_key",
        "wanted",
    )

    def __init__(self, id: str, identity: "Identity", sink: Sink) -> None:
        self.id = id
        self.user_id = identity.user_id  # as in frames: a JSON number when the primary key is one
        self.user_key = identity.key
        self.name = identity.name
        self.session = identity.session  # the login whose end closes this socket; "" for none
        self.expires_at = identity.expires_at  # unix time, None for a socket that lasts
        self.sink = sink
        self.fast_write: Callable[[bytes], None] | None = (
            sink.fast_write
        )  # None as well while the peer reads too slowly
        self.heard_at = time.monotonic()  # of the last frame from the client
        self.streams: set[str] = set()  # subscribed to
        self.rooms: dict[str, int] = {}  # joined on this socket: slug to primary key
        self.wanted: frozenset[str] = frozenset()  # streams of topics whose subscription is being made
        self.pending = 0  # messages that are being stored
        self.settled: asyncio.Future[None] | None = None  # set while a batch waits for them
        self.quota: Quota | None = None  # shared by the user's sockets; set when the connection is registered
        self.errors: ErrorBudget | None = None  # set by the first bad frame
        self.end_timer: asyncio.TimerHandle | None = None  # set when the end of the token is near
        self.held = False  # it has not been greeted yet, and nothing may come before that
        self.session_id = ""  # under which the client may take up what this socket had
        self.progress = Progress()
        self.closing = False  # a close frame is on its way
        self.dialect: Dialect | None = None  # of a socket that does not speak the protocol's own frames
        self.home = ""  # the stream without which this socket has no purpose

    def hold(self) -> None:
        """Send nothing until the greeting: who is known to the hub is announced to at once."""
        self.held = True
        self.fast_write = None

    def greet(self, payload: bytes) -> None:
        """Send the first frame of all."""
        self.held = False
        self.on_pause(False)
        self.send_all((Frame(payload, alone=True),))

    def send(self, payload: bytes) -> None:
        """Send one frame of this socket alone."""
        self.send_all((Frame(payload),))

    def send_all(self, frames: Sequence[Frame]) -> None:
        """Send frames in order; drop what may be dropped, or close, when too much is waiting already."""
        if self.closing or self.held:
            return
        if self.dialect is not None:
            frames = translate(frames, self.dialect.tell)
        queued = self.sink.queued_bytes()
        if queued:
            limit = settings().max_queued_bytes
            if queued > limit:
                self.close(Closed(CloseCode.SLOW_CONSUMER, "SLOW_CONSUMER"))
                return
            if queued > limit // 4:
                frames = [frame for frame in frames if not frame.droppable]
        if frames:
            self.sink.send(frames)

    def on_pause(self, full: bool) -> None:
        """The transport is full, and from now on each write looks at what is waiting; or it has room again."""
        self.fast_write = None if full or self.closing else self.sink.fast_write

    def close(self, why: Closed) -> None:
        """Say why in a `disconnect` frame and close. Does nothing the second time."""
        if self.closing:
            return
        self.closing = True
        self.fast_write = None
        say_goodbye(self.sink, why)


def say_goodbye(sink: Sink, why: Closed) -> None:
    """The `disconnect` frame, because a browser shows no more than a code, and the close."""
    reconnect = why.code in RECONNECT_CODES
    text = protocol.disconnect(why.code, why.reason, reconnect=reconnect, retry_after_ms=why.retry_after_ms)
    sink.send((Frame(text, alone=True),))
    sink.close(int(why.code), why.reason)
