"""This process's part in attendance: reports which of its users have which rooms open. Owned by the node.

The hub notes each subscription that begins or ends; messages cost nothing. Once a second, the clock has what changed
counted and reported.
"""

import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.presence.attendance.store import Attendance, AttendanceStore
from realtime.presence.store import StoreUnavailable
from realtime.protocol.streams import is_room

logger = logging.getLogger(__name__)

# In one report. After a restart, when thousands come back at once, others learn of all of them within some seconds.
MOST_CHANGES = 10_000

Pair = tuple[str, str]  # a stream and the key of a user


class Reporter:
    """Reports to the store, and starts over under a new name when the store has lost this process."""

    def __init__(
        self,
        process: str,
        store: AttendanceStore,
        users: Mapping[str, Collection[Connection]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`users` are the sockets of this process, by user key."""
        self.store = store
        self._process = process
        self._users = users
        self._clock = clock
        self._lives = itertools.count(1)
        self._name = ""  # for the store; empty until the process has begun
        self._changed: set[Pair] = set()  # not reported yet
        self._renewed_at = float("-inf")

    def note(self, stream: str, user: str) -> None:
        """A socket of the user has opened or closed the stream. Only rooms are reported."""
        if is_room(stream):
            self._changed.add((stream, user))

    async def report(self) -> None:
        """Report what has changed, or that the process is alive. While the store is away, nothing is lost."""
        try:
            await self._report()
        except StoreUnavailable as error:
            logger.debug("Attendance is reported later: %s", error)

    async def stop(self) -> None:
        """Nobody attends here any more."""
        with suppress(StoreUnavailable):
            if self._name:
                await self.store.drop(self._name)
        with suppress(StoreUnavailable):
            await self.store.close()

    async def _report(self) -> None:
        is_due = self._clock() - self._renewed_at >= settings().presence_lease_seconds / 3
        if not self._changed and not (self._name and is_due):
            return
        if not self._name:
            await self._begin()
        pairs = [self._changed.pop() for _ in range(min(MOST_CHANGES, len(self._changed)))]
        try:
            known = await self.store.report(self._name, [self._count(*pair) for pair in pairs])
        except BaseException:  # also on a cancellation
            self._changed.update(pairs)
            raise
        if not known:
            # What was reported under this name counts no more.
            self._name = ""
            self._changed.update(self._list_all())
            return
        self._renewed_at = self._clock()
        if is_due:
            await self.store.sweep()

    async def _begin(self) -> None:
        name = f"{self._process}-{next(self._lives)}"
        await self.store.begin(name)
        self._name = name

    def _count(self, stream: str, user: str) -> Attendance:
        return Attendance(stream, user, sum(stream in c.subscriptions.live for c in self._users.get(user, ())))

    def _list_all(self) -> Iterator[Pair]:
        for user, connections in self._users.items():
            for connection in connections:
                for stream in connection.subscriptions.live:
                    if is_room(stream):
                        yield stream, user
