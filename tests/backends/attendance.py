"""Attendance stores whose clock the test controls. Used by `tests.presence.test_attendance_store`."""

from collections.abc import Callable
from dataclasses import dataclass

from realtime.presence.attendance.memory import MemoryAttendance
from realtime.presence.attendance.redis import RedisAttendance
from realtime.presence.attendance.store import AttendanceStore
from tests.backends.presence import Clock
from tests.backends.redis_server import REDIS_URL, delete_keys, find_keys

LEASE = 20.0


@dataclass
class AttendanceBackend:
    """Two stores that share their state, as in two processes (in memory, both are the same store)."""

    store: AttendanceStore
    other: AttendanceStore
    clock: Clock
    forget: Callable[[], None]  # deletes the whole state
    count_kept: Callable[[], int]  # how many things are kept, whether they count or not

    async def close(self) -> None:
        await self.store.close()
        await self.other.close()


def open_memory() -> AttendanceBackend:
    clock = Clock()
    store = MemoryAttendance(lease_seconds=LEASE, clock=clock)

    def forget() -> None:
        store.__init__(lease_seconds=LEASE, clock=clock)  # type: ignore[misc]

    return AttendanceBackend(store, store, clock, forget, lambda: len(store._open) + len(store._leases))


def open_redis(prefix: str) -> AttendanceBackend:
    clock = Clock()
    stores = [RedisAttendance(REDIS_URL, prefix, lease_seconds=LEASE, clock=clock) for _ in range(2)]
    return AttendanceBackend(*stores, clock, lambda: delete_keys(prefix), lambda: len(find_keys(prefix)))
