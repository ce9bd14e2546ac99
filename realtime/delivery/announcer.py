"""Limits how many announcements about users this process's sockets get. Owned by the hub.

After a restart or during a big match, thousands of users arrive each second, each announced to thousands of sockets.
Announcements are gathered and joined; beyond a limit per second, one `online_count` a second replaces them.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.delivery.fanout import write_all
from realtime.protocol.frames import OnlineCount, OnlineCountData, encode
from realtime.protocol.limits import TokenBucket
from realtime.protocol.outgoing import Frame

# The first announcement after a pause waits this long, so that others can be sent with it.
GATHER_SECONDS = 0.02
# Between two flushes: users do not notice that an arrival is announced half a second late.
PAUSE_SECONDS = 0.5
# A flush that took t seconds is followed by a pause of 20 t, so flushes take at most a twentieth of the process's time.
SHARE = 20


class Announcer:
    """Sends announcements to all sockets of this process, joined in a few writes."""

    def __init__(self, connections: Mapping[str, Connection], count: Callable[[], int]) -> None:
        self._connections = connections
        self._count = count
        limit = settings().announcements_per_second
        self._bucket = TokenBucket(limit, limit)
        self._gathered: list[Frame] = []
        self._flushing: asyncio.TimerHandle | None = None
        self._counting: asyncio.TimerHandle | None = None  # set while a count replaces announcements

    def add(self, frame: Frame) -> None:
        loop = asyncio.get_running_loop()
        if self._bucket.take(time.monotonic()):
            if self._counting is None:
                self._counting = loop.call_later(1, self._send_count)
            return
        self._gathered.append(frame)
        if self._flushing is None:
            self._flushing = loop.call_later(GATHER_SECONDS, self._flush)

    def _send_count(self) -> None:
        self._counting = None
        self._write([Frame(encode(OnlineCount(OnlineCountData(self._count()))), droppable=True)])

    def _flush(self) -> None:
        frames, self._gathered = self._gathered, []
        self._flushing = None
        if not frames:
            return
        started = time.monotonic()
        self._write(frames)
        loop = asyncio.get_running_loop()
        loop.call_soon(self._pause, started)

    def _pause(self, started: float) -> None:
        seconds = max(PAUSE_SECONDS, SHARE * (time.monotonic() - started))
        if self._flushing is not None:
            self._flushing.cancel()
        self._flushing = asyncio.get_running_loop().call_later(seconds, self._flush)

    def _write(self, frames: list[Frame]) -> None:
        write_all(set(self._connections.values()), frames)
