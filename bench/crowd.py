"""Clients that reconnect, and count the events that they have missed or received twice. Used by `bench.returning`.

They follow docs/protocol.md, "Coming back". They run in a process of their own.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 10.0
OPEN_SECONDS = 30.0
PONG = b'{"type":"pong"}'


class Data(msgspec.Struct):
    streams: dict[str, int] = {}


class Outcome(msgspec.Struct):
    recovered: bool
    seq: int


class Frame(msgspec.Struct):
    """The fields of a frame that these clients read."""

    type: str
    id: str | None = None
    stream: str | None = None
    seq: int = 0
    room_id: str | None = None
    retry_after_ms: int = 0
    streams: dict[str, Outcome] = {}
    data: Data | None = None


decode = msgspec.json.Decoder(Frame).decode


@dataclass
class Tally:
    """The event counts of one client, and how long it was away each time."""

    received: int = 0
    twice: int = 0
    holes: int = 0
    unrecovered: int = 0
    seconds_away: list[float] = field(default_factory=list)


class Client:
    """One user with one socket, in some rooms. `positions`: stream → the last `seq` that it has received."""

    def __init__(self, address: str, rooms: Iterable[str]) -> None:
        self.address = address
        self.rooms = list(rooms)
        self.positions: dict[str, int] = {}
        self.tally = Tally()
        self.socket: WSTransport | None = None
        self.advised_wait_ms = 0
        self.acks: dict[str, asyncio.Future[Frame]] = {}
        self._ready = asyncio.Event()
        self._opening: asyncio.Future[None] | None = None  # while a socket is not ready yet
        self._lost_at: float | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it is connected and has received all that it missed."""
        return self._ready.is_set()

    # Coming and going

    async def open(self) -> None:
        """Connect, and wait until nothing is missing any more. Raises OSError, WSError, TimeoutError."""
        self._opening = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(OPEN_SECONDS):
            await ws_connect(lambda: Listener(self), self.address, websocket_handshake_timeout=OPEN_SECONDS)
            await self._opening

    async def live(self) -> None:
        """Reconnect whenever the socket is lost, after the advised delay. Runs until it is cancelled."""
        failures = 0
        while True:
            if (socket := self.socket) is not None:
                await socket.wait_disconnected()
            await asyncio.sleep(self._wait_seconds(failures))
            try:
                await self.open()
                failures = 0
            except (OSError, WSError, TimeoutError):
                failures += 1
                self.cut()

    def _wait_seconds(self, failures: int) -> float:
        advised, self.advised_wait_ms = self.advised_wait_ms, 0
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**failures)
        return advised / 1000 if advised else random.uniform(0.5, 1) * longest

    def cut(self) -> None:
        if self.socket is not None:
            self.socket.underlying_transport.abort()

    def send(self, **command: Any) -> None:
        if self.socket is not None:
            self.socket.send(WSMsgType.TEXT, msgspec.json.encode(command))

    async def post(self, id: str, **where: Any) -> Frame:
        """Send a message, and send it again after each reconnect until it is acked. Returns the ack."""
        answer = self.acks[id] = asyncio.get_running_loop().create_future()
        while not answer.done():
            await self._ready.wait()
            socket = self.socket
            self.send(type="message", message=id, id=id, **where)
            lost = asyncio.ensure_future(socket.wait_disconnected() if socket else asyncio.sleep(0))
            await asyncio.wait([answer, lost], return_when=asyncio.FIRST_COMPLETED)
            lost.cancel()
        del self.acks[id]
        return answer.result()

    # What the listener calls

    def on_connected(self, socket: WSTransport) -> None:
        self.socket = socket

    def on_lost(self) -> None:
        self.socket = None
        if self.is_ready:
            self._ready.clear()
            self._lost_at = time.monotonic()
        if self._opening is not None and not self._opening.done():
            self._opening.set_exception(ConnectionResetError("lost before it was ready"))

    def on_frame(self, payload: memoryview) -> None:
        frame = decode(payload)
        if frame.stream is not None:
            self._on_event(frame.stream, frame.seq)
        elif on_type := getattr(self, f"_on_{frame.type}", None):
            on_type(frame)

    def _on_event(self, stream: str, seq: int) -> None:
        position = self.positions.get(stream, 0)
        if seq == position + 1:
            self.positions[stream] = seq
            self.tally.received += 1
        elif seq <= position:
            self.tally.twice += 1
        # Before the client is ready, an event may arrive too early; then it arrives again in its place.
        elif self.is_ready:
            self.tally.holes += 1

    def _on_connected(self, frame: Frame) -> None:
        if self.positions:
            self.send(type="resume", id="resume", streams=self.positions)
            return
        self.positions = dict(frame.data.streams) if frame.data else {}
        for room in self.rooms:
            self.send(type="join", room_id=room, id=room)
        self._note_ready()

    def _on_joined(self, frame: Frame) -> None:
        self.positions[f"room.{frame.room_id}"] = frame.seq
        self._note_ready()

    def _on_resumed(self, frame: Frame) -> None:
        recovered = {name: outcome.seq for name, outcome in frame.streams.items() if outcome.recovered}
        self.tally.unrecovered += len(self.positions) - len(recovered)
        self.tally.holes += sum(max(0, seq - self.positions[name]) for name, seq in recovered.items())
        self._note_ready()

    def _note_ready(self) -> None:
        if any(f"room.{room}" not in self.positions for room in self.rooms):
            return
        self._ready.set()
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(None)
        if self._lost_at is not None:
            self.tally.seconds_away.append(time.monotonic() - self._lost_at)
            self._lost_at = None

    def _on_ack(self, frame: Frame) -> None:
        answer = self.acks.get(frame.id or "")
        if answer is not None and not answer.done():
            answer.set_result(frame)

    def _on_heartbeat(self, frame: Frame) -> None:
        if self.socket is not None:
            self.socket.send(WSMsgType.TEXT, PONG)

    def _on_disconnect(self, frame: Frame) -> None:
        self.advised_wait_ms = frame.retry_after_ms


class Listener(WSListener):  # type: ignore[misc]
    """Passes what happens on one socket from picows to the client."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._client.on_connected(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._client.on_lost()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self._client.on_frame(frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


async def each(clients: Iterable[Client], act: Callable[[Client], Coroutine[Any, Any, Any]], at_once: int) -> None:
    """Call `act` for every client, for at most `at_once` of them at a time. Raises if one of the calls raises."""
    turns = asyncio.Semaphore(at_once)

    async def take_turn(client: Client) -> None:
        async with turns:
            await act(client)

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(take_turn(client))
