"""This process's sessions: notes changes, saves them together once a second, and claims sessions. One per node."""

import asyncio
import contextlib
import logging

from realtime.delivery.connection import Connection
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.recovery.sessions.store import Session, SessionStore, SessionsUnavailable

logger = logging.getLogger(__name__)

CHUNK = 500


class Keeper:
    """Saves positions late, never early: every event up to a session's position has arrived at the client."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._changed: dict[str, Connection] = {}  # by session id
        self._saving = asyncio.Lock()  # held by the `save` that is running

    def note(self, connection: Connection) -> None:
        """Note that the connection's streams or confirmed positions have changed, or that it has closed."""
        self._changed[connection.session_id] = connection

    async def save(self) -> None:
        """Save the noted sessions. Called once a second, and when the process stops."""
        try:
            async with self._saving:
                while self._changed:
                    await self._save_some()
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

    async def claim(self, id: str, user_key: str) -> Session:
        """Raises Refused: NOT_FOUND for an unknown, expired, claimed or foreign session, UNAVAILABLE."""
        # The client is back before its session was saved: a claim must not overtake a `save` that is running.
        if id in self._changed or self._saving.locked():
            await self.save()
        try:
            session = await self._store.claim(id, user_key)
        except SessionsUnavailable as error:
            raise Refused(ErrorCode.UNAVAILABLE, Reason.SESSIONS_AWAY) from error
        if session is None:
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_SESSION)
        return session

    async def stop(self) -> None:
        await self.save()
        with contextlib.suppress(SessionsUnavailable):
            await self._store.close()


def describe(connection: Connection) -> Session:
    return Session(connection.user_key, dict(connection.subscriptions.positions.confirmed))
