"""This process's sessions: notes what changed, saves it together once a second, claims. One per node."""

import contextlib
import logging

from realtime.delivery.connection import Connection
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.recovery.sessions.store import Session, SessionStore, SessionsUnavailable

logger = logging.getLogger(__name__)

CHUNK = 500


class Keeper:
    """Positions reach the store late, never early: what a session says arrived has arrived."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._changed: dict[str, Connection] = {}  # by session id

    def note(self, connection: Connection) -> None:
        """The connection's streams or confirmed positions changed, or it has gone."""
        self._changed[connection.session_id] = connection

    async def save(self) -> None:
        """Save what was noted; called once a second, and at the end."""
        try:
            while self._changed:
                await self._save_some()
        except SessionsUnavailable as error:
            logger.debug("Sessions have to wait: %s", error)

    async def _save_some(self) -> None:
        noted = {id: self._changed.pop(id) for id in list(self._changed)[:CHUNK]}
        try:
            await self._store.save(
                {id: Session(c.user_key, dict(c.subscriptions.positions.confirmed)) for id, c in noted.items()}
            )
        except BaseException:  # a cancellation as well: a process that stops saves what is left after it
            self._changed = {**noted, **self._changed}
            raise

    async def claim(self, id: str, user_key: str) -> Session:
        """Raises Refused: NOT_FOUND for an unknown, expired, claimed or foreign session, UNAVAILABLE."""
        if id in self._changed:  # it is back before the next saving
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
