"""Sends a frame to many sockets, several frames joined in one write. Used by the hub, its feeds and the announcer.

The first frame after a pause is sent at once. While that is still being written, later frames gather and are joined:
an idle process has the latency of one write, and under load one write carries many frames.
"""

import asyncio
import time
from collections.abc import Sequence

from realtime.delivery.connection import Connection
from realtime.protocol.outgoing import Frame, Translation, translate_all

# With no more sockets than these, gathering costs more than it saves.
FEW = 8
PAUSE_SECONDS = 0.002
# A write that seems to have taken twice as long was none: the process stood still, and nobody is to wait for that.
LONGEST_PAUSE_SECONDS = 0.5


class Fanout:
    """The sockets that want the same frames. Belongs to one event loop."""

    __slots__ = ("_gathered", "_pause", "_started", "_timer", "connections")

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._gathered: list[Frame] = []
        # Set from a write until the end of the pause that follows it.
        self._timer: asyncio.TimerHandle | None = None
        self._pause = PAUSE_SECONDS
        self._started = 0.0

    def add(self, connection: Connection) -> None:
        """Add a connection, for the frames sent from now on. Frames that gathered for the others are written first."""
        self.write_gathered()
        self.connections.add(connection)

    def send(self, frame: Frame) -> None:
        """Send the frame now, or together with others while a flush is pending."""
        if self._timer is not None:
            self._gathered.append(frame)
            return
        write_all(self.connections, (frame,))
        if len(self.connections) > FEW:
            self._wait(time.monotonic())

    def first_gathered(self) -> int | None:
        """The `seq` of the first event that is still to be written; None if there is none."""
        return next((frame.seq for frame in self._gathered if frame.seq is not None), None)

    def _wait(self, started: float) -> None:
        loop = asyncio.get_running_loop()
        self._started = started
        # The loop passes the bytes to the system after this turn, so the next turn can measure how long that took.
        loop.call_soon(self._measure)
        self._timer = loop.call_later(self._pause, self._flush)

    def _measure(self) -> None:
        self._pause = min(LONGEST_PAUSE_SECONDS, max(PAUSE_SECONDS, (time.monotonic() - self._started) / 2))

    def _flush(self) -> None:
        self._timer = None
        if not self._gathered:
            return
        started = time.monotonic()
        self.write_gathered()
        self._wait(started)

    def write_gathered(self) -> None:
        """Write now what has gathered, if there is anything."""
        if self._gathered:
            frames, self._gathered = self._gathered, []
            write_all(self.connections, frames)


def write_all(connections: set[Connection], frames: Sequence[Frame]) -> None:
    """Write `frames` in order to every connection, joined where the server can."""
    wire = join(frames)
    translated: dict[Translation, bytes] = {}  # the joined frames by dialect
    excluded = {frame.exclude for frame in frames if frame.exclude is not None}
    # A copy, because a write may find that a socket is dead, and closing removes it from the set.
    for connection in tuple(connections):
        if excluded and connection.user_key in excluded:
            connection.send_all([frame for frame in frames if frame.exclude != connection.user_key])
        elif (write := connection.fast_write) is None:
            connection.send_all(frames)
        elif connection.dialect is None:
            write(wire)
        else:
            translation = connection.dialect.translate
            if translation not in translated:
                translated[translation] = join(translate_all(frames, translation))
            if translated[translation]:
                write(translated[translation])


def join(frames: Sequence[Frame]) -> bytes:
    return frames[0].wire if len(frames) == 1 else b"".join([frame.wire for frame in frames])
