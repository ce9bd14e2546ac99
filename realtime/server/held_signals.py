"""Holds a signal to stop back until the sockets have been closed. Installed by the handshake, under other servers.

They close their sockets themselves as soon as they get the signal, without a word of when to come back, and tell the
application afterwards or never. `process` does not need this.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Sized
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)
POLL_SECONDS = 0.05


class HeldSignals:
    """Stands before the server's own signal handlers, which get the signal a little later."""

    def __init__(self, begin: Callable[[], None], sockets: Sized, seconds: Callable[[], float]) -> None:
        self._begin = begin  # starts to close the sockets
        self._sockets = sockets  # those that are open
        self._seconds = seconds  # how long a signal is held at most
        self._loop = asyncio.get_running_loop()
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}  # the server's, while ours are installed
        self._task: asyncio.Task[None] | None = None  # set while a signal is held
        self._is_held = False  # from the first signal on

    def install(self) -> None:
        """Does nothing if it was called before, or where a server has no handlers in Python."""
        if self._handlers or threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler) and handler is not signal.default_int_handler:
                self._handlers[number] = handler
                signal.signal(number, self._on_signal)

    def remove(self) -> None:
        """Give the server its handlers back, unless they were replaced meanwhile. Final: see `_on_signal`."""
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, handler)
        self._is_held = True
        if self._task is not None:
            self._task.cancel()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The second signal is not held: whoever sends it does not want to wait.

        Nor is one that a handler passes on which was installed later, and still calls this one after `remove`.
        """
        if self._is_held or self._loop.is_closed():
            if self._task is not None:
                self._task.cancel()
            self._handlers[number](number, frame)
            return
        self._is_held = True
        self._loop.call_soon_threadsafe(self._hold, number)

    def _hold(self, number: int) -> None:
        self._task = self._loop.create_task(self._pass_on(number))

    async def _pass_on(self, number: int) -> None:
        self._begin()
        until = time.monotonic() + self._seconds()
        while self._sockets and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        self._task = None
        if handler := self._handlers.get(number):
            handler(number, None)
