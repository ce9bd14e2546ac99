"""Measures, counts and decodes incoming frames, and calls their handlers. Called by the reader and the consumers."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.protocol import commands
from realtime.protocol.commands import Batch, Invalid
from realtime.protocol.errors import CloseCode, Closed, ErrorCode, Reason, Refused
from realtime.protocol.frames import Ack, encode, utc_now
from realtime.sockets import handlers
from realtime.sockets.handlers import Handler, Work
from realtime.sockets.node import Node
from realtime.sockets.refusals import answer

Read = Callable[[Connection, bytes | str | None], commands.Command]


def begin(node: Node, connection: Connection, raw: bytes | str | None) -> Work | None:
    """Take one incoming frame (None: a binary one). Returns the work to await before the next frame, or None."""
    connection.heard_at = time.monotonic()
    return _take(node, connection, raw, _read_frame)


def _take(node: Node, connection: Connection, raw: bytes | str | None, read: Read) -> Work | None:
    id: str | None = None
    try:
        require_quota(connection, time.monotonic())
        command = read(connection, raw)
        id = command.id
        work = HANDLERS[type(command)](node, connection, command)
        if work is not None:
            return _finish(connection, command, work)
        if id is not None and command.acknowledged:
            connection.send(encode(Ack(status="ok", timestamp=utc_now(), id=id)))
    except Exception as error:
        if isinstance(error, Refused) and error.code is ErrorCode.RATE_LIMITED and raw is not None:
            id = commands.read_id(raw)
        answer(connection, error, id)
    return None


async def _finish(connection: Connection, command: commands.Command, work: Work) -> None:
    try:
        await work
        if command.id is not None and command.acknowledged:
            connection.send(encode(Ack(status="ok", timestamp=utc_now(), id=command.id)))
    except Exception as error:
        answer(connection, error, command.id)


def on_batch(node: Node, connection: Connection, command: Batch) -> Work | None:
    """Run the commands in order. The batch's own `ack` comes after the answers to all of them."""
    elements = map(bytes, command.messages)
    for raw in elements:
        if (work := _take(node, connection, raw, _read_element)) is not None:
            return _go_on(node, connection, command, work, elements)
        if connection.closing:
            return None
    return _settle(connection) if command.id is not None and connection.pending else None


async def _go_on(node: Node, connection: Connection, command: Batch, work: Work, elements: Iterator[bytes]) -> None:
    await work
    for raw in elements:
        # After a close the rest may be dropped: no command is acknowledged before it has begun.
        if connection.closing or connection.id not in node.hub.connections:
            return
        if (next_work := _take(node, connection, raw, _read_element)) is not None:
            await next_work
    if command.id is not None:
        await _settle(connection)


async def _settle(connection: Connection) -> None:
    """Wait for the messages that are being stored."""
    if connection.pending:
        connection.settled = asyncio.get_running_loop().create_future()
        await connection.settled


HANDLERS: Mapping[type[commands.Command], Handler] = {
    **handlers.HANDLERS,
    Batch: on_batch,
    commands.Note: handlers.on_note,
}


def _read_frame(connection: Connection, raw: bytes | str | None) -> commands.Command:
    text = measure(raw)
    return commands.decode(text) if connection.dialect is None else connection.dialect.parse(text)


def _read_element(connection: Connection, raw: bytes | str | None) -> commands.Command:
    command = commands.decode(raw or b"")
    if isinstance(command, Batch):
        raise Invalid(ErrorCode.INVALID_MESSAGE, Reason.BATCH_IN_BATCH, command.id)
    return command


def decode(raw: bytes | str | None) -> commands.Command:
    """The command in a frame. Raises as `measure` does, and Invalid for a frame that is not a command."""
    return commands.decode(measure(raw))


def measure(raw: bytes | str | None) -> str:
    """A frame's text. Raises Invalid for a binary one, Closed for one too large or not UTF-8 (RFC 6455 §8.1)."""
    if raw is None:
        raise Invalid(ErrorCode.INVALID_MESSAGE, Reason.BINARY_FRAME)
    try:
        # Both forms are needed: frames are measured in bytes, and parts that a decoder skips must be valid UTF-8, too.
        data, text = (raw.encode(), raw) if isinstance(raw, str) else (raw, raw.decode())
    except UnicodeError:
        raise Closed(CloseCode.INVALID_DATA, "INVALID_DATA") from None
    if len(data) > settings().max_frame_bytes:
        raise Closed(CloseCode.TOO_BIG, "FRAME_TOO_LARGE")
    return text


def require_quota(connection: Connection, now: float) -> None:
    """Raises Refused(RATE_LIMITED); Closed after more than `rate_limit_errors` refusals in a row."""
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
    raise Refused(ErrorCode.RATE_LIMITED, Reason.TOO_MANY_COMMANDS, retry_after_ms=max(1, round(wait * 1000)))
