"""Delivers what may be for very many sockets in time slices: other work of the loop goes between. Held by the hub.

What reaches five hundred sockets, such as the notifications of one commit, takes 20 ms, and messages would wait for it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

logger = logging.getLogger(__name__)

# A message takes several turns of the loop from socket to socket, and may have to wait so long in each of them.
SLICE_SECONDS = 0.001
# Pieces of work that wait. Beyond it, the oldest is finished at once, whatever waits for the loop meanwhile.
WAITING_LIMIT = 100


class Logged:
    """Logs an error in the body, and goes on behind it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, Exception):
            return False
        logger.error("A publication could not be delivered", exc_info=error)
        return True


LOGGED = Logged()


class Work(NamedTuple):
    """Steps, which may pause wherever they yield."""

    steps: Iterator[None]
    blocks: bool  # whether nothing that comes later may overtake it
    done: asyncio.Event


class Slices:
    """Work in steps. What was added first is finished first. Belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Work] = deque()
        self._blocking = 0  # of those that wait, how many block
        self._is_busy = False  # while steps are being taken: they may add work

    @property
    def is_blocked(self) -> bool:
        """Whether what comes now has to be added behind what waits."""
        return self._blocking > 0

    def add(self, steps: Iterator[None], *, blocks: bool = False) -> asyncio.Event:
        """Take the steps now, or behind those that wait. What does not fit into this slice goes on in the next ones.

        Returns an event that is set when these steps have ended.
        """
        work = Work(steps, blocks, asyncio.Event())
        self._waiting.append(work)
        self._blocking += blocks
        if len(self._waiting) == 1:
            self._take_slice()
        elif len(self._waiting) > WAITING_LIMIT and not self._is_busy:
            self._take_first(float("inf"))
        return work.done

    def finish(self) -> None:
        """Take all steps that wait, without a pause."""
        while self._waiting:
            self._take_first(float("inf"))

    def _take_slice(self) -> None:
        end = time.monotonic() + SLICE_SECONDS
        while self._waiting:
            if not self._take_first(end):
                self._loop.call_soon(self._take_slice)
                return

    def _take_first(self, end: float) -> bool:
        """Go on with the first work until that time. Returns whether it has ended."""
        work, self._is_busy = self._waiting[0], True
        try:
            with LOGGED:
                for _ in work.steps:
                    if time.monotonic() >= end:
                        return False
        finally:
            self._is_busy = False
        self._waiting.popleft()
        self._blocking -= work.blocks
        work.done.set()
        return True
