"""Looks up the rights of open sockets again, in batches. Revocations are sent as controls (`realtime.signals`).

The node's clock calls `recheck` in case a revocation was lost. `confirm` is for a socket that was looked up before it
was registered: a control that passed in between did not find it.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from realtime.auth import logins, sessions
from realtime.auth.access import find_members, may_subscribe
from realtime.auth.logins import Login
from realtime.auth.user_ids import read_id
from realtime.auth.users import UNKNOWN, find_passwords, mark_password
from realtime.delivery.connection import Connection
from realtime.delivery.hub import Hub
from realtime.protocol import topics
from realtime.protocol.errors import CloseCode, Closed, Refused
from realtime.protocol.streams import room_stream
from realtime.storage import database

CHUNK = 500  # sockets in one look-up

Checker = database.Batcher[Connection, None]


@dataclass(frozen=True, slots=True)
class Rights:
    """What the database says about some sockets."""

    passwords: dict[str, int]  # of active users, by key: `mark_password` of their passwords
    ended: Set[Login]
    members: set[tuple[str, int]]  # user keys, primary keys of rooms
    # When sessions end, as Unix time, by their keys; None for one that is gone. Only those that were looked up.
    sessions: Mapping[str, float | None] = field(default_factory=dict)

    def find_end(self, connection: Connection) -> Closed | None:
        """Why the socket must be closed; None if nothing has ended."""
        mark = self.passwords.get(connection.user_key)
        if mark is None:
            return Closed(CloseCode.FORBIDDEN, "USER_DISABLED")
        has_new_password = connection.password not in (UNKNOWN, mark)
        return unauthenticated() if has_new_password or _login_of(connection) in self.ended else None


async def confirm(hub: Hub, checker: Checker, connection: Connection, asked_at: float) -> None:
    """Look a registered socket up again if its user or login was disconnected after `asked_at`, a monotonic time.

    Costs nothing else. `asked_at` is from before the look-up that let it in. Raises Closed, DatabaseUnavailable.
    """
    ended, users = hub.registry.ended_logins, hub.registry.ended_users
    if connection.login in ended:  # no login begins again
        raise unauthenticated()
    if ended.has_since(connection.login, asked_at) or users.has_since(connection.user_key, asked_at):
        await checker.submit(connection)


def check(connections: Sequence[Connection]) -> list[Closed | None]:
    """Synchronous, two queries. For each socket why it must be closed, or None."""
    rights = Rights(*_look_up_ends(connections), set())
    return [rights.find_end(connection) for connection in connections]


async def recheck(hub: Hub, watch_end: Callable[[Connection], None] = lambda connection: None) -> None:
    """Close sockets whose user, login or password is no longer valid. Revoke rooms that a user is not a member of.

    A socket follows the session that opened it: `watch_end` is called when that ends at another time than before.
    """
    connections = list(hub.connections.values())
    for start in range(0, len(connections), CHUNK):
        chunk = connections[start : start + CHUNK]
        # Copied before the look-up, which may not see rooms that are joined while it runs.
        rooms = [connection.subscriptions.rooms() for connection in chunk]
        rights = await database.run(look_up, chunk, rooms)
        for connection, joined in zip(chunk, rooms, strict=True):
            _enforce(hub, connection, joined, rights)
            if connection.session_key in rights.sessions and not connection.closing:
                _follow_session(connection, rights.sessions[connection.session_key], watch_end)


async def recheck_topics(hub: Hub) -> None:
    """End the subscriptions of users who may not read a topic any more, for topics that are declared with `recheck`."""
    for topic in topics.rechecked():
        feed = hub.feeds.get(topic.stream)
        rights: dict[str, bool] = {}  # by user key
        for connection in list(feed.fanout.connections) if feed else ():
            key = connection.user_key
            if key not in rights:
                rights[key] = await may_subscribe(connection.user_id, topic.name)
            if not rights[key]:
                hub.revoke(connection, topic.stream)


def _enforce(hub: Hub, connection: Connection, joined: Mapping[str, int], rights: Rights) -> None:
    if (end := rights.find_end(connection)) is not None:
        connection.close(end)
    else:
        for slug, room in joined.items():
            is_joined = connection.subscriptions.find_room(slug) == room
            if is_joined and (connection.user_key, room) not in rights.members:
                hub.revoke(connection, room_stream(slug))


def _follow_session(connection: Connection, end: float | None, watch_end: Callable[[Connection], None]) -> None:
    if end is None:
        # It was deleted, or it goes on under another key, which the client has in its present cookie.
        connection.close(Closed(CloseCode.SESSION_OUTDATED, "SESSION_OUTDATED"))
    elif end != connection.expires_at:
        connection.expires_at = end
        watch_end(connection)


def look_up(connections: Sequence[Connection], rooms: Sequence[Mapping[str, int]]) -> Rights:
    """Synchronous, three queries; one more if any sockets were opened with session cookies.

    `rooms` are those that each socket has joined: primary keys by slug.
    """
    # Before the logins: a session that was logged out is deleted after its login has ended.
    ends = _look_up_sessions(connections)
    joined = {(c.user_key, room) for c, keys in zip(connections, rooms, strict=True) for room in keys.values()}
    return Rights(*_look_up_ends(connections), find_members(joined), ends)


def _look_up_sessions(connections: Sequence[Connection]) -> dict[str, float | None]:
    """Empty where each session would have to be looked up by itself: those are, when they come to their end."""
    keys = list({connection.session_key for connection in connections} - {""})
    if keys and sessions.are_found_at_once():
        with suppress(Refused):  # the cache is away
            return dict(zip(keys, sessions.find_ends(keys), strict=True))
    return {}


def _look_up_ends(connections: Sequence[Connection]) -> tuple[dict[str, int], set[Login]]:
    pks: set[Any] = {read_id(connection.user_key) for connection in connections}
    passwords = find_passwords(pks)
    ended = logins.find_ended({_login_of(connection) for connection in connections})
    return {str(pk): mark_password(password) for pk, password in passwords.items()}, ended


def _login_of(connection: Connection) -> Login:
    return Login(connection.login, connection.user_key, connection.issued_at)


def unauthenticated() -> Closed:
    return Closed(CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED")
