"""Drains a process that stops: each client is asked to come back, at a time of its own. Called by the node."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.presence.tracker import Tracker
from realtime.protocol.errors import CloseCode, Closed
from realtime.storage.tasks import end_tasks

# Within this time, processes that are stopped together see in the presence store that the others stop, too.
RETIRE_SECONDS = 0.3
LOOK_SECONDS = 0.05  # between two looks
LOOK_AGAIN_SECONDS = 1.0  # between two later ones: others may be slower to hear of the stop
STEP_SECONDS = 0.01  # shorter waits are added up
# Before this time, a process that has only just ended is not up again.
START_MS = 1_000


class Drain:
    """The drain of one process, from the signal to stop until its last socket has closed.

    If all clients came back at once, they would overload the processes that serve them next. If other processes go on,
    the sockets are closed evenly over `restart_window_seconds`, and each client is away for a moment. If none does, a
    closed client can only wait for the next process: so all are closed at once, this process ends soon, and the
    clients are asked to come back at times spread over the window. So are those that are left when the last of the
    others stops meanwhile.
    """

    def __init__(self, connections: Mapping[str, Connection], tracker: Tracker) -> None:
        self._connections = connections
        self._tracker = tracker
        self._task: asyncio.Task[None] | None = None  # set when the process begins to stop
        # Whether clients can come back to another process at once. Looked up when the drain begins.
        self.has_others = True

    @property
    def has_begun(self) -> bool:
        return self._task is not None

    def begin(self) -> None:
        """Start asking the clients to come back. Harmless if it was called before."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._close_all())

    async def end(self) -> None:
        """Stop asking. The server closes the sockets that are left."""
        if self._task is not None:
            await end_tasks([self._task])

    def require_not_begun(self) -> None:
        """Raises Closed, which asks a new client to come back like the others."""
        if self.has_begun:
            raise come_back(has_others=self.has_others)

    async def _close_all(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RETIRE_SECONDS
        while (has_others := await self._tracker.has_others()) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)  # the store announces nothing
        self.has_others = has_others
        left = list(self._connections.values())
        if has_others:
            left = await close_in_turn(left, self._tracker.has_others)
        if left:
            self.has_others = False
            await close_at_once(left)


async def close_in_turn(
    connections: Iterable[Connection], has_others: Callable[[], Awaitable[bool]]
) -> list[Connection]:
    """Close the connections with RESTARTING, in no particular order, evenly over the window.

    Returns those that are left when no other process goes on any more.
    """
    leaving = list(connections)
    random.shuffle(leaving)
    loop = asyncio.get_running_loop()
    started, step = loop.time(), settings().restart_window_seconds / max(1, len(leaving))
    look_at = started + LOOK_AGAIN_SECONDS
    for place, connection in enumerate(leaving):
        while (wait := started + place * step - loop.time()) > STEP_SECONDS:
            await asyncio.sleep(min(wait, max(0.0, look_at - loop.time())))
            if loop.time() >= look_at:
                if not await has_others():
                    return leaving[place:]
                look_at = loop.time() + LOOK_AGAIN_SECONDS
        connection.close(come_back(has_others=True))
    return []


async def close_at_once(connections: Iterable[Connection]) -> None:
    """Close the connections with RESTARTING, as fast as possible; other tasks of this process run in between."""
    for connection in list(connections):
        connection.close(come_back(has_others=False))
        await asyncio.sleep(0)


def come_back(*, has_others: bool) -> Closed:
    """The reason for closing one socket, with a random time (`retry_after_ms`) after which its client comes back."""
    window_ms = settings().retry_after_ms if has_others else round(1000 * settings().restart_window_seconds)
    first_ms = 0 if has_others else min(START_MS, window_ms // 2)
    return Closed(
        CloseCode.RESTARTING, "RESTARTING", retry_after_ms=first_ms + secrets.randbelow(max(1, window_ms - first_ms))
    )
