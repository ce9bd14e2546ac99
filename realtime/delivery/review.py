"""Compares feeds with the log: what the bus lost, rooms that took over a name, a log that went back. Owned by the hub.

A right belongs to a room, not to its name. Deleting a room ends the subscriptions to it by a control, but the bus may
lose or delay that. So each feed knows the room whose events it gives out; whoever subscribes needs the right to that
room; and a feed looks into the log before it passes a hole, which lies between the events of two rooms with one name.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from realtime.delivery.connection import Connection
from realtime.delivery.feed import Feed
from realtime.storage import database, log, numbering

logger = logging.getLogger(__name__)

REST_SECONDS = 0.005  # between look-ups of standings
DOUBT_SECONDS = 1.0  # between comparisons of feeds that got events again
COMPARED_AT_ONCE = 1_000
DOUBTED_AT_ONCE = 100  # of each, an event is read, too

Revoke = Callable[[Connection, str], None]


class Noted(NamedTuple):
    """A feed, and what it was before the log was read: the log cannot be behind that, unless it has lost events."""

    feed: Feed
    position: int
    room: int
    body: int | None  # the hash of the event at `position`


class Reviewer:
    """Looks at the log for the feeds of one hub, and moves those that do not continue as they were."""

    def __init__(self, feeds: Mapping[str, Feed], revoke: Revoke) -> None:
        self._feeds = feeds
        self._revoke = revoke
        self._standings: database.Batcher[str, numbering.Standing] = database.Batcher(
            _read_standings, limit=COMPARED_AT_ONCE, rest_seconds=REST_SECONDS
        )
        self._doubted: dict[Feed, Noted] = {}
        self._doubting: asyncio.Task[None] | None = None

    def stop(self) -> None:
        if self._doubting is not None:
            self._doubting.cancel()

    def read(self, stream: str) -> asyncio.Future[numbering.Standing]:
        """Where the stream stands. The future raises DatabaseUnavailable."""
        return self._standings.submit(stream)

    # Rooms that take over a name

    async def check_rooms(self, connection: Connection, feeds: Iterable[Feed]) -> None:
        """Revoke rights to rooms that no longer have their names.

        If a right is to another room than the feed's, either may be outdated: only a newer look at the log can tell.
        """
        subscriptions = connection.subscriptions
        unequal = [feed for feed in feeds if subscriptions.is_outdated(feed.name, feed.room)]
        await asyncio.gather(*(self.review(feed) for feed in unequal))
        for feed in unequal:
            if subscriptions.is_outdated(feed.name, feed.room):
                self._revoke(connection, feed.name)

    async def review(self, feed: Feed) -> None:
        """Look up whether the stream still belongs to the feed's room. Raises DatabaseUnavailable."""
        room = feed.room
        self._hand_over(feed, room, await self.read(feed.name))

    def _hand_over(self, feed: Feed, room: int, standing: numbering.Standing) -> bool:
        """End the subscriptions to the feed's room if its name belongs to another one. Returns whether it does.

        `room` is what the feed's room was before `standing` was read.
        """
        if standing.room == room or feed.room != room:
            return False
        # A socket that is about to be attached is not among them: `Hub.attach` compares its right.
        for connection in tuple(feed.fanout.connections):
            has_later_right = connection.subscriptions.has_right(feed.name, standing.room)
            self._revoke(connection, feed.name)
            # It is joining the later room at this moment.
            if has_later_right:
                connection.subscriptions.ask(feed.name)
                connection.subscriptions.grant(feed.name, standing.room)
        feed.restart(*standing)
        return True

    # Lost publications, and a log that went back

    async def compare(self, feeds: Sequence[Feed]) -> None:
        """Fetch events that the bus lost. Raises DatabaseUnavailable."""
        for start in range(0, len(feeds), COMPARED_AT_ONCE):
            noted = _note(feeds[start : start + COMPARED_AT_ONCE])
            standings = await database.run(numbering.standings, [was.feed.name for was in noted])
            for was in noted:
                await self._settle(was, standings[was.feed.name], None)

    def doubt(self, feed: Feed) -> None:
        """An event arrived that the feed has had. The bus repeated it, or the log went back and gives numbers again.

        What the feed was then is noted at once: before anybody can look, it may have gone on with what is new.
        """
        for was in _note([feed]):
            self._doubted.setdefault(feed, was)
        if self._doubting is None:
            self._doubting = asyncio.get_running_loop().create_task(self._doubt())

    async def _doubt(self) -> None:
        try:
            while self._doubted:
                doubted, self._doubted = list(self._doubted.values()), {}
                try:
                    while doubted:
                        await self._look_closely(doubted[-DOUBTED_AT_ONCE:])
                        del doubted[-DOUBTED_AT_ONCE:]
                except database.DatabaseUnavailable:
                    self._doubted |= {was.feed: was for was in doubted}
                await asyncio.sleep(DOUBT_SECONDS)
        finally:
            self._doubting = None

    async def _look_closely(self, noted: Sequence[Noted]) -> None:
        """`compare`, and compare the events at the feeds' positions, too."""
        found = await database.run(_look_up, noted)
        for was, (standing, stored) in zip(noted, found, strict=True):
            await self._settle(was, standing, stored)

    async def _settle(self, was: Noted, standing: numbering.Standing, stored: int | None) -> None:
        """Act on where the log stands. `stored` is the hash of its event at the feed's position, if that is known."""
        feed = was.feed
        if self._feeds.get(feed.name) is not feed or self._hand_over(feed, was.room, standing) or feed.room != was.room:
            return
        differs = None not in (was.body, stored) and was.body != stored
        if standing.position >= was.position and not differs:
            feed.advance_to(standing.position)
            return
        left_out = await database.run(numbering.cut, feed.name, feed.position, is_certain=differs)
        if left_out is not None:
            logger.warning("The log of %s has lost events: the database has gone back", feed.name)
            feed.advance_to(left_out)


def _note(feeds: Iterable[Feed]) -> list[Noted]:
    known = [feed for feed in feeds if feed.order.position is not None]
    return [Noted(feed, feed.position, feed.room, feed.last_body) for feed in known]


def _read_standings(streams: list[str]) -> list[numbering.Standing]:
    found = numbering.standings(streams)
    return [found[stream] for stream in streams]


def _look_up(noted: Sequence[Noted]) -> list[tuple[numbering.Standing, int | None]]:
    """Synchronous. Where each stream stands, and the hash of the event that the log has at the feed's position."""
    standings = _read_standings([was.feed.name for was in noted])
    ranges = [log.Range(was.feed.name, was.position - 1, was.position) for was in noted]
    bodies = [hash(events[0].body) if events else None for events in log.missed_many(ranges)]
    return list(zip(standings, bodies, strict=True))
