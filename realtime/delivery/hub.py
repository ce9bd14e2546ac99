"""All sockets of this process: their subscriptions, and what is delivered to them. One hub per event loop.

The consumers register connections here. `publish` takes this process's publications, the bus brings those of others.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from realtime.conf import settings
from realtime.delivery.announcer import Announcer
from realtime.delivery.bus import Bus
from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Control, Envelope, Passing
from realtime.delivery.fanout import write_all
from realtime.delivery.feed import EarlyBytes, Feed
from realtime.delivery.process_names import name_process
from realtime.delivery.registry import Registry
from realtime.delivery.review import Reviewer
from realtime.delivery.slices import LOGGED, Slices
from realtime.protocol.errors import CloseCode, Closed
from realtime.protocol.frames import Left, Unsubscribed, encode
from realtime.protocol.outgoing import Announcement, Frame
from realtime.protocol.streams import split_stream
from realtime.storage import database, log

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # between attempts while the database is away
# Feeds that read the log at the same time. After an outage thousands have something to read, and neither the database
# threads, which also store messages, nor memory is to be full of that.
READS_AT_ONCE = 2
# Of one stream's events, delivered in one turn of the loop; the rest is read from the log, in portions. Other processes
# send less than this at once, and so does `chat`; what a site publishes in one commit may be more.
TURN_BYTES = 786_432


class Retained(NamedTuple):
    """The newest value of a topic. `at` is when it arrived, as the event loop's time."""

    frame: Frame
    at: float


class Hub:
    """Everything that is shared by the sockets of one event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.id = name_process()  # for others
        self.registry = Registry()
        self.connections = self.registry.connections  # by connection id
        self.users = self.registry.users  # by user key
        self.feeds: dict[str, Feed] = {}
        self.retained: dict[str, Retained] = {}  # by stream, for topics with a function
        self.announcer = Announcer(self.registry)
        self.bus = Bus(self.id, self.take_in_slices, self.compare_soon)
        self._slices = Slices(self.loop)
        self._reviewer = Reviewer(self.feeds, self.revoke)
        # Bound once for all feeds, because there may be tens of thousands.
        self._on_hole, self._on_repeat = self._reviewer.review, self._reviewer.doubt
        self._comparing: asyncio.Task[None] | None = None
        self._must_compare = False
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._early = EarlyBytes()
        # Called with a stream and a user key when a socket of the user opens or closes the stream. Set by the node.
        self.on_attendance: Callable[[str, str], None] = _ignore

    def start(self) -> None:
        self.bus.start()

    async def stop(self) -> None:
        """Deliver what waits, here and on the bus, and stop."""
        await asyncio.sleep(0)  # threads may have published: the loop calls that before it goes on here
        await self.bus.stop()
        self._slices.finish()
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
        if self._slices.is_blocked or envelope.controls:
            self._add_to_slices(envelope)
        else:
            self.take(envelope)

    def publish_from_thread(self, envelope: Envelope) -> None:
        self.loop.call_soon_threadsafe(self._publish_in_slices, envelope)

    def _publish_in_slices(self, envelope: Envelope) -> None:
        self.bus.publish(envelope)
        self._add_to_slices(envelope)

    async def take_in_slices(self, envelope: Envelope) -> None:
        """`take`, in several turns of the loop if it is much. Returns when this envelope has been delivered.

        A feed puts events in order that others overtake. Controls are overtaken by nothing, and overtake nothing.
        """
        await self._add_to_slices(envelope).wait()

    def _add_to_slices(self, envelope: Envelope) -> asyncio.Event:
        return self._slices.add(self._deliver(envelope), blocks=bool(envelope.controls))

    def take(self, envelope: Envelope) -> None:
        """Deliver to this process's sockets."""
        for _ in self._deliver(envelope):
            pass

    def _deliver(self, envelope: Envelope) -> Iterator[None]:
        """There may be a pause after each event, frame and control. They are in the order of their publication.

        An error in one of them is logged and keeps none of the others: a right would not end.
        """
        taken: Counter[str] = Counter()  # bytes by stream
        for stream, seq, body in envelope.events:
            feed = self.feeds.get(stream)
            if feed is None:
                continue
            is_first = not taken[stream]
            taken[stream] += len(body)
            with LOGGED:
                if is_first or taken[stream] <= TURN_BYTES:
                    feed.accept(seq, body)
                else:
                    feed.advance_to(seq)
            yield
        for passing in envelope.passing:
            with LOGGED:
                self._pass_on(passing)
            yield
        for control in envelope.controls:
            with LOGGED:
                self._obey(control)
            yield
        for stream, seq in envelope.positions.items():
            feed = self.feeds.get(stream)
            if feed is not None:
                with LOGGED:
                    feed.advance_to(seq)
        if envelope.compares:
            self.compare_soon()

    def announce(self, passing: Passing) -> None:
        self.publish(Envelope(passing=[passing]))

    def _pass_on(self, passing: Passing) -> None:
        if passing.version:
            self._tell_change(passing)
            return
        frame = Frame(passing.body, exclude=passing.exclude, droppable=passing.droppable)
        if passing.stream is not None:
            if passing.retained:
                self.retained[passing.stream] = Retained(frame, self.loop.time())
            feed = self.feeds.get(passing.stream)
            if feed is not None and passing.room in (0, feed.room):
                feed.fanout.send(frame)
        elif passing.users is not None:
            write_all(self.registry.find(passing.users, passing.except_connection), (frame,))
        elif passing.announcement:
            self.announcer.add(frame)
        else:
            write_all(set(self.connections.values()), (frame,))

    def _tell_change(self, passing: Passing) -> None:
        """Tell who has come online or gone offline, to everybody or to some users."""
        frame = Announcement(passing.body, passing.version, passing.exclude)
        if passing.users is None:
            self.announcer.add(frame)
            return
        found = self.registry.find(passing.users, passing.except_connection)
        write_all({connection for connection in found if connection.counted < passing.version}, (frame,))

    def _obey(self, control: Control) -> None:
        if control.verb == "come_back":
            self._close_all_slowly()
        self.registry.note_ending(control)
        for connection in self.registry.named_by(control):
            if control.verb == "disconnect":
                self._write_gathered(connection.subscriptions.live)
                connection.close(Closed(CloseCode(control.code), control.reason))
            elif control.verb == "unsubscribe" and control.stream is not None:
                self._end_subscription(connection, control.stream, control.room)

    def _end_subscription(self, connection: Connection, stream: str, room: int) -> None:
        """Obey a control. It may arrive late, when a later room has the name of the `room` that it is about."""
        if not room or connection.subscriptions.is_about(stream, room):
            self._write_gathered([stream])
            self.revoke(connection, stream)

    def _write_gathered(self, streams: Iterable[str]) -> None:
        """Before a right ends: what gathers was published while there still was one."""
        for stream in streams:
            if (feed := self.feeds.get(stream)) is not None:
                feed.fanout.write_gathered()

    def _close_all_slowly(self) -> None:
        """Ask every client to open a new socket: so many rights have ended that nobody knows which."""
        conf = settings()
        for connection in self.connections.values():
            why = Closed(CloseCode.OVERLOADED, "OVERLOADED", retry_after_ms=conf.retry_after_ms)
            self.loop.call_later(random.uniform(0, conf.restart_window_seconds), connection.close, why)

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


def _ignore(stream: str, user_key: str) -> None: ...
