"""Notices that this process was forked: threads, event loops and connections are its parent's, and not to be used here.

Python calls hooks in a process that it has forked. uWSGI forks its workers in C, and calls them only with
`--py-call-osafterfork`. So whoever is about to use such things asks here before.
"""

import os
import threading
from collections.abc import Callable

_leavers: list[Callable[[], None]] = []
_lock = threading.Lock()
_pid = os.getpid()


def on_fork(leave: Callable[[], None]) -> None:
    """Call this once in each process that is forked, before anything is used there that came from its parent."""
    _leavers.append(leave)


def notice() -> None:
    """Call what is to be called, if this process is new."""
    global _pid
    if _pid == os.getpid():
        return
    with _lock:  # two threads of the new process may come at once
        if _pid != os.getpid():
            for leave in _leavers:
                leave()
            _pid = os.getpid()


os.register_at_fork(after_in_child=notice)
