"""One process that serves, alone or as a worker of several: how it runs uvicorn, and how it stops. Called by `serve`.

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
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from realtime.server.application import is_made
from realtime.server.early_signals import ending_at_once
from realtime.server.scope_keys import IS_STOPPING
from realtime.server.websocket import RealtimeProtocol

logger = logging.getLogger("uvicorn.error")

# How long threads may still run after everything else has ended.
THREADS_SECONDS = 3


def end_soon() -> None:
    """End this process soon, even if a thread waits for a database that does not answer.

    asyncio and Python would wait for threads without a limit. Before this, there was time to store what was waiting.
    """
    watch = threading.Timer(THREADS_SECONDS, leave_threads)
    watch.daemon = True
    watch.start()


def leave_threads() -> None:
    logger.error("Threads did not end within %s s: the process ends without waiting for them", THREADS_SECONDS)
    os._exit(0)


def load(config: uvicorn.Config) -> None:
    """Load the application, or exit with uvicorn's code for a server that cannot start."""
    try:
        with kept_loggers():
            config.load()
    except SystemExit:  # uvicorn has logged that there is no such application
        sys.exit(STARTUP_FAILURE)
    except Exception:
        logger.exception("The application cannot be loaded")
        sys.exit(STARTUP_FAILURE)
    if not is_made():
        # Django's and Channels' own answer a server that starts with an exception, which does not say what is missing.
        logger.error(
            "ASGI_APPLICATION (%s) serves no sockets: make it with realtime.routing.asgi_application, as README shows",
            config.app,
        )
        sys.exit(STARTUP_FAILURE)


@contextlib.contextmanager
def kept_loggers() -> Iterator[None]:
    """The loggers that are in use stay so while Django is set up.

    It was before, by the command, and it applies the site's LOGGING each time: unless that says otherwise, every logger
    that exists by then is disabled.
    """
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    enabled = [logger for logger in loggers if not logger.disabled]
    try:
        yield
    finally:
        for one in enabled:
            one.disabled = False


class Server(uvicorn.Server):
    """uvicorn's server, but it closes its listener after its sockets have closed, not before.

    From the signal until then, it answers requests as usual, drains new sockets like the others, and answers 503 for
    readiness: a load balancer learns of the stop before connections fail. A stop that was requested is a success: the
    signal is not raised again afterwards.
    """

    lingers = True  # whether the listener stays open while sockets are drained
    stops_at: float | None = None  # the deadline of the stop, as `time.monotonic()`

    def run(self, sockets: Any = None) -> None:
        with ending_at_once():
            super().run(sockets)

    async def serve(self, sockets: Any = None) -> None:
        load(self.config)
        with self.capture_signals():
            await self._serve(sockets)
            self._captured_signals.clear()
        if not self.started:
            sys.exit(STARTUP_FAILURE)
        # Not when the loop has ended: it waits for all tasks, and for the threads of its own pool.
        end_soon()

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
