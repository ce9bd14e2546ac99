"""The clock of one process, and how it stops."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from realtime.delivery import clock as clock_module
from realtime.delivery.clock import Clock
from tests.paper import open_connection
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("quick_again")


@pytest.fixture
def quick_again(monkeypatch):
    monkeypatch.setattr("realtime.storage.tasks.AGAIN_SECONDS", 0.01)


async def test_it_calls_a_job_again_and_again_until_it_stops():
    calls = []
    third = asyncio.Event()

    async def job():
        calls.append(1)
        if len(calls) == 3:
            third.set()

    clock = Clock(on_heartbeat=lambda _connection: None)
    clock.start([(0.001, job)])
    await asyncio.wait_for(third.wait(), PATIENCE_SECONDS)
    await clock.stop()
    count = len(calls)
    await asyncio.sleep(0.01)
    assert len(calls) == count


@pytest.mark.parametrize(("seconds", "count"), [(0.1, 1), (30, 30), (1_000_000_000, 600)])
def test_it_has_a_slot_for_each_second_of_a_heartbeat_up_to_a_limit(configure, seconds, count):
    configure(HEARTBEAT_SECONDS=seconds)
    assert len(Clock(on_heartbeat=lambda _connection: None)._slots) == count


@pytest.mark.parametrize("misses", [1, 2.5])
async def test_it_closes_only_those_who_have_not_answered_the_last_heartbeat(configure, monkeypatch, misses):
    """An answer comes soon after a heartbeat, and the next one is a little late: with one miss, all were closed."""
    configure(HEARTBEAT_SECONDS=1, HEARTBEAT_MISSES=misses)
    now = [100.0]
    monkeypatch.setattr(clock_module, "time", SimpleNamespace(monotonic=lambda: now[0], time=time.time))
    clock = Clock(on_heartbeat=lambda _connection: None)
    pairs = [open_connection(user) for user in ("1", "2")]
    for connection, _ in pairs:
        connection.heard_at = now[0]
        clock.add(connection)
    (answers, still_there), (_, dead) = pairs
    for _ in range(4):
        await clock._tick()
        now[0] += 0.01
        answers.heard_at = now[0]
        now[0] += 1.05
    assert (still_there.closed, dead.closed) == (None, (4408, "HEARTBEAT_TIMEOUT"))


async def test_it_stops_although_a_job_loses_a_cancellation():
    """A process that got a signal to stop in the middle of a command to Redis went on, and was ended 20 s later."""
    begun = asyncio.Event()
    lost = []

    async def ask_redis():
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if lost:
                raise
            lost.append(1)

    clock = Clock(on_heartbeat=lambda _connection: None)
    clock.start([(0.001, ask_redis)])
    await begun.wait()
    stopping = asyncio.create_task(clock.stop())
    done, _ = await asyncio.wait([stopping], timeout=PATIENCE_SECONDS)
    assert (done, lost) == ({stopping}, [1])
