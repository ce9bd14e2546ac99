"""What a signal to stop does while a server is still being loaded. Called by `serve`, and by what runs the server.

A worker imports this before Django is set up.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Until the server has handlers of its own, a signal ends the process: a success, because nobody was served yet.

    Python would answer SIGINT with a traceback, and the first process of a container would never hear of SIGTERM.
    """
    before = {number: signal.signal(number, _end) for number in SIGNALS}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """A process that is started meanwhile hears of Ctrl-C when it comes to `ending_at_once`, and this one afterwards.

    Ctrl-C goes to all processes of a terminal, and those that still import would show where.
    """
    resource_tracker.ensure_running()  # before Python 3.13, that ends what is held back
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(0)
