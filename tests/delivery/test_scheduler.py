"""Functions of topics, called on time, in one process."""

import asyncio
import logging
import threading
from functools import partial

import pytest

from realtime.conf import settings
from realtime.models import Event
from realtime.protocol import topics
from realtime.storage import database
from realtime.storage.leases.store import LeasesUnavailable
from tests.backends.leases import open_memory
from tests.clients.socket import until
from tests.delivery.topic_processes import LONG, SHORT, Process, data_of, declare, has
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_topics")]


@pytest.fixture
async def alone():
    """One process, with leases in memory."""
    leases = open_memory()
    process = Process(leases.store)
    process.sleep = leases.sleep
    yield process
    await process.scheduler.stop()


async def test_it_calls_the_function_again_and_again(alone):
    values = declare()
    _, socket = await alone.subscribe()
    await socket.until(has(socket, 3))
    assert data_of(socket) == values[: len(socket.frames)]
    first = socket.frames[0]
    assert {**first, "timestamp": ""} == {"type": "topic", "topic": "metrics", "data": 1, "timestamp": ""}


async def test_it_gives_a_first_value_at_once(alone):
    values = declare(every=LONG)
    _, socket = await alone.subscribe()
    await socket.until(has(socket, 1))
    _, late = await alone.subscribe()
    assert data_of(late) == [1]  # the newest there is: nothing is called for it
    assert values == [1]


async def test_it_calls_nothing_while_nobody_is_subscribed(alone):
    values = declare()
    await alone.scheduler.beat()
    connection, socket = await alone.subscribe()
    await socket.until(has(socket, 1))
    alone.hub.unsubscribe(connection, "topic.metrics")
    await until(alone.scheduler._schedules["metrics"].done)
    count = len(values)
    await alone.scheduler.beat()
    assert (alone.scheduler._held, alone.scheduler._schedules, len(values)) == ({}, {}, count)


async def test_it_is_not_called_more_often_by_who_comes_and_goes(alone):
    values = declare(every=LONG)
    for _ in range(20):
        connection, socket = await alone.subscribe()
        await socket.until(has(socket, 1))
        await alone.scheduler.beat()
        alone.hub.unsubscribe(connection, "topic.metrics")
        await alone.scheduler.beat()
    assert values == [1]


async def test_it_stops_when_it_cannot_renew_in_time_and_goes_on_later(alone, monkeypatch):
    values = declare()
    _, socket = await alone.subscribe()
    await socket.until(has(socket, 1))
    acquire = alone.scheduler._leases.acquire

    async def fail(*args):
        raise LeasesUnavailable("away")

    monkeypatch.setattr(alone.scheduler._leases, "acquire", fail)
    ends = alone.scheduler._held["metrics"]
    await alone.scheduler.beat()
    assert alone.scheduler._held["metrics"] == ends
    alone.scheduler._held["metrics"] = 0.0  # that time has come
    await until(alone.scheduler._schedules["metrics"].done)
    count = len(values)
    monkeypatch.setattr(alone.scheduler._leases, "acquire", acquire)
    await alone.scheduler.beat()
    await until(lambda: len(values) > count)


async def test_it_goes_on_after_a_failure(alone, caplog):
    turns = iter([ValueError("broken"), None, object(), "x" * 1_048_576, "fine"])

    def fail_first():
        result = next(turns, "fine")
        if isinstance(result, Exception):
            raise result
        return result

    topics.topic("metrics", every=SHORT)(fail_first)
    _, socket = await alone.subscribe()
    await socket.until(lambda: "fine" in data_of(socket))
    assert caplog.text.count("The function of the topic metrics failed") == 3  # raised, no JSON, too large
    assert None not in data_of(socket)  # nothing to send


async def test_it_waits_for_a_database_that_is_away(alone, caplog, monkeypatch):
    values = declare(durable=True)
    real, left = database.run, iter(range(2))

    async def run(function, *args):
        if next(left, None) is not None:
            raise database.DatabaseUnavailable
        return await real(function, *args)

    monkeypatch.setattr("realtime.delivery.scheduler.run", run)
    _, socket = await alone.subscribe()
    assert await socket.until_seq(1) == [1]
    assert data_of(socket)[0] == 3 <= len(values)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_it_calls_synchronous_functions_on_database_threads(alone):
    threads = {}

    def note(name):
        threads[name] = threading.current_thread().name
        return Event.objects.count()

    topics.topic("sync", every=LONG)(partial(note, "sync"))
    _, socket = await alone.subscribe("sync")
    await socket.until(has(socket, 1))
    assert threads["sync"].startswith("realtime-db")


async def test_it_awaits_a_function_whose_decorator_hides_that_it_is_asynchronous(alone):
    """Its coroutine was taken for the value, which JSON lacks."""

    async def count():
        return 1

    def decorated():
        return count()

    topics.topic("metrics", every=LONG)(decorated)
    _, socket = await alone.subscribe()
    await socket.until(has(socket, 1))
    assert data_of(socket) == [1]


async def test_it_stores_values_of_a_durable_topic(alone):
    declare(durable=True)
    _, socket = await alone.subscribe()
    assert (await socket.until_seq(3))[:3] == [1, 2, 3]
    assert data_of(socket)[:3] == [1, 2, 3]
    assert socket.frames[0]["stream"] == "topic.metrics"


async def test_it_sends_a_frame_of_the_functions_own(alone):
    topics.topic("metrics", every=LONG)(lambda: {"type": "load", "cpu": 0.5})
    topics.topic("plain", every=LONG)(lambda: {"cpu": 0.5})
    for name, wanted in (("metrics", {"type": "load", "cpu": 0.5}), ("plain", {"cpu": 0.5})):
        _, socket = await alone.subscribe(name)
        await socket.until(has(socket, 1))
        assert socket.frames[0].get("data", socket.frames[0]) == wanted


@pytest.mark.parametrize("error", [SystemExit, StopIteration])
@pytest.mark.parametrize("is_async", [False, True])
async def test_it_goes_on_after_what_would_end_the_loop(alone, caplog, error, is_async):
    """`sys.exit` in a topic's function ended the process."""
    turns = iter([True])

    def fail_first():
        if next(turns, False):
            raise error("now")
        return "fine"

    async def fail_first_too():
        return fail_first()

    topics.topic("metrics", every=SHORT)(fail_first_too if is_async else fail_first)
    _, socket = await alone.subscribe()
    await socket.until(has(socket, 1))
    assert data_of(socket)[0] == "fine"
    assert caplog.text.count("The function of the topic metrics failed") == 1


@pytest.fixture
def hanging():
    """A function that waits until the test ends, and the threads that wait in it."""
    release, threads = threading.Event(), []

    def hang():
        threads.append(threading.current_thread().name)
        assert release.wait(PATIENCE_SECONDS)

    yield hang, threads
    release.set()


async def test_a_function_that_hangs_holds_one_thread_whoever_comes_and_goes(alone, hanging):
    """Each new subscription called it again, until no database thread was left for anything else."""
    hang, threads = hanging
    topics.topic("metrics", every=SHORT)(hang)
    for _ in range(3):
        connection, _socket = await alone.subscribe()
        await until(lambda: threads and not alone.scheduler._waking)
        await asyncio.sleep(2 * SHORT)
        alone.hub.unsubscribe(connection, "topic.metrics")
        await alone.scheduler.beat()
    assert len(threads) == 1


async def test_functions_that_hang_leave_a_thread_for_the_sockets(alone, hanging):
    hang, threads = hanging
    count = settings().database_threads
    for n in range(count + 1):
        topics.topic(f"hanging-{n}", every=SHORT)(partial(hang))
        await alone.subscribe(f"hanging-{n}")
    await until(lambda: len(threads) == count - 1)
    assert await asyncio.wait_for(database.run(Event.objects.count), PATIENCE_SECONDS) == 0
    assert len(threads) == count - 1
