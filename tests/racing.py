"""Threads that start together, for tests of races."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic
from typing import Any

from django.db import connection

from tests.patience import PATIENCE_SECONDS


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Run each action in a thread of its own, all at once. Returns what they return or raise, in their order."""
    ready = Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        try:
            ready.wait(timeout=PATIENCE_SECONDS)
            return action()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(run, actions))


def somebody_waits() -> bool:
    """Whether another connection waits for a lock that this thread's holds. On PostgreSQL."""
    with connection.cursor() as cursor:
        waiting = "NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        cursor.execute(f"SELECT EXISTS (SELECT FROM pg_locks WHERE {waiting})")
        return bool(cursor.fetchone()[0])


def wait_until(condition: Callable[[], bool]) -> None:
    """For what another thread is about to do."""
    deadline = monotonic() + PATIENCE_SECONDS
    while not condition():
        assert monotonic() < deadline
