"""Lease stores whose clock the test controls. Used by `tests.storage.test_leases` and the tests of the scheduler."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from realtime.storage.leases.memory import MemoryLeases
from realtime.storage.leases.redis import RedisLeases
from realtime.storage.leases.store import LeaseStore
from tests.backends.presence import Clock
from tests.backends.redis_server import REDIS_URL, delete_keys, find_keys, open_client, own_redis_prefix

SLOWER = 1_000


@dataclass
class LeaseBackend:
    """Two stores that share their state, as in two processes (in memory, both are the same store)."""

    store: LeaseStore
    other: LeaseStore
    sleep: Callable[[float], None]  # lets the leases age
    forget: Callable[[], None]  # deletes the whole state


@asynccontextmanager
async def open_leases(kind: str) -> AsyncIterator[LeaseBackend]:
    """`kind` is `memory` or `redis`. If no Redis answers, the test is skipped, but in CI it fails."""
    if kind == "memory":
        yield open_memory()
        return
    with own_redis_prefix() as prefix:
        made = open_redis(prefix)
        yield made
        await made.store.close()
        await made.other.close()


def open_memory() -> LeaseBackend:
    clock = Clock()
    store = MemoryLeases(clock)
    return LeaseBackend(store, store, clock.sleep, store._held.clear)


class SlowLeases(RedisLeases):
    """A second of theirs lasts so long that none ends by itself while a test, or what it waits for, stands still."""

    async def acquire(self, name: str, owner: str, seconds: float) -> bool:
        return await super().acquire(name, owner, seconds * SLOWER)


def open_redis(prefix: str) -> LeaseBackend:
    """Redis has a clock of its own, so `sleep` shortens the remaining time of the keys instead."""

    def sleep(seconds: float) -> None:
        client = open_client()
        for key in find_keys(prefix):
            client.pexpire(key, client.pttl(key) - round(seconds * SLOWER * 1000))

    return LeaseBackend(
        SlowLeases(REDIS_URL, prefix), SlowLeases(REDIS_URL, prefix), sleep, lambda: delete_keys(prefix)
    )
