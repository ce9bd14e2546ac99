"""The clock of one process, and how it stops."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from realtime.delivery import clock as clock_module
from realtime.delivery.clock import Clock
from tests.clients.socket import until
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


class Part:
    async def sweep(self):
        raise RuntimeError("broken")


async def test_the_log_names_what_fails(caplog):
    """The traceback was headed `<bound method Part.sweep of <…>>`."""
    clock = Clock(on_heartbeat=lambda _connection: None)
    clock.start([(0.001, Part().sweep)])
    await until(lambda: caplog.records)
    await clock.stop()
    assert caplog.messages[0] == "Part.sweep failed"


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


class Hearts:
    """A clock and sockets, whose time and turns the test makes."""

    def __init__(self, monkeypatch):
        self.now = time.monotonic()
        stub = SimpleNamespace(monotonic=lambda: self.now, time=time.time)
        for module in ("delivery.clock", "delivery.connection"):
            monkeypatch.setattr(f"realtime.{module}.time", stub)
        self.clock = Clock(on_heartbeat=lambda _connection: None)

    def open(self):
        connection, socket = open_connection()
        self.clock.add(connection)
        return connection, socket

    async def pass_time(self, seconds, *answering):
        """Those who answer do so at once."""
        for _ in range(seconds):
            self.now += 1
            await self.clock._tick()
            for connection, socket in answering:
                if socket.frames and socket.frames[-1]["type"] == "heartbeat":
                    connection.heard_at = self.now
                    socket.writes.clear()


@pytest.fixture
async def hearts(configure, monkeypatch):
    configure(HEARTBEAT_SECONDS=30, HEARTBEAT_MISSES=2.5)
    made = Hearts(monkeypatch)
    made.clock.start([])
    yield made
    await made.clock.stop()


@pytest.mark.parametrize("seconds", [46, 60, 3_600])
async def test_a_process_that_stood_still_ends_no_socket_that_it_did_not_ask(hearts, seconds):
    """Nobody got a heartbeat meanwhile, so nobody had one to answer."""
    alive, dead = hearts.open(), hearts.open()
    await hearts.pass_time(59, alive)
    hearts.now += seconds
    await hearts.pass_time(1, alive)
    assert [socket.closed for _, socket in (alive, dead)] == [None, None]
    await hearts.pass_time(60, alive)
    assert alive[1].closed is None
    assert dead[1].closed == (4408, "HEARTBEAT_TIMEOUT")


async def test_a_socket_that_was_opened_meanwhile_is_not_heard_of_later(hearts):
    await hearts.pass_time(1)
    hearts.now += 60
    _, socket = hearts.open()
    await hearts.pass_time(74)
    assert socket.closed is None
    await hearts.pass_time(33)
    assert socket.closed == (4408, "HEARTBEAT_TIMEOUT")
