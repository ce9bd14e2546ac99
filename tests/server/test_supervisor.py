"""How long a server that gets a signal to stop waits for its sockets, and which workers are started again.

Real signals: tests.processes.test_stop and test_workers.
"""

import asyncio
from signal import SIG_DFL, SIG_IGN, SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGTTOU
from types import SimpleNamespace
from typing import ClassVar

import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from realtime.server import process, supervisor
from realtime.server.process import Server, WorkerServer
from realtime.server.scope_keys import IS_STOPPING
from realtime.server.websocket import RealtimeProtocol

TIMEOUT_SECONDS = 20
PARENT = 4_321  # a process id


class StayingSocket(RealtimeProtocol):
    """One that has been taken over and never leaves."""

    is_taken_over = True
    was_told = False

    def __init__(self) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)

    def shutdown(self) -> None:
        self.was_told = True


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1_000.0

        def monotonic(self) -> float:
            return self.now

        def sleep(self, seconds) -> None:
            self.now += seconds

    clock = Clock()
    for module in (process, supervisor):
        monkeypatch.setattr(module, "time", clock)
    return clock


def make(kind=Server) -> Server:
    return kind(uvicorn.Config(lambda: None, timeout_graceful_shutdown=TIMEOUT_SECONDS))


async def closes_listener(server: Server) -> bool:
    return await server.on_tick(1)


async def test_it_listens_until_its_sockets_have_left(clock):
    server, socket = make(), StayingSocket()
    server.server_state.connections.add(socket)
    assert not await closes_listener(server)
    assert not socket.was_told
    server.handle_exit(SIGTERM, None)
    assert not await closes_listener(server)
    assert socket.was_told
    server.server_state.connections.clear()
    assert await closes_listener(server)


async def test_it_does_not_wait_for_ever(clock):
    server = make()
    server.server_state.connections.add(StayingSocket())
    server.handle_exit(SIGTERM, None)
    clock.now += TIMEOUT_SECONDS - 1
    assert not await closes_listener(server)
    clock.now += 1
    assert await closes_listener(server)


async def test_a_hangup_after_the_stop_is_no_second_signal(clock):
    server = make()
    server.server_state.connections.add(StayingSocket())
    for signal in (SIGTERM, SIGHUP):
        server.handle_exit(signal, None)
    assert not await closes_listener(server)


@pytest.mark.parametrize(("now", "closes"), [(PARENT, False), (1, True)])
async def test_a_worker_without_its_parent_stops(monkeypatch, now, closes):
    monkeypatch.setattr(process.multiprocessing, "parent_process", lambda: SimpleNamespace(pid=PARENT))
    monkeypatch.setattr(process.os, "getppid", lambda: now)
    worker = make(WorkerServer)
    worker.server_state.connections.add(StayingSocket())
    assert await closes_listener(worker) is closes


async def test_it_ends_at_once_without_sockets(clock):
    server = make()
    server.handle_exit(SIGTERM, None)
    assert await closes_listener(server)


@pytest.mark.parametrize(
    ("signals", "closes"), [([SIGHUP], True), ([SIGINT], False), ([SIGTERM, SIGINT], False), ([SIGHUP, SIGTERM], False)]
)
async def test_a_worker_closes_its_listener_at_once_when_others_go_on(clock, signals, closes):
    worker = make(WorkerServer)
    worker.server_state.connections.add(StayingSocket())
    for signal in signals:
        worker.handle_exit(signal, None)
    assert await closes_listener(worker) is closes


@pytest.mark.parametrize(
    ("kind", "signal", "stops"), [(Server, SIGTERM, True), (WorkerServer, SIGINT, True), (WorkerServer, SIGHUP, False)]
)
async def test_it_informs_the_application_of_a_stop_from_the_signal_on(kind, signal, stops):
    server = make(kind)
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup([])
    is_stopping = server.lifespan.state[IS_STOPPING]
    assert not is_stopping()
    server.handle_exit(signal, None)
    assert is_stopping() is stops


@pytest.fixture
def workers(monkeypatch):
    monkeypatch.setattr(supervisor.signal, "signal", lambda *_: None)
    return supervisor.Workers(uvicorn.Config(lambda: None), [])


class Successor:
    """A worker that is loading."""

    def __init__(self, clock, load_seconds, dies=False) -> None:
        self._clock, self._ready_at, self._dies = clock, clock.now + load_seconds, dies
        self.process = self

    def is_alive(self) -> bool:
        return not self._dies

    def is_ready(self, timeout) -> bool:
        self._clock.now += timeout
        return self._clock.now >= self._ready_at


@pytest.mark.parametrize(
    ("load_seconds", "dies", "signals", "ready"),
    [(30, False, [], True), (90, False, [], False), (30, True, [], False), (30, False, [SIGTERM], False)],
    ids=["slow", "hanging", "dead", "stopped"],
)
def test_it_waits_for_a_successor_that_is_slow_to_load(clock, workers, load_seconds, dies, signals, ready):
    workers.signal_queue += signals
    assert workers.wait_until_ready(Successor(clock, load_seconds, dies)) is ready


class Started:
    """A worker that serves, or has ended with a code."""

    made: ClassVar[list[int]] = []  # the numbers of those that have been started

    def __init__(self, *_) -> None:
        self.pid, self.exitcode, self.process = len(self.made), None, self

    def start(self) -> None:
        self.made.append(self.pid)

    def is_alive(self, timeout=0) -> bool:
        return self.exitcode is None

    is_ready = is_alive

    def kill(self) -> None:
        self.exitcode = -SIGKILL if self.exitcode is None else self.exitcode

    def join(self) -> None:
        assert self.exitcode is not None


@pytest.fixture
def pair(monkeypatch, workers, clock):
    """Two workers that serve."""
    monkeypatch.setattr(supervisor, "Worker", Started)
    monkeypatch.setattr(Started, "made", [])
    for _ in range(2):
        workers.processes.append(Started())
        workers.processes[-1].start()
    return workers.processes


@pytest.mark.parametrize("code", [0, 1, -SIGKILL])
def test_a_worker_that_has_ended_is_started_again_at_once(workers, pair, code):
    pair[1].exitcode = code
    workers.keep_subprocess_alive()
    assert (Started.made, pair[1].pid) == ([0, 1, 2], 2)


def test_one_that_cannot_start_is_tried_now_and_then_while_others_serve(workers, pair, clock):
    for _ in range(3):
        pair[1].exitcode = STARTUP_FAILURE
        count = len(Started.made)
        workers.keep_subprocess_alive()
        clock.now += supervisor.AGAIN_SECONDS - 1
        workers.keep_subprocess_alive()
        assert len(Started.made) == count
        clock.now += 1
        workers.keep_subprocess_alive()
        assert len(Started.made) == count + 1
    assert not workers.should_exit.is_set()
    assert workers.failed_at == {}


def test_the_server_ends_if_none_can_start(monkeypatch, workers, pair):
    for worker in pair:
        worker.exitcode = STARTUP_FAILURE
    workers.keep_subprocess_alive()
    assert (workers.should_exit.is_set(), Started.made) == (True, [0, 1])
    monkeypatch.setattr(supervisor.Multiprocess, "run", lambda _self: None)
    with pytest.raises(SystemExit) as end:
        workers.run()
    assert end.value.code == STARTUP_FAILURE


def test_a_stop_is_a_success_while_one_cannot_start(monkeypatch, workers, pair):
    pair[0].exitcode = STARTUP_FAILURE
    workers.keep_subprocess_alive()
    monkeypatch.setattr(supervisor.Multiprocess, "run", lambda _self: None)
    workers.run()


def test_nobody_is_started_when_it_stops(workers, pair):
    pair[0].exitcode = 1
    workers.should_exit.set()
    workers.keep_subprocess_alive()
    assert Started.made == [0, 1]


def test_two_signals_that_are_noticed_together_are_two(workers):
    workers.signal_queue += [SIGTERM, SIGINT]
    workers.handle_signals()
    assert workers.should_exit.is_set()
    assert workers.queued_stops == {SIGINT}


def test_a_worker_that_does_not_end_is_killed_when_it_is_replaced(monkeypatch, workers, pair, clock, caplog):
    """The parent waited for ever: nobody else was replaced, and no worker that ended was started again."""
    monkeypatch.setattr(Started, "terminate", lambda _self: None, raising=False)
    monkeypatch.setattr(workers.config, "timeout_graceful_shutdown", TIMEOUT_SECONDS)
    hanging, started = pair[0], clock.now
    workers.replace(0)
    assert clock.now - started > TIMEOUT_SECONDS + supervisor.END_SECONDS
    assert (hanging.exitcode, pair[0].exitcode, workers.leaving) == (-SIGKILL, None, [])
    assert "The worker 0 did not end" in caplog.text


def test_one_worker_less_is_not_awaited_for_ever(monkeypatch, workers, pair, clock):
    """The parent waited for the end of one that hangs, and heard no signal any more."""
    monkeypatch.setattr(Started, "terminate", lambda _self: None, raising=False)
    workers.processes_num, (kept, hanging) = 2, pair
    for _ in range(2):  # the last one stays
        workers.signal_queue.append(SIGTTOU)
        workers.handle_signals()
    assert (workers.processes, workers.leaving) == ([kept], [])
    assert (kept.exitcode, hanging.exitcode) == (None, -SIGKILL)


def test_a_stop_does_not_wait_for_a_worker_less(monkeypatch, workers, pair, clock):
    monkeypatch.setattr(Started, "terminate", lambda _self: None, raising=False)
    workers.processes_num, leaving = 2, pair[1]
    workers.signal_queue += [SIGTTOU, SIGTERM]
    workers.handle_signals()
    assert (workers.should_exit.is_set(), workers.leaving, leaving.exitcode) == (True, [leaving], None)


def test_no_worker_leaves_where_hangups_are_ignored(workers, pair):
    """Under `nohup`: it would not hear of it, and the parent waited for it."""
    workers.processes_num, workers.ignores_hangups = 2, True
    workers.signal_queue.append(SIGTTOU)
    workers.handle_signals()
    assert len(workers.processes) == 2


@pytest.mark.parametrize("ignored", [False, True], ids=["as usual", "under nohup"])
def test_a_hangup_replaces_nobody_where_hangups_are_ignored(monkeypatch, ignored):
    monkeypatch.setattr(supervisor.signal, "signal", lambda *_: None)
    monkeypatch.setattr(supervisor.signal, "getsignal", lambda _: SIG_IGN if ignored else SIG_DFL)
    workers, calls = supervisor.Workers(uvicorn.Config(lambda: None), []), []
    monkeypatch.setattr(workers, "restart_all", lambda: calls.append("restart"))
    workers.signal_queue.append(SIGHUP)
    workers.handle_signals()
    assert calls == ([] if ignored else ["restart"])


@pytest.mark.parametrize("kind", [Server, WorkerServer])
def test_it_does_not_wait_for_threads(monkeypatch, kind):
    """Nor for those of asyncio's own pool, which are awaited before the loop ends."""
    running = []

    async def serve(server, sockets):
        server.started = True

    monkeypatch.setattr(uvicorn.Server, "_serve", serve)
    monkeypatch.setattr(process, "end_soon", lambda: running.append(asyncio.get_running_loop().is_running()))
    make(kind).run([])
    assert running == [True]


def test_a_worker_answers_its_parent_about_the_server_that_runs(monkeypatch):
    """Python 3.12 would make another one for a thread that asks at the same moment, and it would never be ready."""
    found = []
    monkeypatch.setattr(supervisor.Worker.__base__, "target", lambda one, _: found.append(vars(one).get("server")))
    worker = supervisor.Worker(uvicorn.Config(lambda: None), [])
    worker.target([])
    assert found == [worker.server]


def test_a_worker_that_stands_still_is_killed_only_if_it_hangs(clock, monkeypatch):
    answers = []
    monkeypatch.setattr(supervisor.Worker, "_healthcheck", lambda worker, timeout: answers.pop() if answers else None)
    worker = object.__new__(supervisor.Worker)
    worker.process = SimpleNamespace(is_alive=lambda: True)
    for _ in range(2):
        assert worker.is_alive()
        clock.now += supervisor.HANG_SECONDS - 1
        assert worker.is_alive()
        answers.append(True)
    assert worker.is_alive()
    clock.now += supervisor.HANG_SECONDS
    assert not worker.is_alive()
