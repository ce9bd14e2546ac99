"""Delivers what an envelope contains to the sockets of this process, in time slices. Held by the hub.

Events go to the feeds of their streams, frames that are not stored to whoever they are for, and controls end rights.
"""

import asyncio
import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from realtime.conf import settings
from realtime.delivery.announcer import Announcer
from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Control, Envelope, Passing
from realtime.delivery.fanout import write_all
from realtime.delivery.feed import Feed
from realtime.delivery.registry import Registry
from realtime.delivery.slices import LOGGED, Slices
from realtime.protocol.errors import CloseCode, Closed
from realtime.protocol.outgoing import Announcement, Frame

# Of one stream's events, delivered in one turn of the loop; the rest is read from the log, in portions. Other processes
# send less than this at once, and so does `chat`; what a site publishes in one commit may be more.
TURN_BYTES = 786_432
# Frames whose ids are remembered. What is sent again is a portion, which holds half as many.
MOST_PASSED = 10_000


class Retained(NamedTuple):
    """The newest value of a topic. `at` is when it arrived, as the event loop's time."""

    frame: Frame
    at: float


class Distributor:
    """Delivers envelopes. `revoke` ends a subscription, `compare_soon` compares all feeds with the log.

    `on_status` is called with a user whose status has changed.
    """

    def __init__(
        self,
        registry: Registry,
        feeds: Mapping[str, Feed],
        announcer: Announcer,
        revoke: Callable[[Connection, str], None],
        compare_soon: Callable[[], None],
        on_status: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._feeds = feeds  # by stream
        self._announcer = announcer
        self._revoke = revoke
        self._compare_soon = compare_soon
        self._on_status = on_status
        self._loop = asyncio.get_running_loop()
        self._slices = Slices(self._loop)
        self.retained: dict[str, Retained] = {}  # by stream, for topics with a function
        self._passed: OrderedDict[int, None] = OrderedDict()  # the ids of the last frames that are not to come twice

    @property
    def is_blocked(self) -> bool:
        """Whether controls wait, which nothing may overtake."""
        return self._slices.is_blocked

    def add(self, envelope: Envelope) -> asyncio.Event:
        """Deliver it in slices, behind what waits. Returns an event that is set when it has been delivered."""
        return self._slices.add(self._deliver(envelope), blocks=bool(envelope.controls))

    def take(self, envelope: Envelope) -> None:
        """Deliver it at once."""
        for _ in self._deliver(envelope):
            pass

    def finish(self) -> None:
        """Deliver all that waits."""
        self._slices.finish()

    def _deliver(self, envelope: Envelope) -> Iterator[None]:
        """There may be a pause after each event, frame and control. They are in the order of their publication.

        An error in one of them is logged and keeps none of the others: a right would not end.
        """
        taken: Counter[str] = Counter()  # bytes by stream
        for stream, seq, body in envelope.events:
            feed = self._feeds.get(stream)
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
            feed = self._feeds.get(stream)
            if feed is not None:
                with LOGGED:
                    feed.advance_to(seq)
        if envelope.compares:
            self._compare_soon()

    def _is_repeated(self, passing: Passing) -> bool:
        if not passing.id:
            return False
        if passing.id in self._passed:
            return True
        self._passed[passing.id] = None
        if len(self._passed) > MOST_PASSED:
            self._passed.popitem(last=False)
        return False

    def _pass_on(self, passing: Passing) -> None:
        if self._is_repeated(passing):
            return
        if passing.version:
            self._tell_change(passing)
            return
        frame = Frame(passing.body, exclude=passing.exclude, droppable=passing.droppable)
        if passing.stream is not None:
            if passing.retained:
                self.retained[passing.stream] = Retained(frame, self._loop.time())
            feed = self._feeds.get(passing.stream)
            if feed is not None and passing.room in (0, feed.room):
                feed.fanout.send(frame)
        elif passing.users is not None:
            write_all(self._registry.find(passing.users, passing.except_connection), (frame,))
        elif passing.announcement:
            self._announcer.add(frame)
        else:
            write_all(set(self._registry.connections.values()), (frame,))

    def _tell_change(self, passing: Passing) -> None:
        """Tell who has come online or gone offline to everybody or to some users, or a count to some users."""
        frame = Announcement(passing.body, passing.version, passing.exclude)
        if passing.users is None:
            self._announcer.add(frame)
            return
        self._announcer.tell(frame, self._registry.find(passing.users, passing.except_connection))

    def _obey(self, control: Control) -> None:
        if control.verb == "status" and control.user is not None:
            self._on_status(control.user)
            return
        if control.verb == "come_back":
            self._close_all_slowly()
        self._registry.note_ending(control)
        for connection in self._registry.named_by(control):
            if control.verb == "disconnect":
                self._write_gathered(connection.subscriptions.live)
                connection.close(Closed(CloseCode(control.code), control.reason))
            elif control.verb == "unsubscribe" and control.stream is not None:
                self._end_subscription(connection, control.stream, control.room)

    def _end_subscription(self, connection: Connection, stream: str, room: int) -> None:
        """Obey a control. It may arrive late, when a later room has the name of the `room` that it is about."""
        if not room or connection.subscriptions.is_about(stream, room):
            self._write_gathered([stream])
            self._revoke(connection, stream)

    def _write_gathered(self, streams: Iterable[str]) -> None:
        """Before a right ends: what gathers was published while there still was one."""
        for stream in streams:
            if (feed := self._feeds.get(stream)) is not None:
                feed.fanout.write_gathered()

    def _close_all_slowly(self) -> None:
        """Ask every client to open a new socket: so many rights have ended that nobody knows which."""
        conf = settings()
        for connection in self._registry.connections.values():
            why = Closed(CloseCode.OVERLOADED, "OVERLOADED", retry_after_ms=conf.retry_after_ms)
            self._loop.call_later(random.uniform(0, conf.restart_window_seconds), connection.close, why)
