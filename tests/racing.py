"""Threads that start together, for tests of races."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
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
