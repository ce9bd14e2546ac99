"""Periodic work of other apps, each job done by one process of all. Registered through `integration`, run by the node.

A job has a thread of its own while it runs, because it may take long: the database threads are left to the sockets.
"""

import asyncio
import logging
import secrets
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial

from django.db import InterfaceError, OperationalError, connections

from realtime.storage import database
from realtime.storage.leases.store import LeaseStore, LeasesUnavailable

logger = logging.getLogger(__name__)

# How long a process that stops waits for the job that it is running. What is left undone, another process does.
PATIENCE_SECONDS = 5

_stopping: ContextVar[threading.Event] = ContextVar("stopping")


@dataclass(frozen=True, slots=True)
class Job:
    """`every_seconds` is asked when a process starts; if it is 0 then, the process does not run the job."""

    name: str
    function: Callable[[], object]
    every_seconds: Callable[[], float]
    claims_itself: bool = False


_jobs: dict[str, Job] = {}


def register_job(
    name: str, function: Callable[[], object], every_seconds: Callable[[], float], *, claims_itself: bool = False
) -> None:
    """Let one of the processes that serve sockets call the synchronous `function` every so many seconds.

    Call this in `AppConfig.ready()`. A call that takes longer than that may overlap with one in another process. While
    Redis is away, nobody calls it; with `claims_itself`, every process does, and `function` has to decide which of
    them does the work.
    """
    _jobs[name] = Job(name, function, every_seconds, claims_itself)


def count_jobs() -> int:
    """How many of them may run at the same time, each with a connection to the database."""
    return len(_jobs)


def find_periods() -> list[tuple[Job, float]]:
    """The jobs that processes run, and how often. Raises what an app says of its settings, which may be wrong."""
    timed = [(job, job.every_seconds()) for job in _jobs.values()]
    return [(job, seconds) for job, seconds in timed if seconds]


def is_stopping() -> bool:
    """Whether the process stops, so that the job that asks should end soon. False outside of a job."""
    event = _stopping.get(None)
    return event is not None and event.is_set()


@dataclass(frozen=True, slots=True)
class DueJob:
    """What the clock calls for a job, and how the log names it."""

    runner: "Runner"
    job: Job

    async def __call__(self) -> None:
        await self.runner.run_if_due(self.job)

    def __str__(self) -> str:
        return f"The job {self.job.name}"


class Runner:
    """Runs the jobs in this process, when no other process has done so recently."""

    def __init__(self, leases: LeaseStore) -> None:
        self._leases = leases
        self._event = threading.Event()
        self._running: set[asyncio.Future[None]] = set()

    def periods(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        """For the clock: how often it is to call what."""
        return [(seconds, DueJob(self, job)) for job, seconds in find_periods()]

    async def run_if_due(self, job: Job) -> None:
        """Run the job, unless any process began to do so less than its period ago. Raises what the job raises."""
        try:
            # The lease has a random owner and is never released: it only marks the time until the next run.
            if not await self._leases.acquire(f"job.{job.name}", secrets.token_hex(8), job.every_seconds()):
                return
        except LeasesUnavailable as error:
            if not job.claims_itself:
                logger.debug("The job %s is postponed, the leases are unavailable: %s", job.name, error)
                return
        running = asyncio.ensure_future(self._run(job))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        await asyncio.shield(running)  # the clock may be stopped before the job ends

    async def stop(self) -> None:
        """Ask the job that is running to end, and wait for it, but not for long."""
        self._event.set()
        if self._running:
            _, left = await asyncio.wait(self._running, timeout=PATIENCE_SECONDS)
            if left:
                logger.warning("The process ends in the middle of a job")

    async def _run(self, job: Job) -> None:
        try:
            if database.stand_in is not None:
                await database.run(self._call, job)
            else:
                await _on_own_thread(partial(self._call, job))
        except (OperationalError, InterfaceError) as error:
            raise database.DatabaseUnavailable from error

    def _call(self, job: Job) -> None:
        token = _stopping.set(self._event)
        try:
            job.function()
        finally:
            _stopping.reset(token)


async def _on_own_thread(work: Callable[[], None]) -> None:
    """Call `work` on a thread that does not keep the process alive: what must not be lost is in the database."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(database.tame(error))

    def call() -> None:
        failure: BaseException | None = None
        try:
            work()
        except BaseException as error:
            failure = error
        connections.close_all()
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, failure)

    threading.Thread(target=call, name="realtime-job", daemon=True).start()
    await done
