"""Ending tasks that talk to Redis. Called by whatever owns such tasks: bus, tracker, pulse, ticker, typists, node.

Before Python 3.12 `asyncio.wait_for` loses a cancellation that comes in the moment in which what it waits for is done,
and redis-py sends every command through it: the task goes on as if nothing had been said.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 0.5  # longer than what a task has to clean up usually takes


async def end_tasks(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks until they have ended."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
