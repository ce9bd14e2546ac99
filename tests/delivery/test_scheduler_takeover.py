"""Functions of topics: which of all processes calls them, and what becomes of them when it goes."""

import asyncio
import contextlib

import pytest

from realtime.protocol import topics
from tests.backends.leases import open_leases
from tests.clients.socket import until
from tests.delivery.topic_processes import LONG, SHORT, Process, data_of, declare, has
from tests.patience import PATIENCE_SECONDS
from tests.settings import REALTIME

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_topics")]
LEASE = float(REALTIME["TOPIC_LEASE_SECONDS"])


@pytest.fixture(params=["memory", "redis"])
async def leases(request):
    async with open_leases(request.param) as leases:
        yield leases


@pytest.fixture
async def processes(leases):
    """Two that hear each other. Their beats are in the test's hand."""
    here, there = Process(leases.store), Process(leases.other)
    here.hub.bus.publish, there.hub.bus.publish = there.hub.take, here.hub.take
    yield here, there
    await here.scheduler.stop()
    await there.scheduler.stop()


async def test_one_of_all_processes_calls_it(processes):
    here, there = processes
    values = declare()
    (_, socket), (_, other) = await here.subscribe(), await there.subscribe()
    for _ in range(3):
        await asyncio.gather(here.scheduler.beat(), there.scheduler.beat())
    await other.until(has(other, 5))
    await socket.until(has(socket, 5))
    assert sorted(set(data_of(socket))) == data_of(socket) == values[: len(socket.frames)]
    assert len(here.scheduler._held) + len(there.scheduler._held) == 1


async def test_another_takes_over_from_a_process_that_died(processes, leases):
    here, there = processes
    declare()
    await here.subscribe()
    await until(lambda: here.scheduler._held)
    _, survivor = await there.subscribe()
    await survivor.until(has(survivor, 1))
    here.die()
    leases.sleep(LEASE / 2)  # Redis's own clock goes on meanwhile
    await there.scheduler.beat()
    assert not there.scheduler._held
    leases.sleep(LEASE / 2)
    count = len(survivor.frames)
    await there.scheduler.beat()
    await survivor.until(has(survivor, count + 2))


async def test_another_goes_on_at_once_when_a_process_stops(processes):
    here, there = processes
    declare()
    await here.subscribe()
    await until(lambda: here.scheduler._held)
    _, survivor = await there.subscribe()
    await here.scheduler.stop()
    await there.scheduler.beat()
    count = len(survivor.frames)
    await survivor.until(has(survivor, count + 2))


async def test_a_process_gives_back_what_nobody_there_wants(processes):
    here, there = processes
    declare()
    connection, _ = await here.subscribe()
    await until(lambda: here.scheduler._held)
    _, other = await there.subscribe()
    here.hub.unregister(connection)
    await here.scheduler.beat()
    await there.scheduler.beat()
    assert (set(here.scheduler._held), set(there.scheduler._held)) == (set(), {"metrics"})
    count = len(other.frames)
    await other.until(has(other, count + 2))


async def test_the_next_one_keeps_the_pace(processes):
    here, there = processes
    values = declare(every=LONG)
    _, socket = await here.subscribe()
    await socket.until(has(socket, 1))
    _, other = await there.subscribe()
    await here.scheduler.stop()
    await there.scheduler.beat()
    assert there.scheduler._held
    assert data_of(other) == values == [1]


async def test_it_stops_when_its_lease_went_to_another(processes, leases):
    here, there = processes
    declare()
    await here.subscribe()
    await until(lambda: here.scheduler._held)
    await there.subscribe()
    leases.sleep(LEASE)  # it was asleep, as it were
    await there.scheduler.beat()
    await here.scheduler.beat()
    assert (set(here.scheduler._held), set(there.scheduler._held)) == (set(), {"metrics"})
    assert here.scheduler._schedules == {}


async def test_a_slow_function_keeps_its_lease(processes, leases):
    here, there = processes
    begun, end = asyncio.Event(), asyncio.Event()

    async def wait():
        begun.set()
        await end.wait()
        return "at last"

    topics.topic("metrics", every=SHORT)(wait)
    _, socket = await here.subscribe()
    await begun.wait()
    await there.subscribe()
    for _ in range(3):
        leases.sleep(LEASE / 2)
        await here.scheduler.beat()
        await there.scheduler.beat()
    assert (set(here.scheduler._held), set(there.scheduler._held)) == ({"metrics"}, set())
    end.set()
    await socket.until(has(socket, 1))
    assert data_of(socket)[0] == "at last"


async def test_a_process_that_stood_still_replaces_no_newer_value(processes, leases):
    """It stood still while the function was at work, and goes on before it knows that its lease has ended."""
    here, there = processes
    calls, end = iter(["old", "new"]), asyncio.Event()

    async def find():
        value = next(calls)
        if value == "old":
            await end.wait()
        return value

    topics.topic("metrics", every=LONG)(find)
    _, socket = await here.subscribe()
    await until(lambda: "metrics" in here.scheduler._called)
    _, other = await there.subscribe()
    leases.sleep(LEASE)
    await there.scheduler.beat()
    await other.until(has(other, 1))
    schedule = here.scheduler._schedules["metrics"]
    here.scheduler._held["metrics"] = here.hub.loop.time() - 1
    end.set()
    await asyncio.wait([schedule], timeout=PATIENCE_SECONDS)
    assert data_of(socket) == data_of(other) == ["new"]
    assert here.scheduler._schedules == {}


async def test_a_value_that_came_late_is_sent_if_nobody_has_taken_over(processes):
    here, _there = processes
    begun, end = asyncio.Event(), asyncio.Event()

    async def wait():
        begun.set()
        await end.wait()
        return "at last"

    topics.topic("metrics", every=LONG)(wait)
    _, socket = await here.subscribe()
    await begun.wait()
    here.scheduler._held["metrics"] = here.hub.loop.time() - 1
    end.set()
    await socket.until(has(socket, 1))
    assert data_of(socket) == ["at last"]
    assert "metrics" in here.scheduler._schedules


async def test_a_schedule_that_loses_its_cancellation_ends_when_another_takes_its_place(processes, leases):
    """What redis-py does on Python 3.11 when a cancellation meets an answer: two schedules called the function."""
    here, _there = processes
    begun = asyncio.Event()

    async def ask_redis():
        if not begun.is_set():
            begun.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    topics.topic("metrics", every=SHORT)(ask_redis)
    await here.subscribe()
    await begun.wait()
    first = here.scheduler._schedules["metrics"]
    leases.sleep(LEASE)
    assert await leases.other.acquire("topic:metrics", "another", LEASE)
    await here.scheduler.beat()
    await leases.other.release("topic:metrics", "another")
    await here.scheduler.beat()
    assert here.scheduler._schedules["metrics"] is not first
    done, _ = await asyncio.wait([first], timeout=PATIENCE_SECONDS)
    assert done
