"""Ends what uses Redis: tasks, and calls that take too long. Called by their owners in delivery, presence and recovery.

Before Python 3.12, `asyncio.wait_for` loses a cancellation that arrives just as the awaited call completes. redis-py
sends every command through it, so the task would go on as if it had not been cancelled. So it is cancelled again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

AGAIN_SECONDS = 0.5  # longer than a task's clean-up usually takes


async def end_tasks(tasks: Iterable[asyncio.Future[Any]], again_seconds: float | None = None) -> None:
    """Cancel tasks, again and again, until all have ended. `again_seconds` is for those with a longer clean-up."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_seconds or AGAIN_SECONDS)


@asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[None]:
    """`asyncio.timeout` for calls of Redis and of the channel layer. Raises TimeoutError."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    handle: asyncio.TimerHandle

    def cancel_again() -> None:
        nonlocal handle
        # The number of requests stays what it is: `timeout` has made one, and takes one for its own.
        task.uncancel()
        task.cancel()
        handle = loop.call_later(AGAIN_SECONDS, cancel_again)

    handle = loop.call_later(seconds + AGAIN_SECONDS, cancel_again)
    try:
        async with asyncio.timeout(seconds):
            yield
    finally:
        handle.cancel()
