"""Delivers what may be for very many sockets in turns of the event loop: other frames go between. Held by the hub.

What reaches five hundred sockets, such as the notifications of one commit, takes 20 ms, and messages would wait for it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator

logger = logging.getLogger(__name__)

# A message takes several turns of the loop from socket to socket, and may have to wait so long in each of them.
TURN_SECONDS = 0.001


class Turns:
    """Work in steps. What was added first is finished first. Belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Iterator[None]] = deque()
        self.idle = asyncio.Event()  # set while nothing waits
        self.idle.set()

    def add(self, steps: Iterator[None]) -> None:
        """Take the steps now, or behind those that wait. What does not fit into this turn goes on in the next ones."""
        self._waiting.append(steps)
        self.idle.clear()
        if len(self._waiting) == 1:
            self._take_turn()

    def _take_turn(self) -> None:
        end = time.monotonic() + TURN_SECONDS
        while self._waiting:
            if not self._is_finished(self._waiting[0], end):
                self._loop.call_soon(self._take_turn)
                return
            self._waiting.popleft()
        self.idle.set()

    def _is_finished(self, steps: Iterator[None], end: float) -> bool:
        try:
            for _ in steps:
                if time.monotonic() >= end:
                    return False
        # Go on: the next ones may be fine.
        except Exception:
            logger.exception("A publication could not be delivered")
        return True
