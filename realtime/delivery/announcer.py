"""Tells this process's sockets who comes online and goes offline, so that each client can count. Owned by the hub.

After a restart or during a big match, thousands of users arrive each second, each announced to thousands of sockets.
Announcements are gathered and joined; beyond a limit per second, one `online_count` a second replaces them.

A client counts on from its last count: that of its greeting, or an `online_count`. So a socket gets each change after
that count once, and a new count when it could not get one.
"""

import asyncio
import time
from collections.abc import Mapping

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.delivery.fanout import write_all
from realtime.delivery.registry import Registry
from realtime.protocol.census import Census, Heard, LastChanges, Roll
from realtime.protocol.frames import OnlineCount, OnlineCountData, encode
from realtime.protocol.limits import TokenBucket
from realtime.protocol.outgoing import Announcement, Frame

# The first announcement after a pause waits this long, so that others can be sent with it.
GATHER_SECONDS = 0.02
# Between two flushes: users do not notice that an arrival is announced half a second late.
PAUSE_SECONDS = 0.5
# A flush that took t seconds is followed by a pause of 20 t, so flushes take at most a twentieth of the process's time.
SHARE = 20
# A process that stood still during a flush would be silent for minutes.
LONGEST_PAUSE_SECONDS = 10.0
# From the first announcement that is left out to the count that replaces it, and between two such counts.
COUNT_SECONDS = 1.0
# After the store has gone back, until every process has reported its users again.
RESTART_SECONDS = 3.0


class Announcer:
    """Sends announcements to all sockets of this process, joined in a few writes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        limit = settings().announcements_per_second
        self._bucket = TokenBucket(limit, limit)
        self._gathered: list[Frame] = []
        self._flushing: asyncio.TimerHandle | None = None
        self._roll = Roll()
        self._last_changes = LastChanges()
        # The last change that some sockets were told of, or should have been: a count must contain it.
        self._owed = 0
        self._count_at: float | None = None  # when all sockets get a count, as the loop's time; None: not at all
        # Sockets that get a count before: each with a change of which they were not told.
        self._lagging: dict[Connection, int] = {}
        self._has_late = False  # whether a change has gathered that all sockets have counted
        self._has_left_out = False  # whether announcements were too many since the last count to all
        # Sockets that were not told of a change that was for some users only.
        self._miscounting: set[Connection] = set()

    def add(self, frame: Frame) -> None:
        version = frame.version if isinstance(frame, Announcement) else 0
        heard = self._roll.hear(version) if version else Heard.NEW
        if heard is Heard.REPEATED:
            return
        if isinstance(frame, Announcement) and self._compare(frame) is Heard.OUTDATED:
            # All see what is true. Their counts lack this change.
            self._owed = max(self._owed, version)
            self._count_in(0)
            return
        if heard is Heard.LATE:
            # All have counted the user already. They hear who it is, and then get a count once more.
            frame, version, self._has_late = Frame(frame.payload, exclude=frame.exclude, droppable=True), 0, True
        if self._bucket.take(time.monotonic()):
            self._owed, self._has_left_out = max(self._owed, version), True
            self._count_in(COUNT_SECONDS)
            return
        self._gathered.append(frame)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush)

    def tell(self, frame: Announcement, connections: set[Connection]) -> None:
        """Announce to some users only, or send them a count, which excludes nobody.

        If they have heard of a later change of the same user, or have no room for this one, they need a count.
        """
        heard = self._compare(frame)
        if heard is Heard.OUTDATED:
            self._miscounting |= connections
        elif heard is Heard.NEW:
            news = {connection for connection in connections if connection.counted < frame.version}
            self._miscounting.update(c for c in news if c.fast_write is None and c.is_crowded)
            write_all(news, (frame,))

    def take_miscounting(self) -> set[str]:
        """The users, by key, who need a count of those whom they may see, and have a socket that can get it now."""
        taken = {one for one in self._miscounting if one.held is None and not one.is_crowded}
        self._miscounting -= taken
        return {connection.user_key for connection in taken}

    def _compare(self, frame: Announcement) -> Heard:
        """With the last change of the same user. After a later one, who has come back would seem to have gone."""
        return Heard.NEW if frame.exclude is None else self._last_changes.hear(frame.exclude, frame.version)

    def note(self, census: Census) -> None:
        """The presence store has answered how many users are online. Called at least once a second while it can."""
        if self._roll.note(census, asyncio.get_running_loop().time()):
            self._count_in(0)
        self._make_up()

    def restart(self, census: Census) -> None:
        """The presence store has gone back to an earlier state: count anew."""
        self._roll.restart(census)
        self._last_changes.clear()
        self._owed, self._lagging = 0, {}
        for connection in self._registry.connections.values():
            connection.counted = 0
        self._count_at = None
        self._count_in(RESTART_SECONDS)

    def doubt(self, connection: Connection) -> None:
        """The count of this socket's greeting is a guess: send another one as soon as possible."""
        self._lagging[connection] = 1

    def forget(self, connection: Connection) -> None:
        self._lagging.pop(connection, None)
        self._miscounting.discard(connection)

    def _count_in(self, seconds: float) -> None:
        """Send a count to all sockets, in so many seconds at the earliest."""
        if self._count_at is None:
            self._count_at = asyncio.get_running_loop().time() + seconds

    def _flush(self) -> None:
        frames, self._gathered = self._gathered, []
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if not frames:
            return
        started = time.monotonic()
        self._write(frames)
        loop = asyncio.get_running_loop()
        loop.call_soon(self._pause, started)

    def _pause(self, started: float) -> None:
        seconds = min(LONGEST_PAUSE_SECONDS, max(PAUSE_SECONDS, SHARE * (time.monotonic() - started)))
        if self._flushing is not None:
            self._flushing.cancel()
        self._flushing = asyncio.get_running_loop().call_later(seconds, self._flush)

    def _write(self, frames: list[Frame]) -> None:
        changes = [frame for frame in frames if isinstance(frame, Announcement)]
        if changes:
            self._write_changes(frames, changes)
        else:
            write_all(set(self._registry.connections.values()), frames)
        if self._has_late:
            self._has_late = False
            self._count_in(0)
        self._make_up()

    def _write_changes(self, frames: list[Frame], changes: list[Announcement]) -> None:
        first, last = min(frame.version for frame in changes), max(frame.version for frame in changes)
        self._owed = max(self._owed, last)
        # With tens of thousands of sockets, comprehensions take a third of the time of one loop for all this.
        connections = self._registry.connections.values()
        slow = [connection for connection in connections if connection.fast_write is None]
        self._lagging.update({connection: last for connection in slow if connection.is_crowded})
        newcomers = [connection for connection in connections if connection.counted >= first]
        others = set(connections)
        others.difference_update(newcomers)
        write_all(others, frames)
        for connection in newcomers:
            later = [frame for frame in frames if is_news(frame, connection.counted)]
            if later:
                write_all({connection}, later)
        for change in changes:
            self._leave_out_own(change)

    def _leave_out_own(self, change: Announcement) -> None:
        """Nobody is told of themselves. If sockets of the user were there before the change, they get a count."""
        for connection in self._registry.users.get(change.exclude or "", ()):
            if connection.counted < change.version:
                self._lagging[connection] = change.version

    def _make_up(self) -> None:
        """Send a count to those who were not told of a change."""
        census = self._roll.census
        if census is None:
            return
        now = asyncio.get_running_loop().time()
        is_due = self._count_at is not None and now >= self._count_at
        if is_due and self._gathered and not self._has_left_out:
            self._flush()  # the count contains those who have gathered: they are told before it, or not at all
        elif is_due:
            # Changes that are not in this count get into the next one.
            self._count_at = None if census.version >= self._owed else now + COUNT_SECONDS
            self._roll.settle(census.version)
            self._gathered = [frame for frame in self._gathered if is_news(frame, census.version)]
            self._lagging, self._has_left_out = {}, False
            self._send_count(census, dict.fromkeys(self._registry.connections.values(), census.version))
        elif self._lagging and census.version >= self._owed:
            lagging, self._lagging = self._lagging, {}
            self._send_count(census, {one: missed for one, missed in lagging.items() if one.counted < missed})

    def _send_count(self, census: Census, lagging: Mapping[Connection, int]) -> None:
        """Send a count to the sockets. Those that cannot get it now get it later."""
        ready: set[Connection] = set()
        for connection, missed in lagging.items():
            if connection.held is not None or connection.is_crowded:
                self._lagging[connection] = missed
            else:
                connection.counted = census.version
                ready.add(connection)
        if ready:
            write_all(ready, (Frame(encode(OnlineCount(OnlineCountData(census.online_count))), droppable=True),))


def is_news(frame: Frame, counted: int) -> bool:
    """Whether a socket whose count contains the changes up to `counted` gets the frame."""
    return not isinstance(frame, Announcement) or frame.version > counted
