"""What only the store in Redis can get wrong, and whether it behaves like the one in memory."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.conf import Settings
from realtime.presence import open_store
from realtime.presence.memory import MemoryPresence
from realtime.presence.redis import RedisPresence
from realtime.presence.store import Change, StoredStatus, StoreUnavailable
from tests.backends.presence import GRACE, LEASE, PresenceBackend, open_memory, open_redis
from tests.backends.redis_server import REDIS_URL, delete_keys, find_keys, own_redis_prefix
from tests.patience import PATIENCE_SECONDS

USERS = ["1", "2", "3"]
PROCESSES = ["p1", "p2"]
AWAY, HIDDEN = StoredStatus("away", b'{"a":":"}'), StoredStatus("offline", b"")
STEP = st.one_of(
    st.tuples(
        st.just("sync"),
        st.sampled_from(PROCESSES),
        st.dictionaries(st.sampled_from(USERS), st.integers(0, 2), max_size=3),
        st.dictionaries(st.sampled_from(USERS), st.sampled_from([AWAY, HIDDEN]), max_size=2),
    ),
    st.tuples(st.just("renew"), st.sampled_from(PROCESSES)),
    st.tuples(st.just("drop"), st.sampled_from(PROCESSES)),
    st.tuples(st.just("sweep")),
    st.tuples(
        st.just("set_status"),
        st.sampled_from(USERS),
        st.sampled_from(["online", "away", "busy", "offline"]),
        st.sampled_from([b"", b"{}"]),
        st.sampled_from(PROCESSES),
    ),
    st.tuples(st.just("sleep"), st.sampled_from([0.001, 1.0, GRACE - 1, GRACE, LEASE - 1, LEASE])),
)


@pytest.fixture
def prefix() -> Iterator[str]:
    with own_redis_prefix() as made:
        yield made


async def take_step(backend: PresenceBackend, name: str, *args: Any) -> Any:
    """What the step answered and what can be seen after it."""
    if name == "sleep":
        backend.sleep(*args)
        return None
    answer = await getattr(backend.store, name)(*args)
    if name == "sweep":  # users who leave at the same moment may be announced in any order
        answer = sorted(answer, key=lambda change: change.user_id)
    store = backend.store
    visible = (await store.choose_visible(USERS)).user_ids
    seen = await store.page(0, 10), await store.get(USERS), await store.count(), visible
    return answer, *seen, await store.processes(10)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(STEP, max_size=25))
async def test_it_is_like_the_store_in_memory(prefix: str, steps: list[Any]) -> None:
    delete_keys(prefix)
    memory, redis = open_memory(), open_redis(prefix)
    try:
        for step in steps:
            assert await take_step(redis, *step) == await take_step(memory, *step), step
    finally:
        await redis.close()


async def test_one_user_costs_one_round_trip(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = open_redis(prefix)
    store = redis.store
    assert isinstance(store, RedisPresence)
    sent: list[str] = []
    execute = store._client.execute_command

    async def count_command(name: str, *args: Any, **options: Any) -> Any:
        sent.append(name)
        return await execute(name, *args, **options)

    for calls in range(2):  # the first round may have to bring the scripts to the server
        sent.clear()
        monkeypatch.setattr(store._client, "execute_command", execute if not calls else count_command)
        await store.sync("p1", {"7": 1})
        await store.get(["7"])
        await store.page(0, 100)
        await store.count()
        await store.census()
        await store.choose_visible(["7"])
    assert sent == ["EVALSHA", "EVALSHA", "EVALSHA", "ZCARD", "EVALSHA", "EVALSHA"]
    await redis.close()


async def test_nothing_is_left_of_those_who_are_gone(prefix: str) -> None:
    redis = open_redis(prefix)
    await redis.store.sync("p1", {"7": 1, "8": 1})
    await redis.store.set_status("7", "away", b"{}")
    await redis.store.sync("p1", {"8": 0})
    await redis.store.drop("p1")
    redis.sleep(GRACE)
    await redis.store.sweep()
    # The next change has a number that was not used before.
    assert find_keys(prefix) == [f"{prefix}sequence".encode()]
    await redis.close()


async def test_no_number_is_used_again_when_redis_has_lost_its_data(prefix: str) -> None:
    redis = open_redis(prefix)
    for _ in range(3):
        before = (await redis.store.sync("p1", {"7": 1})).version
        delete_keys(prefix)
        assert await redis.store.census() == (0, 0)
        with contextlib.suppress(StoreUnavailable):
            await redis.store.sweep()  # which tries whether Redis takes reports
        after = await redis.store.sync("p1", {"7": 1, "8": 1})
        assert [change.version for change in after.arrived] == [after.version - 1, after.version]
        assert after.version - 1 > before
    await redis.close()


async def test_numbers_go_on_where_an_earlier_version_of_the_scripts_stopped(prefix: str) -> None:
    redis = open_redis(prefix)
    assert isinstance(redis.store, RedisPresence)
    await redis.store._client.set(f"{prefix}sequence", 37)
    result = await redis.store.sync("p1", {"7": 1, "8": 1})
    assert [change.version for change in result.arrived] == [38, 39]
    assert await redis.store.page(0, 9) == await redis.store.page(0, 2)
    await redis.close()


async def eventually(found: Callable[[], Awaitable[Any]]) -> Any:
    """The first answer that is not empty."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (answer := await found()):  # noqa: ASYNC110 (the store has no event for it)
            await asyncio.sleep(0.01)
    return answer


async def test_without_a_clock_the_time_is_the_servers(prefix: str) -> None:
    patient, store = (RedisPresence(REDIS_URL, prefix, lease_seconds=s, grace_seconds=s) for s in (60, 0.05))
    await patient.sync("p1", {"7": 1})
    assert await patient.sweep() == []
    await store.sync("p1", {"7": 1})
    assert await eventually(store.sweep) == [Change("7", "offline")]
    await patient.close()
    await store.close()


async def test_an_unreachable_server_is_one_error() -> None:
    store = RedisPresence("redis://127.0.0.1:1", "test:", lease_seconds=1, grace_seconds=1)
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: store.sync("p1", {"7": 1}),
        lambda: store.renew("p1"),
        lambda: store.drop("p1"),
        store.sweep,
        lambda: store.set_status("7", "away", b""),
        store.count,
        store.census,
        lambda: store.choose_visible(["7"]),
        lambda: store.page(0, 10),
        lambda: store.get(["7"]),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            await call()
    await store.close()


async def test_who_was_removed_before_the_connection_broke_is_returned(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = open_redis(prefix)
    store = redis.store
    assert isinstance(store, RedisPresence)
    await store.sync("p1", {str(number): 1 for number in range(1_500)})
    await store.drop("p1")
    redis.sleep(GRACE)
    run, runs = store._run, iter([True])

    async def run_once(*args: Any) -> Any:
        if next(runs, False):
            return await run(*args)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "_run", run_once)
    assert len(await store.sweep()) == 1_000
    with pytest.raises(StoreUnavailable):
        await store.sweep()
    monkeypatch.undo()
    assert len(await store.sweep()) == 500
    await redis.close()


async def test_who_was_removed_without_an_answer_is_in_the_next_one(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis hung, and removed them when it went on."""
    redis = open_redis(prefix)
    store = redis.store
    assert isinstance(store, RedisPresence)
    start = (await store.sync("p1", {"7": 1, "8": 1})).version
    run = store._run

    async def run_unanswered(*args: Any) -> Any:
        await run(*args)
        raise StoreUnavailable("It does not answer")

    for user in ("7", "8"):
        await store.sync("p1", {user: 0})
        redis.sleep(GRACE)
        with monkeypatch.context() as patch:
            patch.setattr(store, "_run", run_unanswered)
            with pytest.raises(StoreUnavailable):
                await store.sweep()
    assert await redis.other.sweep() == []
    gone = await store.sweep()
    assert [(change.user_id, change.version) for change in gone] == [("7", start + 1), ("8", start + 2)]
    assert await store.sweep() == []
    await redis.close()


async def test_those_who_wait_for_a_hanging_server_fail_together(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.presence.redis.SOCKET_TIMEOUT_SECONDS", 0.02)
    redis = open_redis(prefix)
    store = redis.store
    assert isinstance(store, RedisPresence)
    async with store._turn:  # as held by a sync without an answer
        answers = await asyncio.gather(*(store.sync("p1", {"7": 1}) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 5
    assert (await store.sync("p1", {"7": 1})).online_count == 1
    await redis.close()


async def test_the_settings_choose_the_backend() -> None:
    assert isinstance(open_store(Settings()), MemoryPresence)
    store = open_store(Settings(redis_url="redis://localhost"))
    assert isinstance(store, RedisPresence)
    await store.close()


async def test_a_delayed_sync_does_not_overwrite_a_later_one(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = open_redis(prefix)
    store = redis.store
    assert isinstance(store, RedisPresence)
    run, delays = store._run, iter([0.02])

    async def run_late(*args: Any) -> Any:
        await asyncio.sleep(next(delays, 0))  # the first call is the slow one
        return await run(*args)

    monkeypatch.setattr(store, "_run", run_late)
    await asyncio.gather(store.sync("p1", {"7": 1}), store.sync("p1", {"7": 0}))
    assert (await store.get(["7"]))["7"].connections == 0
    await redis.close()
