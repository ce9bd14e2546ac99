"""The contract of leases, on every store; Redis is left out, visibly, where there is none."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import pytest
from redis import Redis

from realtime.leases.memory import MemoryLeases
from realtime.leases.redis import RedisLeases
from realtime.leases.store import LeaseStore, LeasesUnavailable
from tests.presence_backends import REDIS_URL, Clock, delete_keys, find_keys, own_redis_prefix
from tests.processes import free_port


@dataclass
class Backend:
    """One state, seen through two stores as from two processes (in memory both are the same)."""

    store: LeaseStore
    other: LeaseStore
    sleep: Callable[[float], None]  # lets time pass for the leases
    forget: Callable[[], None]  # loses the whole state


@pytest.fixture(params=["memory", "redis"])
def redis_prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """Empty for the backend in memory."""
    if request.param == "memory":
        yield ""
        return
    with own_redis_prefix() as prefix:
        yield prefix


@pytest.fixture
async def backend(redis_prefix: str) -> AsyncIterator[Backend]:
    made = open_redis(redis_prefix) if redis_prefix else open_memory()
    yield made
    await made.store.close()
    await made.other.close()


def open_memory() -> Backend:
    clock = Clock()
    store = MemoryLeases(clock)
    return Backend(store, store, clock.sleep, store._held.clear)


def open_redis(prefix: str) -> Backend:
    """Redis has a clock of its own: time passes by shortening what is left of the keys."""

    def sleep(seconds: float) -> None:
        with Redis.from_url(REDIS_URL, socket_timeout=5) as client:
            for key in find_keys(prefix):
                client.pexpire(key, client.pttl(key) - round(seconds * 1000))

    return Backend(RedisLeases(REDIS_URL, prefix), RedisLeases(REDIS_URL, prefix), sleep, lambda: delete_keys(prefix))


async def test_it_gives_a_name_to_one_owner(backend: Backend) -> None:
    assert await backend.store.acquire("a", "p1", 10)
    assert not await backend.other.acquire("a", "p2", 10)
    assert await backend.other.acquire("b", "p2", 10)
    assert not await backend.store.acquire("b", "p1", 10)


async def test_it_gives_it_to_one_of_many_who_ask_at_once(backend: Backend) -> None:
    stores = [backend.store, backend.other] * 10
    answers = await asyncio.gather(*(store.acquire("a", f"p{n}", 10) for n, store in enumerate(stores)))
    assert answers.count(True) == 1


async def test_it_lets_the_owner_renew(backend: Backend) -> None:
    assert await backend.store.acquire("a", "p1", 10)
    backend.sleep(9)
    assert await backend.store.acquire("a", "p1", 10)
    backend.sleep(9)
    assert not await backend.other.acquire("a", "p2", 10)


async def test_it_is_over_when_it_is_not_renewed(backend: Backend) -> None:
    assert await backend.store.acquire("a", "p1", 10)
    backend.sleep(9)
    assert not await backend.other.acquire("a", "p2", 10)
    backend.sleep(1)
    assert await backend.other.acquire("a", "p2", 10)
    assert not await backend.store.acquire("a", "p1", 10)


async def test_the_last_word_of_the_owner_decides_how_long(backend: Backend) -> None:
    assert await backend.store.acquire("a", "p1", 100)
    assert await backend.store.acquire("a", "p1", 10)
    backend.sleep(10)
    assert await backend.other.acquire("a", "p2", 10)


async def test_it_takes_back_what_is_released(backend: Backend) -> None:
    assert await backend.store.acquire("a", "p1", 10)
    await backend.store.release("a", "p1")
    assert await backend.other.acquire("a", "p2", 10)


async def test_it_takes_back_nothing_of_somebody_elses(backend: Backend) -> None:
    await backend.store.release("a", "p1")  # nobody's
    assert await backend.store.acquire("a", "p1", 10)
    await backend.other.release("a", "p2")
    assert not await backend.other.acquire("a", "p2", 10)
    backend.sleep(10)
    assert await backend.other.acquire("a", "p2", 10)
    await backend.store.release("a", "p1")  # late: it has gone to another
    assert not await backend.store.acquire("a", "p1", 10)


async def test_it_begins_anew_when_the_state_is_lost(backend: Backend) -> None:
    assert await backend.store.acquire("a", "p1", 10)
    backend.forget()
    assert await backend.other.acquire("a", "p2", 10)
    assert not await backend.store.acquire("a", "p1", 10)


async def test_it_says_so_when_redis_is_away() -> None:
    store = RedisLeases(f"redis://127.0.0.1:{free_port()}/0", "away:")
    with pytest.raises(LeasesUnavailable):
        await store.acquire("a", "p1", 10)
    with pytest.raises(LeasesUnavailable):
        await store.release("a", "p1")
    await store.close()
