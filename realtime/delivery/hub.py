"""All sockets of this process: who wants which stream, and what arrives for them. One hub per event loop.

The consumers register connections here, `delivery` brings what this process publishes, the bus what others do.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from realtime.delivery.announcer import Announcer
from realtime.delivery.bus import Bus
from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Control, Envelope, Passing
from realtime.delivery.fanout import write_all
from realtime.delivery.feed import Feed
from realtime.delivery.registry import Registry
from realtime.protocol.errors import CloseCode, Closed
from realtime.protocol.frames import Left, Unsubscribed, encode
from realtime.protocol.outgoing import Frame
from realtime.protocol.streams import split_stream
from realtime.storage import database, log

logger = logging.getLogger(__name__)

REST_SECONDS = 0.005  # between look-ups of positions
RETRY_SECONDS = 1.0  # between questions to a database that is away


class Retained(NamedTuple):
    """The newest value of a topic; `at` is the time of the loop at which it came."""

    frame: Frame
    at: float


class Hub:
    """Everything that is shared by the sockets of one event loop."""

    def __init__(self, count_online: Callable[[], int] = lambda: 0) -> None:
        """`count_online` says how many users are online, for when there are too many announcements to send each."""
        self.loop = asyncio.get_running_loop()
        self.id = secrets.token_hex(8)  # this process's name for the others
        self.registry = Registry()
        self.connections = self.registry.connections  # by connection id
        self.users = self.registry.users  # by user key
        self.feeds: dict[str, Feed] = {}
        self.retained: dict[str, Retained] = {}  # by stream, of the topics that have a function
        self.announcer = Announcer(self.connections, count_online)
        self.bus = Bus(self.id, self.take, self._compare_soon)
        self._positions: database.Batcher[str, int] = database.Batcher(
            _read_positions, limit=1000, rest_seconds=REST_SECONDS
        )
        self._comparing: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.bus.start()

    async def stop(self) -> None:
        await self.bus.stop()
        if self._comparing is not None:
            self._comparing.cancel()
        for feed in self.feeds.values():
            feed.stop()

    # Connections and what they are subscribed to

    def register(self, connection: Connection) -> None:
        """Raises Closed(TOO_MANY_CONNECTIONS)."""
        self.registry.add(connection)

    def note_heartbeat(self, connection: Connection) -> None:
        """A heartbeat goes out: its answer will prove that everything before it arrived.

        It proves nothing of a stream that is being replayed: the feed is further than the replay.
        """
        feeds = (self.feeds.get(stream) for stream in connection.subscriptions.live)
        live = [feed for feed in feeds if feed is not None and connection in feed.fanout.connections]
        connection.subscriptions.positions.note_heartbeat({feed.name: feed.sent_position for feed in live})

    def unregister(self, connection: Connection) -> None:
        """Forget a socket that has gone. Harmless when it was never registered."""
        if self.registry.remove(connection):
            for stream in connection.subscriptions.close():
                self._drop(connection, stream)

    @asynccontextmanager
    async def open_feeds(self, streams: Sequence[str]) -> AsyncIterator[list[Feed]]:
        """Feeds that know their positions and go nowhere in the body, which attaches connections to them.

        A feed listens before its position is read, so what is stored in between is held, not lost. Raises
        DatabaseUnavailable.
        """
        feeds = [self._pin(stream) for stream in streams]
        try:
            unknown = [feed for feed in feeds if feed.order.position is None]
            if unknown:
                positions = await asyncio.gather(*(self._positions.submit(feed.name) for feed in unknown))
                for feed, position in zip(unknown, positions, strict=True):
                    feed.start(position)
            yield feeds
        finally:
            for feed in feeds:
                feed.pins -= 1
                self._forget_if_unused(feed)

    def attach(self, connection: Connection, feed: Feed) -> bool:
        """From now on the connection gets every event after the feed's position.

        False where the socket has gone, or its right to the stream has ended since it was asked for.
        """
        attached = connection.subscriptions.attach(feed.name, feed.position)
        if attached:
            feed.fanout.add(connection)
        return attached

    def detach(self, connection: Connection, feed: Feed) -> None:
        """Hold back a feed's events from a connection, which stays subscribed. The feed must be open."""
        feed.fanout.connections.discard(connection)

    def unsubscribe(self, connection: Connection, stream: str) -> bool:
        """End a subscription, also one that is just being made. Whether there was one."""
        self._drop(connection, stream)
        return connection.subscriptions.remove(stream)

    def _drop(self, connection: Connection, stream: str) -> None:
        feed = self.feeds.get(stream)
        if feed is not None:
            feed.fanout.connections.discard(connection)
            self._forget_if_unused(feed)

    def _pin(self, stream: str) -> Feed:
        feed = self.feeds.get(stream)
        if feed is None:
            feed = self.feeds[stream] = Feed(stream, _missed)
        feed.pins += 1
        return feed

    def _forget_if_unused(self, feed: Feed) -> None:
        if not feed.pins and not feed.fanout.connections and self.feeds.get(feed.name) is feed:
            feed.stop()
            del self.feeds[feed.name]

    # What is to be delivered

    def publish(self, envelope: Envelope) -> None:
        """Deliver to this process's sockets now, and to the other processes through the bus."""
        self.bus.publish(envelope)  # first: what goes wrong here must not keep it from the others
        self.take(envelope)

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
            if passing.retained:
                self.retained[passing.stream] = Retained(frame, self.loop.time())
            feed = self.feeds.get(passing.stream)
            if feed is not None:
                feed.fanout.send(frame)
        elif passing.users is not None:
            write_all(self.registry.find(passing.users, passing.except_connection), (frame,))
        elif passing.announcement:
            self.announcer.add(frame)
        else:
            write_all(set(self.connections.values()), (frame,))

    def _obey(self, control: Control) -> None:
        for connection in self.registry.named_by(control):
            if control.verb == "disconnect":
                connection.close(Closed(CloseCode(control.code), control.reason))
            elif control.verb == "unsubscribe" and control.stream is not None:
                self.revoke(connection, control.stream)

    def revoke(self, connection: Connection, stream: str) -> None:
        """End a subscription because its right has ended, and say so."""
        if not self.unsubscribe(connection, stream):
            return
        if stream == connection.home:
            connection.close(Closed(CloseCode.FORBIDDEN, "FORBIDDEN"))
        kind, name = split_stream(stream)
        if kind == "room":
            connection.send(encode(Left(name, "REMOVED")))
        elif kind == "topic":
            connection.send(encode(Unsubscribed(name, "REMOVED")))

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
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._comparing = None


def _read_positions(streams: list[str]) -> list[int]:
    found = log.positions(streams)
    return [found[stream] for stream in streams]


async def _missed(stream: str, after: int, until: int) -> list[log.LoggedEvent]:
    return await database.run(log.missed, stream, after, until)
