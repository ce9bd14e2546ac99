"""Joins frames into batches, if `?batch=<size>&flush_ms=<ms>` asks for it. Made by the consumer around a sink."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from realtime.conf import settings
from realtime.delivery.sinks import Sink
from realtime.protocol.outgoing import Frame

SIZE = 10  # frames, by default
SIZES = (1, 1000)
FLUSH_MS = 1000
FLUSHES_MS = (10, 60_000)
# A batch of this size is sent, however few frames it has.
FLUSH_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Wish:
    """How a client wants its frames: `size` of them at a time, or those gathered after `flush_seconds`."""

    size: int
    flush_seconds: float


def parse_wish(query: Mapping[str, Sequence[str]]) -> Wish | None:
    """What a parsed query asks for; None if it does not ask for batches.

    No value refuses a socket: numbers are moved into their bounds, and a value that is not a number counts as missing.
    """
    if "batch" not in query:
        return None
    size = _read_number(query["batch"], SIZE, SIZES)
    return Wish(size, _read_number(query.get("flush_ms", ()), FLUSH_MS, FLUSHES_MS) / 1000)


def _read_number(given: Sequence[str], default: int, bounds: tuple[int, int]) -> int:
    try:
        number = int(given[0]) if given else default
    except ValueError:
        return default
    return min(max(number, bounds[0]), bounds[1])


class BatchSink:
    """A sink in front of another one. Frames gather until they are enough, or old enough, and are sent as one frame.

    Gathered bytes count as waiting to be written. They stay below an eighth of the limit for waiting bytes, so that no
    client is closed as too slow because of what is held back here.
    """

    __slots__ = ("_bytes", "_gathered", "_most_bytes", "_sink", "_timer", "_wish", "fast_write")

    def __init__(self, sink: Sink, wish: Wish) -> None:
        self._sink = sink
        self._wish = wish
        self._most_bytes = min(FLUSH_BYTES, settings().max_queued_bytes // 8)
        self._gathered: list[bytes] = []
        self._bytes = 0  # of what has gathered
        self._timer: asyncio.TimerHandle | None = None  # set while anything has gathered
        # Shared bytes cannot be written: they are single frames, and this socket gets batches.
        self.fast_write = None

    def queued_bytes(self) -> int:
        return self._sink.queued_bytes() + self._bytes

    def send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if frame.alone:
                self._flush()
                self._sink.send((frame,))
            else:
                self._gather(frame)

    def close(self, code: int, reason: str) -> None:
        self._flush()
        self._sink.close(code, reason)

    async def drained(self) -> None:
        """After our own close nothing is left. If the client has gone, nobody can receive what gathered: drop it."""
        self._forget()
        await self._sink.drained()

    def is_full(self) -> bool:
        return self._sink.is_full()

    async def writable(self) -> None:
        await self._sink.writable()

    def _gather(self, frame: Frame) -> None:
        self._gathered.append(frame.payload)
        self._bytes += len(frame.payload)
        if frame.prompt or len(self._gathered) >= self._wish.size or self._bytes >= self._most_bytes:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._wish.flush_seconds, self._flush)

    def _flush(self) -> None:
        gathered = self._gathered
        self._forget()
        if gathered:
            self._sink.send((Frame(b'{"type":"batch","messages":[%b]}' % b",".join(gathered)),))

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._gathered, self._bytes = None, [], 0
