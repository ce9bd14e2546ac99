"""The sockets of one event loop, by id and by user, and the quota of each user. Owned by the hub."""

import asyncio
import time
from collections.abc import Iterable

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.delivery.endings import Endings
from realtime.delivery.envelopes import Control
from realtime.protocol.errors import CloseCode, Closed
from realtime.protocol.limits import Quota, TokenBucket
from realtime.protocol.streams import Holders, discard, is_room

# A quota is kept this long after the user's last socket, so that reconnecting does not refill it.
QUOTA_SECONDS = 60.0
# A client that is asked whether it is still there answers within this time. Others come back a little later.
ANSWER_SECONDS = 5
RETRY_AFTER_MS = 1000 * (ANSWER_SECONDS + 1)


class Registry:
    """The connections of this event loop. Each one that was added is removed exactly once, however it ends."""

    def __init__(self) -> None:
        self.connections: dict[str, Connection] = {}  # by connection id
        self.users: dict[str, set[Connection]] = {}  # by user key; no set is empty
        self.logins: dict[str, set[Connection]] = {}  # by the name of a login; no set is empty
        self.rooms: Holders = {}  # connection ids, also of those whose right is being looked up
        self.ended_users = Endings()  # by user key
        self.ended_logins = Endings()
        # By user key: when the user's sockets were last asked whether they are still there, as a monotonic time.
        self.asked_at: dict[str, float] = {}
        self._quotas: dict[str, Quota] = {}  # by user key
        # By the key of a user without sockets: when the quota is forgotten.
        self._forgetting: dict[str, asyncio.TimerHandle] = {}

    def add(self, connection: Connection) -> None:
        """Raises Closed(TOO_MANY_CONNECTIONS)."""
        key = connection.user_key
        if len(self.users.get(key, ())) >= settings().max_connections_per_user:
            code = CloseCode.TOO_MANY_CONNECTIONS
            raise Closed(code, "TOO_MANY_CONNECTIONS", retry_after_ms=RETRY_AFTER_MS)
        if (timer := self._forgetting.pop(key, None)) is not None:
            timer.cancel()
        if key not in self._quotas:
            self._quotas[key] = make_quota()
        connection.quota = self._quotas[key]
        self.users.setdefault(key, set()).add(connection)
        if connection.login:
            self.logins.setdefault(connection.login, set()).add(connection)
        connection.subscriptions.list_rooms_in(self.rooms, connection.id)
        self.connections[connection.id] = connection

    def remove(self, connection: Connection) -> bool:
        """Remove a connection. Returns whether it was registered."""
        if self.connections.pop(connection.id, None) is None:
            return False
        discard(self.logins, connection.login, connection)
        key = connection.user_key
        discard(self.users, key, connection)
        if key not in self.users:
            self.asked_at.pop(key, None)
            loop = asyncio.get_running_loop()
            self._forgetting[key] = loop.call_later(QUOTA_SECONDS, self._forget_quota, key)
        return True

    def change_login(self, connection: Connection, login: str) -> None:
        """The socket depends on another login from now on."""
        discard(self.logins, connection.login, connection)
        connection.login = login
        if login and connection.id in self.connections:
            self.logins.setdefault(login, set()).add(connection)

    def find(self, users: Iterable[str], left_out: str | None) -> set[Connection]:
        """The sockets of these users, except the one with the id `left_out`."""
        return {c for user in users for c in self.users.get(user, ()) if c.id != left_out}

    def named_by(self, control: Control) -> list[Connection]:
        """The sockets that a control may apply to: those of a user, of a login, or of a room.

        Any may have a stream of another kind. Those of a room are found by an index, because rooms end all the time.
        """
        if control.user is not None:
            sockets = list(self.users.get(control.user, ()))
            until = control.issued_until
            return [c for c in sockets if 0 < c.issued_at <= until] if until else sockets
        if control.login:
            return list(self.logins.get(control.login, ()))
        if control.stream and is_room(control.stream):
            return [self.connections[id] for id in self.rooms.get(control.stream, ())]
        return list(self.connections.values()) if control.stream else []

    def note_ending(self, control: Control) -> None:
        """Note whom a control disconnects, for sockets that are registered after it."""
        if control.verb == "come_back":
            self.ended_users.note_all(time.monotonic())
            self.ended_logins.note_all(time.monotonic())
        elif control.verb == "disconnect" and control.user is not None:
            self.ended_users.note(control.user, time.monotonic())
        elif control.verb == "disconnect" and control.login:
            self.ended_logins.note(control.login, time.monotonic())

    def _forget_quota(self, user_key: str) -> None:
        del self._forgetting[user_key], self._quotas[user_key]


def make_quota() -> Quota:
    conf = settings()
    commands = TokenBucket(conf.commands_per_second, conf.commands_burst)
    announcements = TokenBucket(conf.presence_per_second, conf.presence_burst)
    return Quota(commands, announcements)
