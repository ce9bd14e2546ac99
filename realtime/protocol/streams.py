"""Streams: their names, and what one socket is subscribed to (pure). Used by all packages.

A stream is an ordered log: `site`, `user.<id>`, `room.<slug>` or `topic.<name>`. A user's id of other characters than
A-Z a-z 0-9 _ - is escaped.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from realtime.protocol.positions import Positions

T = TypeVar("T")

SITE = "site"
MAX_NAME_CHARS = 95  # a name is stored with its kind, in 100 characters
_is_stream = re.compile(r"(site|user\.[A-Za-z0-9_.%~-]{1,95}|(room|topic)\.[A-Za-z0-9_-]{1,64})\Z").match
_is_plain = re.compile(r"[A-Za-z0-9_-]{1,64}\Z").match

# By the stream of a room: the names of those who have noted it. No set is empty.
Holders = dict[str, set[str]]

ASKED = 0  # the right to a stream is being looked up
GRANTED = -1  # the right to a stream that is not a room


class StreamName(NamedTuple):
    """The parts of a stream's name. `name` is a user's key, a room's slug or a topic's name; it is "" for `site`."""

    kind: str
    name: str


def user_stream(user_key: object) -> str:
    """The stream of a user with any primary key.

    Other characters than those of most keys are escaped as in addresses, so that the name can stand in JSON and in an
    address as it is. For what would be too long, there is a digest.
    """
    key = str(user_key)
    return f"user.{key if _is_plain(key) else _escape(key)}"


def _escape(key: str) -> str:
    escaped = quote(key, safe="").replace("~", "%7E")
    return escaped if len(escaped) <= MAX_NAME_CHARS else f"~{sha256(key.encode()).hexdigest()[:40]}"


def room_stream(slug: str) -> str:
    return f"room.{slug}"


def topic_stream(name: str) -> str:
    return f"topic.{name}"


def split_stream(stream: str) -> StreamName:
    """The parts of a text that should be the name of a stream. It is not checked: see `is_stream`."""
    kind, _dot, name = stream.partition(".")
    return StreamName(kind, name)


def room_slug(stream: str) -> str | None:
    """The slug of the room whose stream it is; None for other streams."""
    kind, name = split_stream(stream)
    return name if kind == "room" else None


def is_stream(stream: str) -> bool:
    return _is_stream(stream) is not None


class Subscriptions:
    """The streams that one socket has subscribed to or is about to, and how far its client has got in each.

    Looking up the right to a stream takes time, and the right may end before the answer is there. So the stream is
    noted first (`ask`). The answer confirms the note (`grant`, `attach`) or drops it (`withdraw`). If the right ends
    in between, `remove` deletes the note, and the answer then changes nothing.
    """

    __slots__ = ("_holders", "_name", "_rights", "_room_count", "live", "positions")

    def __init__(self) -> None:
        # Streams whose events the socket gets now, or will get as soon as a replay has ended.
        self.live: set[str] = set()
        self.positions = Positions()
        self._rights: dict[str, int] = {}  # by stream: ASKED, GRANTED, or the room's primary key
        self._room_count = 0
        self._holders: Holders | None = None
        self._name = ""

    def list_rooms_in(self, holders: Holders, name: str) -> None:
        """From now on, until `close`, note this socket there by its name for each of its rooms.

        So whoever ends a room finds those concerned, also one whose right is being looked up.
        """
        self._holders, self._name = holders, name
        for stream in filter(is_room, self._rights):
            holders.setdefault(stream, set()).add(name)

    def __contains__(self, stream: str) -> bool:
        """Whether the socket has the right to the stream, or the right is being looked up."""
        return stream in self._rights

    @property
    def room_count(self) -> int:
        """How many rooms the socket has joined or is about to join."""
        return self._room_count

    def find_room(self, slug: str) -> int | None:
        """The primary key of a room that the socket has joined; None for any other room."""
        return self._rights.get(room_stream(slug), ASKED) or None

    def has_right(self, stream: str, room: int) -> bool:
        """Whether the socket may get the stream's events, which are those of this room; 0 for other streams."""
        return stream in self._rights and not self.is_outdated(stream, room)

    def is_outdated(self, stream: str, room: int) -> bool:
        """Whether the socket has the right to another room than the one that has the stream's name now."""
        return self._rights.get(stream, ASKED) not in (ASKED, GRANTED, room)

    def is_about(self, stream: str, room: int) -> bool:
        """Whether the right is to this room, or may be: while it is being looked up, nobody knows."""
        return self._rights.get(stream) in (ASKED, room)

    def rooms(self) -> dict[str, int]:
        """The joined rooms: primary keys by slug."""
        named = ((split_stream(stream), right) for stream, right in self._rights.items())
        return {name: room for (kind, name), room in named if kind == "room" and room != ASKED}

    def ask(self, stream: str) -> None:
        """Note a stream before the right to it is looked up. A right that the socket already has is kept."""
        if stream not in self._rights:
            self._rights[stream] = ASKED
            if is_room(stream):
                self._room_count += 1
                if self._holders is not None:
                    self._holders.setdefault(stream, set()).add(self._name)

    def grant(self, stream: str, room: int = GRANTED) -> bool:
        """The socket has the right. Returns False when the right has ended in the meantime."""
        if stream in self._rights:
            self._rights[stream] = room
        return stream in self._rights

    def withdraw(self, stream: str) -> None:
        """The right was refused, or could not be looked up. A right from before is kept."""
        if self._rights.get(stream) == ASKED:
            self._forget(stream)

    def attach(self, stream: str, position: int) -> bool:
        """The socket gets the events after `position` from now on. False when its right has ended in the meantime."""
        if stream not in self._rights:
            return False
        if self._rights[stream] == ASKED:
            self._rights[stream] = GRANTED
        self.live.add(stream)
        self.positions.confirmed.setdefault(stream, position)
        return True

    def remove(self, stream: str) -> bool:
        """End a subscription, or one that is about to begin. Returns whether there was one."""
        had = stream in self._rights
        if had:
            self._forget(stream)
        self.live.discard(stream)
        self.positions.stop(stream)
        return had

    def close(self) -> Iterable[str]:
        """The socket is closed. Returns the streams that it was getting; keeps its positions for the session."""
        left, self.live = self.live, set()
        for stream in tuple(self._rights):
            self._forget(stream)
        self._holders = None
        return left

    def _forget(self, stream: str) -> None:
        del self._rights[stream]
        if is_room(stream):
            self._room_count -= 1
            if self._holders is not None:
                discard(self._holders, stream, self._name)


def discard(index: dict[str, set[T]], key: str, value: T) -> None:
    """Remove a value from an index in which no set is empty."""
    if (found := index.get(key)) is not None:
        found.discard(value)
        if not found:
            del index[key]


def is_room(stream: str) -> bool:
    """Whether it is the stream of a room. Quicker than `room_slug`."""
    return stream.startswith("room.")
