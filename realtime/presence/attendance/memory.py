"""Attendance in this process: the store of a site without Redis. Opened by `attendance.open_store`."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from realtime.presence.attendance.store import Attendance, choose_largest
from realtime.presence.store import to_ms


class MemoryAttendance:
    """`AttendanceStore` in dictionaries. `clock` gives seconds and never goes back."""

    def __init__(self, *, lease_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_ms = to_ms(lease_seconds)
        self._clock = clock
        self._leases: dict[str, int] = {}  # process -> when it ends
        # process -> stream -> user -> sockets, never 0; no dictionary but a process's own is empty
        self._open: dict[str, defaultdict[str, dict[str, int]]] = {}

    async def begin(self, process: str) -> None:
        self._leases[process] = self._now() + self._lease_ms
        self._open[process] = defaultdict(dict)

    async def report(self, process: str, changes: Sequence[Attendance]) -> bool:
        if not self._is_live(process):
            return False
        self._leases[process] = self._now() + self._lease_ms
        streams = self._open[process]
        for stream, user, sockets in changes:
            if sockets:
                streams[stream][user] = sockets
            else:
                streams[stream].pop(user, None)
            if not streams[stream]:
                del streams[stream]
        return True

    async def find(self, stream: str, users: Sequence[str]) -> set[str]:
        present = [self._open[process].get(stream, {}) for process in self._live()]
        return {user for user in users if any(user in there for there in present)}

    async def largest(self, limit: int) -> list[tuple[str, int]]:
        found: Counter[str] = Counter()
        for process in self._live():
            found.update({stream: sum(users.values()) for stream, users in self._open[process].items()})
        return choose_largest(found, limit)

    async def sweep(self) -> None:
        for process in self._leases.keys() - self._live():
            await self.drop(process)

    async def drop(self, process: str) -> None:
        self._leases.pop(process, None)
        self._open.pop(process, None)

    async def close(self) -> None:
        return None

    def _live(self) -> set[str]:
        return {process for process in self._leases if self._is_live(process)}

    def _is_live(self, process: str) -> bool:
        return self._leases.get(process, 0) > self._now()

    def _now(self) -> int:
        return to_ms(self._clock())
