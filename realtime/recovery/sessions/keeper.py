"""This process's sessions: notes changes, saves them together once a second, and claims sessions. One per node."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from realtime.delivery.connection import Connection
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.recovery.sessions.store import Session, SessionStore, SessionsUnavailable
from realtime.storage.tasks import time_limit

logger = logging.getLogger(__name__)

CHUNK = 500
# Sessions that wait to be saved, with their connections, while the store is away and clients come and go.
MAX_CHANGED = 100_000
# How long a claim waits, with the saving before it: claims wait for each other, and each for a store that hangs.
PATIENCE_SECONDS = 5.0


@dataclass(slots=True)
class Succession:
    """A socket that continues an older session, until its client has proved that it got `resumed`."""

    predecessor: str  # the id of the older session
    # The answer to a heartbeat that was sent after `resumed` is the proof; before it come those to earlier heartbeats.
    answers_left: int


class Keeper:
    """Saves positions late, never early: every event up to a session's position has arrived at the client."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._changed: dict[str, Connection] = {}  # by session id
        self._successions: dict[Connection, Succession] = {}
        self._over: dict[str, str] = {}  # sessions to give up, with their successors
        self._saving = asyncio.Lock()  # held by the `save` that is running

    def note(self, connection: Connection) -> None:
        """Note that the connection's streams or confirmed positions have changed."""
        self._changed[connection.session_id] = connection

    def leave(self, connection: Connection) -> None:
        """The socket has closed. What it has not proved stays open: its client may return with the older session."""
        self._successions.pop(connection, None)
        # Without an id it was not greeted.
        if connection.session_id:
            self.note(connection)
        # An open socket is noted again with the next change of its positions, or when its session is renewed.
        if len(self._changed) > MAX_CHANGED:
            del self._changed[next(iter(self._changed))]

    def succeed(self, connection: Connection, predecessor: str) -> None:
        """`resumed` has been sent on a socket that continues the session `predecessor`."""
        self.note(connection)
        unanswered = connection.subscriptions.positions.unanswered
        self._successions[connection] = Succession(predecessor, unanswered + 1)

    def on_answer(self, connection: Connection) -> None:
        """The client has answered a heartbeat."""
        succession = self._successions.get(connection)
        if succession is None:
            return
        succession.answers_left -= 1
        if not succession.answers_left:
            del self._successions[connection]
            self._over[succession.predecessor] = connection.session_id

    async def save(self) -> None:
        """Save the noted sessions, and give up those that are over. Called every second, and when the process stops."""
        try:
            async with self._saving:
                while self._changed:
                    await self._save_some()
                while self._over:
                    await self._give_up_some()
        except SessionsUnavailable as error:
            logger.debug("Saving sessions is postponed: %s", error)

    async def _save_some(self) -> None:
        noted = {id: self._changed.pop(id) for id in list(self._changed)[:CHUNK]}
        try:
            await self._store.save(
                {id: Session(c.user_key, dict(c.subscriptions.positions.confirmed)) for id, c in noted.items()}
            )
        # Also on a cancellation: a process that stops cancels this task, and then saves what is left.
        except BaseException:
            self._changed = {**noted, **self._changed}
            raise

    async def _give_up_some(self) -> None:
        over = {id: self._over.pop(id) for id in list(self._over)[:CHUNK]}
        try:
            await self._store.give_up(over)
        except BaseException:  # as above
            self._over = {**over, **self._over}
            raise

    async def claim(self, id: str, user_key: str, successor: str) -> Session:
        """The session that `successor` continues; it is given up when the client has confirmed that.

        Raises Refused: NOT_FOUND for an unknown, expired, given up or foreign session, UNAVAILABLE.
        """
        try:
            async with time_limit(PATIENCE_SECONDS):
                # The client is back before its session was saved: a claim must not overtake a `save` that is running.
                if id in self._changed or self._saving.locked():
                    await self.save()
                session = await self._store.claim(id, user_key, successor)
        except (SessionsUnavailable, TimeoutError) as error:
            raise Refused(ErrorCode.UNAVAILABLE, Reason.SESSIONS_AWAY) from error
        if session is None:
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_SESSION)
        return session

    async def stop(self) -> None:
        await self.save()
        with contextlib.suppress(SessionsUnavailable):
            await self._store.close()
