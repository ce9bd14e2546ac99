"""The parts of one process: makes them, gives each what it needs, and ends them in order.

There is one node for each event loop. The handshake finds it with `get_node`.
"""

import asyncio
import contextlib
import logging
from contextvars import ContextVar

from realtime.auth import access, tickets
from realtime.auth.identity import Loader, load_identities
from realtime.chat.direct import forget_pairs
from realtime.chat.messages import Messages
from realtime.chat.read_positions import MARKS_AT_ONCE, ReadMarker, mark_read
from realtime.conf import settings
from realtime.delivery import bridge
from realtime.delivery.blacklist import SilentRows
from realtime.delivery.clock import Clock
from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Envelope
from realtime.delivery.hub import Hub
from realtime.delivery.scheduler import Scheduler
from realtime.presence import online
from realtime.presence.attendance import lookup
from realtime.presence.attendance.reporter import Reporter
from realtime.presence.health import report_seconds
from realtime.presence.tracker import Tracker
from realtime.presence.typing_indicators import TypingIndicators
from realtime.recovery.resume import Resumer
from realtime.recovery.sessions import open_store as open_sessions
from realtime.recovery.sessions.keeper import Keeper
from realtime.server.held_signals import HeldSignals
from realtime.sockets.drain import Drain
from realtime.sockets.errands import Errands
from realtime.sockets.recheck import Checker, check, recheck, recheck_topics
from realtime.storage import database, pending
from realtime.storage.jobs import Runner
from realtime.storage.leases import open_store as open_leases
from realtime.storage.leases.store import LeasesUnavailable
from realtime.storage.retention import Pruner
from realtime.storage.tasks import time_limit

logger = logging.getLogger(__name__)

CHUNK = 500
SAVE_SECONDS = 1.0  # between savings of sessions
# A process must end even if its database or Redis hangs.
STOP_SECONDS = 20
# From the last close under another server to its end: clients answer the close frame.
CLOSE_SECONDS = 5
# Between look-ups for handshakes: without it, a storm of handshakes is looked up three at a time.
REST_SECONDS = 0.005


class Node:
    """The parts of this process."""

    def __init__(self) -> None:
        conf = settings()
        self.hub = Hub()
        self.attendance = Reporter(self.hub.id, lookup.loop_store(), self.hub.users)
        self.hub.on_attendance = self.attendance.note
        self.tracker = Tracker(
            self.hub.id,
            online.loop_store(),
            self.hub.announce,
            counter=self.hub.announcer,
            tell_others=self.hub.tell_status,
        )
        self.hub.on_status = self.tracker.look_up_status
        self.clock = Clock(self.hub.note_heartbeat)
        self.keeper = Keeper(open_sessions(conf))
        self.typing = TypingIndicators(self.hub.publish, self.tracker.send_unless_hidden)
        self.loader: Loader = database.Batcher(load_identities, limit=CHUNK, rest_seconds=REST_SECONDS)
        self.checker: Checker = database.Batcher(check, limit=CHUNK)
        self.access: access.Asker = database.Batcher(access.find_access, limit=CHUNK)
        self.read_marker: ReadMarker = database.Batcher(mark_read, limit=MARKS_AT_ONCE)
        self.messages = Messages(self.hub.publish, self.hub.compare_soon)
        self.leases = open_leases(conf)
        self.silent_rows = SilentRows()
        self.pruner = Pruner(self.leases, also=[tickets.prune])
        self.jobs = Runner(self.leases)
        self.scheduler = Scheduler(self.hub, self.leases)
        self.resumer = Resumer(self.hub, self.access, self.scheduler.on_subscribed)
        self.drain = Drain(self.hub.connections, self.tracker)
        self.signals = HeldSignals(
            self.drain.begin, self.hub.connections, lambda: settings().restart_window_seconds + CLOSE_SECONDS
        )
        self.errands = Errands(self.hub.connections)
        self.opening = 0  # handshakes that are not registered yet

    def start(self) -> None:
        conf = settings()
        # Before anything runs: the settings of other apps, which are read here, may be wrong.
        periods = self.jobs.periods()
        self.hub.start()
        self.tracker.start()
        bridge.serve(self.hub)
        self.clock.start(
            [
                (min(1.0, conf.typing_seconds / 4), self._expire_typing),
                (conf.heartbeat_seconds, self.hub.compare_positions),
                (SAVE_SECONDS, self.keeper.save),
                (conf.session_seconds / 3, self._renew_sessions),
                (conf.sweep_seconds, self._sweep),
                (conf.auth_recheck_seconds, self._recheck),
                # By itself: an `allow` of the site may hang.
                (conf.auth_recheck_seconds, self._recheck_topics),
                (conf.auth_recheck_seconds / 2, self._look_at_blacklist),  # each row is looked at twice
                (self.scheduler.beat_seconds, self.scheduler.beat),
                (self.pruner.try_seconds, self.pruner.prune_if_due),
                (report_seconds(conf.presence_lease_seconds), self.attendance.report),
                *periods,
            ]
        )

    async def stop(self) -> None:
        """Store and publish what is waiting, then end the parts in order."""
        self.signals.remove()
        await self.drain.end()
        await self.messages.drain()
        await self.read_marker.drain()
        await self.clock.stop()
        await self.jobs.stop()
        await self.typing.drain()
        await self.keeper.stop()
        await self.scheduler.stop()
        with contextlib.suppress(LeasesUnavailable):
            await self.leases.close()
        bridge.retire(self.hub)
        online.forget_loop_store()
        lookup.forget_loop_store()
        await self.tracker.stop()
        await self.attendance.stop()
        await self.hub.stop()
        forget_pairs()

    def leave(self, connection: Connection) -> None:
        """Clean up after a socket that has closed. Harmless if it was never registered, and the second time."""
        if connection.id not in self.hub.connections:
            return
        self.errands.end(connection)
        self.typing.stop_all(connection)
        self.keeper.leave(connection)
        self.clock.discard(connection)
        self.hub.unregister(connection)
        # While the process drains, its users are on their way back: their grace time begins when it has ended.
        if not self.drain.has_begun:
            self.tracker.depart(connection.user_key)

    async def _expire_typing(self) -> None:
        self.typing.expire()

    async def _renew_sessions(self) -> None:
        """Renew the sessions of open sockets: they survive a killed process even if nothing changed for long."""
        for connection in self.hub.connections.values():
            if connection.session_id:  # else it has not been greeted yet
                self.keeper.note(connection)

    async def _sweep(self) -> None:
        """Publish all that a crash left behind. It may have been in the middle of very much."""
        last: int | None = 0
        while last is not None:
            events, last = await database.run(pending.sweep, settings().sweep_seconds, last)
            if events:
                self.hub.publish(Envelope(events=list(events)))

    async def _recheck(self) -> None:
        await recheck(self.hub, self.clock.watch_end)

    async def _recheck_topics(self) -> None:
        await recheck_topics(self.hub)

    async def _look_at_blacklist(self) -> None:
        await database.run(self.silent_rows.look)


_nodes: dict[asyncio.AbstractEventLoop, Node] = {}
# Set by `realtime.testing` for what happens in another process, whose node has the same event loop.
chosen_node: ContextVar[Node] = ContextVar("chosen_node")


def get_node() -> Node:
    """The running loop's node, started on first use, so that no server needs to know about it."""
    loop = asyncio.get_running_loop()
    node = chosen_node.get(None) or _nodes.get(loop)
    if node is None:
        for closed in [other for other in _nodes if other.is_closed()]:
            del _nodes[closed]
        node = Node()
        # Only then is it found: half a node would greet sockets and never end them.
        node.start()
        _nodes[loop] = node
    return node


async def stop_node() -> None:
    """Stop the running loop's node, if it has one."""
    node = _nodes.pop(asyncio.get_running_loop(), None)
    if node is None:
        return
    try:
        async with time_limit(STOP_SECONDS):
            await node.stop()
    except TimeoutError:
        logger.error("Stopping took longer than %s s: some parts were not ended", STOP_SECONDS)
