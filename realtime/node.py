"""One process at work (L3): its hub with everything that gathers work for the database. One per event loop.

Called by the consumers, which find it with `get_node`.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_user_model

from realtime import access, auth, chat, database, log, tokens
from realtime.conf import settings
from realtime.connection import Connection
from realtime.errors import CloseCode, Closed
from realtime.frames import Envelope
from realtime.hub import Hub, close_hub, open_hub
from realtime.pulse import Pulse
from realtime.typists import Typists
from realtime.users import read_id

logger = logging.getLogger(__name__)

CHUNK = 500
STOP_SECONDS = 20  # a process whose database or Redis hangs must still end
REST_SECONDS = 0.005  # between look-ups for handshakes: without it a storm of them is looked up three at a time


class Node:
    """The verbs' view of this process."""

    def __init__(self, hub: Hub) -> None:
        conf = settings()
        self.hub = hub
        self.pulse = Pulse()
        self.typists = Typists(hub.publish, hub.tracker.tell_unless_hidden)
        self.loader: auth.Loader = database.Batcher(auth.load_identities, limit=CHUNK, rest_seconds=REST_SECONDS)
        self.access: access.Asker = database.Batcher(access.find_access, limit=CHUNK)
        self.writer: chat.Writer = database.Batcher(
            chat.store, limit=conf.commit_batch, waiting_limit=conf.max_waiting_commits, after=self._publish
        )
        self.opening = 0  # handshakes that are not registered yet

    def start(self) -> None:
        conf = settings()
        self.pulse.start(
            [
                (min(1.0, conf.typing_seconds / 4), self._expire_typists),
                (conf.heartbeat_seconds, self.hub.compare_positions),
                (conf.sweep_seconds, self._sweep),
                (conf.auth_recheck_seconds, self._recheck),
            ]
        )

    async def stop(self) -> None:
        """Store what is waiting, tell the others, end."""
        await self.writer.drain()
        await self.pulse.stop()
        await close_hub(self.hub)

    def leave(self, connection: Connection) -> None:
        """A socket has gone. Harmless for one that was never registered, and the second time."""
        if connection.id not in self.hub.connections:
            return
        self.typists.stop_all(connection)
        self.pulse.discard(connection)
        self.hub.unregister(connection)
        self.hub.tracker.depart(connection.user_key)

    def _publish(self, results: Sequence[chat.Posted | Exception]) -> None:
        events = [event for result in results if isinstance(result, chat.Posted) for event in result.events]
        if events:
            self.hub.publish(Envelope(events=list(events)))

    async def _expire_typists(self) -> None:
        self.typists.expire()

    async def _sweep(self) -> None:
        events = await database.run(log.sweep, settings().sweep_seconds)
        if events:
            self.hub.publish(Envelope(events=list(events)))

    async def _recheck(self) -> None:
        """Close the sockets of those who may no longer be here: a revocation may have been lost."""
        connections = list(self.hub.connections.values())
        for start in range(0, len(connections), CHUNK):
            chunk = connections[start : start + CHUNK]
            active, revoked = await database.run(_look_up, chunk)
            for connection in chunk:
                if connection.user_key not in active:
                    connection.close(Closed(CloseCode.FORBIDDEN, "USER_DISABLED"))
                elif connection.session in revoked:
                    connection.close(Closed(CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED"))


def _look_up(connections: Sequence[Connection]) -> tuple[set[str], set[str]]:
    """The keys of users who are active, and the logins that are revoked."""
    pks: set[Any] = {read_id(connection.user_key) for connection in connections}
    users = get_user_model()._default_manager.filter(pk__in=pks, is_active=True)
    sessions = {connection.session for connection in connections if connection.session}
    return {str(pk) for pk in users.values_list("pk", flat=True)}, tokens.revoked(sessions)


_nodes: dict[asyncio.AbstractEventLoop, Node] = {}


def get_node() -> Node:
    """The running loop's node, started on first use: no server needs to know of it."""
    loop = asyncio.get_running_loop()
    node = _nodes.get(loop)
    if node is None:
        for closed in [other for other in _nodes if other.is_closed()]:
            del _nodes[closed]
        node = _nodes[loop] = Node(open_hub())
        node.start()
    return node


async def stop_node() -> None:
    """Stop the running loop's node, if it has one."""
    node = _nodes.pop(asyncio.get_running_loop(), None)
    if node is None:
        return
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await node.stop()
    except TimeoutError:
        logger.error("Not everything could be ended within %s s", STOP_SECONDS)
