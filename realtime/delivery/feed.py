"""One stream in this process: the order of its events, and the sockets subscribed to it. Used by the hub alone.

A number that the log does not have, and never will, is a *hole*. What comes after it does not simply continue what came
before it: another room has taken over the name, the log has lost events, or old ones were deleted. So a feed that meets
a hole lets the hub review the stream before it goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable

from realtime.conf import settings
from realtime.delivery.addresses import where_to_fetch
from realtime.delivery.fanout import Fanout
from realtime.protocol.errors import Refused
from realtime.protocol.frames import Resumed, StreamOutcome, encode, given, stamp
from realtime.protocol.ordering import Sequencer
from realtime.protocol.outgoing import Frame
from realtime.storage.log import READ_CHUNK, LoggedEvent

RETRY_SECONDS = 1.0  # between attempts while the database is away
# Of events that come too early, in all feeds of a process. Others are read from the log when it is their turn.
EARLY_BYTES = 16_777_216

Missed = Callable[[str, int, int], Awaitable[list[LoggedEvent]]]


class EarlyBytes:
    """The room for events that come too early; all feeds of a process share it."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = EARLY_BYTES


async def pass_over(feed: "Feed") -> None:
    """Go on after a hole without a review."""


def ignore(feed: "Feed") -> None:
    """A repeated event is nothing to note."""


class Feed:
    """Gives a stream's events to this process's subscribers in order, each once, and fetches lost events."""

    __slots__ = (
        "_early",
        "_filler",
        "_held_bytes",
        "_last_seq",
        "_missed",
        "_on_hole",
        "_on_repeat",
        "fanout",
        "last_body",
        "name",
        "order",
        "pins",
        "room",
    )

    def __init__(
        self,
        name: str,
        missed: Missed,
        early: EarlyBytes,
        on_hole: Callable[["Feed"], Awaitable[None]] = pass_over,
        on_repeat: Callable[["Feed"], None] = ignore,
    ) -> None:
        self.name = name
        # The primary key of the room whose events these are; 0 for other streams.
        self.room = 0
        self.last_body: int | None = None  # the hash of the event at `position`; None if it is not known
        self.fanout = Fanout()
        self.order: Sequencer[bytes] = Sequencer()
        # Connections that are about to subscribe: until they have, the hub must not drop this feed.
        self.pins = 0
        self._missed = missed
        # Called before the feed goes on after a hole. May raise Refused: then the feed waits and tries again.
        self._on_hole = on_hole
        self._on_repeat = on_repeat  # called when an event arrives that is not newer than `position`
        self._last_seq = 0  # how far the log is, as far as is known
        self._early = early
        self._held_bytes = 0  # taken from `early` since nothing was held
        self._filler: asyncio.Task[None] | None = None  # set while events are missing

    @property
    def position(self) -> int:
        return self.order.position or 0

    @property
    def sent_position(self) -> int:
        """The position up to which events were written to subscribers. Gathered events are not written yet."""
        first = self.fanout.first_gathered()
        return self.position if first is None else first - 1

    def start(self, position: int, room: int = 0) -> None:
        """The log is at `position`: deliver the events that come after it."""
        if self.order.position is None:
            self.room = room
        self._deliver(self.order.start(position))
        self._fill_if_needed()

    def restart(self, position: int, room: int) -> None:
        """The stream belongs to another room since a position up to this one."""
        self.room, self.last_body = room, None
        self._deliver(self.order.restart(position))
        self._fill_if_needed()

    def accept(self, seq: int, body: bytes) -> None:
        if self.order.is_early(seq) and not self._take_room(len(body)):
            self._last_seq = max(seq, self._last_seq)
        elif ready := self.order.accept(seq, body):
            self._deliver(ready)
        elif seq <= (self.order.position or 0):
            self._on_repeat(self)
        self._fill_if_needed()

    def advance_to(self, last_seq: int) -> None:
        """The log is at `last_seq`: fetch the events that do not arrive by themselves."""
        self._last_seq = max(last_seq, self._last_seq)
        self._fill_if_needed()

    async def catch_up(self) -> None:
        """Fetch events that the log has and that have not arrived yet. Raises DatabaseUnavailable."""
        before, until = -1, self.position + READ_CHUNK
        # One reading may return less than all of them.
        while before < self.position:
            before = self.position
            for event in await self._missed(self.name, before, until):
                self.accept(event.seq, event.body)

    def stop(self) -> None:
        if self._filler is not None:
            self._filler.cancel()
        self._give_room_back()

    def _take_room(self, size: int) -> bool:
        if size > self._early.left:
            return False
        self._early.left -= size
        self._held_bytes += size
        return True

    def _give_room_back(self) -> None:
        self._early.left += self._held_bytes
        self._held_bytes = 0

    def _deliver(self, ready: list[tuple[int, bytes]]) -> None:
        for seq, body in ready:
            self.fanout.send(Frame(stamp(body, self.name, seq), seq=seq))
        if ready:
            self.last_body = hash(ready[-1][1])
        if self._held_bytes and not self.order.held:
            self._give_room_back()

    def _fill_if_needed(self) -> None:
        if self._filler is None and self._missing() is not None:
            self._filler = asyncio.get_running_loop().create_task(self._fill())

    def _missing(self) -> tuple[int, int] | None:
        """The first and the last `seq` of the next gap; None if nothing is missing."""
        position = self.order.position
        if position is None:
            return None
        if self.order.held:
            return self.order.gap()
        return (position + 1, self._last_seq) if self._last_seq > position else None

    async def _fill(self) -> None:
        try:
            while self._missing() is not None:
                # Publications of two processes may arrive in the wrong order: most gaps soon close by themselves.
                await asyncio.sleep(settings().gap_wait_ms / 1000)
                if (gap := self._missing()) is not None:
                    await self._fetch(*gap)
        finally:
            self._filler = None

    async def _fetch(self, first: int, last: int) -> None:
        last = min(last, first + READ_CHUNK - 1)
        try:
            events = await self._missed(self.name, first - 1, last)
            # The events of a gap are committed before those after it: what the log does not have now, it never will.
            if not events or events[0].seq > first:
                await self._on_hole(self)
                self._skip(first, events[0].seq - 1 if events else last)
        except Refused:
            # The events after the gap stay held until the next attempt.
            await asyncio.sleep(RETRY_SECONDS)
            return
        for event in events:
            self._deliver(self.order.accept(event.seq, event.body))

    def _skip(self, first: int, last: int) -> None:
        """Go on after a hole from `first` to `last`, unless the review has moved the feed."""
        if self.position != first - 1:
            return
        # What a client has may be wrong, so it gets the address of all history.
        self.last_body = None
        outcome = StreamOutcome(False, last, given(where_to_fetch(self.name, None)))
        self.fanout.send(Frame(encode(Resumed({self.name: outcome}))))
        self._deliver(self.order.skip_to(last))
