"""Streams: their names, and what one socket is subscribed to (protocol, pure).

A stream is an ordered log: `site`, `user.<id>`, `room.<slug>` or `topic.<name>`. Used wherever one is named.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from realtime.protocol.positions import Positions

SITE = "site"
_is_stream = re.compile(r"(site|(user|room|topic)\.[A-Za-z0-9_-]{1,64})\Z").match

ASKED = 0  # the right to a stream is being looked up
GRANTED = -1  # a right that belongs to no room


class StreamName(NamedTuple):
    """A stream's name in its parts. `name` is a user's key, a room's slug or a topic's name, and "" for `site`."""

    kind: str
    name: str


def user_stream(user_key: object) -> str:
    return f"user.{user_key}"


def room_stream(slug: str) -> str:
    return f"room.{slug}"


def topic_stream(name: str) -> str:
    return f"topic.{name}"


def split_stream(stream: str) -> StreamName:
    """The parts of what is, or claims to be, the name of a stream."""
    kind, _dot, name = stream.partition(".")
    return StreamName(kind, name)


def is_stream(stream: str) -> bool:
    return _is_stream(stream) is not None


class Subscriptions:
    """What one socket is subscribed to, what it is being subscribed to, and how far its client has got in each.

    The right to a stream is looked up while other things happen. So a stream is noted first (`ask`); the answer then
    confirms the note (`grant`, `attach`) or withdraws it; and a right that ends meanwhile removes it (`remove`), after
    which the answer changes nothing.
    """

    __slots__ = ("_rights", "_room_count", "live", "positions")

    def __init__(self) -> None:
        self.live: set[str] = set()  # streams whose events the socket gets, or will get after a replay
        self.positions = Positions()
        self._rights: dict[str, int] = {}  # by stream: ASKED, GRANTED, or the room's primary key
        self._room_count = 0

    def __contains__(self, stream: str) -> bool:
        """Whether the socket has the right to the stream, or is asking for it."""
        return stream in self._rights

    @property
    def room_count(self) -> int:
        """Rooms that were joined or are being joined."""
        return self._room_count

    def find_room(self, slug: str) -> int | None:
        """The primary key of a room that the socket has joined; None for any other."""
        return self._rights.get(room_stream(slug), ASKED) or None

    def rooms(self) -> dict[str, int]:
        """The joined rooms: slugs with primary keys."""
        named = ((split_stream(stream), right) for stream, right in self._rights.items())
        return {name: room for (kind, name), room in named if kind == "room" and room != ASKED}

    def ask(self, stream: str) -> None:
        """Note a stream before its right is looked up. A right that the socket already has stays as it is."""
        if stream not in self._rights:
            self._rights[stream] = ASKED
            self._room_count += _is_room(stream)

    def grant(self, stream: str, room: int = GRANTED) -> bool:
        """The right was found. False when it has ended meanwhile."""
        if stream in self._rights:
            self._rights[stream] = room
        return stream in self._rights

    def withdraw(self, stream: str) -> None:
        """The right was refused, or could not be looked up. What the socket had before stays."""
        if self._rights.get(stream) == ASKED:
            self._forget(stream)

    def attach(self, stream: str, position: int) -> bool:
        """The socket gets the events after `position` from now on. False when its right has ended meanwhile."""
        if stream not in self._rights:
            return False
        if self._rights[stream] == ASKED:
            self._rights[stream] = GRANTED
        self.live.add(stream)
        self.positions.confirmed.setdefault(stream, position)
        return True

    def remove(self, stream: str) -> bool:
        """End the subscription, also one that is just being made. Whether there was one."""
        had = stream in self._rights
        if had:
            self._forget(stream)
        self.live.discard(stream)
        self.positions.stop(stream)
        return had

    def close(self) -> Iterable[str]:
        """The socket has gone: the streams that it was getting. Its positions stay, for its session."""
        left, self.live = self.live, set()
        self._rights, self._room_count = {}, 0
        return left

    def _forget(self, stream: str) -> None:
        del self._rights[stream]
        self._room_count -= _is_room(stream)


def _is_room(stream: str) -> bool:
    return stream.startswith("room.")
