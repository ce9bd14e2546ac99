"""Replays what a socket missed, stream by stream, and lets live events follow only after that. One per node.

Called by the commands `resume`, `join` and `subscribe`, and for sockets that resume a session.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import count, takewhile
from typing import TypeVar, cast

from msgspec.structs import replace

from realtime.auth.access import Asker, may_subscribe
from realtime.chat import rooms
from realtime.conf import settings
from realtime.delivery.addresses import where_to_fetch
from realtime.delivery.connection import Connection
from realtime.delivery.feed import Feed
from realtime.delivery.hub import Hub
from realtime.models import is_slug
from realtime.protocol.errors import CloseCode, Closed, ErrorCode, Reason, Refused
from realtime.protocol.frames import Resumed, StreamOutcome, encode, given, stamp
from realtime.protocol.outgoing import Frame
from realtime.protocol.streams import SITE, split_stream, user_stream
from realtime.recovery.replays import as_replayed
from realtime.recovery.turns import Turn, Turns
from realtime.storage import log
from realtime.storage.database import Batcher, DatabaseUnavailable
from realtime.storage.log import LoggedEvent, Range

# Events that are read and written at once, so that a slow client holds no more of them in memory.
CHUNK = 100
# Streams of one socket whose first chunks are read together: fewer round trips, and few chunks that wait.
BEGUN_AT_ONCE = 8
# Between two reads: after a restart, thousands of sockets ask for the same events.
REST_SECONDS = 0.005


T = TypeVar("T")
FrameReader = Batcher[Range, list[Frame]]
Beginning = tuple[StreamOutcome, list[Frame]]


class Resumer:
    """Replays events to at most `resumes_at_once` sockets of this process at a time. The others wait for a turn.

    Whoever calls it cancels the call when the socket has gone: then nothing more is read for it.
    """

    def __init__(self, hub: Hub, access: Asker, on_subscribed: Callable[[Connection, Feed], None]) -> None:
        self._hub = hub
        self._on_subscribed = on_subscribed
        self._access = access
        self._turns = open_turns()
        self._reader: FrameReader = Batcher(read_frames, limit=200, rest_seconds=REST_SECONDS)

    async def resume(self, connection: Connection, wanted: Mapping[str, int], id: str | None = None) -> None:
        """Subscribe to the streams, replay the events after the given positions, and send `resumed` at the end.

        For a stream that the user may not read, an `error` is sent instead. Raises DatabaseUnavailable, Closed, and
        Refused(RATE_LIMITED, UNAVAILABLE) if too many wait for a turn.
        """
        async with self._turns.turn(connection.user_key) as turn:
            require_open(connection)
            try:
                allowed = await self._choose_readable(connection, list(wanted), id)
                async with self._hub.open_feeds(allowed, connection) as opened:
                    feeds = self._leave_out_ended(connection, opened, id)
                    outcomes = await self._play_all(connection, {feed: wanted[feed.name] for feed in feeds}, turn)
                    # A right may have ended while its stream or another one was replayed.
                    kept = self._leave_out_ended(connection, feeds, id)
                    streams = {feed.name: outcomes[feed] for feed in kept}
                    connection.send(encode(Resumed(streams, given(id))))
            finally:
                for stream in wanted:
                    connection.subscriptions.withdraw(stream)

    def _leave_out_ended(self, connection: Connection, feeds: Iterable[Feed], id: str | None) -> list[Feed]:
        """The feeds of streams to which the socket still has the right."""
        kept = [feed for feed in feeds if feed.name in connection.subscriptions]
        for feed in feeds:
            if feed not in kept:
                connection.refuse(no_stream(), id, stream=feed.name)
        return kept

    async def _play_all(
        self, connection: Connection, positions: Mapping[Feed, int], turn: Turn
    ) -> dict[Feed, StreamOutcome]:
        """Replay every feed from its position. Returns in the turn of the loop that subscribes to the last one."""
        feeds, outcomes = list(positions), dict[Feed, StreamOutcome]()
        for feed in feeds:
            self._hub.detach(connection, feed)
        for start in range(0, len(feeds), BEGUN_AT_ONCE):
            if start:
                await turn.share()
                require_open(connection)
            begun = feeds[start : start + BEGUN_AT_ONCE]
            beginnings = await all_of(self._begin(feed, positions[feed]) for feed in begun)
            for feed, beginning in zip(begun, beginnings, strict=True):
                outcomes[feed] = await self._play(connection, feed, positions[feed], beginning, turn)
                if outcomes[feed].recovered:
                    self._subscribe(connection, feed)
        # In the turn in which `resumed` is sent: before it, a client could not know which position an event follows.
        for feed in feeds:
            if not outcomes[feed].recovered:
                outcomes[feed] = replace(outcomes[feed], seq=feed.position)
                self._subscribe(connection, feed)
        return outcomes

    def _subscribe(self, connection: Connection, feed: Feed) -> None:
        if self._hub.attach(connection, feed):
            self._on_subscribed(connection, feed)

    async def replay(
        self, connection: Connection, feed: Feed, since: int, before: Callable[[StreamOutcome], None] | None = None
    ) -> StreamOutcome:
        """Send the events after `since`, if the log still has them. `before` is called ahead of the first frame.

        Returns in the turn of the loop in which nothing is left, so that `Hub.attach` can follow without a gap. Raises
        as `resume` does.
        """
        async with self._turns.turn(connection.user_key) as turn:
            self._hub.detach(connection, feed)
            beginning = await self._begin(feed, since)
            if before is not None:
                before(beginning[0])
            return await self._play(connection, feed, since, beginning, turn)

    async def _play(
        self, connection: Connection, feed: Feed, since: int, beginning: Beginning, turn: Turn
    ) -> StreamOutcome:
        outcome, frames = beginning
        # The client does not know any other position yet.
        connection.subscriptions.positions.start(feed.name, since)
        if not outcome.recovered:
            return outcome
        position = since
        while not connection.closing and connection.subscriptions.has_right(feed.name, feed.room):
            if frames:
                await self._make_room(connection, turn)
                # The right may have ended during the wait.
                if not connection.subscriptions.has_right(feed.name, feed.room):
                    break
                connection.send_all(frames)
            position += len(frames)
            # The feed may have moved on while other streams were replayed.
            if position >= feed.position:
                break
            frames = await self._read_on(feed, position)
        return StreamOutcome(True, feed.position)

    async def _begin(self, feed: Feed, since: int) -> Beginning:
        """Whether the gap can be closed, and its first frames. Pruning removes the oldest first, so these decide it."""
        # The client got its position from a process that had received more events than this one.
        if since > feed.position:
            await feed.catch_up()
        behind = feed.position - since
        if not 0 <= behind <= settings().resume_max_events:
            return StreamOutcome(False, feed.position, given(where_to_fetch(feed.name, since))), []
        frames = await self._read(feed, since) if behind else []
        if behind and not frames:
            return StreamOutcome(False, feed.position, given(where_to_fetch(feed.name, since))), []
        return StreamOutcome(True, feed.position), frames

    async def _read(self, feed: Feed, after: int) -> list[Frame]:
        """The frames that directly follow `after`, up to a hole; none if the first of them is no longer stored."""
        frames = await self._reader.submit(Range(feed.name, after, min(feed.position, after + CHUNK)))
        wanted = count(after + 1)
        return list(takewhile(lambda frame: frame.seq == next(wanted), frames))

    async def _read_on(self, feed: Feed, position: int) -> list[Frame]:
        """The next frames of a replay that has begun. Raises Closed if they cannot be read.

        The client may have been informed that it recovered, and there is no second answer: so it must come back later.
        """
        try:
            frames = await self._read(feed, position)
        except DatabaseUnavailable:
            frames = []
        if not frames:
            raise Closed(CloseCode.OVERLOADED, "OVERLOADED", retry_after_ms=settings().retry_after_ms)
        return frames

    async def _make_room(self, connection: Connection, turn: Turn) -> None:
        """Wait until there is room. Raises Closed for a client that makes none within one heartbeat."""
        if not connection.sink.is_full():
            return
        # Other sockets need not wait for a slow client.
        turn.give_back()
        try:
            async with asyncio.timeout(settings().heartbeat_seconds):
                await connection.sink.writable()
        except TimeoutError:
            # If this process stood still, the room that the client made meanwhile is noticed in the same turn.
            if connection.sink.is_full():
                raise Closed(CloseCode.SLOW_CONSUMER, "SLOW_CONSUMER") from None
        await turn.take()

    async def _choose_readable(self, connection: Connection, streams: Sequence[str], id: str | None) -> list[str]:
        """The streams that the user may read. For each of the others, an `error` is sent."""
        answers = await all_of(self._find_refusal(connection, stream) for stream in streams)
        for stream, refuse in zip(streams, answers, strict=True):
            if refuse is not None:
                connection.refuse(refuse(), id, stream=stream)
        return [stream for stream, refuse in zip(streams, answers, strict=True) if refuse is None]

    async def _find_refusal(self, connection: Connection, stream: str) -> Callable[[], Refused] | None:
        kind, name = split_stream(stream)
        if kind == "room" and rooms.is_one_too_many(connection.subscriptions, name):
            return rooms.too_many
        connection.subscriptions.ask(stream)
        if await self._is_granted(connection, stream):
            return None
        self._hub.unsubscribe(connection, stream)
        return no_stream

    async def _is_granted(self, connection: Connection, stream: str) -> bool:
        """Whether the user may read the stream. Looked up again, even if the socket had the right before."""
        kind, name = split_stream(stream)
        if kind == "room" and is_slug(name):
            access = await self._access.submit((connection.user_key, name))
            return access is not None and access.member and connection.subscriptions.grant(stream, access.room)
        if kind == "topic":
            return await may_subscribe(connection.user_id, name) and stream in connection.subscriptions
        return stream in (user_stream(connection.user_key), SITE)


def open_turns() -> Turns:
    conf = settings()
    return Turns(
        conf.resumes_at_once,
        max_waiting=conf.max_waiting_resumes,
        max_waiting_per_user=conf.max_waiting_resumes_per_user,
        retry_after_ms=max(1, conf.retry_after_ms),
    )


def require_open(connection: Connection) -> None:
    """Raises Closed if the server has closed the socket meanwhile. The client already got the reason."""
    if connection.closing:
        raise Closed(CloseCode.NORMAL, "CLOSED")


def no_stream() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_STREAM)


async def all_of(awaitables: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order. An exception is raised when all have finished, so that none goes on running unseen."""
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast(list[T], results)


def read_frames(ranges: Sequence[Range]) -> list[list[Frame]]:
    """Synchronous. The frames of each range; those of equal ranges are the same objects, so their bytes are shared."""
    # By the identity of the answer, which equal ranges share.
    made: dict[int, list[Frame]] = {}
    return [made.setdefault(id(events), [_frame_of(event) for event in events]) for events in log.missed_many(ranges)]


def _frame_of(event: LoggedEvent) -> Frame:
    body = as_replayed(event.body) if event.stream == SITE else event.body
    return Frame(stamp(body, event.stream, event.seq), seq=event.seq)
