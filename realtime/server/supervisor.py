"""The workers of `manage.py serve`: how they are started, replaced, started again, and stopped. Called by `serve`.

A worker imports this before Django is set up.
"""

import logging
import os
import signal
import sys
import time
from functools import cached_property
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors import multiprocess as uvicorn_workers

from realtime.server.early_signals import interrupts_held_back
from realtime.server.process import WorkerServer

logger = logging.getLogger("uvicorn.error")

# How long a worker's replacement may take to start: a site loads slowly on a machine that is busy serving.
START_SECONDS = 60
# How long it takes until a worker that could not start is tried again, while others serve.
AGAIN_SECONDS = 10
# A worker that has not answered its parent for so long hangs, and is killed: its sockets break without a goodbye.
HANG_SECONDS = 30
# How long the parent waits for one answer. It hears no signals meanwhile.
ANSWER_SECONDS = 1
# A worker that is replaced ends so long after its time for closing sockets: it stores what is waiting (20 s), and does
# not wait for threads that hang (3 s). Later than that it hangs, and is killed.
END_SECONDS = 30


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

    def start(self) -> None:
        with interrupts_held_back():
            super().start()

    def target(self, sockets: list[Any] | None = None) -> None:
        """What the worker runs. Its server is made before the thread that answers the parent can make another one."""
        _ = self.server
        super().target(sockets)

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
        self.failed_at: dict[int | None, float] = {}  # when each worker that could not start was found, by its id
        self.has_failed = False  # whether no worker could start

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

    def handle_ttou(self) -> None:
        """One worker less. As in `handle_hup`, nothing under `nohup`."""
        if len(self.processes) > 1 and not self.ignores_hangups:
            self.processes_num -= 1
            self.let_go(self.processes.pop())

    def stop_soon(self, sig: int) -> None:
        if self.should_exit.is_set():
            # The second signal: `join_all` finds it in the queue.
            self.signal_queue.append(sig)
        self.should_exit.set()

    @property
    def queued_stops(self) -> set[signal.Signals]:
        return {signal.SIGINT, signal.SIGTERM}.intersection(self.signal_queue)

    def run(self) -> None:
        """When no worker could start, exit with uvicorn's code for that, so that a supervisor sees the failure."""
        super().run()
        if self.has_failed:
            sys.exit(STARTUP_FAILURE)

    def keep_subprocess_alive(self) -> None:
        """Start workers again that have ended or hang. uvicorn calls this twice a second.

        Where one cannot start, uvicorn would stop all. Those that serve go on: only the files of the site may be new.
        """
        for place, worker in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if worker.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            worker.kill()
            worker.process.join()
            if worker.exitcode == STARTUP_FAILURE and not self.may_start_again(worker):
                continue
            logger.info("The worker %s has ended", worker.pid)
            self.processes[place] = Worker(self.config, self.sockets)
            self.processes[place].start()

    def may_start_again(self, failed: uvicorn_workers.Process) -> bool:
        """Whether to try once more what a worker could not do; if no other one serves, the server ends."""
        now = time.monotonic()
        if failed.pid not in self.failed_at:
            self.failed_at[failed.pid] = now
            if not any(self.serves(worker) for worker in self.processes):
                logger.error("A worker could not start, and no other one serves: the server ends")
                self.has_failed = True
                self.should_exit.set()
                return False
            logger.error("A worker could not start. It is tried again every %s s, the others go on", AGAIN_SECONDS)
        if now < self.failed_at[failed.pid] + AGAIN_SECONDS:
            return False
        del self.failed_at[failed.pid]
        return True

    def serves(self, worker: uvicorn_workers.Process) -> bool:
        return worker.process.is_alive() and worker.is_ready(timeout=self.config.timeout_worker_healthcheck)

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
        self.let_go(old)
        return not self.queued_stops

    def let_go(self, old: uvicorn_workers.Process) -> None:
        """Stop a worker and wait for its end: not for ever, and not after a signal to stop all."""
        self.leaving.append(old)
        old.terminate()
        ends = time.monotonic() + (self.config.timeout_graceful_shutdown or 0) + END_SECONDS
        while old.process.is_alive() and not self.queued_stops:
            if time.monotonic() > ends:
                logger.error("The worker %s did not end, and is killed: others serve", old.pid)
                old.kill()
                old.join()
            time.sleep(0.1)
        if not old.process.is_alive():
            self.leaving.remove(old)

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
            send(worker, signal.SIGTERM)  # ends one that has not begun to serve, without a traceback

    def join_all(self) -> None:
        workers = [*self.leaving, *self.processes]
        while any(worker.process.is_alive() for worker in workers):
            if forced := self.queued_stops:
                for worker in workers:
                    worker.kill()
                sys.exit(128 + forced.pop())
            time.sleep(0.1)
        super().join_all()
