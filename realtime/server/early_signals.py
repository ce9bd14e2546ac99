"""What a signal to stop does while a server is still being loaded. Called by `serve` and by `process`.

A worker imports this before Django is set up.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Until the server has handlers of its own, a signal ends the process: a success, because nobody was served yet.

    Python would answer SIGINT with a traceback, and the first process of a container would never hear of SIGTERM.
    """
    before = {number: signal.signal(number, _end) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(0)
