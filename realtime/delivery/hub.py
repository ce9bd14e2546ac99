"""All sockets of this process, and their subscriptions. One hub per event loop.

The consumers register connections here. `publish` takes this process's publications, the bus brings those of others,
and `distribution` delivers both.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from realtime.delivery.announcer import Announcer
from realtime.delivery.bus import Bus
from realtime.delivery.connection import Connection
from realtime.delivery.distribution import Distributor
from realtime.delivery.envelopes import Control, Envelope, Passing
from realtime.delivery.feed import EarlyBytes, Feed
from realtime.delivery.process_names import name_process
from realtime.delivery.registry import Registry
from realtime.delivery.review import Reviewer
from realtime.protocol.errors import CloseCode, Closed
from realtime.protocol.frames import Left, Unsubscribed, encode
from realtime.protocol.streams import split_stream
from realtime.storage import database, log

RETRY_SECONDS = 1.0  # between attempts while the database is away
# Feeds that read the log at the same time. After an outage thousands have something to read, and neither the database
# threads, which also store messages, nor memory is to be full of that.
READS_AT_ONCE = 2


class Hub:
    """Everything that is shared by the sockets of one event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.id = name_process()  # for others
        self.registry = Registry()
        self.connections = self.registry.connections  # by connection id
        self.users = self.registry.users  # by user key
        self.feeds: dict[str, Feed] = {}
        self.announcer = Announcer(self.registry)
        self.bus = Bus(self.id, self.take_in_slices, self.compare_soon)
        self._distributor = Distributor(
            self.registry, self.feeds, self.announcer, self.revoke, self.compare_soon, self._note_status
        )
        self.retained = self._distributor.retained  # by stream
        self._reviewer = Reviewer(self.feeds, self.revoke)
        # Bound once for all feeds, because there may be tens of thousands.
        self._on_hole, self._on_repeat = self._reviewer.review, self._reviewer.doubt
        self._comparing: asyncio.Task[None] | None = None
        self._must_compare = False
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._early = EarlyBytes()
        # Called with a stream and a user key when a socket of the user opens or closes the stream. Set by the node.
        self.on_attendance: Callable[[str, str], None] = _ignore
        # Called with the key of a user whose status has changed in some process. Set by the node.
        self.on_status: Callable[[str], None] = _ignore

    def start(self) -> None:
        self.bus.start()

    async def stop(self) -> None:
        """Deliver what waits, here and on the bus, and stop."""
        await asyncio.sleep(0)  # threads may have published: the loop calls that before it goes on here
        await self.bus.stop()
        self._distributor.finish()
        if self._comparing is not None:
            self._comparing.cancel()
        self._reviewer.stop()
        for feed in self.feeds.values():
            feed.stop()

    # Connections and subscriptions

    def register(self, connection: Connection) -> None:
        """Raises Closed(TOO_MANY_CONNECTIONS)."""
        self.registry.add(connection)

    def note_heartbeat(self, connection: Connection) -> None:
        """A heartbeat is being sent: the client's answer will prove that everything before it has arrived.

        It proves nothing about a stream that is being replayed, because the feed is ahead of the replay.
        """
        feeds = (self.feeds.get(stream) for stream in connection.subscriptions.live)
        live = [feed for feed in feeds if feed is not None and connection in feed.fanout.connections]
        connection.subscriptions.positions.note_heartbeat({feed.name: feed.sent_position for feed in live})

    def unregister(self, connection: Connection) -> None:
        """Remove a connection whose socket has closed. Harmless if it was never registered."""
        if self.registry.remove(connection):
            self.announcer.forget(connection)
            for stream in connection.subscriptions.close():
                self._drop(connection, stream)

    @asynccontextmanager
    async def open_feeds(
        self, streams: Sequence[str], connection: Connection | None = None
    ) -> AsyncIterator[list[Feed]]:
        """Feeds whose positions are known. They are kept while the body runs, which attaches connections to them.

        A feed listens before its position is read, so events that are stored in between are held, not lost. Rights of
        the `connection` to rooms whose names now belong to other rooms are revoked. Raises DatabaseUnavailable.
        """
        feeds = [self._pin(stream) for stream in streams]
        try:
            unknown = [feed for feed in feeds if feed.order.position is None]
            if unknown:
                standings = await asyncio.gather(*(self._reviewer.read(feed.name) for feed in unknown))
                for feed, standing in zip(unknown, standings, strict=True):
                    feed.start(*standing)
            if connection is not None:
                await self._reviewer.check_rooms(connection, feeds)
            yield feeds
        finally:
            for feed in feeds:
                feed.pins -= 1
                self._forget_if_unused(feed)

    def attach(self, connection: Connection, feed: Feed) -> bool:
        """From now on the connection gets every event after the feed's position.

        False if the socket has closed, or if its right to the stream has ended since it asked for the stream.
        """
        if connection.subscriptions.is_outdated(feed.name, feed.room):
            self.revoke(connection, feed.name)
        attached = connection.subscriptions.attach(feed.name, feed.position)
        if attached:
            feed.fanout.add(connection)
            self.on_attendance(feed.name, connection.user_key)
        return attached

    def detach(self, connection: Connection, feed: Feed) -> None:
        """Stop sending a feed's events to a connection that stays subscribed. The feed must be open (`open_feeds`)."""
        feed.fanout.connections.discard(connection)

    def unsubscribe(self, connection: Connection, stream: str) -> bool:
        """End a subscription, even one that is still being made. Returns whether there was one."""
        self._drop(connection, stream)
        return connection.subscriptions.remove(stream)

    def _drop(self, connection: Connection, stream: str) -> None:
        self.on_attendance(stream, connection.user_key)
        feed = self.feeds.get(stream)
        if feed is not None:
            feed.fanout.connections.discard(connection)
            self._forget_if_unused(feed)

    def _pin(self, stream: str) -> Feed:
        feed = self.feeds.get(stream)
        if feed is None:
            feed = self.feeds[stream] = Feed(stream, self._missed, self._early, self._on_hole, self._on_repeat)
        feed.pins += 1
        return feed

    def _forget_if_unused(self, feed: Feed) -> None:
        if not feed.pins and not feed.fanout.connections and self.feeds.get(feed.name) is feed:
            feed.stop()
            del self.feeds[feed.name]

    # Delivery

    def publish(self, envelope: Envelope) -> None:
        """Deliver to this process's sockets now, and to the other processes through the bus.

        While controls wait in the slices, this waits behind them: nobody gets what was published after their right
        had ended.
        """
        # The bus comes first: an error in this process's delivery must not keep the envelope from other processes.
        self.bus.publish(envelope)
        if self._distributor.is_blocked or envelope.controls:
            self._distributor.add(envelope)
        else:
            self._distributor.take(envelope)

    def publish_from_thread(self, envelope: Envelope) -> None:
        self.loop.call_soon_threadsafe(self._publish_in_slices, envelope)

    def _publish_in_slices(self, envelope: Envelope) -> None:
        self.bus.publish(envelope)
        self._distributor.add(envelope)

    async def take_in_slices(self, envelope: Envelope) -> None:
        """`take`, in several turns of the loop if it is much. Returns when this envelope has been delivered.

        A feed puts events in order that others overtake. Controls are overtaken by nothing, and overtake nothing.
        """
        await self._distributor.add(envelope).wait()

    def take(self, envelope: Envelope) -> None:
        """Deliver to this process's sockets."""
        self._distributor.take(envelope)

    def announce(self, passing: Passing) -> None:
        self.publish(Envelope(passing=[passing]))

    def tell_status(self, user_key: str) -> None:
        """Tell all processes, this one included, that the user's status has changed."""
        self.publish(Envelope(controls=[Control("status", user=user_key)]))

    def _note_status(self, user_key: str) -> None:
        self.on_status(user_key)

    def revoke(self, connection: Connection, stream: str) -> None:
        """End a subscription because the right to it has ended, and notify the client."""
        if not self.unsubscribe(connection, stream):
            return
        if stream == connection.home:
            connection.close(Closed(CloseCode.FORBIDDEN, "FORBIDDEN"))
        kind, name = split_stream(stream)
        if kind == "room":
            connection.send(encode(Left(name, "REMOVED")))
        elif kind == "topic":
            connection.send(encode(Unsubscribed(name, "REMOVED")))

    # Lost publications

    async def compare_positions(self) -> None:
        """Fetch events that the bus lost. If the last event of a burst is lost, no later event reveals the gap."""
        await self._reviewer.compare(list(self.feeds.values()))

    def compare_soon(self) -> None:
        """`compare_positions` in a task, as soon as the database is available."""
        self._must_compare = True
        if self._comparing is None:
            self._comparing = self.loop.create_task(self._compare())

    async def _compare(self) -> None:
        try:
            # A reason that comes while positions are read needs another look: they may have been read before it.
            while self._must_compare:
                self._must_compare = False
                try:
                    await self.compare_positions()
                except database.DatabaseUnavailable:
                    self._must_compare = True
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._comparing = None

    async def _missed(self, stream: str, after: int, until: int) -> list[log.LoggedEvent]:
        async with self._reading:
            return await database.run(log.missed, stream, after, until)


def _ignore(*_keys: str) -> None: ...
