"""Presence stores whose clock the test controls. Used by `test_store` and `test_redis`."""

from collections.abc import Callable
from dataclasses import dataclass

from realtime.presence.memory import MemoryPresence
from realtime.presence.redis import RedisPresence
from realtime.presence.store import PresenceStore
from tests.backends.redis_server import REDIS_URL, delete_keys

LEASE, GRACE = 20.0, 15.0


class Clock:
    """A clock that stands still until `sleep` moves it."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class PresenceBackend:
    """Two stores that share their state, as in two processes (in memory, both are the same store)."""

    store: PresenceStore
    other: PresenceStore
    clock: Clock
    forget: Callable[[], None]  # deletes the whole state

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    async def online(self) -> list[str]:
        return [entry.user_id for entry in await self.store.page(0, 10_000)]

    async def close(self) -> None:
        await self.store.close()
        await self.other.close()


def open_memory() -> PresenceBackend:
    clock = Clock()
    store = MemoryPresence(lease_seconds=LEASE, grace_seconds=GRACE, clock=clock)

    def forget() -> None:
        store.__init__(lease_seconds=LEASE, grace_seconds=GRACE, clock=clock)  # type: ignore[misc]

    return PresenceBackend(store, store, clock, forget)


def open_redis(prefix: str) -> PresenceBackend:
    clock = Clock()

    def open_one() -> RedisPresence:
        return RedisPresence(REDIS_URL, prefix, lease_seconds=LEASE, grace_seconds=GRACE, clock=clock)

    return PresenceBackend(open_one(), open_one(), clock, lambda: delete_keys(prefix))
