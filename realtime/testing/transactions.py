"""Database work on the connection of a test, and the hooks of its commit, which never comes. Used by the test's site.

`TestCase` and pytest's fixture `db` keep each test in a transaction, which only its own connection can see, and roll it
back at the end.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from contextvars import Context
from threading import get_ident
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from realtime.storage import database, pending, routed

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Start:
    """Stands among the hooks of a transaction, behind those that were registered before the test's site was opened."""

    def __call__(self) -> None: ...


class TestThread:
    """The thread for synchronous code of the running event loop, where asynchronous tests also use Django's models.

    If the event loop runs on the thread of the test, as with pytest-asyncio, this thread borrows its connections.
    """

    def __init__(self) -> None:
        self.is_kept = False  # whether connections stay borrowed between two jobs
        # By the borrower's thread: each borrowed connection, with the one that it stands in for.
        self._borrowed: defaultdict[int, list[tuple[BaseDatabaseWrapper, BaseDatabaseWrapper | None]]]
        self._borrowed = defaultdict(list)

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job there, and then the hooks that are due."""
        has_begun = False

        def work() -> T:
            nonlocal has_begun
            has_begun = True
            # Without the caller's context: what asgiref keeps there would follow the job to all that it calls.
            return Context().run(self._run, job, mine)

        mine = [connection for connection in own_connections() if connection.in_atomic_block]
        try:
            return await sync_to_async(work)()
        except RuntimeError:
            if has_begun:
                raise
        # asgiref refuses a task that was created by synchronous code: the thread was busy then, or has ended since.
        return await asyncio.get_running_loop().create_task(sync_to_async(work)(), context=Context())

    def _run(self, job: Callable[[], T], owned: list[BaseDatabaseWrapper]) -> T:
        for connection in owned:
            self._borrow(connection)
        try:
            result = job()
            run_hooks()
            return result
        finally:
            if not self.is_kept:
                self.give_back()

    def _borrow(self, connection: BaseDatabaseWrapper) -> None:
        there = {other.alias: other for other in connections.all(initialized_only=True)}
        if there.get(connection.alias) is not connection:
            connection.inc_thread_sharing()
            connections[connection.alias] = connection
            self._borrowed[get_ident()].append((connection, there.get(connection.alias)))

    def give_back(self) -> None:
        """Give back the connections that this thread has borrowed."""
        for connection, previous in reversed(self._borrowed.pop(get_ident(), [])):
            connection.dec_thread_sharing()
            if previous is None:
                del connections[connection.alias]
            else:
                connections[connection.alias] = previous

    def leave(self) -> None:
        """Give back what is borrowed, and leave no connection open but that of a test. Called on this thread."""
        self.is_kept = False
        self.give_back()
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close()
        database.shutdown()


def own_connections() -> list[BaseDatabaseWrapper]:
    """The connections that synchronous code of this thread has opened, even if an event loop is running on it.

    To asynchronous code, Django shows others: as if there were no loop is the only way to see these.
    """
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return list(connections.all(initialized_only=True))
    finally:
        asyncio._set_running_loop(loop)


def begin() -> None:
    """From now on, hooks are due when no transaction is open but that of the test. Those from before are left alone.

    Events from before that wait for the commit get their places, as if it had come.
    """
    for connection in connections.all(initialized_only=True):
        blocks: list[Any] = connection.atomic_blocks
        if blocks and blocks[0]._from_testcase and not any(isinstance(hook, Start) for hook in _hooks(connection)):
            _queue(connection).append((set(connection.savepoint_ids), Start(), False))
            if connection.alias == routed.alias():
                _sweep()
    run_hooks()


def _sweep() -> None:
    last: int | None = 0
    while last is not None:
        _events, last = pending.sweep(-1, last)


def run_hooks() -> None:
    """Call what waits for the commit of a transaction inside that of the test. Raises what a hook raises."""
    for connection in connections.all(initialized_only=True):
        while (place := _first_due(connection)) is not None:
            _, hook, robust = _queue(connection).pop(place)
            try:
                hook()
            except Exception:
                if not robust:
                    raise
                logger.exception("%r failed after a commit", hook)


def _first_due(connection: BaseDatabaseWrapper) -> int | None:
    blocks: list[Any] = connection.atomic_blocks
    if not blocks or not blocks[-1]._from_testcase:
        return None
    hooks = _hooks(connection)
    place = next((place for place, hook in enumerate(hooks) if isinstance(hook, Start)), -1) + 1
    return place if place < len(hooks) else None


def _hooks(connection: BaseDatabaseWrapper) -> list[object]:
    return [hook for _, hook, _ in _queue(connection)]


def _queue(connection: BaseDatabaseWrapper) -> Any:
    """Django's hooks for this transaction: (ids of savepoints, function, whether others are called if it raises)."""
    return connection.run_on_commit
