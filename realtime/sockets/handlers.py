"""The handlers of the commands, one for each. Called by the intake, which answers the exceptions they raise.

A handler that need not wait returns None and needs no task; one that must wait returns a coroutine.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from msgspec import UNSET

from realtime.auth.identity import Identity, identify_token
from realtime.chat import messages as chat
from realtime.chat import read_positions, rooms
from realtime.chat.direct import find_cached_pair, find_pair, forget_pair, open_notes
from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Envelope, Passing
from realtime.models import is_slug
from realtime.protocol import commands
from realtime.protocol.commands import Invalid
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import Ack, Pong, Read, ReadData, encode, format_epoch, given, utc_now
from realtime.protocol.streams import room_stream
from realtime.sockets.node import Node
from realtime.sockets.recheck import confirm
from realtime.sockets.refusals import answer
from realtime.sockets.subscription_handlers import on_join, on_leave, on_subscribe, on_unsubscribe
from realtime.storage.database import run

Work = Coroutine[Any, Any, None]

# For what marks the user's notifications elsewhere, such as an act on very many.
BUSY_SECONDS = 30.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


def on_ping(node: Node, connection: Connection, command: commands.Ping) -> None:
    timestamp = utc_now() if command.timestamp is UNSET else command.timestamp
    connection.send(encode(Pong(timestamp, given(command.id))))


def on_pong(node: Node, connection: Connection, command: commands.Pong) -> None:
    """Any frame proves that the client is alive. A `pong` also proves that all frames before the heartbeat arrived."""
    positions = connection.subscriptions.positions
    if positions.unanswered:
        node.keeper.on_answer(connection)
    if positions.confirm():
        node.keeper.note(connection)


async def on_auth(node: Node, connection: Connection, command: commands.Auth) -> None:
    asked_at = time.monotonic()
    identity = await identify_token(command.token, node.loader)
    if identity.key != connection.user_key:
        raise Refused(ErrorCode.FORBIDDEN, Reason.TOKEN_OF_ANOTHER_USER)
    extend(node, connection, identity)
    await confirm(node.hub, node.checker, connection, asked_at)
    expires_at = format_epoch(identity.expires_at)
    connection.send(encode(Ack(status="ok", expires_at=expires_at, timestamp=utc_now(), id=given(command.id))))


def extend(node: Node, connection: Connection, identity: Identity) -> None:
    connection.expires_at = identity.expires_at
    node.hub.registry.change_login(connection, identity.login)
    connection.name = identity.name
    connection.issued_at = identity.issued_at
    connection.session_key = identity.session_key
    connection.password = identity.password
    node.clock.watch_end(connection)


def on_presence(node: Node, connection: Connection, command: commands.Presence) -> Work:
    if command.data and len(encode(command.data)) > settings().presence_data_bytes:
        raise Invalid(ErrorCode.INVALID_MESSAGE, Reason.DATA_TOO_LARGE, command.id)
    if wait := _wait_to_announce(connection):
        raise Refused(ErrorCode.RATE_LIMITED, Reason.TOO_MANY_COMMANDS, retry_after_ms=max(1, round(wait * 1000)))
    return node.tracker.set_status(connection.user_key, command.status, command.data)


def on_typing(node: Node, connection: Connection, command: commands.Typing) -> Work | None:
    context = command.data.context
    room = connection.subscriptions.find_room(context)
    if room is not None:
        node.typing.set(connection, context, command.data.is_typing, room_stream(context), room)
        return None
    if not is_slug(context):  # no room has this name
        _type_freely(node, connection, context, command.data.is_typing)
        return None
    return _type_elsewhere(node, connection, context, command.data.is_typing)


async def _type_elsewhere(node: Node, connection: Connection, context: str, is_typing: bool) -> None:
    """Typing in a room not joined on this socket, or in no room. Ignored in a room that the user is no member of."""
    access = await node.access.submit((connection.user_key, context))
    if connection.id not in node.hub.connections:
        return  # it has left meanwhile, and nobody would end its typing
    if access is None:
        _type_freely(node, connection, context, is_typing)
    elif access.member:
        node.typing.set(connection, context, is_typing, room_stream(context), access.room)


def _type_freely(node: Node, connection: Connection, context: str, is_typing: bool) -> None:
    """Announced to the audience of presence, so the user's limit applies. A lost end of typing comes by itself."""
    if not _wait_to_announce(connection):
        node.typing.set(connection, context, is_typing, None)


def _wait_to_announce(connection: Connection) -> float:
    """Seconds until something about the user may be announced to everybody; if 0.0, it counts as announced."""
    return connection.quota.announcements.take(time.monotonic()) if connection.quota is not None else 0.0


def on_message(node: Node, connection: Connection, command: commands.Message) -> Work | None:
    if (command.room_id is None) == (command.to_user_id is None):
        raise Invalid(ErrorCode.INVALID_MESSAGE, Reason.NEEDS_ROOM_OR_USER, command.id)
    if command.room_id is not None:
        room = connection.subscriptions.find_room(command.room_id)
        if room is None:
            return _post_unjoined(node, connection, command, command.room_id)
        return _post(node, connection, command, room=room, room_slug=command.room_id)
    assert command.to_user_id is not None
    pair = find_cached_pair(connection.user_key, command.to_user_id, node.hub.registry.ended_users)
    if pair is None:
        return _post_unacquainted(node, connection, command, command.to_user_id)
    return _post(node, connection, command, room=pair.room, recipient=pair.recipient, recipient_id=pair.recipient_id)


async def _post_unjoined(node: Node, connection: Connection, command: commands.Message, slug: str) -> None:
    access = await node.access.submit((connection.user_key, slug))
    if access is None or (access.private and not access.member):
        raise rooms.not_found()
    if not access.member:
        raise Refused(ErrorCode.FORBIDDEN, Reason.NOT_A_MEMBER)
    if (work := _post(node, connection, command, room=access.room, room_slug=slug)) is not None:
        await work


async def _post_unacquainted(
    node: Node, connection: Connection, command: commands.Message, recipient: int | str
) -> None:
    pair = await find_pair(connection.user_key, recipient)
    work = _post(node, connection, command, room=pair.room, recipient=pair.recipient, recipient_id=pair.recipient_id)
    if work is not None:
        await work


async def on_note(node: Node, connection: Connection, command: commands.Note) -> None:
    room = await run(open_notes, connection.user_id)
    place = {"recipient": connection.user_id, "recipient_id": connection.user_id}
    if (work := _post(node, connection, command, room=room.pk, **place)) is not None:
        await work


def _post(node: Node, connection: Connection, command: commands.Message, **place: Any) -> Work | None:
    """Store a message without waiting: the next command is read meanwhile. Transactions keep the order of messages."""
    post = chat.Post(
        sender=connection.user_id,
        sender_id=connection.user_id,
        sender_name=connection.name,
        text=command.message,
        kind=command.kind,
        client_id=command.id,
        **place,
    )
    future = node.messages.post(post)
    connection.pending += 1
    future.add_done_callback(partial(_posted, connection, command))
    return _wait(future) if connection.pending >= settings().max_pending_commands else None


async def _wait(future: "asyncio.Future[chat.Posted]") -> None:
    await asyncio.wait([future])


def _posted(connection: Connection, command: commands.Message, future: "asyncio.Future[chat.Posted]") -> None:
    if not future.cancelled():
        _answer_post(connection, command, future)
    connection.pending -= 1
    if not connection.pending and connection.settled is not None and not connection.settled.done():
        connection.settled.set_result(None)


def _answer_post(connection: Connection, command: commands.Message, future: "asyncio.Future[chat.Posted]") -> None:
    error = future.exception()
    if error is None:
        posted = future.result()
        ack = Ack(
            status="ok",
            message_id=posted.message_id,
            seq=posted.seq,
            timestamp=posted.timestamp,
            id=given(command.id),
        )
        connection.send(encode(ack))
    elif isinstance(error, Exception):
        is_gone = isinstance(error, Refused) and error.code is ErrorCode.NOT_FOUND
        # The cached room of the two users has been deleted.
        if is_gone and command.to_user_id is not None:
            forget_pair(connection.user_key, command.to_user_id)
        answer(connection, error, command.id)


def on_resume(node: Node, connection: Connection, command: commands.Resume) -> Work:
    return node.errands.run(connection, _resume(node, connection, command))


async def _resume(node: Node, connection: Connection, command: commands.Resume) -> None:
    await node.resumer.resume(connection, command.streams, command.id)
    node.keeper.note(connection)


def on_read(node: Node, connection: Connection, command: commands.Read) -> Work:
    given = (command.room_id is not None, command.seq is not None, command.notification_ids is not None)
    if given == (True, True, False):
        return _mark_room_read(
            node, connection, read_positions.Mark(connection.user_key, str(command.room_id), command.seq or 0)
        )
    if given == (False, False, True):
        return _mark_notifications_read(node, connection, command.notification_ids or [])
    raise Invalid(ErrorCode.INVALID_MESSAGE, Reason.NEEDS_POSITION_OR_IDS, command.id)


async def _mark_room_read(node: Node, connection: Connection, mark: read_positions.Mark) -> None:
    moved = await node.read_marker.submit(mark)
    if moved is not None:
        data = ReadData(room_id=mark.slug, seq=moved.seq, unread=moved.unread)
        _send_to_others(node, connection, encode(Read(data)))


async def _mark_notifications_read(node: Node, connection: Connection, ids: list[int]) -> None:
    marked = await _mark_patiently(connection.user_id, ids)
    if marked:
        _send_to_others(node, connection, encode(Read(ReadData(notification_ids=marked))))


async def _mark_patiently(user_id: Any, ids: list[int]) -> list[int]:
    """Wait here for what else the user does: on the database threads, one user's waiting would be everybody's."""
    end = time.monotonic() + BUSY_SECONDS
    pause = SHORTEST_PAUSE
    while True:
        try:
            return await run(read_positions.mark_notifications, user_id, ids)
        except read_positions.Busy:
            if time.monotonic() > end:
                raise Refused(ErrorCode.UNAVAILABLE, Reason.TOO_MUCH_WAITING) from None
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _send_to_others(node: Node, connection: Connection, body: bytes) -> None:
    """Send a frame to the user's other sockets, on every process."""
    passing = Passing(body, users=(connection.user_key,), droppable=False, except_connection=connection.id)
    node.hub.publish(Envelope(passing=[passing]))


Handler = Callable[[Node, Connection, Any], Work | None]

HANDLERS: dict[type[commands.Command], Handler] = {
    commands.Ping: on_ping,
    commands.Pong: on_pong,
    commands.Auth: on_auth,
    commands.Typing: on_typing,
    commands.Presence: on_presence,
    commands.Message: on_message,
    commands.Join: on_join,
    commands.Leave: on_leave,
    commands.Subscribe: on_subscribe,
    commands.Unsubscribe: on_unsubscribe,
    commands.Read: on_read,
    commands.Resume: on_resume,
}
