"""Periodic jobs: one process of all runs them, on a thread of its own, and a process that stops does not wait long."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, connections

from project.asgi import application
from realtime.delivery import clock as clock_module
from realtime.integration import is_stopping, register_job
from realtime.sockets import node
from realtime.sockets.node import get_node, stop_node
from realtime.storage import jobs
from realtime.storage.database import DatabaseUnavailable
from realtime.storage.jobs import Job, Runner
from realtime.storage.leases.memory import MemoryLeases
from realtime.storage.leases.store import LeasesUnavailable
from realtime.testing import other_process
from tests.backends.presence import Clock
from tests.clients.socket import until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the jobs that the test registers exist."""
    monkeypatch.setattr(jobs, "_jobs", {})


def every_minute() -> float:
    return 60


class Processes:
    """Two processes with the same leases, and a job that notes who calls it."""

    def __init__(self, function: Callable[[], object] | None = None) -> None:
        self.calls: list[str] = []
        self.clock = Clock()
        self.leases = MemoryLeases(self.clock)
        self.runners = [Runner(self.leases), Runner(self.leases)]
        self.job = Job("count", function or self.note, every_minute)

    def note(self) -> None:
        self.calls.append(threading.current_thread().name)

    async def run(self, number: int = 0) -> int:
        """Let a process try; returns how many calls there were so far."""
        await self.runners[number].run_if_due(self.job)
        return len(self.calls)


async def test_one_process_of_all_runs_a_job_once_in_its_period() -> None:
    processes = Processes()
    assert await processes.run(0) == 1
    assert await processes.run(1) == await processes.run(0) == 1
    processes.clock.sleep(59)
    assert await processes.run(1) == 1
    processes.clock.sleep(1)
    assert await processes.run(1) == 2
    assert await processes.run(0) == 2


async def test_it_leaves_the_database_threads_alone() -> None:
    processes = Processes()
    await processes.run()
    assert processes.calls == ["realtime-job"]


async def test_its_thread_keeps_no_connection() -> None:
    opened: list[Any] = []

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        opened.append(connections["default"])
        assert opened[0].connection is not None

    await Processes(ask).run()
    assert opened[0].connection is None


async def test_it_waits_for_leases_that_are_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: Any) -> bool:
        raise LeasesUnavailable("away")

    processes = Processes()
    monkeypatch.setattr(processes.leases, "acquire", fail)
    assert await processes.run() == 0
    # The job decides by itself which of the processes does the work.
    processes.job = replace(processes.job, claims_itself=True)
    assert [await processes.run(0), await processes.run(1)] == [1, 2]


async def test_a_database_that_is_away_is_no_fault_of_the_job() -> None:
    def fail() -> None:
        raise OperationalError("away")

    with pytest.raises(DatabaseUnavailable):
        await Processes(fail).run()


async def test_what_a_job_raises_is_raised() -> None:
    def fail() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await Processes(fail).run()


async def test_the_log_names_a_job_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The traceback was headed `functools.partial(<bound method …`."""

    def fail() -> None:
        raise RuntimeError("broken")

    register_job("count", fail, lambda: 0.001)
    clock = clock_module.Clock(on_heartbeat=lambda _connection: None)
    clock.start(Runner(MemoryLeases()).periods())
    await until(lambda: caplog.records)
    await clock.stop()
    assert caplog.messages[0] == "The job count failed"


async def test_a_process_that_stops_asks_its_job_to_end(caplog: pytest.LogCaptureFixture) -> None:
    begun = threading.Event()
    ended = threading.Event()

    def work_long() -> None:
        begun.set()
        while not is_stopping():
            threading.Event().wait(0.001)
        ended.set()

    processes = Processes(work_long)
    running = asyncio.create_task(processes.run())
    await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
    running.cancel()  # as the clock does
    await processes.runners[0].stop()
    assert ended.is_set()
    assert not caplog.records
    assert not is_stopping()


async def test_it_does_not_wait_for_a_job_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jobs, "PATIENCE_SECONDS", 0.01)
    begun, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        go_on.wait(PATIENCE_SECONDS)

    processes = Processes(hang)
    running = asyncio.create_task(processes.run())
    await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
    with caplog.at_level(logging.WARNING):
        await processes.runners[0].stop()
    assert "in the middle of a job" in caplog.text
    go_on.set()
    await running


def test_a_job_that_is_switched_off() -> None:
    register_job("on", print, every_minute)
    register_job("off", print, lambda: 0)
    assert [seconds for seconds, _ in Runner(MemoryLeases()).periods()] == [60]


async def test_the_clock_of_a_process_runs_what_is_registered() -> None:
    done = threading.Event()
    register_job("soon", done.set, lambda: 0.001)
    get_node()
    assert await asyncio.to_thread(done.wait, PATIENCE_SECONDS)
    await stop_node()


def wrong() -> float:
    raise ImproperlyConfigured("a setting of the app is wrong")


async def test_a_process_does_not_begin_with_a_job_whose_period_nobody_knows() -> None:
    """Half of its parts ran: sockets were greeted, and no clock sent heartbeats or ended their tokens."""
    register_job("wrong", print, wrong)
    for _ in range(2):
        with pytest.raises(ImproperlyConfigured):
            get_node()
    assert asyncio.get_running_loop() not in node._nodes


@pytest.mark.parametrize("error", [None, ImproperlyConfigured("a setting of the app is wrong")])
async def test_the_server_hears_whether_the_process_can_begin(error: Exception | None) -> None:
    """One that raises counts, for some servers, as an application that knows nothing of starts, and is served."""
    if error is not None:
        register_job("wrong", print, wrong)
    asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    living = asyncio.create_task(application({"type": "lifespan"}, asked.get, answers.put))
    await asked.put({"type": "lifespan.startup"})
    answer = await asyncio.wait_for(answers.get(), PATIENCE_SECONDS)
    if error is not None:
        assert answer == {"type": "lifespan.startup.failed", "message": str(error)}
    else:
        assert answer == {"type": "lifespan.startup.complete"}
        await asked.put({"type": "lifespan.shutdown"})
        assert await asyncio.wait_for(answers.get(), PATIENCE_SECONDS) == {"type": "lifespan.shutdown.complete"}
    await asyncio.wait_for(living, PATIENCE_SECONDS)


async def test_in_the_tests_of_a_site_it_sees_their_data(alice: Any) -> None:
    found: list[int] = []

    def count_users() -> None:
        found.append(type(alice).objects.count())

    async with other_process() as other:
        await other.node.jobs.run_if_due(Job("count", count_users, every_minute))
    assert found == [1]


@pytest.mark.parametrize("error", [SystemExit, StopIteration])
async def test_what_a_job_raises_harms_neither_the_loop_nor_who_waits(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error("a function of the site")

    with pytest.raises(RuntimeError, match=error.__name__):
        await asyncio.wait_for(Processes(fail).run(), PATIENCE_SECONDS)
