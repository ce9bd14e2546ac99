"""One process at work (L3): its hub with everything that gathers work for the database. One per event loop.

Called by the consumers, which find it with `get_node`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from realtime.auth import access
from realtime.auth.identity import Loader, load_identities
from realtime.chat import messages as chat
from realtime.chat import read_positions
from realtime.conf import settings
from realtime.delivery.clock import Pulse
from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Envelope
from realtime.delivery.hub import Hub, close_hub, open_hub
from realtime.delivery.scheduler import Ticker
from realtime.presence.typing_indicators import Typists
from realtime.recovery.resume import Resumer
from realtime.recovery.sessions.keeper import Keeper
from realtime.sockets import recheck
from realtime.sockets.drain import tell_at_once, tell_in_turn
from realtime.storage import database, log
from realtime.storage.leases.store import LeasesUnavailable
from realtime.storage.leases.store import open_store as open_leases
from realtime.storage.retention import Pruner
from realtime.storage.tasks import end_tasks

logger = logging.getLogger(__name__)

CHUNK = 500
SAVE_SECONDS = 1.0  # between savings of sessions
STOP_SECONDS = 20  # a process whose database or Redis hangs must still end
RETIRE_SECONDS = 0.3  # processes that are told to stop together know it of each other by then
REST_SECONDS = 0.005  # between look-ups for handshakes: without it a storm of them is looked up three at a time


class Node:
    """The verbs' view of this process."""

    def __init__(self, hub: Hub) -> None:
        conf = settings()
        self.hub = hub
        self.pulse = Pulse(hub.note_heartbeat)
        self.keeper = Keeper()
        self.typists = Typists(hub.publish, hub.tracker.tell_unless_hidden)
        self.loader: Loader = database.Batcher(load_identities, limit=CHUNK, rest_seconds=REST_SECONDS)
        self.access: access.Asker = database.Batcher(access.find_access, limit=CHUNK)
        self.marker: read_positions.Marker = database.Batcher(read_positions.mark, limit=read_positions.LIMIT)
        self.writer: chat.Writer = database.Batcher(
            chat.store, limit=conf.commit_batch, waiting_limit=conf.max_waiting_commits, after=self._publish
        )
        self.leases = open_leases(conf)
        self.pruner = Pruner(self.leases)
        self.ticker = Ticker(hub, self.leases)
        self.resumer = Resumer(hub, self.access, self.ticker.on_subscribed)
        self.has_others = True  # whether sockets that are told to leave can come back at once; looked up for that
        self._parting: asyncio.Task[None] | None = None  # set when this process begins to stop
        self.opening = 0  # handshakes that are not registered yet

    def start(self) -> None:
        conf = settings()
        self.pulse.start(
            [
                (min(1.0, conf.typing_seconds / 4), self._expire_typists),
                (conf.heartbeat_seconds, self.hub.compare_positions),
                (SAVE_SECONDS, self.keeper.save),
                (conf.session_seconds / 3, self._renew_sessions),
                (conf.sweep_seconds, self._sweep),
                (conf.auth_recheck_seconds, self._recheck),
                (self.ticker.beat_seconds, self.ticker.beat),
                (self.pruner.try_seconds, self.pruner.prune_if_due),
            ]
        )

    @property
    def is_stopping(self) -> bool:
        return self._parting is not None

    def part(self) -> None:
        """This process is going to stop: ask its sockets to come back. Harmless when it was called already."""
        if self._parting is None:
            self._parting = asyncio.get_running_loop().create_task(self._take_leave())

    async def _take_leave(self) -> None:
        await self.hub.tracker.has_others()
        await asyncio.sleep(RETIRE_SECONDS)
        self.has_others = await self.hub.tracker.has_others()
        tell = tell_in_turn if self.has_others else tell_at_once
        await tell(self.hub.connections.values())

    async def stop(self) -> None:
        """Store what is waiting, tell the others, end."""
        if self._parting is not None:
            await end_tasks([self._parting])
        await self.writer.drain()
        await self.marker.drain()
        await self.pulse.stop()
        await self.typists.drain()
        await self.keeper.stop()
        await self.ticker.stop()
        with contextlib.suppress(LeasesUnavailable):
            await self.leases.close()
        await close_hub(self.hub)

    def leave(self, connection: Connection) -> None:
        """A socket has gone. Harmless for one that was never registered, and the second time."""
        if connection.id not in self.hub.connections:
            return
        self.typists.stop_all(connection)
        self.keeper.note(connection)
        self.pulse.discard(connection)
        self.hub.unregister(connection)
        if not self.is_stopping:  # else the user is on the way back: his time of grace begins when this process ends
            self.hub.tracker.depart(connection.user_key)

    def _publish(self, results: Sequence[chat.Posted | Exception]) -> None:
        events = [event for result in results if isinstance(result, chat.Posted) for event in result.events]
        if events:
            self.hub.publish(Envelope(events=list(events)))

    async def _expire_typists(self) -> None:
        self.typists.expire()

    async def _renew_sessions(self) -> None:
        """A session lives on after its socket, however long nothing had changed before the process was killed."""
        for connection in self.hub.connections.values():
            if connection.session_id:  # else it has not been greeted yet
                self.keeper.note(connection)

    async def _sweep(self) -> None:
        events = await database.run(log.sweep, settings().sweep_seconds)
        if events:
            self.hub.publish(Envelope(events=list(events)))

    async def _recheck(self) -> None:
        await recheck.recheck(self.hub)


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
