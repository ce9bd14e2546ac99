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
LATER = Session("7", {"user.7": 4})
OTHER = Session("7", {"user.7": 5})


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
    assert await store.claim("a", "7", "b") == SESSION


async def test_it_answers_anybody_else_as_if_there_were_none(store):
    await store.save({"a": SESSION})
    assert await store.claim("a", "8", "foreign") is None
    assert await store.claim("b", "7", "foreign") is None
    assert await store.claim("foreign", "8", "c") is None
    assert await store.claim("a", "7", "c") == SESSION


async def test_a_successor_can_be_claimed_from_the_first_moment(store):
    """The process of the new socket may be killed before it saves anything."""
    await store.save({"a": SESSION})
    await store.claim("a", "7", "b")
    assert await store.claim("b", "7", "c") == SESSION
    assert await store.claim("b", "8", "d") is None


async def test_it_gives_a_session_again_until_its_successor_is_confirmed(store):
    await store.save({"a": SESSION})
    for successor in ("b", "c"):
        assert await store.claim("a", "7", successor) == SESSION
    await store.save({"c": LATER})
    await store.give_up({"a": "c"})
    assert await store.claim("a", "7", "d") is None
    assert await store.claim("d", "7", "e") is None
    assert await store.claim("c", "7", "e") == LATER


async def test_the_latest_claim_decides(store):
    """The socket of an earlier claim, half dead, confirms late: the client is about to come back with the old id."""
    await store.save({"a": SESSION, "b": SESSION})
    await store.claim("a", "7", "first")
    await store.claim("a", "7", "second")
    await store.give_up({"a": "first", "b": "first", "unknown": "first"})
    assert await store.claim("a", "7", "third") == SESSION
    assert await store.claim("b", "7", "other") == SESSION
    assert await store.claim("unknown", "7", "other") is None


async def test_claims_do_not_share_their_positions(store):
    """Neither the old socket nor the other claim changes what a successor has saved."""
    await store.save({"a": SESSION})
    await store.claim("a", "7", "b")
    await store.claim("a", "7", "c")
    await store.save({"b": LATER})
    await store.save({"a": OTHER})
    assert await store.claim("b", "7", "d") == LATER
    assert await store.claim("c", "7", "e") == SESSION
    assert await store.claim("a", "7", "f") == OTHER


async def test_claims_at_the_same_moment_all_get_it(store):
    await store.save({"a": SESSION})
    assert await asyncio.gather(*(store.claim("a", "7", f"b{n}") for n in range(5))) == [SESSION] * 5


async def test_it_keeps_what_was_saved_last(store):
    await store.save({"a": SESSION, "b": SESSION})
    await store.save({"a": LATER})
    assert await store.claim("a", "7", "c") == LATER
    assert await store.claim("b", "7", "d") == SESSION


async def give_up(store, id):
    await store.claim(id, "7", "successor")
    await store.give_up({id: "successor"})


async def test_it_does_not_bring_a_session_back_that_was_given_up(store):
    await store.save({"a": SESSION})
    await give_up(store, "a")
    await store.save({"a": SESSION})
    assert await store.claim("a", "7", "b") is None
    assert await store.claim("a", "", "b") is None
    await store.give_up({"a": ""})
    assert await store.claim("a", "7", "b") is None


async def test_it_does_not_bring_a_session_back_while_its_old_socket_goes_on():
    now = 0.0
    memory = MemorySessions(600, clock=lambda: now)
    await memory.save({"a": SESSION})
    await give_up(memory, "a")
    now = 500.0
    await memory.save({"a": SESSION})
    now = 1000.0
    await memory.save({"a": SESSION})
    assert await memory.claim("a", "7", "b") is None


async def test_it_does_not_bring_a_session_back_in_redis_while_its_old_socket_goes_on():
    async with open_redis(600) as store:
        await store.save({"a": SESSION})
        await give_up(store, "a")
        await store._client.pexpire(f"{store._prefix}a", 100_000)  # as if 500 s had passed
        await store.save({"a": SESSION})
        assert await store._client.pttl(f"{store._prefix}a") > 500_000
        assert await store.claim("a", "7", "b") is None


async def test_it_forgets_after_a_while():
    now = 0.0
    memory = MemorySessions(600, clock=lambda: now)
    await memory.save({"a": SESSION, "b": SESSION})
    now = 300.0
    await memory.save({"b": SESSION})
    now = 600.0
    assert await memory.claim("a", "7", "c") is None
    assert await memory.claim("b", "7", "d") == SESSION
    now = 1200.0
    assert await memory.claim("d", "7", "e") is None


async def test_it_lets_redis_forget():
    async with open_redis(600) as store:
        await store.save({"a": SESSION})
        await store.claim("a", "7", "b")
        for id in ("a", "b"):
            assert 590_000 < await store._client.pttl(f"{store._prefix}{id}") <= 600_000
        await store.give_up({"a": "b"})
        assert 590_000 < await store._client.pttl(f"{store._prefix}a") <= 600_000


async def test_it_says_when_redis_is_away():
    store = RedisSessions("redis://127.0.0.1:1/0", "test:", 600)
    with pytest.raises(SessionsUnavailable):
        await store.save({"a": SESSION})
    with pytest.raises(SessionsUnavailable):
        await store.claim("a", "7", "b")
    with pytest.raises(SessionsUnavailable):
        await store.give_up({"a": "b"})
    await store.close()
