"""How `manage.py serve` runs uvicorn: as one process or several, and how they stop. Called by `serve`.

A worker imports this before Django is set up, so it recognizes sockets only by the class of their uvicorn protocol.
"""

import contextlib
import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import cached_property
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors import multiprocess as uvicorn_workers

from realtime.server.scope_keys import IS_STOPPING
from realtime.server.websocket import RealtimeProtocol

logger = logging.getLogger("uvicorn.error")

# How long threads may still run after everything else has ended.
THREADS_SECONDS = 3
# How long a worker's replacement may take to start: a site loads slowly on a machine that is busy serving.
START_SECONDS = 60
# A worker that has not answered its parent for so long hangs, and is killed: its sockets break without a goodbye.
HANG_SECONDS = 60
# How long the parent waits for one answer. It hears no signals meanwhile.
ANSWER_SECONDS = 1


def end_soon() -> None:
    """End this process soon, even if a thread waits for a database that does not answer.

    Python would wait for its threads without a limit. Before this call, there was time to store what was waiting.
    """
    watch = threading.Timer(THREADS_SECONDS, leave_threads)
    watch.daemon = True
    watch.start()


def leave_threads() -> None:
    logger.error("Threads did not end within %s s: the process ends without waiting for them", THREADS_SECONDS)
    os._exit(0)


def load(config: uvicorn.Config) -> None:
    """Load the application, with the loggers that are in use.

    It sets Django up, which the command has done before, and which applies the site's LOGGING each time: unless that
    says otherwise, every logger that exists by then is disabled.
    """
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    enabled = [logger for logger in loggers if not logger.disabled]
    config.load()
    for logger in enabled:
        logger.disabled = False


class Server(uvicorn.Server):
    """uvicorn's server, but it closes its listener after its sockets have closed, not before.

    From the signal until then, it answers requests as usual, drains new sockets like the others, and answers 503 for
    readiness: a load balancer learns of the stop before connections fail. A stop that was requested is a success: the
    signal is not raised again afterwards.
    """

    lingers = True  # whether the listener stays open while sockets are drained
    stops_at: float | None = None  # the deadline of the stop, as `time.monotonic()`

    async def serve(self, sockets: Any = None) -> None:
        load(self.config)
        with self.capture_signals():
            await self._serve(sockets)
            self._captured_signals.clear()
        if not self.started:
            sys.exit(STARTUP_FAILURE)

    async def startup(self, sockets: Any = None) -> None:
        self.lifespan.state[IS_STOPPING] = self.is_stopping
        try:
            await super().startup(sockets)
        except OSError as error:
            # Another server has begun to listen since the port was bound: two that start together can both bind it.
            logger.error("Cannot listen: %s", error.strerror)
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A hangup stops the server as well, so its sockets are drained. Under `nohup`, it is ignored."""
        before = signal.getsignal(signal.SIGHUP)
        if before is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.handle_exit)
        try:
            with super().capture_signals():
                yield
        finally:
            signal.signal(signal.SIGHUP, before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # A second signal ends the process at once. SIGHUP does not count: systemd may send it right after SIGTERM.
        if self.should_exit and sig != signal.SIGHUP:
            # uvicorn's `force_exit` would still wait for the threads.
            os._exit(128 + sig)
        self.stop_soon()

    def stop_soon(self) -> None:
        if not self.should_exit:
            self.should_exit = True
            self.stops_at = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)

    def is_stopping(self) -> bool:
        """For the application. True from the signal on, so up to a tick before `on_tick` acts.

        False in a worker that is only replaced, because the other workers continue.
        """
        return self.should_exit and self.lingers

    async def on_tick(self, counter: int) -> bool:
        """uvicorn calls this ten times a second. Returns whether to close the listener."""
        return await super().on_tick(counter) and not (self.lingers and self.seconds_left and self._has_sockets())

    async def shutdown(self, sockets: Any = None) -> None:
        self.config.timeout_graceful_shutdown = math.ceil(self.seconds_left) or 1
        await super().shutdown(sockets)

    @property
    def seconds_left(self) -> float:
        return max(0.0, (self.stops_at or 0.0) - time.monotonic())

    def _has_sockets(self) -> bool:
        """Whether sockets are open. To shut down any one of them makes the application drain all of them."""
        for connection in self.server_state.connections:
            if isinstance(connection, RealtimeProtocol) and connection.is_taken_over:
                connection.shutdown()
                return True
        return False


class WorkerServer(Server):
    """One worker of several. SIGHUP replaces this worker alone, so it closes its listener at once and others accept.

    Any other signal stops all workers.
    """

    lingers = False

    def run(self, sockets: Any = None) -> None:
        super().run(sockets)
        end_soon()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A second signal has no effect here: the terminal and some supervisors signal every process of a group."""
        self.stop_soon()
        self.lingers = self.lingers or sig != signal.SIGHUP

    async def on_tick(self, counter: int) -> bool:
        # The port must become free for the process that replaces the parent.
        if not self.should_exit and is_orphaned():
            self.stop_soon()
            self.lingers = False
        return await super().on_tick(counter)


def is_orphaned() -> bool:
    """Whether the parent of this process was killed, so that nobody will ever signal it to stop."""
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid != os.getppid()


def send(worker: uvicorn_workers.Process, sig: int) -> None:
    if worker.pid is not None and worker.exitcode is None:
        os.kill(worker.pid, sig)


class Worker(uvicorn_workers.Process):
    answered_at: float | None = None  # as `time.monotonic()`; before the first answer, when it was asked first

    def ping(self, timeout: float = ANSWER_SECONDS) -> bool:
        """Whether it is to live. uvicorn gives it five seconds, but a busy machine may not run it for longer."""
        if self.answered_at is None or super().ping(min(timeout, ANSWER_SECONDS)):
            self.answered_at = time.monotonic()
        return time.monotonic() - self.answered_at < HANG_SECONDS

    @cached_property
    def server(self) -> WorkerServer:
        return WorkerServer(self.config)

    def terminate(self) -> None:
        """Stop this worker alone; its replacement accepts connections already."""
        send(self, signal.SIGHUP)
        self.parent_conn.close()
        self.child_conn.close()


class Workers(Multiprocess):
    """uvicorn's supervisor, but a replacement does not delay a stop, and a second signal ends the workers at once."""

    def __init__(self, config: uvicorn.Config, sockets: list[Any]) -> None:
        # True under `nohup`; the workers inherit it.
        self.ignores_hangups = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        super().__init__(config, sockets)
        # uvicorn has no other way to choose the class of its workers.
        uvicorn_workers.Process = Worker  # type: ignore[misc]
        self.leaving: list[uvicorn_workers.Process] = []  # replaced workers that have not ended yet

    # The signal handler only queues signals, and these methods are called later. To set the event in the handler could
    # deadlock: the thread that it interrupts may hold the event's lock.

    def handle_int(self) -> None:
        self.stop_soon(signal.SIGINT)

    def handle_term(self) -> None:
        self.stop_soon(signal.SIGTERM)

    def handle_hup(self) -> None:
        """Nothing under `nohup`: a worker that ignores hangups would not stop, and the parent would wait forever."""
        if not self.ignores_hangups:
            super().handle_hup()

    def stop_soon(self, sig: int) -> None:
        if self.should_exit.is_set():
            # The second signal: `join_all` finds it in the queue.
            self.signal_queue.append(sig)
        self.should_exit.set()

    @property
    def queued_stops(self) -> set[signal.Signals]:
        return {signal.SIGINT, signal.SIGTERM}.intersection(self.signal_queue)

    def run(self) -> None:
        """When a worker could not start, exit with uvicorn's code for that, so that a supervisor sees the failure."""
        super().run()
        if any(worker.exitcode == STARTUP_FAILURE for worker in self.processes):
            sys.exit(STARTUP_FAILURE)

    def restart_all(self) -> None:
        for place in range(len(self.processes)):
            if not self.replace(place):
                return

    def replace(self, place: int) -> bool:
        """Start a new worker and wait until the old one has ended. Returns whether to replace the next one."""
        old, new = self.processes[place], Worker(self.config, self.sockets)
        new.start()
        if not self.wait_until_ready(new):
            new.kill()
            new.join()
            if not self.queued_stops:
                logger.error("A new worker was not ready in time: the old workers continue")
            return False
        self.processes[place] = new
        self.leaving.append(old)
        old.terminate()
        while old.process.is_alive() and not self.queued_stops:
            time.sleep(0.1)
        if not old.process.is_alive():
            self.leaving.remove(old)
        return not self.queued_stops

    def wait_until_ready(self, worker: Worker) -> bool:
        ends = time.monotonic() + START_SECONDS
        while worker.process.is_alive() and time.monotonic() < ends and not self.queued_stops:
            if worker.is_ready(timeout=1):
                return True
            time.sleep(0.1)
        return False

    def terminate_all(self) -> None:
        # A listener that stays open here would accept connections that no worker answers any more.
        for listener in self.sockets:
            listener.close()
        for worker in self.processes:
            send(worker, signal.SIGINT)

    def join_all(self) -> None:
        workers = [*self.leaving, *self.processes]
        while any(worker.process.is_alive() for worker in workers):
            if forced := self.queued_stops:
                for worker in workers:
                    worker.kill()
                sys.exit(128 + forced.pop())
            time.sleep(0.1)
        super().join_all()
