"""Runs database code for the event loop: a bounded pool of threads, and batches of equal work. Used by all packages.

Each thread keeps its database connection. One that failed is closed, and the next job opens another.
"""

import asyncio
import logging
import select
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any, Generic, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from realtime.conf import settings
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.storage import forks
from realtime.storage.transactions import OutcomeUnknown, retry_conflicts

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")

# Why a synchronous function with an asynchronous twin refuses to be called on an event loop, also in a notebook.
USE_TWIN = "This would block the event loop: await the asynchronous twin instead (the name with an `a` in front)."

_executor: ThreadPoolExecutor | None = None
_opened: set[BaseDatabaseWrapper] = set()  # the threads' connections
# What runs the jobs instead of the threads. Set by `realtime.testing`: a test's own thread sees its transaction.
stand_in: Callable[[Callable[[], Any]], Awaitable[Any]] | None = None
_is_away = False  # since a job has failed because of the database; both are logged once
# In a process that was forked: the threads and connections of its parent, which must not be closed here.
_inherited: list[object] = []


class DatabaseUnavailable(Refused):
    """The database is unavailable. With DATABASE_AWAY, nothing is said about what was to be stored."""

    def __init__(self, reason: Reason = Reason.DATABASE_AWAY) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, reason)


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function(*args, **kwargs)` on a database thread and return its result.

    Raises DatabaseUnavailable, or what the function raises.
    """
    job = partial(_call, function, args, kwargs)
    if stand_in is not None:
        result: T = await stand_in(job)
        return result
    return await asyncio.get_running_loop().run_in_executor(_pool(), _keep_connections, job)


async def finish(answer: Any) -> Any:
    """What a function of the site has returned or, if it is asynchronous, returns in the end."""
    if not isawaitable(answer):
        return answer
    try:
        return await answer
    except SystemExit as error:
        raise tame(error) from error


def tame(error: BaseException) -> Exception:
    """What a function of the site has raised, as an exception that harms nobody but whoever called it.

    `sys.exit` and an interrupt would end the event loop, a cancellation the task that waits, and StopIteration, which
    asyncio cannot pass on, would let that wait for ever.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    tamed = RuntimeError(f"A function raised {error!r}")
    tamed.__cause__ = error
    return tamed


def shutdown() -> None:
    """Wait for running jobs, close the threads' connections and end the threads."""
    global _executor
    forks.notice()
    if _executor is None:
        return
    executor, _executor = _executor, None
    executor.shutdown(wait=True)
    # On a thread, because Django refuses to close a connection on an event loop.
    with ThreadPoolExecutor(1) as closer:
        closer.submit(_close_connections).result()


def _close_connections() -> None:
    while _opened:
        connection = _opened.pop()
        connection.inc_thread_sharing()  # the thread that opened it has ended
        connection.close()


def _pool() -> ThreadPoolExecutor:
    global _executor
    forks.notice()
    if _executor is None:
        _executor = ThreadPoolExecutor(settings().database_threads, thread_name_prefix="realtime-db")
    return _executor


def _leave_to_parent() -> None:
    """Called in a new process: threads are not forked, and connections belong to the parent."""
    global _executor, _opened
    _inherited.extend((_executor, _opened))
    _executor, _opened = None, set()


forks.on_fork(_leave_to_parent)


def _call(function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    try:
        _close_broken()
        result = function(*args, **kwargs)
        if _is_away:
            _note_back()
        return result
    except (OperationalError, InterfaceError) as error:
        _note_away(error)
        unknown = isinstance(error, OutcomeUnknown)
        raise DatabaseUnavailable(Reason.OUTCOME_UNKNOWN if unknown else Reason.DATABASE_AWAY) from error
    except DatabaseUnavailable as error:
        _note_away(error.__cause__)
        raise
    except StopIteration as error:  # whatever thread this is
        raise tame(error) from error


def _note_away(why: object) -> None:
    global _is_away
    if not _is_away:
        _is_away = True
        logger.warning("The database is unavailable: %s", str(why).strip())


def _note_back() -> None:
    """A job has succeeded. One that has left this thread without a connection says nothing about the database."""
    global _is_away
    if any(connection.connection is not None for connection in connections.all(initialized_only=True)):
        _is_away = False
        logger.info("The database is available")


def _close_broken() -> None:
    """Close the thread's connections that PostgreSQL has closed, so that the job opens new ones instead of failing.

    Nothing is asked: on an idle connection nothing arrives but its end. A notice, which is rare, has the same effect.
    """
    for connection in connections.all(initialized_only=True):
        own = connection.connection
        if own is None or connection.vendor != "postgresql" or connection.in_atomic_block:
            continue
        if _has_ended(own):
            own.close()  # first: a pool would take it for a good one, and give it out again
            connection.close()
            if pool := getattr(connection, "pool", None):
                pool.check()  # those that wait in it have ended, too


def _has_ended(own: Any) -> bool:
    """Whether the connection, which is idle, has been closed by PostgreSQL, or has something to read that says so."""
    if own.closed:
        return True
    poll = select.poll()
    poll.register(own.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _keep_connections(job: Callable[[], T]) -> T:
    """Run a job on a thread of the pool, and note the thread's connections."""
    try:
        return job()
    except BaseException as error:
        if (tamed := tame(error)) is error:
            raise
        raise tamed from error
    finally:
        for connection in connections.all(initialized_only=True):
            _opened.add(connection)
            if connection.errors_occurred or not connection.autocommit:
                # Django also closes a connection whose autocommit a function of the site has left off.
                connection.close_if_unusable_or_obsolete()


@dataclass(frozen=True, slots=True)
class ByteLimits(Generic[Item]):
    """For items that may be large: the bytes of one run, and of what may wait. Each takes at least one item."""

    measure: Callable[[Item], int]
    run: int
    waiting: int


class Batcher(Generic[Item, Result]):
    """Collects items while one run is under way; the next run takes all of them. It adds no delay when it is idle.

    `work` runs on a database thread and returns one result or exception per item, in order. If it raises, the batch is
    split in halves, so that one bad item does not fail the others; the order of items is kept. It has one transaction,
    or only reads, because it is called again if that conflicts with another transaction. `after` is called on the
    event loop with the results of a run, before anybody who waits gets one, and `on_unavailable` when the database is
    unavailable. `rest_seconds` is a pause between two runs, for work that costs the same for one item as for fifty and
    can wait that long under load. An item whose future was cancelled before its run is left out.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Sequence[Result | Exception]],
        *,
        limit: int,
        waiting_limit: int = 100_000,
        byte_limits: ByteLimits[Item] | None = None,
        after: Callable[[Sequence[Result | Exception]], None] | None = None,
        on_unavailable: Callable[[DatabaseUnavailable], None] | None = None,
        rest_seconds: float = 0.0,
    ) -> None:
        self._work = retry_conflicts(work)
        self._after = after
        self._on_unavailable = on_unavailable
        self._limit = limit
        self._waiting_limit = waiting_limit
        self._bytes = byte_limits or ByteLimits(lambda item: 0, run=0, waiting=0)
        self._waiting_bytes = 0
        self._rest_seconds = rest_seconds
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._task: asyncio.Task[None] | None = None  # set while items are waiting or running

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Put `item` in the next run. Raises Refused(UNAVAILABLE) when too much is waiting."""
        size = self._bytes.measure(item)
        is_full = len(self._waiting) >= self._waiting_limit or self._waiting_bytes + size > self._bytes.waiting
        # What would wait alone is taken, whatever its size: refused now, it would be refused for ever.
        if self._waiting and is_full:
            raise Refused(ErrorCode.UNAVAILABLE, Reason.TOO_MUCH_WAITING)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        self._waiting_bytes += size
        if self._task is None:
            self._task = loop.create_task(self._run_all())
        return future

    async def drain(self) -> None:
        """Wait until nothing is waiting or under way."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run_all(self) -> None:
        try:
            while batch := self._take_batch():
                await self._run(batch)
                if self._rest_seconds:
                    await asyncio.sleep(self._rest_seconds)
        finally:
            self._task = None

    def _take_batch(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """The items of the next run, without those that nobody waits for any more."""
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        batch_bytes = 0
        while self._waiting and len(batch) < self._limit:
            item, future = self._waiting[0]
            size = self._bytes.measure(item)
            if batch and batch_bytes + size > self._bytes.run and not future.cancelled():
                break
            self._waiting.popleft()
            self._waiting_bytes -= size
            if not future.cancelled():
                batch.append((item, future))
                batch_bytes += size
        return batch

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await run(self._work, [item for item, _ in batch])
        except Exception as error:
            if isinstance(error, DatabaseUnavailable) and self._on_unavailable is not None:
                self._on_unavailable(error)
            if len(batch) == 1 or isinstance(error, DatabaseUnavailable):
                _settle([future for _, future in batch], [error] * len(batch))
                return
            middle = len(batch) // 2
            await self._run(batch[:middle])
            await self._run(batch[middle:])
            return
        # Hand out the results in the loop's next turn: by then the next run already keeps the database busy.
        asyncio.get_running_loop().call_soon(self._give, batch, results)

    def _give(self, batch: list[tuple[Item, asyncio.Future[Result]]], results: Sequence[Result | Exception]) -> None:
        if self._after is not None:
            try:
                self._after(results)
            except Exception:
                # The work is done all the same, so whoever waits still gets the results.
                logger.exception("The results of a batch could not be passed on")
        _settle([future for _, future in batch], results)


def _settle(futures: Sequence[asyncio.Future[Result]], results: Sequence[Result | Exception]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():  # cancelled: nobody waits for it
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
