"""A small language for tests of sockets: what a client sends, and what it waits for.

Every frame that arrives is checked against the protocol. `tests.sites` opens the sockets.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from channels.testing import WebsocketCommunicator
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.contract import Contract
from tests.patience import PATIENCE_SECONDS


async def until(is_so: Callable[[], Any]) -> None:
    """Wait for something that no frame tells of."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 (the product has no event for it)
            await asyncio.sleep(0.005)


def texts(frames: Iterable[dict[str, Any]]) -> list[str]:
    """What the `chat` frames say."""
    return [frame["data"]["message"] for frame in frames if frame["type"] == "chat"]


def is_refused(frame: dict[str, Any], code: str) -> bool:
    return (frame["type"], frame.get("error_code")) == ("error", code)


class Ended(Exception):
    """The server closed the socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Ending(NamedTuple):
    """How a socket ended: its close code, and the `disconnect` frame's reason ("" when there was none)."""

    code: int
    reason: str


class Socket:
    """One open socket, seen by its client."""

    greeting: dict[str, Any]  # the data of `connected`; set by `Site.connect`
    subprotocol: str | None = None

    def __init__(self) -> None:
        self.contract = Contract()
        self._asked = 0

    async def send(self, frame: Mapping[str, Any] | str | bytes) -> None:
        """A command as JSON, a text as it is, bytes as a binary frame."""
        if isinstance(frame, Mapping):
            self._note_positions(frame)
        await self._put(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    def _note_positions(self, frame: Mapping[str, Any]) -> None:
        """What a well-formed command says of where the client stands."""
        if frame.get("type") == "resume" and isinstance(frame.get("streams"), dict):
            for stream, seq in frame["streams"].items():
                self.contract.rewind(stream, seq)
        elif frame.get("type") == "join" and frame.get("since") is not None:
            self.contract.rewind(f"room.{frame['room_id']}", frame["since"])
        elif frame.get("type") == "subscribe" and isinstance(frame.get("topic"), str):
            self.contract.asked_topics.add(frame["topic"])
            if frame.get("since") is not None:
                self.contract.rewind(f"topic.{frame['topic']}", frame["since"])

    async def receive(self) -> dict[str, Any]:
        """The next frame. Raises Ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                text = await self._get()
            except Ended as end:
                self.contract.check_close(end.code)
                raise
        self.contract.check(text)
        return json.loads(text)

    async def find(self, type: str, **data: Any) -> dict[str, Any]:
        """The next frame of a type, with these values in its `data` or in itself; others are passed over."""
        while True:
            frame = await self.receive()
            inner = frame.get("data")
            values = {**frame, **inner} if isinstance(inner, dict) else frame
            if frame.get("type") == type and all(values.get(key) == value for key, value in data.items()):
                return frame

    async def ask(self, type: str, **fields: Any) -> dict[str, Any]:
        """The answer to a command; frames before it are passed over."""
        self._asked += 1
        id = fields.pop("id", f"ask-{self._asked}")
        await self.send({"type": type, "id": id, **fields})
        while (frame := await self.receive()).get("id") != id:
            pass
        return frame

    async def settle(self) -> list[dict[str, Any]]:
        """All frames that were sent before a `ping` of now is answered."""
        self._asked += 1
        mark = f"settle-{self._asked}"
        await self.send({"type": "ping", "timestamp": mark})
        frames = []
        while (frame := await self.receive()).get("timestamp") != mark or frame["type"] != "pong":
            frames.append(frame)
        return frames

    async def ending(self) -> Ending:
        """Read up to the close."""
        try:
            while True:
                await self.receive()
        except Ended as end:
            goodbye = self.contract.goodbye
            return Ending(end.code, goodbye.reason if goodbye else "")

    async def close(self) -> None:
        raise NotImplementedError

    async def _put(self, data: str | bytes) -> None:
        raise NotImplementedError

    async def _get(self) -> str:
        raise NotImplementedError


class QueueSocket(Socket):
    """Over a communicator. Its queues are used directly: its own receiving cancels the application on a timeout."""

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


class ServerSocket(Socket):
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
