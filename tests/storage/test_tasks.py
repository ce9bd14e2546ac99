"""Tasks end although a cancellation may be lost on the way."""

import asyncio
import contextlib

from realtime.storage.tasks import end_tasks
from tests.patience import PATIENCE_SECONDS


async def lose_the_first(rounds: list[str]) -> None:
    """What redis-py does on Python 3.11 when a cancellation meets an answer."""
    forever = asyncio.Event()
    with contextlib.suppress(asyncio.CancelledError):
        await forever.wait()
    rounds.append("lost")
    await forever.wait()


async def test_it_ends_a_task_that_loses_a_cancellation(monkeypatch):
    monkeypatch.setattr("realtime.storage.tasks.AGAIN_SECONDS", 0.01)
    rounds: list[str] = []
    tasks = [asyncio.create_task(lose_the_first(rounds)), asyncio.create_task(asyncio.Event().wait())]
    await asyncio.sleep(0)
    await asyncio.wait_for(end_tasks(tasks), PATIENCE_SECONDS)
    assert all(task.cancelled() for task in tasks)
    assert rounds == ["lost"]


async def test_it_ends_nothing_when_there_is_nothing():
    await end_tasks([])
