"""The client's side of a socket that a test has opened: sends commands, and waits for frames."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from secrets import token_hex
from typing import Any, Protocol, TypeVar

from realtime.sockets.node import Node
from realtime.testing.frames import Frame, describe, matches, note_positions, show

T = TypeVar("T")
Application = Callable[..., Awaitable[None]]

TIMEOUT_SECONDS = 10.0  # only a test that fails waits so long
SETTLE_SECONDS = 0.05
# Frames that come by themselves, which `expect_nothing` passes over.
UNASKED = frozenset({"heartbeat", "user_status", "online_count"})


class Surroundings(Protocol):
    """What a socket needs of its site."""

    async def settle_hooks(self) -> None: ...
    async def settle(self) -> None: ...


class Socket:
    """One open socket. It is opened by `connect`, and closed at the end of that block.

    `expect…` methods raise AssertionError, with what came instead. They look at all frames that have arrived and that
    the test has not taken yet, whatever their order.
    """

    def __init__(self, site: Surroundings, node: Node, application: Application, scope: dict[str, Any]) -> None:
        self.frames: list[Frame] = []  # all that have arrived, in order
        self.positions: dict[str, int] = {}  # by stream, the last event that has arrived
        self.subprotocol: str | None = None  # that the server has selected
        # How the server closed the socket, or an HTTP status if it refused the handshake; None while it is open.
        self.close_code: int | None = None
        self.close_reason = ""
        self._site = site
        self._node = node
        self._application = application
        self._scope = scope
        self._taken: set[int] = set()  # places in `frames`
        self._is_accepted = False
        self._status = 0  # of HTTP, if the server refuses the handshake
        self._is_cut_off = False  # by `drop_network`
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._marks: set[str] = set()  # ids of our own pings that are not answered
        self._news = asyncio.Event()  # set by everything that comes from the server
        self._task: asyncio.Task[None] | None = None  # the application, once the socket was opened

    async def open(self, context: Context, token: str, *, is_known: bool) -> None:
        """Start the handshake. Returns when it is answered, and with `is_known` when the greeting has come.

        `token` is sent in a command, if it is not empty. The application runs in `context`.
        """
        self._put({"type": "websocket.connect"})
        serving = self._application(self._scope, self._to_server.get, self._take)
        self._task = asyncio.get_running_loop().create_task(_await(serving), context=context)
        self._task.add_done_callback(self._on_end)
        await self._until(lambda: self._is_accepted or self.close_code, "the answer to the handshake")
        if token:
            self._put_text(json.dumps({"type": "auth", "token": token}))
        if is_known:
            await self._until(lambda: self._is_greeted or self.close_code, "the greeting")
            self._taken |= {0} if self._is_greeted else set()

    async def close(self) -> None:
        """Leave, as a client does. Harmless if the socket is closed."""
        if self._task is None:
            return
        self._put({"type": "websocket.disconnect", "code": 1006 if self._is_cut_off else 1000})
        await asyncio.wait([self._task], timeout=TIMEOUT_SECONDS)
        self._task.cancel()

    @property
    def greeting(self) -> dict[str, Any]:
        """The `data` of `connected`."""
        if not self._is_greeted:
            raise AssertionError(f"There was no greeting{self._ending()}. What came:{show(self.frames)}")
        data: dict[str, Any] = self.frames[0]["data"]
        return data

    async def send(self, frame: Mapping[str, Any] | str | bytes) -> None:
        """Send a command as JSON, a text as it is, or bytes as a binary frame. It does not wait for the answer."""
        if self.close_code is not None:
            raise AssertionError(f"Nothing can be sent{self._ending()}. What came:{show(self.frames)}")
        await self._site.settle_hooks()
        if isinstance(frame, bytes):
            self._put({"type": "websocket.receive", "bytes": frame})
        else:
            self._put_text(frame if isinstance(frame, str) else json.dumps(frame))

    async def receive(self, timeout: float | None = None) -> Frame:
        """The next frame that the test has not taken yet."""
        return await self.expect(timeout=timeout)

    async def expect(self, type: str | None = None, /, *, timeout: float | None = None, **values: Any) -> Frame:
        """Wait for a frame of this type with these values, in its `data` or in itself, and take it."""
        await self._site.settle_hooks()
        place = await self._until(lambda: self._find(type, values), describe(type, values), timeout)
        self._taken.add(place)
        return self.frames[place]

    async def expect_error(self, error_code: str, /, **values: Any) -> Frame:
        """Wait for the `error` with this code, for example NOT_FOUND."""
        return await self.expect("error", error_code=error_code, **values)

    async def expect_nothing(
        self, type: str | None = None, /, *, within: float = SETTLE_SECONDS, **values: Any
    ) -> None:
        """Check that no such frame is left or comes, after everything that all sockets have sent was handled.

        Without a type and values: no frame at all, apart from heartbeats and the comings and goings of other users.
        `within` is how many seconds are granted to the rest, such as tasks of the site.
        """
        await self._site.settle()
        await asyncio.sleep(within)
        wanted = bool(type or values)
        left = [frame for place, frame in enumerate(self.frames) if place not in self._taken]
        found = [
            frame for frame in left if matches(frame, type, values) and (wanted or frame.get("type") not in UNASKED)
        ]
        if found:
            raise AssertionError(f"There should be nothing like {describe(type, values)}. What came:{show(found)}")

    async def expect_closed(self, code: int | None = None, reason: str | None = None) -> None:
        """Wait until the server has closed the socket with this code, or has refused it with this HTTP status."""
        await self._site.settle_hooks()
        await self._until(lambda: self.close_code, "the end of the socket")
        if code not in (None, self.close_code) or reason not in (None, self.close_reason):
            wanted = " ".join(str(part) for part in (code, reason) if part is not None)
            raise AssertionError(f"Expected the end with {wanted}{self._ending()}.")

    def drop_network(self) -> None:
        """From now on nothing arrives, in either direction. The server notices it when heartbeats are not answered."""
        self._is_cut_off = True

    def expire_token(self, seconds: float = 0) -> None:
        """Let the socket's token expire in so many seconds."""
        if self.close_code is not None:
            raise AssertionError(f"The token cannot expire{self._ending()}.")
        connection = self._node.hub.connections[self.greeting["connection_id"]]
        connection.expires_at = time.time() + seconds
        connection.session_key = ""  # which says that the session goes on
        self._node.clock.watch_end(connection)

    async def resume(self, positions: Mapping[str, int]) -> None:
        """Send `resume` with these positions, and wait until everything that was missed has arrived."""
        self.positions = dict(positions)
        await self.send({"type": "resume", "streams": self.positions, "id": "resume"})
        await self._until(lambda: self._find("resumed", {"id": "resume"}), "resumed")

    async def handled(self) -> None:
        """Wait until the server has handled every command of this socket: until it answers a ping, which is not shown.

        A socket that sends batches is not waited for, as the answer would wait in a batch.
        """
        is_batched = b"batch=" in self._scope["query_string"]
        if not self._is_greeted or self._is_cut_off or is_batched or self.close_code is not None:
            return
        mark = token_hex(8)
        self._marks.add(mark)
        self._put_text(json.dumps({"type": "ping", "id": mark}))
        await self._until(lambda: mark not in self._marks or self.close_code, "the answer to a ping")

    @property
    def _is_greeted(self) -> bool:
        return bool(self.frames) and self.frames[0].get("type") == "connected"

    def _find(self, type: str | None, values: Mapping[str, Any]) -> int | None:
        left = (place for place in range(len(self.frames)) if place not in self._taken)
        return next((place for place in left if matches(self.frames[place], type, values)), None)

    async def _until(self, look: Callable[[], T | None], what: str, timeout: float | None = None) -> T:
        """What `look` returns, when that is neither None nor False. It is called when something has arrived."""
        seconds = TIMEOUT_SECONDS if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                while (found := look()) is None or found is False:
                    if self.close_code is not None:
                        raise AssertionError(f"Expected {what}{self._ending()}. What came:{show(self.frames)}")
                    if self._is_cut_off:
                        raise AssertionError(f"Expected {what} without a network. What came:{show(self.frames)}")
                    self._news.clear()
                    await self._news.wait()
                return found
        except TimeoutError:
            message = f"Expected {what} within {seconds} s. What came:{show(self.frames)}"
            raise AssertionError(message) from None

    def _ending(self) -> str:
        if self.close_code is None:
            return ""
        return f", but the server has closed the socket with {self.close_code} {self.close_reason}".rstrip()

    # The server's side: what a server of ASGI does

    def _put_text(self, text: str) -> None:
        self._put({"type": "websocket.receive", "text": text})

    def _put(self, message: dict[str, Any]) -> None:
        if message["type"] != "websocket.receive" or not self._is_cut_off:
            self._to_server.put_nowait(message)

    async def _take(self, message: dict[str, Any]) -> None:
        """Take what the server sends."""
        if self._is_cut_off:
            return
        match message["type"]:
            case "websocket.accept":
                self._is_accepted = True
                self.subprotocol = message.get("subprotocol")
            case "websocket.send":
                self._note(json.loads(message["text"]))
            case "websocket.close":
                # A server answers with 403 if the application closes a socket that it has not accepted.
                self.close_code = message.get("code", 1000) if self._is_accepted else 403
                self.close_reason = message.get("reason") or ""
                self._put({"type": "websocket.disconnect", "code": self.close_code})
            case "websocket.http.response.start":
                self._status = message["status"]
            case "websocket.http.response.body":
                self.close_code, self.close_reason = self._status, message["body"].decode()
        self._news.set()

    def _note(self, frame: Frame) -> None:
        id = frame.get("id")
        if isinstance(id, str) and id in self._marks:
            self._marks.remove(id)
            return
        self.frames.append(frame)
        for one in frame["messages"] if frame.get("type") == "batch" else [frame]:
            note_positions(self.positions, one)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self.close_code is None:
            self.close_code, self.close_reason = 1011 if error else 1006, repr(error) if error else ""
        self._news.set()


async def _await(serving: Awaitable[None]) -> None:
    await serving
