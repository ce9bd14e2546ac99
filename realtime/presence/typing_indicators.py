"""Who is typing where: told to others, untold when a typist falls silent, leaves or disconnects. One per node."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Envelope, Passing
from realtime.protocol.frames import Typing, TypingData, encode
from realtime.storage.tasks import end_tasks

logger = logging.getLogger(__name__)

MAX_CONTEXTS = 20  # that one socket may be typing in at once
PATIENCE_SECONDS = 1  # how long the last words of a process that stops may take


class Told(NamedTuple):
    """That a user is typing. `ends` is when it is over, `stream` who heard it: None for the audience of presence."""

    ends: float
    stream: str | None


class TypingIndicators:
    """Contexts in which this process's sockets type, each with the moment at which it is over."""

    def __init__(self, publish: Callable[[Envelope], None], tell: Callable[[str, bytes], Awaitable[None]]) -> None:
        self._publish = publish
        self._tell = tell  # the audience of presence
        self._told: dict[Connection, dict[str, Told]] = {}  # by context, for sockets that are typing in any
        self._telling: set[asyncio.Future[None]] = set()

    def set(self, connection: Connection, context: str, is_typing: bool, stream: str | None) -> None:
        """The socket's user types, or no longer does: for a room's `stream`, or with None for the audience."""
        if is_typing:
            contexts = self._told.setdefault(connection, {})
            if context not in contexts and len(contexts) >= MAX_CONTEXTS:
                return
            contexts[context] = Told(time.monotonic() + settings().typing_seconds, stream)
        else:
            self._forget(connection, context)
        self._send(connection, context, is_typing, stream)

    def stop(self, connection: Connection, context: str) -> None:
        """Untell one context, if it was told."""
        told = self._forget(connection, context)
        if told is not None:
            self._send(connection, context, False, told.stream)

    def stop_all(self, connection: Connection) -> None:
        for context in tuple(self._told.get(connection, ())):
            self.stop(connection, context)

    async def drain(self) -> None:
        """Let what is being told reach the bus, and end what still asks the presence store, which is closed next."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=PATIENCE_SECONDS)
        await end_tasks(self._telling)

    def expire(self) -> None:
        """Untell who has been silent for too long; called once a second."""
        now = time.monotonic()
        silent = [(typist, c) for typist, told in self._told.items() for c in told if told[c].ends <= now]
        for connection, context in silent:
            self.stop(connection, context)

    def _forget(self, connection: Connection, context: str) -> Told | None:
        contexts = self._told.get(connection, {})
        told = contexts.pop(context, None)
        if not contexts:
            self._told.pop(connection, None)
        return told

    def _send(self, connection: Connection, context: str, is_typing: bool, stream: str | None) -> None:
        body = encode(Typing(TypingData(connection.user_id, is_typing, context)))
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
