"""What each command does (L4): one handler a command, one place where refusals are answered. Called by the reader.

A handler that need not wait returns None and costs no task; one that must returns a coroutine.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from django.utils.translation import gettext as _

from realtime import auth, chat, protocol, rooms, tokens
from realtime.conf import settings
from realtime.connection import Connection
from realtime.database import run
from realtime.direct import find_cached_pair, find_pair, forget_pairs
from realtime.errors import CloseCode, Closed, ErrorCode, Refused
from realtime.limits import ErrorBudget
from realtime.models import SLUG_PATTERN
from realtime.node import Node
from realtime.protocol import Invalid

logger = logging.getLogger(__name__)

Work = Coroutine[Any, Any, None]

IS_SLUG = re.compile(SLUG_PATTERN).match


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


def answer(connection: Connection, error: Exception, id: str | None) -> None:
    """The one place that turns an exception into a frame or a close."""
    if isinstance(error, Closed):
        connection.close(error)
    elif isinstance(error, Invalid):
        connection.send(protocol.error(error, error.id))
        _count_bad_frame(connection)
    elif isinstance(error, Refused):
        connection.send(protocol.error(error, id))
    else:
        reference = secrets.token_hex(4)
        logger.error("A command failed (reference %s)", reference, exc_info=error)
        refusal = Refused(ErrorCode.MESSAGE_PROCESSING_ERROR, _("Something went wrong on our side."))
        connection.send(protocol.error(refusal, id, reference=reference))


def _count_bad_frame(connection: Connection) -> None:
    if connection.errors is None:
        connection.errors = ErrorBudget(settings().bad_frames, settings().bad_frames_seconds)
    if not connection.errors.spend(time.monotonic()):
        connection.close(Closed(CloseCode.BAD_FRAMES, "TOO_MANY_ERRORS"))


def on_ping(node: Node, connection: Connection, command: protocol.Ping) -> None:
    connection.send(protocol.pong(command))


def on_pong(node: Node, connection: Connection, command: protocol.Pong) -> None:
    """Any frame proves life; this one does nothing else."""


async def on_auth(node: Node, connection: Connection, command: protocol.Auth) -> None:
    identity = await node.loader.submit(tokens.read_access(command.token))
    if identity.key != connection.user_key:
        raise Refused(ErrorCode.FORBIDDEN, _("The token belongs to another user."))
    extend(node, connection, identity)
    connection.send(protocol.ack(command.id, expires_at=protocol.format_epoch(identity.expires_at)))


def extend(node: Node, connection: Connection, identity: auth.Identity) -> None:
    connection.expires_at = identity.expires_at
    connection.session = identity.session
    node.pulse.watch_end(connection)


def on_presence(node: Node, connection: Connection, command: protocol.Presence) -> Work:
    if len(protocol.encode(command.data)) > settings().presence_data_bytes:
        raise Invalid(ErrorCode.INVALID_MESSAGE, _("`data` is too large."), command.id)
    return node.hub.tracker.set_status(connection.user_key, command.status, command.data)


def on_typing(node: Node, connection: Connection, command: protocol.Typing) -> Work | None:
    context = command.data.context
    if context in connection.rooms:
        node.typists.set(connection, context, command.data.is_typing, f"room.{context}")
        return None
    if not IS_SLUG(context):  # no room has this name
        node.typists.set(connection, context, command.data.is_typing, None)
        return None
    return _type_elsewhere(node, connection, context, command.data.is_typing)


async def _type_elsewhere(node: Node, connection: Connection, context: str, is_typing: bool) -> None:
    """In a room that was not joined on this socket, or in no room. Of a room that is not his, nobody hears it."""
    access = await node.access.submit((connection.user_key, context))
    if access is None or access.member:
        node.typists.set(connection, context, is_typing, f"room.{context}" if access else None)


def on_message(node: Node, connection: Connection, command: protocol.Message) -> Work | None:
    if (command.room_id is None) == (command.to_user_id is None):
        raise Invalid(ErrorCode.INVALID_MESSAGE, _("A message has either `room_id` or `to_user_id`."), command.id)
    if command.room_id is not None:
        room = connection.rooms.get(command.room_id)
        if room is None:
            return _post_unjoined(node, connection, command, command.room_id)
        return _post(node, connection, command, room=room, room_slug=command.room_id)
    assert command.to_user_id is not None
    pair = find_cached_pair(connection.user_key, command.to_user_id)
    if pair is None:
        return _post_unacquainted(node, connection, command, command.to_user_id)
    return _post(node, connection, command, room=pair.room, recipient=pair.recipient, recipient_id=pair.recipient_id)


async def _post_unjoined(node: Node, connection: Connection, command: protocol.Message, slug: str) -> None:
    access = await node.access.submit((connection.user_key, slug))
    if access is None or (access.private and not access.member):
        raise rooms.not_found()
    if not access.member:
        raise Refused(ErrorCode.FORBIDDEN, _("Only members of the room may do this."))
    if (work := _post(node, connection, command, room=access.room, room_slug=slug)) is not None:
        await work


async def _post_unacquainted(
    node: Node, connection: Connection, command: protocol.Message, recipient: int | str
) -> None:
    pair = await find_pair(connection.user_key, recipient)
    work = _post(node, connection, command, room=pair.room, recipient=pair.recipient, recipient_id=pair.recipient_id)
    if work is not None:
        await work


def _post(node: Node, connection: Connection, command: protocol.Message, **place: Any) -> Work | None:
    """Store a message without waiting: the next command is read meanwhile, and transactions keep the order."""
    post = chat.Post(
        sender=connection.user_id,
        sender_id=connection.user_id,
        sender_name=connection.name,
        text=command.message,
        kind=command.kind,
        client_id=command.id,
        **place,
    )
    future = chat.post(post, node.writer)
    connection.pending += 1
    future.add_done_callback(partial(_posted, connection, command.id))
    return _wait(future) if connection.pending >= settings().max_pending_commands else None


async def _wait(future: "asyncio.Future[chat.Posted]") -> None:
    await asyncio.wait([future])


def _posted(connection: Connection, id: str | None, future: "asyncio.Future[chat.Posted]") -> None:
    connection.pending -= 1
    if future.cancelled():
        return
    error = future.exception()
    if error is None:
        posted = future.result()
        connection.send(protocol.ack_message(id, posted.message_id, posted.seq, posted.timestamp))
    elif isinstance(error, Exception):
        if isinstance(error, Refused) and error.code is ErrorCode.NOT_FOUND:
            forget_pairs()  # a room that was remembered has been deleted
        answer(connection, error, id)


async def on_join(node: Node, connection: Connection, command: protocol.Join) -> None:
    slug = command.room_id
    if len(connection.rooms) >= settings().max_rooms_per_connection and slug not in connection.rooms:
        raise Refused(ErrorCode.CONFLICT, _("This socket has joined too many rooms."))
    async with node.hub.open_feeds([f"room.{slug}"]) as (feed,):
        removals = -1
        while feed.removals != removals:  # whoever was removed while we asked has to be asked for again
            removals = feed.removals
            joined = await run(rooms.join, connection.user_id, slug)
        if connection.id not in node.hub.connections:
            return  # it closed while the room was looked up
        connection.rooms[slug] = joined.room
        node.hub.attach(connection, feed)
        connection.send(protocol.joined(command.id, slug, joined.title, joined.role, feed.position))


def on_leave(node: Node, connection: Connection, command: protocol.Leave) -> None:
    slug = command.room_id
    if connection.rooms.pop(slug, None) is None:
        raise Refused(ErrorCode.NOT_FOUND, _("This socket has not joined the room."))
    node.typists.stop(connection, slug)
    node.hub.unsubscribe(connection, f"room.{slug}")
    connection.send(protocol.left(command.id, slug))


Handler = Callable[[Node, Connection, Any], Work | None]

HANDLERS: dict[type[protocol.Command], Handler] = {
    protocol.Ping: on_ping,
    protocol.Pong: on_pong,
    protocol.Auth: on_auth,
    protocol.Typing: on_typing,
    protocol.Presence: on_presence,
    protocol.Message: on_message,
    protocol.Join: on_join,
    protocol.Leave: on_leave,
}
