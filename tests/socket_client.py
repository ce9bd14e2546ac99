"""A client of the sockets for tests against real servers: collects every frame and answers heartbeats."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.patience import PATIENCE_SECONDS
from tests.processes import SiteProcess

Frame = dict[str, Any]


class Client:
    """One open socket. `frames` is all that has arrived, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.frames: list[Frame] = []
        self.answers_heartbeats = True
        self._socket = socket
        self._taken: set[int] = set()  # places of frames that were expected and found
        self._arrival = asyncio.Event()  # set, and replaced, with each frame
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @property
    def is_open(self) -> bool:
        return not self._reader.done()

    @property
    def user_id(self) -> int:
        return int(self.frames[0]["data"]["user_id"])

    @property
    def subprotocol(self) -> str | None:
        return self._socket.subprotocol

    async def send(self, type: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": type, **fields}))

    async def expect(self, type: str, timeout: float = PATIENCE_SECONDS, **fields: Any) -> Frame:
        """The first frame of this type, with these fields in it or in its `data`, that was not expected before."""
        return await self._find(lambda frame: matches(frame, type, fields), f"{type} {fields}", timeout)

    async def answer(self, id: str) -> Frame:
        """What the command with this id was answered."""
        return await self._find(lambda frame: frame.get("id") == id, f"answer to {id}")

    async def until(self, condition: Callable[[], Any], what: str = "", timeout: float = PATIENCE_SECONDS) -> Any:
        """What `condition` answers, once that is true: it is looked at with each frame that arrives."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    arrival = self._arrival
                    if answer := condition():
                        return answer
                    await arrival.wait()
        except TimeoutError:
            raise AssertionError(f"{what or condition}: not after {timeout:.1f} s, in {self.frames}") from None

    def has(self, type: str, **fields: Any) -> bool:
        return any(matches(frame, type, fields) for frame in self.frames)

    def events(self, stream: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.get("stream") == stream]

    async def closed(self) -> int | None:
        """The code with which the server closed the socket."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait([self._reader])
        return self._socket.close_code

    async def close(self) -> None:
        await self._socket.close()
        await self._reader

    async def _find(self, wanted: Callable[[Frame], bool], what: str, timeout: float = PATIENCE_SECONDS) -> Frame:
        found: Frame = await self.until(lambda: self._take(wanted), what, timeout)
        return found

    def _take(self, wanted: Callable[[Frame], bool]) -> Frame | None:
        for place, frame in enumerate(self.frames):
            if place not in self._taken and wanted(frame):
                self._taken.add(place)
                return frame
        return None

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self._socket:
                frame = json.loads(text)
                self.frames.append(frame)
                arrival, self._arrival = self._arrival, asyncio.Event()
                arrival.set()
                if frame["type"] == "heartbeat" and self.answers_heartbeats:
                    with contextlib.suppress(ConnectionClosed):  # what was sent before the close is still to be read
                        await self.send("pong")


def matches(frame: Frame, type: str, fields: Frame) -> bool:
    data = frame.get("data")
    seen = {**frame, **data} if isinstance(data, dict) else frame
    return frame["type"] == type and all(seen.get(name) == value for name, value in fields.items())


@contextlib.asynccontextmanager
async def open_socket(
    process: SiteProcess,
    query: str = "",
    *,
    path: str = "/api/v1/ws",
    subprotocols: tuple[str, ...] = (),
    **options: Any,
) -> AsyncIterator[Client]:
    """A socket with whatever credential the arguments carry. Raises InvalidStatus when the handshake is refused."""
    offered = [Subprotocol(name) for name in subprotocols] or None
    address = f"ws://{process.address}{path}{query}"
    async with connect(address, subprotocols=offered, ping_interval=None, proxy=None, **options) as socket:
        client = Client(socket)
        try:
            yield client
        finally:
            await client.close()


class People:
    """Sockets that close together at the end of a test."""

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self.tokens: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.__aexit__(*error)

    async def connect(self, process: SiteProcess, name: str, room: str | None = None) -> Client:
        """A user's socket that has been greeted, and has joined the room."""
        if name not in self.tokens:
            self.tokens[name] = (await asyncio.to_thread(process.log_in, name))["access"]
        client = await self._stack.enter_async_context(open_socket(process, f"?token={self.tokens[name]}"))
        await client.expect("connected")
        if room is not None:
            await client.send("join", room_id=room)
            await client.expect("joined", room_id=room)
        return client
