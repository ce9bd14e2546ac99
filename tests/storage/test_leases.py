"""The contract of leases, on every store; Redis is left out, visibly, where there is none."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from realtime.storage.leases.redis import RedisLeases
from realtime.storage.leases.store import LeasesUnavailable
from tests.backends.leases import LeaseBackend, open_leases
from tests.sites.processes import free_port


@pytest.fixture(params=["memory", "redis"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[LeaseBackend]:
    async with open_leases(request.param) as backend:
        yield backend


async def test_it_gives_a_name_to_one_owner(backend: LeaseBackend) -> None:
    assert await backend.store.acquire("a", "p1", 10)
    assert not await backend.other.acquire("a", "p2", 10)
    assert await backend.other.acquire("b", "p2", 10)
    assert not await backend.store.acquire("b", "p1", 10)


async def test_it_gives_it_to_one_of_many_who_ask_at_once(backend: LeaseBackend) -> None:
    stores = [backend.store, backend.other] * 10
    answers = await asyncio.gather(*(store.acquire("a", f"p{n}", 10) for n, store in enumerate(stores)))
    assert answers.count(True) == 1


async def test_it_lets_the_owner_renew(backend: LeaseBackend) -> None:
    assert await backend.store.acquire("a", "p1", 10)
    backend.sleep(9)
    assert await backend.store.acquire("a", "p1", 10)
    backend.sleep(9)
    assert not await backend.other.acquire("a", "p2", 10)


async def test_it_is_over_when_it_is_not_renewed(backend: LeaseBackend) -> None:
    assert await backend.store.acquire("a", "p1", 10)
    backend.sleep(9)
    assert not await backend.other.acquire("a", "p2", 10)
    backend.sleep(1)
    assert await backend.other.acquire("a", "p2", 10)
    assert not await backend.store.acquire("a", "p1", 10)


async def test_the_last_word_of_the_owner_decides_how_long(backend: LeaseBackend) -> None:
    assert await backend.store.acquire("a", "p1", 100)
    assert await backend.store.acquire("a", "p1", 10)
    backend.sleep(10)
    assert await backend.other.acquire("a", "p2", 10)


async def test_it_takes_back_what_is_released(backend: LeaseBackend) -> None:
    assert await backend.store.acquire("a", "p1", 10)
    await backend.store.release("a", "p1")
    assert await backend.other.acquire("a", "p2", 10)


async def test_it_takes_back_nothing_of_somebody_elses(backend: LeaseBackend) -> None:
    await backend.store.release("a", "p1")  # nobody's
    assert await backend.store.acquire("a", "p1", 10)
    await backend.other.release("a", "p2")
    assert not await backend.other.acquire("a", "p2", 10)
    backend.sleep(10)
    assert await backend.other.acquire("a", "p2", 10)
    await backend.store.release("a", "p1")  # late: it has gone to another
    assert not await backend.store.acquire("a", "p1", 10)


async def test_it_begins_anew_when_the_state_is_lost(backend: LeaseBackend) -> None:
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
