"""Who is typing where (L3): told to others, untold when a typist falls silent, leaves or disconnects. One per node."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from realtime import protocol
from realtime.conf import settings
from realtime.connection import Connection
from realtime.frames import Envelope, Passing

logger = logging.getLogger(__name__)

MAX_CONTEXTS = 20  # that one socket may be typing in at once


class Typists:
    """Contexts in which this process's sockets type, each with the moment at which it is over."""

    def __init__(self, publish: Callable[[Envelope], None], tell: Callable[[str, bytes], Awaitable[None]]) -> None:
        self._publish = publish
        self._tell = tell  # the audience of presence
        self._told: dict[tuple[Connection, str], tuple[float, str | None]] = {}  # when it is over, and its stream
        self._telling: set[asyncio.Future[None]] = set()

    def set(self, connection: Connection, context: str, is_typing: bool, stream: str | None) -> None:
        """The socket's user types, or no longer does: for a room's `stream`, or with None for the audience."""
        key = (connection, context)
        if is_typing:
            if key not in self._told and len(self._contexts(connection)) >= MAX_CONTEXTS:
                return
            self._told[key] = (time.monotonic() + settings().typing_seconds, stream)
        else:
            self._told.pop(key, None)
        self._send(connection, context, is_typing, stream)

    def stop(self, connection: Connection, context: str) -> None:
        """Untell one context, if it was told."""
        told = self._told.pop((connection, context), None)
        if told is not None:
            self._send(connection, context, False, told[1])

    def stop_all(self, connection: Connection) -> None:
        for context in self._contexts(connection):
            self.stop(connection, context)

    def expire(self) -> None:
        """Untell who has been silent for too long; called once a second."""
        now = time.monotonic()
        for connection, context in [key for key, (ends, _) in self._told.items() if ends <= now]:
            self.stop(connection, context)

    def _contexts(self, connection: Connection) -> list[str]:
        return [context for typist, context in self._told if typist is connection]

    def _send(self, connection: Connection, context: str, is_typing: bool, stream: str | None) -> None:
        body = protocol.typing(connection.user_id, is_typing, context)
        if stream is not None:
            self._publish(Envelope(passing=[Passing(body, stream=stream, exclude=connection.user_key)]))
            return
        task = asyncio.ensure_future(self._tell(connection.user_key, body))
        self._telling.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Future[None]") -> None:
        self._telling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("Typing was not told: %s", error)
