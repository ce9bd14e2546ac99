"""The client that tests of sockets use: it sends commands, waits for frames, and checks each against the protocol.

`tests.sites.in_process` opens sockets to servers in this process, `tests.clients.people` to real ones.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from channels.testing import WebsocketCommunicator
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.contract.conversation import Contract
from tests.patience import PATIENCE_SECONDS

Frame = dict[str, Any]


async def until(is_so: Callable[[], Any]) -> None:
    """Wait for something that no frame announces."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 (the product has no event for it)
            await asyncio.sleep(0.005)


def texts(frames: Iterable[Frame]) -> list[str]:
    """The texts of the `chat` frames."""
    return [frame["data"]["message"] for frame in frames if frame["type"] == "chat"]


def is_refused(frame: Frame, code: str) -> bool:
    return (frame["type"], frame.get("error_code")) == ("error", code)


def matches(frame: Frame, type: str, fields: Mapping[str, Any]) -> bool:
    """Whether the frame has this type, and these values in its `data` or in itself."""
    data = frame.get("data")
    values = {**frame, **data} if isinstance(data, dict) else frame
    return frame.get("type") == type and all(values.get(name) == value for name, value in fields.items())


class Ended(Exception):
    """The server closed the socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Ending(NamedTuple):
    """How a socket ended: its close code, and the reason in the `disconnect` frame ("" if there was none)."""

    code: int
    reason: str


class Socket:
    """The client's side of one open socket. Every method does the same on every kind of socket.

    `receive`, `find`, `ask` and `settle` read the frames in order; `expect` and `answer` ignore the order.
    """

    greeting: dict[str, Any]  # the data of `connected`; set by the opener
    subprotocol: str | None = None

    def __init__(self) -> None:
        self.contract = Contract()
        self.frames: list[Frame] = []  # all that have arrived, in order
        self._place = 0  # index of the frame that `receive` reads next
        self._taken: set[int] = set()  # indexes of frames that the test has got
        self._asked = 0

    @property
    def user_id(self) -> int:
        return int(self.greeting["user_id"])

    async def send(self, frame: Mapping[str, Any] | str | bytes) -> None:
        """Send a command as JSON, a text unchanged, or bytes as a binary frame."""
        if isinstance(frame, Mapping):
            self._note_positions(frame)
        await self._put(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    def _note_positions(self, frame: Mapping[str, Any]) -> None:
        """Note the positions and topics in a valid command, for the contract."""
        if frame.get("type") == "resume" and isinstance(frame.get("streams"), dict):
            for stream, seq in frame["streams"].items():
                self.contract.rewind(stream, seq)
        elif frame.get("type") == "join" and frame.get("since") is not None:
            self.contract.rewind(f"room.{frame['room_id']}", frame["since"])
        elif frame.get("type") == "subscribe" and isinstance(frame.get("topic"), str):
            self.contract.asked_topics.add(frame["topic"])
            if frame.get("since") is not None:
                self.contract.rewind(f"topic.{frame['topic']}", frame["since"])

    async def receive(self) -> Frame:
        """The next frame. Raises Ended."""
        place = await self._next()
        self._taken.add(place)
        return self.frames[place]

    async def find(self, type: str, **fields: Any) -> Frame:
        """The next frame of this type, with these values in its `data` or in itself. Skips other frames."""
        return await self._skip_to(lambda frame: matches(frame, type, fields))

    async def ask(self, type: str, **fields: Any) -> Frame:
        """Send a command. Returns the answer, and skips the frames before it."""
        self._asked += 1
        id = fields.pop("id", f"ask-{self._asked}")
        await self.send({"type": type, "id": id, **fields})
        return await self._skip_to(lambda frame: frame.get("id") == id)

    async def settle(self) -> list[Frame]:
        """Send a `ping`. Returns all frames that arrive before its answer."""
        self._asked += 1
        mark = f"settle-{self._asked}"
        await self.send({"type": "ping", "timestamp": mark})
        frames = []
        while (frame := await self.receive()).get("timestamp") != mark or frame["type"] != "pong":
            frames.append(frame)
        return frames

    async def expect(self, type: str, timeout: float = PATIENCE_SECONDS, **fields: Any) -> Frame:
        """The first frame of this type, with these values in its `data` or in itself, that the test has not got yet."""
        return await self._take(lambda frame: matches(frame, type, fields), timeout, f"{type} {fields}")

    async def answer(self, id: str, timeout: float = PATIENCE_SECONDS) -> Frame:
        """The answer to the command with this id, which may have arrived already."""
        return await self._take(lambda frame: frame.get("id") == id, timeout, f"answer to {id}")

    async def until(self, is_so: Callable[[], Any], what: str = "", timeout: float = PATIENCE_SECONDS) -> Any:
        """Wait until `is_so` returns something true, and return that. Checks it at each frame. Raises Ended."""
        try:
            async with asyncio.timeout(timeout):
                while not (answer := is_so()):
                    await self._arrive()
                return answer
        except TimeoutError:
            raise AssertionError(f"{what or is_so}: not within {timeout:.1f} s, in {self.frames}") from None

    def has(self, type: str, **fields: Any) -> bool:
        """Whether such a frame has arrived."""
        return any(matches(frame, type, fields) for frame in self.frames)

    def events(self, stream: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.get("stream") == stream]

    async def ending(self) -> Ending:
        """Read until the socket closes. Returns how it ended."""
        try:
            await self.until(lambda: False, "the end")
        except Ended as end:
            goodbye = self.contract.goodbye
            return Ending(end.code, goodbye.reason if goodbye else "")
        raise AssertionError("unreachable")

    async def close(self) -> None:
        raise NotImplementedError

    async def _next(self) -> int:
        """The index of the next frame that the test has not got yet."""
        while self._place in self._taken:
            self._place += 1
        await self.until(lambda: self._place < len(self.frames), what="another frame")
        self._place += 1
        return self._place - 1

    async def _skip_to(self, is_wanted: Callable[[Frame], bool]) -> Frame:
        while not is_wanted(self.frames[place := await self._next()]):
            pass
        self._taken.add(place)
        return self.frames[place]

    async def _take(self, is_wanted: Callable[[Frame], bool], timeout: float, what: str) -> Frame:
        def find_place() -> int | None:
            """The index of the first wanted frame plus 1, so that it is true; None if there is none."""
            left = (place for place in range(len(self.frames)) if place not in self._taken)
            return next((place + 1 for place in left if is_wanted(self.frames[place])), None)

        place = await self.until(find_place, what, timeout) - 1
        self._taken.add(place)
        return self.frames[place]

    async def _arrive(self) -> None:
        """Wait for one more frame, check it against the protocol and add it to `frames`. Raises Ended."""
        try:
            text = await self._get()
        except Ended as end:
            self.contract.check_close(end.code)
            raise
        self.contract.check(text)
        self.frames.append(json.loads(text))

    async def _put(self, data: str | bytes) -> None:
        raise NotImplementedError

    async def _get(self) -> str:
        raise NotImplementedError


class QueueSocket(Socket):
    """Over a communicator. Uses its queues directly: its `receive_output` cancels the application on a timeout."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        super().__init__()
        self.communicator = communicator

    async def _put(self, data: str | bytes) -> None:
        key = "text" if isinstance(data, str) else "bytes"
        self.communicator.input_queue.put_nowait({"type": "websocket.receive", key: data})

    async def _get(self) -> str:
        message = await self.communicator.output_queue.get()
        if message["type"] == "websocket.close":
            self.communicator.input_queue.put_nowait({"type": "websocket.disconnect", "code": message["code"]})
            raise Ended(message["code"], message["reason"])
        return message["text"]

    async def close(self) -> None:
        self.communicator.input_queue.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self.communicator.wait(PATIENCE_SECONDS)


class TcpSocket(Socket):
    """Over TCP."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self.connection = connection
        self.subprotocol = connection.subprotocol

    async def _put(self, data: str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.connection.send(data)

    async def _get(self) -> str:
        try:
            return await self.connection.recv(decode=True)
        except ConnectionClosed as closed:
            received = closed.rcvd
            raise Ended(received.code if received else 1006, received.reason if received else "") from None

    async def close(self) -> None:
        await self.connection.close()
