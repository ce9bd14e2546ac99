"""Fake sockets, a fake log and a fake channel layer: they record what they get, and fail when a test wants it."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from realtime.auth.identity import Identity
from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Envelope, unpack
from realtime.delivery.sinks import TransportSink
from realtime.storage.log import LoggedEvent
from tests.patience import PATIENCE_SECONDS

numbers = count(1)


def split_frames(data: bytes) -> list[dict[str, Any]]:
    """The JSON of each of the unmasked WebSocket text frames in `data`."""
    frames = []
    while data:
        assert data[0] == 0x81, "a whole text frame"
        length, start = data[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        frames.append(json.loads(data[start : start + length]))
        data = data[start + length :]
    return frames


class PaperSocket:
    """A fake of our server's transport."""

    def __init__(self) -> None:
        self.writes: list[list[dict[str, Any]]] = []
        self.waiting_bytes = 0  # more than 0: the peer reads too slowly
        self.closed: tuple[int, str] | None = None
        self._written = asyncio.Event()

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [frame for write in self.writes for frame in write]

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if "seq" in frame]

    def write(self, data: bytes) -> None:
        self.writes.append(split_frames(data))
        self._written.set()

    def queued_bytes(self) -> int:
        return self.waiting_bytes

    def is_full(self) -> bool:
        return bool(self.waiting_bytes)

    async def wait_writable(self) -> None:
        """Wait forever: the peer never reads again."""
        await asyncio.Event().wait()

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    async def until(self, is_there: Callable[[], bool]) -> None:
        """Wait until `is_there` is true. Checks it at each write."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_there():
                self._written.clear()
                await self._written.wait()

    async def until_seq(self, seq: int) -> list[int]:
        """All `seq`s, once this one has arrived."""
        await self.until(lambda: seq in self.seqs)
        return self.seqs


def open_connection(user: str = "1", login: str = "") -> tuple[Connection, PaperSocket]:
    socket = PaperSocket()
    identity = Identity(int(user), user, f"user {user}", login)
    return Connection(f"connection-{next(numbers)}", identity, TransportSink(socket)), socket


def body(seq: int) -> bytes:
    return b'{"type":"test","n":%d}' % seq


class PaperLog:
    """A log that records the reads. The first reads raise one of `failures` each."""

    def __init__(self, last_seq: int, *, pruned: Sequence[int] = (), failures: Sequence[Exception] = ()) -> None:
        self.last_seq = last_seq
        self.asked: list[tuple[int, int]] = []
        self._pruned = set(pruned)
        self._failures = list(failures)

    async def missed(self, stream: str, after: int, until: int) -> list[LoggedEvent]:
        self.asked.append((after, until))
        if self._failures:
            raise self._failures.pop(0)
        kept = [seq for seq in range(after + 1, min(until, self.last_seq) + 1) if seq not in self._pruned]
        return [LoggedEvent(stream, seq, body(seq)) for seq in kept]


class PaperLayer:
    """A channel layer that the test controls."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []  # messages that it accepted
        self.failing = False
        self.deaf = False  # accepts everything and delivers nothing
        self.flushed = self.has_closed_pools = False
        self.open = asyncio.Event()  # `group_send` waits for it
        self.open.set()
        self.moved = asyncio.Event()  # set when something was sent or received
        self._channels = count(1)
        self._queues: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
        self._groups: defaultdict[str, set[str]] = defaultdict(set)

    async def new_channel(self) -> str:
        self._fail()
        return f"channel-{next(self._channels)}"

    async def group_add(self, group: str, channel: str) -> None:
        self._fail()
        self._groups[group].add(channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.moved.set()
        await self.open.wait()
        self._fail()
        self.sent.append(message)
        if not self.deaf:
            self.bring(message)

    async def receive(self, channel: str) -> Any:
        message = await self._queues[channel].get()
        self.moved.set()
        if isinstance(message, Exception):
            raise message
        return message

    async def flush(self) -> None:
        self.flushed = True

    async def close_pools(self) -> None:
        self.has_closed_pools = True

    def bring(self, message: Any) -> None:
        """Deliver to every channel: a test has only one group."""
        for channel in set().union(*self._groups.values()):
            self._queues[channel].put_nowait(message)

    def _fail(self) -> None:
        if self.failing:
            raise ConnectionError("the layer is away")

    @property
    def publications(self) -> list[Envelope]:
        """The envelopes with more in them than a beat."""
        envelopes = [unpack(message["envelope"]) for message in self.sent]
        return [envelope for envelope in envelopes if envelope != Envelope(beat=envelope.beat)]

    @property
    def seqs(self) -> list[list[int]]:
        return [[seq for _, seq, _ in envelope.events] for envelope in self.publications]

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait until `is_so` is true. Checks it at each message, and beats are sent all the time."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_so():
                self.moved.clear()
                await self.moved.wait()
