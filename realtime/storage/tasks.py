"""Ends tasks that use Redis. Called by their owners: the bus, tracker, clock, scheduler, typing indicators and drain.

Before Python 3.12, `asyncio.wait_for` loses a cancellation that arrives just as the awaited call completes. redis-py
sends every command through it, so the task would go on as if it had not been cancelled.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 0.5  # longer than a task's clean-up usually takes


async def end_tasks(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks, again and again, until all have ended."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
