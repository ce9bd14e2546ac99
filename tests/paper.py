"""Sockets of paper: connections whose frames are written down, for tests of the fabric without a server."""

import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from realtime.auth import Identity
from realtime.connection import Connection, DirectSink
from realtime.log import LoggedEvent

PATIENCE_SECONDS = 5.0
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
    """What our server's socket offers, on paper."""

    def __init__(self) -> None:
        self.writes: list[list[dict[str, Any]]] = []
        self.waiting_bytes = 0  # as if the peer read too slowly
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

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    async def until(self, is_there: Callable[[], bool]) -> None:
        """Wait for writes until what is expected is there."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_there():
                self._written.clear()
                await self._written.wait()

    async def until_seq(self, seq: int) -> list[int]:
        """All `seq`s, once this one has arrived."""
        await self.until(lambda: seq in self.seqs)
        return self.seqs


def open_connection(user: str = "1", session: str = "") -> tuple[Connection, PaperSocket]:
    socket = PaperSocket()
    identity = Identity(int(user), user, f"user {user}", session)
    return Connection(f"connection-{next(numbers)}", identity, DirectSink(socket)), socket


def body(seq: int) -> bytes:
    return b'{"type":"test","n":%d}' % seq


class PaperLog:
    """A log that remembers what it was asked for; each of `failures` is raised once, first."""

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
