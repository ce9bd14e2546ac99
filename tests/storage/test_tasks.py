"""Tasks end although a cancellation may be lost on the way."""

import asyncio
import contextlib

import pytest

from realtime.storage.tasks import end_tasks, time_limit
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


@pytest.mark.parametrize("lost", [False, True])
async def test_a_limit_holds_although_a_cancellation_is_lost(monkeypatch, lost):
    monkeypatch.setattr("realtime.storage.tasks.AGAIN_SECONDS", 0.01)
    rounds: list[str] = []
    with pytest.raises(TimeoutError):
        async with time_limit(0.01):
            await (lose_the_first(rounds) if lost else asyncio.Event().wait())
    assert rounds == ["lost"] * lost
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_limit_is_not_in_the_way_of_those_who_cancel():
    async def wait():
        async with time_limit(PATIENCE_SECONDS):
            begun.set()
            await asyncio.Event().wait()

    begun = asyncio.Event()
    task = asyncio.create_task(wait())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_that_was_kept_cancels_nobody(monkeypatch):
    monkeypatch.setattr("realtime.storage.tasks.AGAIN_SECONDS", 0)
    async with time_limit(0.005):
        pass
    await asyncio.sleep(0.02)  # longer than the limit
