"""The one edge between the event loop and the database: a bounded thread pool, and gathering of equal work.

Each thread keeps its connection; a connection that failed is closed and the next job opens another.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from realtime.conf import settings
from realtime.protocol.errors import ErrorCode, Reason, Refused

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")

_executor: ThreadPoolExecutor | None = None
_opened: set[BaseDatabaseWrapper] = set()  # the threads' connections


class DatabaseUnavailable(Refused):
    """The database is away: nothing was stored."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, Reason.DATABASE_AWAY)


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(*args, **kwargs)` on a database thread. Raises DatabaseUnavailable, or what the function raises."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_pool(), partial(_call, function, args, kwargs))


def shutdown() -> None:
    """Wait for what is under way, close the threads' connections and end the threads."""
    global _executor
    if _executor is None:
        return
    executor, _executor = _executor, None
    executor.shutdown(wait=True)
    with ThreadPoolExecutor(1) as closer:  # a thread, because Django closes no connection on an event loop
        closer.submit(_close_connections).result()


def _close_connections() -> None:
    while _opened:
        connection = _opened.pop()
        connection.inc_thread_sharing()  # its own thread has ended
        connection.close()


def _pool() -> ThreadPoolExecutor:
    global _executor
    if _executor is None:
        _executor = ThreadPoolExecutor(settings().database_threads, thread_name_prefix="realtime-db")
    return _executor


def _call(function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    try:
        return function(*args, **kwargs)
    except (OperationalError, InterfaceError) as error:
        logger.warning("The database is away: %s", str(error).strip())
        raise DatabaseUnavailable from error
    finally:
        for connection in connections.all(initialized_only=True):
            _opened.add(connection)
            if connection.errors_occurred:
                connection.close_if_unusable_or_obsolete()


class Batcher(Generic[Item, Result]):
    """Gathers what is asked for while one run is under way; the next run takes all of it. No delay is added when quiet.

    `work` runs on a database thread and returns one result or exception per item, in order. Should it raise, the batch
    is split, so that one bad item does not take the others along; the order of items is kept. `after` runs on the loop
    with the results of a run before anybody who waits gets one. `rest_seconds` passes between two runs, for work that
    costs the same for one item as for fifty and can wait that long in a storm.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Sequence[Result | Exception]],
        *,
        limit: int,
        waiting_limit: int = 100_000,
        after: Callable[[Sequence[Result | Exception]], None] | None = None,
        rest_seconds: float = 0.0,
    ) -> None:
        self._work = work
        self._after = after
        self._limit = limit
        self._waiting_limit = waiting_limit
        self._rest_seconds = rest_seconds
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._task: asyncio.Task[None] | None = None  # set while there is something to do

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Put `item` in the next run. Raises Refused(UNAVAILABLE) when too much is waiting."""
        if len(self._waiting) >= self._waiting_limit:
            raise Refused(ErrorCode.UNAVAILABLE, Reason.TOO_MUCH_WAITING)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = loop.create_task(self._run_all())
        return future

    async def drain(self) -> None:
        """Wait until nothing is waiting or under way."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run_all(self) -> None:
        try:
            while self._waiting:
                size = min(self._limit, len(self._waiting))
                await self._run([self._waiting.popleft() for _ in range(size)])
                if self._rest_seconds:
                    await asyncio.sleep(self._rest_seconds)
        finally:
            self._task = None

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await run(self._work, [item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1 or isinstance(error, DatabaseUnavailable):
                _settle([future for _, future in batch], [error] * len(batch))
                return
            middle = len(batch) // 2
            await self._run(batch[:middle])
            await self._run(batch[middle:])
            return
        # Given out in the next turn of the loop: by then the next run has the database busy.
        asyncio.get_running_loop().call_soon(self._give, batch, results)

    def _give(self, batch: list[tuple[Item, asyncio.Future[Result]]], results: Sequence[Result | Exception]) -> None:
        if self._after is not None:
            try:
                self._after(results)
            except Exception:  # what was done is done: whoever waits is told so
                logger.exception("The results of a batch could not be passed on")
        _settle([future for _, future in batch], results)


def _settle(futures: Sequence[asyncio.Future[Result]], results: Sequence[Result | Exception]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():  # whoever waited has gone
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
