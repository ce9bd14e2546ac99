"""How a process takes leave of its sockets: each is asked to come back, at a time of its own. Called by the node.

All of them at once would be more than whoever serves them next can take. Where other processes go on, the sockets are
told evenly over `restart_window_seconds`, and are away for a moment each. Where none does, a socket that has been told
can only wait for the successor: so all are told at once, the process is soon gone, and it is their return that is
spread over the window.
"""

import asyncio
import random
import secrets
from collections.abc import Iterable, Mapping

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.presence.tracker import Tracker
from realtime.protocol.errors import CloseCode, Closed
from realtime.storage.tasks import end_tasks

RETIRE_SECONDS = 0.3  # processes that are told to stop together know it of each other by then
STEP_SECONDS = 0.01  # waits shorter than this are saved up
START_MS = 1_000  # before that, a process that has only just ended is not up again


class Drain:
    """The stop of one process, from the moment in which it is told to stop to the end of its last socket."""

    def __init__(self, connections: Mapping[str, Connection], tracker: Tracker) -> None:
        self._connections = connections
        self._tracker = tracker
        self._task: asyncio.Task[None] | None = None  # set when the process begins to stop
        self.has_others = True  # whether sockets can come back to another process at once; looked up when it begins

    @property
    def has_begun(self) -> bool:
        return self._task is not None

    def begin(self) -> None:
        """Ask the sockets to come back. Harmless when it was called already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._close_all())

    async def end(self) -> None:
        """Stop asking; the server closes the sockets that are left."""
        if self._task is not None:
            await end_tasks([self._task])

    def require_not_begun(self) -> None:
        """Raises Closed, which asks a new socket to come back like the others."""
        if self.has_begun:
            raise come_back(has_others=self.has_others)

    async def _close_all(self) -> None:
        await self._tracker.has_others()
        await asyncio.sleep(RETIRE_SECONDS)
        self.has_others = await self._tracker.has_others()
        close = close_in_turn if self.has_others else close_at_once
        await close(self._connections.values())


async def close_in_turn(connections: Iterable[Connection]) -> None:
    """Close the connections with RESTARTING, in no particular order, evenly over the window."""
    leaving = list(connections)
    random.shuffle(leaving)
    loop = asyncio.get_running_loop()
    started, step = loop.time(), settings().restart_window_seconds / max(1, len(leaving))
    for place, connection in enumerate(leaving):
        wait = started + place * step - loop.time()
        if wait > STEP_SECONDS:
            await asyncio.sleep(wait)
        connection.close(come_back(has_others=True))


async def close_at_once(connections: Iterable[Connection]) -> None:
    """Close the connections with RESTARTING, as fast as others of this process can stand it."""
    for connection in list(connections):
        connection.close(come_back(has_others=False))
        await asyncio.sleep(0)


def come_back(*, has_others: bool) -> Closed:
    """Why a socket is closed, with the time after which it is to come back drawn for it alone."""
    window_ms = settings().retry_after_ms if has_others else round(1000 * settings().restart_window_seconds)
    first_ms = 0 if has_others else min(START_MS, window_ms // 2)
    return Closed(
        CloseCode.RESTARTING, "RESTARTING", retry_after_ms=first_ms + secrets.randbelow(max(1, window_ms - first_ms))
    )
