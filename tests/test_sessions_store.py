"""The contract of session stores, on both."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from realtime.sessions.memory import MemorySessions
from realtime.sessions.redis import RedisSessions
from realtime.sessions.store import Session, SessionsUnavailable

URL = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
SESSION = Session("7", {"user.7": 3, "room.general": 88})


async def open_redis(life_seconds: float) -> AsyncIterator[Any]:
    prefix = f"test-{secrets.token_hex(6)}:session:"
    client = Redis.from_url(URL, socket_timeout=3, socket_connect_timeout=3)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        message = f"Redis does not answer: {error}"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    store = RedisSessions(URL, prefix, life_seconds)
    yield store
    await store.close()
    async for key in client.scan_iter(match=f"{prefix}*"):
        await client.delete(key)
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    if request.param == "memory":
        yield MemorySessions(600)
        return
    async for opened in open_redis(600):
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
    async for store in open_redis(600):
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
