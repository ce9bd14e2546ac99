"""The contract of a session store, on both; Redis is left out, visibly, where there is none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from realtime.recovery.sessions.memory import MemorySessions
from realtime.recovery.sessions.redis import RedisSessions
from realtime.recovery.sessions.store import Session, SessionsUnavailable
from tests.backends.redis_server import REDIS_URL, own_redis_prefix

SESSION = Session("7", {"user.7": 3, "room.general": 88})


@asynccontextmanager
async def open_redis(life_seconds: float) -> AsyncIterator[RedisSessions]:
    with own_redis_prefix() as prefix:
        store = RedisSessions(REDIS_URL, prefix, life_seconds)
        yield store
        await store.close()


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    if request.param == "memory":
        yield MemorySessions(600)
        return
    async with open_redis(600) as opened:
        yield opened


async def test_it_gives_a_session_to_its_user(store):
    await store.save({"a": SESSION})
    assert await store.claim("a", "7") == SESSION


async def test_it_gives_a_session_once(store):
    await store.save({"a": SESSION})
    claims = await asyncio.gather(*(store.claim("a", "7") for _ in range(5)))
    assert sorted(claims, key=bool) == [None, None, None, None, SESSION]


async def test_it_answers_anybody_else_as_if_there_were_none(store):
    await store.save({"a": SESSION})
    assert await store.claim("a", "8") is None
    assert await store.claim("b", "7") is None
    assert await store.claim("a", "7") == SESSION


async def test_it_keeps_what_was_saved_last(store):
    later = Session("7", {"user.7": 4})
    await store.save({"a": SESSION, "b": SESSION})
    await store.save({"a": later})
    assert await store.claim("a", "7") == later
    assert await store.claim("b", "7") == SESSION


async def test_it_does_not_bring_a_claimed_session_back(store):
    await store.save({"a": SESSION})
    await store.claim("a", "7")
    await store.save({"a": SESSION})
    assert await store.claim("a", "7") is None
    assert await store.claim("a", "") is None


async def test_it_does_not_bring_a_claimed_session_back_while_its_old_socket_goes_on():
    now = 0.0
    memory = MemorySessions(600, clock=lambda: now)
    await memory.save({"a": SESSION})
    await memory.claim("a", "7")
    now = 500.0
    await memory.save({"a": SESSION})
    now = 1000.0
    await memory.save({"a": SESSION})
    assert await memory.claim("a", "7") is None


async def test_it_does_not_bring_a_claimed_session_back_in_redis_while_its_old_socket_goes_on():
    async with open_redis(600) as store:
        await store.save({"a": SESSION})
        await store.claim("a", "7")
        await store._client.pexpire(f"{store._prefix}a", 100_000)  # as if 500 s had passed
        await store.save({"a": SESSION})
        assert await store._client.pttl(f"{store._prefix}a") > 500_000
        assert await store.claim("a", "7") is None


async def test_it_forgets_after_a_while():
    now = 0.0
    memory = MemorySessions(600, clock=lambda: now)
    await memory.save({"a": SESSION, "b": SESSION})
    now = 300.0
    await memory.save({"b": SESSION})
    now = 600.0
    assert await memory.claim("a", "7") is None
    assert await memory.claim("b", "7") == SESSION


async def test_it_lets_redis_forget():
    async with open_redis(600) as store:
        await store.save({"a": SESSION})
        await store.claim("a", "7")
        life = await store._client.pttl(f"{store._prefix}a")
        assert 590_000 < life <= 600_000


async def test_it_says_when_redis_is_away():
    store = RedisSessions("redis://127.0.0.1:1/0", "test:", 600)
    with pytest.raises(SessionsUnavailable):
        await store.save({"a": SESSION})
    with pytest.raises(SessionsUnavailable):
        await store.claim("a", "7")
    await store.close()
