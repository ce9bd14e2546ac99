"""How `manage.py serve` runs uvicorn: one process or several, and how they stop. It stands beside the layers.

A worker imports this before Django is set up, so it knows sockets by their protocol alone. Called by `serve`.
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

from realtime.server.websocket import IS_STOPPING, RealtimeProtocol

logger = logging.getLogger("uvicorn.error")

THREADS_SECONDS = 3  # for threads to end when everything else has
START_SECONDS = 60  # for the successor of a worker: a site may take long to load on a machine that is busy serving


def end_soon() -> None:
    """End this process, which has served, although a thread waits for a database that does not answer.

    Python waits for its threads without a bound. What was to be stored had its time before.
    """
    watch = threading.Timer(THREADS_SECONDS, leave_threads)
    watch.daemon = True
    watch.start()


def leave_threads() -> None:
    logger.error("Threads that had not ended after %s s were left", THREADS_SECONDS)
    os._exit(0)


class Server(uvicorn.Server):
    """uvicorn's, but it closes its listener after its sockets have left, not before.

    Until then requests are answered as ever, new sockets are told to come back as the others are, and readiness answers
    503, from the signal on: whoever balances the load learns of the stop before connections fail. A stop that was asked
    for is a success: the signal is not raised again afterwards.
    """

    lingers = True
    stops_at: float | None = None  # on the monotonic clock; set when it is told to stop

    async def serve(self, sockets: Any = None) -> None:
        with self.capture_signals():
            await self._serve(sockets)
            self._captured_signals.clear()
        if not self.started:
            sys.exit(STARTUP_FAILURE)

    async def startup(self, sockets: Any = None) -> None:
        self.lifespan.state[IS_STOPPING] = self.is_stopping
        await super().startup(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A hangup stops a server as well, unless that is ignored (`nohup`): its sockets are told before they break."""
        before = signal.getsignal(signal.SIGHUP)
        if before is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.handle_exit)
        try:
            with super().capture_signals():
                yield
        finally:
            signal.signal(signal.SIGHUP, before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig != signal.SIGHUP:  # systemd may send it after SIGTERM
            os._exit(128 + sig)  # `force_exit` would still wait for what the threads are doing
        self.stop_soon()

    def stop_soon(self) -> None:
        if not self.should_exit:
            self.should_exit = True
            self.stops_at = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)

    def is_stopping(self) -> bool:
        """For the application, at once: `on_tick` may be a moment away. A worker that is replaced stops for nobody."""
        return self.should_exit and self.lingers

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second. Whether to close the listener."""
        return await super().on_tick(counter) and not (self.lingers and self.seconds_left and self._has_sockets())

    async def shutdown(self, sockets: Any = None) -> None:
        self.config.timeout_graceful_shutdown = math.ceil(self.seconds_left) or 1
        await super().shutdown(sockets)

    @property
    def seconds_left(self) -> float:
        return max(0.0, (self.stops_at or 0.0) - time.monotonic())

    def _has_sockets(self) -> bool:
        """Told to one of them, the stop is known to all: the application lets them go one after the other."""
        for connection in self.server_state.connections:
            if isinstance(connection, RealtimeProtocol) and connection.is_taken_over:
                connection.shutdown()
                return True
        return False


class WorkerServer(Server):
    """One of several. When it alone is replaced (SIGHUP), others take over the listener at once; else all stop."""

    lingers = False

    def run(self, sockets: Any = None) -> None:
        super().run(sockets)
        end_soon()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The terminal and some supervisors signal every process of a group, so a second signal means nothing here."""
        self.stop_soon()
        self.lingers = self.lingers or sig != signal.SIGHUP

    async def on_tick(self, counter: int) -> bool:
        if not self.should_exit and is_orphaned():  # the port is to be free for whoever succeeds the parent
            self.stop_soon()
            self.lingers = False
        return await super().on_tick(counter)


def is_orphaned() -> bool:
    """Whether the parent of this process was killed, so that nobody will ever tell it to stop."""
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid != os.getppid()


def send(worker: uvicorn_workers.Process, sig: int) -> None:
    if worker.pid is not None and worker.exitcode is None:
        os.kill(worker.pid, sig)


class Worker(uvicorn_workers.Process):
    @cached_property
    def server(self) -> WorkerServer:
        return WorkerServer(self.config)

    def terminate(self) -> None:
        """Make way for others."""
        send(self, signal.SIGHUP)
        self.parent_conn.close()
        self.child_conn.close()


class Workers(Multiprocess):
    """uvicorn's, but a stop is not put off by a replacement, and a second signal ends the workers at once."""

    def __init__(self, config: uvicorn.Config, sockets: list[Any]) -> None:
        self.ignores_hangups = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # `nohup`; the workers inherit it
        super().__init__(config, sockets)
        uvicorn_workers.Process = Worker  # type: ignore[misc]  # there is no other way to choose it
        self.leaving: list[uvicorn_workers.Process] = []  # replaced, until they have ended

    # A handler of signals only queues them: to set the event there could wait for a lock that its own thread holds.

    def handle_int(self) -> None:
        self.stop_soon(signal.SIGINT)

    def handle_term(self) -> None:
        self.stop_soon(signal.SIGTERM)

    def handle_hup(self) -> None:
        """A worker that ignores the hangup would not make way, and the parent would wait for it for ever."""
        if not self.ignores_hangups:
            super().handle_hup()

    def stop_soon(self, sig: int) -> None:
        if self.should_exit.is_set():
            self.signal_queue.append(sig)  # the second one: for `join_all`
        self.should_exit.set()

    @property
    def queued_stops(self) -> set[signal.Signals]:
        return {signal.SIGINT, signal.SIGTERM}.intersection(self.signal_queue)

    def run(self) -> None:
        """Ends with uvicorn's exit code for it when the workers could not start, so that a supervisor hears of it."""
        super().run()
        if any(worker.exitcode == STARTUP_FAILURE for worker in self.processes):
            sys.exit(STARTUP_FAILURE)

    def restart_all(self) -> None:
        for place in range(len(self.processes)):
            if not self.replace(place):
                return

    def replace(self, place: int) -> bool:
        """Start a successor and wait until its predecessor has gone; whether the next one's turn has come."""
        old, new = self.processes[place], Worker(self.config, self.sockets)
        new.start()
        if not self.wait_until_ready(new):
            new.kill()
            new.join()
            if not self.queued_stops:
                logger.error("A new worker was not ready in time: the others stay")
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
        for listener in self.sockets:  # else nobody would answer those who connect when the workers have closed theirs
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
