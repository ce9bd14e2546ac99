"""Announces who is typing where, and when users stop, fall silent, leave or disconnect. One per node."""

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

MAX_CONTEXTS = 20  # in which one socket may type at once
SendToAudience = Callable[[str, bytes], Awaitable[None]]  # called with a user's key and a frame
# How long sending the last announcements may take in a process that stops.
PATIENCE_SECONDS = 1


class Indicator(NamedTuple):
    """A user is typing until `ends` (monotonic time). Announced to `stream`; if None, to the audience of presence."""

    ends: float
    stream: str | None
    room: int = 0  # the primary key of the room that `stream` belongs to


class TypingIndicators:
    """The contexts in which this process's sockets are typing, each with the time at which that ends."""

    def __init__(self, publish: Callable[[Envelope], None], send_to_audience: SendToAudience) -> None:
        self._publish = publish
        self._send_to_audience = send_to_audience  # the audience of presence
        self._shown: dict[Connection, dict[str, Indicator]] = {}  # by socket, then by context
        self._sending: set[asyncio.Future[None]] = set()  # one for each user who is in `_waiting`
        # What is still to be sent to the audience: by user key, the last frame of each context.
        self._waiting: dict[str, dict[str, bytes]] = {}

    def set(self, connection: Connection, context: str, is_typing: bool, stream: str | None, room: int = 0) -> None:
        """The user starts or stops typing. Announced to a room's `stream`; if None, to the audience of presence.

        `room` is the room's primary key: another room may get its name.
        """
        if is_typing:
            contexts = self._shown.setdefault(connection, {})
            if context not in contexts and len(contexts) >= MAX_CONTEXTS:
                return
            contexts[context] = Indicator(time.monotonic() + settings().typing_seconds, stream, room)
        else:
            self._forget(connection, context)
        self._send(connection, context, is_typing, stream, room)

    def stop(self, connection: Connection, context: str) -> None:
        """End one context, if it was announced."""
        shown = self._forget(connection, context)
        if shown is not None:
            self._send(connection, context, False, shown.stream, shown.room)

    def stop_all(self, connection: Connection) -> None:
        for context in tuple(self._shown.get(connection, ())):
            self.stop(connection, context)

    async def drain(self) -> None:
        """Let announcements reach the bus; then cancel those still asking the presence store, which is closed next."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=PATIENCE_SECONDS)
        await end_tasks(self._sending)

    def expire(self) -> None:
        """End the indicators of users who have been silent for too long. The clock calls it, at least once a second."""
        now = time.monotonic()
        silent = [(typist, c) for typist, shown in self._shown.items() for c in shown if shown[c].ends <= now]
        for connection, context in silent:
            self.stop(connection, context)

    def _forget(self, connection: Connection, context: str) -> Indicator | None:
        contexts = self._shown.get(connection, {})
        shown = contexts.pop(context, None)
        if not contexts:
            self._shown.pop(connection, None)
        return shown

    def _send(self, connection: Connection, context: str, is_typing: bool, stream: str | None, room: int) -> None:
        body = encode(Typing(TypingData(connection.user_id, is_typing, context)))
        if stream is not None:
            passing = Passing(body, stream=stream, exclude=connection.user_key, room=room)
            self._publish(Envelope(passing=[passing]))
            return
        if (waiting := self._waiting.get(connection.user_key)) is not None:
            waiting[context] = body
            return
        self._waiting[connection.user_key] = {context: body}
        task = asyncio.ensure_future(self._send_waiting(connection.user_key))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_waiting(self, user_key: str) -> None:
        """One after the other: the store is asked before each, and on two connections an end might come first."""
        waiting = self._waiting[user_key]
        try:
            while waiting:
                body = waiting.pop(next(iter(waiting)))
                try:
                    await self._send_to_audience(user_key, body)
                except Exception as error:
                    logger.warning("Typing was not announced: %s", error)
        finally:
            del self._waiting[user_key]
