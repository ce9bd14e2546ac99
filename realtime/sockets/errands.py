"""Work whose result is for one socket alone: it ends with the socket. Held by the node, called by handlers.

Replays and look-ups for a client that has gone would only keep others waiting. What a client has asked to be stored is
no errand: once begun, it is finished.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from realtime.delivery.connection import Connection


class Errands:
    """The errands that are under way, at most one for each socket, because a socket's commands run in order."""

    def __init__(self, connections: Mapping[str, Connection]) -> None:
        self._connections = connections  # the open ones, by id
        self._tasks: dict[Connection, asyncio.Task[None]] = {}

    async def run(self, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, but no longer than the socket is open. Raises what the work raises."""
        if connection.id not in self._connections:
            work.close()
            return
        task = self._tasks[connection] = asyncio.get_running_loop().create_task(work)
        try:
            await asyncio.wait([task])
        finally:
            del self._tasks[connection]
            task.cancel()
        if not task.cancelled():
            task.result()

    def end(self, connection: Connection) -> None:
        """The socket has closed."""
        if (task := self._tasks.get(connection)) is not None:
            task.cancel()
