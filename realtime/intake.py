"""Incoming frames (L4): measured, counted, decoded, given to their commands. Called by the reader and the consumers."""

import time

from django.utils.translation import gettext as _

from realtime import protocol
from realtime.answers import answer
from realtime.commands import HANDLERS, Work
from realtime.conf import settings
from realtime.connection import Connection
from realtime.errors import CloseCode, Closed, ErrorCode, Refused
from realtime.node import Node
from realtime.protocol import Invalid


def begin(node: Node, connection: Connection, raw: bytes | str | None) -> Work | None:
    """Take one incoming frame, None for a binary one. Returns what is left to be awaited before the next frame."""
    connection.heard_at = now = time.monotonic()
    id: str | None = None
    try:
        require_quota(connection, now)
        command = decode(raw)
        id = command.id
        work = HANDLERS[type(command)](node, connection, command)
        if work is not None:
            return _finish(connection, command, work)
        if id is not None and command.acknowledged:
            connection.send(protocol.ack(id))
    except Exception as error:
        if isinstance(error, Refused) and error.code is ErrorCode.RATE_LIMITED and raw is not None:
            id = protocol.read_id(raw)
        answer(connection, error, id)
    return None


async def _finish(connection: Connection, command: protocol.Command, work: Work) -> None:
    try:
        await work
        if command.id is not None and command.acknowledged:
            connection.send(protocol.ack(command.id))
    except Exception as error:
        answer(connection, error, command.id)


def decode(raw: bytes | str | None) -> protocol.Command:
    """Raises Invalid, and Closed for text that is not UTF-8 (RFC 6455 §8.1)."""
    if raw is None:
        raise Invalid(ErrorCode.INVALID_MESSAGE, _("Frames are text, not binary."))
    try:
        # Both forms: frames are measured in bytes, and what a decoder passes over has to be good UTF-8, too.
        data, text = (raw.encode(), raw) if isinstance(raw, str) else (raw, raw.decode())
        if len(data) > settings().max_frame_bytes:
            raise Closed(CloseCode.TOO_BIG, "FRAME_TOO_LARGE")
        return protocol.decode(text)
    except UnicodeError:
        raise Closed(CloseCode.INVALID_DATA, "INVALID_DATA") from None


def require_quota(connection: Connection, now: float) -> None:
    """Raises Refused(RATE_LIMITED), and Closed when the user went on regardless."""
    quota = connection.quota
    if quota is None:
        return
    wait = quota.bucket.take(now)
    if not wait:
        quota.refused = 0
        return
    quota.refused += 1
    if quota.refused > settings().rate_limit_errors:
        raise Closed(CloseCode.RATE_LIMITED, "RATE_LIMITED", retry_after_ms=settings().retry_after_ms)
    raise Refused(ErrorCode.RATE_LIMITED, _("Too many commands."), retry_after_ms=max(1, round(wait * 1000)))
