"""All sockets of this process (L2): who wants which stream, and what arrives for them. One hub per event loop.

The consumers register connections here, `delivery` brings what this process publishes, the bus what others do.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterable

from realtime import database, log
from realtime.bus import Bus
from realtime.conf import settings
from realtime.connection import Connection
from realtime.errors import CloseCode, Closed
from realtime.fanout import write_all
from realtime.feed import Feed
from realtime.frames import Control, Envelope, Frame, Passing
from realtime.presence.announcer import Announcer
from realtime.presence.tracker import Tracker

logger = logging.getLogger(__name__)

SITE_STREAM = "site"


class Hub:
    """Everything that is shared by the sockets of one event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.id = secrets.token_hex(8)  # this process's name for the others
        self.connections: dict[str, Connection] = {}  # by connection id
        self.users: dict[str, set[Connection]] = {}  # by user key
        self.feeds: dict[str, Feed] = {}
        self.tracker = Tracker(self.id, self.announce)
        self.announcer = Announcer(self.connections, lambda: self.tracker.online_count)
        self.bus = Bus(self.id, self.take, self._compare_soon)
        self._positions: database.Batcher[str, int] = database.Batcher(_read_positions, limit=1000)
        self._comparing: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.bus.start()
        self.tracker.start()

    async def stop(self) -> None:
        await self.tracker.stop()
        await self.bus.stop()
        for feed in self.feeds.values():
            feed.stop()

    # Connections and what they are subscribed to

    def register(self, connection: Connection) -> None:
        """Raises Closed(TOO_MANY_CONNECTIONS)."""
        sockets = self.users.setdefault(connection.user_key, set())
        if len(sockets) >= settings().max_connections_per_user:
            raise Closed(CloseCode.TOO_MANY_CONNECTIONS, "TOO_MANY_CONNECTIONS")
        sockets.add(connection)
        self.connections[connection.id] = connection

    def unregister(self, connection: Connection) -> None:
        """Forget a socket that has gone. Harmless when it was never registered."""
        if self.connections.pop(connection.id, None) is None:
            return
        for stream in tuple(connection.streams):
            self.unsubscribe(connection, stream)
        sockets = self.users[connection.user_key]
        sockets.discard(connection)
        if not sockets:
            del self.users[connection.user_key]

    async def subscribe(self, connection: Connection, stream: str) -> int:
        """Returns the `seq` of the stream's last event: the connection gets every one after it.

        Raises Refused(UNAVAILABLE) when the position cannot be read.
        """
        feed = self.feeds.get(stream)
        if feed is None:
            feed = self.feeds[stream] = Feed(stream, _missed)
        # Subscribed first and the position read afterwards: what is stored in between is held, not lost.
        connection.streams.add(stream)
        feed.fanout.connections.add(connection)
        if feed.order.position is None:
            try:
                feed.start(await self._positions.submit(stream))
            except Exception:
                self.unsubscribe(connection, stream)
                raise
        return feed.position

    def unsubscribe(self, connection: Connection, stream: str) -> None:
        connection.streams.discard(stream)
        feed = self.feeds.get(stream)
        if feed is None:
            return
        feed.fanout.connections.discard(connection)
        if not feed.fanout.connections:
            feed.stop()
            del self.feeds[stream]

    # What is to be delivered

    def publish(self, envelope: Envelope) -> None:
        """Deliver to this process's sockets now, and to the other processes through the bus."""
        self.take(envelope)
        self.bus.publish(envelope)

    def publish_from_thread(self, envelope: Envelope) -> None:
        self.loop.call_soon_threadsafe(self.publish, envelope)

    def take(self, envelope: Envelope) -> None:
        """Deliver to this process's sockets."""
        for stream, seq, body in envelope.events:
            feed = self.feeds.get(stream)
            if feed is not None:
                feed.accept(seq, body)
        for passing in envelope.passing:
            self._pass_on(passing)
        for control in envelope.controls:
            self._obey(control)

    def announce(self, passing: Passing) -> None:
        self.publish(Envelope(passing=[passing]))

    def _pass_on(self, passing: Passing) -> None:
        frame = Frame(passing.body, exclude=passing.exclude, droppable=passing.droppable)
        if passing.stream is not None:
            feed = self.feeds.get(passing.stream)
            if feed is not None:
                feed.fanout.send(frame)
        elif passing.users is not None:
            for user in passing.users:
                write_all(self.users.get(user, set()), (frame,))
        elif passing.announcement:
            self.announcer.add(frame)
        else:
            write_all(set(self.connections.values()), (frame,))

    def _obey(self, control: Control) -> None:
        for connection in tuple(self._named_by(control)):
            if control.verb == "disconnect":
                connection.close(Closed(CloseCode(control.code), control.reason))
            elif control.verb == "unsubscribe" and control.stream is not None:
                connection.rooms.pop(control.stream.removeprefix("room."), None)
                self.unsubscribe(connection, control.stream)

    def _named_by(self, control: Control) -> Iterable[Connection]:
        if control.user is not None:
            return self.users.get(control.user, ())
        if control.session:
            return [c for c in self.connections.values() if c.session == control.session]
        feed = self.feeds.get(control.stream or "")
        return feed.fanout.connections if feed is not None else ()

    # What may have been lost

    async def compare_positions(self) -> None:
        """Fetch what the bus lost: the last event of a burst has no successor that would betray it."""
        known = await database.run(log.positions, list(self.feeds))
        for stream, last_seq in known.items():
            feed = self.feeds.get(stream)
            if feed is not None:
                feed.advance_to(last_seq)

    def _compare_soon(self) -> None:
        if self._comparing is None:
            self._comparing = self.loop.create_task(self._compare())

    async def _compare(self) -> None:
        try:
            while True:
                try:
                    return await self.compare_positions()
                except database.DatabaseUnavailable:
                    await asyncio.sleep(1)
        finally:
            self._comparing = None


def _read_positions(streams: list[str]) -> list[int]:
    found = log.positions(streams)
    return [found[stream] for stream in streams]


async def _missed(stream: str, after: int, until: int) -> list[log.LoggedEvent]:
    return await database.run(log.missed, stream, after, until)


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def get_hub() -> Hub:
    """The running loop's hub, started on first use."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        for closed in [other for other in _hubs if other.is_closed()]:
            del _hubs[closed]
        hub = _hubs[loop] = Hub()
        hub.start()
    return hub


def find_hub() -> Hub | None:
    """A hub that runs in this process, for callers on other threads; None where no socket is served."""
    return next((hub for loop, hub in list(_hubs.items()) if loop.is_running()), None)


async def stop_hub() -> None:
    """Stop the running loop's hub, if it has one."""
    hub = _hubs.pop(asyncio.get_running_loop(), None)
    if hub is not None:
        await hub.stop()
