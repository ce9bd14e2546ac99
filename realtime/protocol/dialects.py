"""How sockets for one purpose say things (pure): their texts as commands, frames in their own shapes (protocol §7).

A dialect stands between a socket and the protocol and decides nothing. Made by the consumers of such sockets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from realtime.protocol import commands
from realtime.protocol.commands import Command, CommandId, Invalid, Kind, Message, RoomId
from realtime.protocol.errors import ErrorCode, Reason
from realtime.protocol.frames import Data, Seq, ServerFrame, Text, Time, encode
from realtime.protocol.outgoing import Tell
from realtime.protocol.validation import MAX_SHOWN


@dataclass(frozen=True, slots=True)
class Dialect:
    """`read` makes a command of a text, raising Invalid; `tell` makes a text of a frame, None for one that is left out.

    Sockets with the same `tell` share what it made, so it must not depend on whose socket it is.
    """

    read: Callable[[str], Command]
    tell: Tell


# What is understood

IN_ROOMS = frozenset({"ping", "pong", "auth"})
ABOUT_NOTIFICATIONS = IN_ROOMS | {"read", "resume"}


class Said(msgspec.Struct):
    """What a client says in a room; who says it is known, and everything else in it is ignored."""

    content: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    kind: Kind = "text"
    id: CommandId | None = None


class Typed(msgspec.Struct):
    type: Any = None


_said = msgspec.json.Decoder(Said)
_typed = msgspec.json.Decoder(Typed)


def read_text(room_id: str, text: str) -> Command:
    """What is no JSON object is said as it is, also `42`, `"quoted"` and `{this}`."""
    if text.lstrip().startswith("{"):
        try:
            return read_content(room_id, text)
        except Invalid as error:
            if error.code is not ErrorCode.INVALID_JSON:
                raise
    return _say(room_id, text)


def read_content(room_id: str, text: str) -> Command:
    """A command that such sockets know by its `type`, or else what is said."""
    try:
        type_ = _typed.decode(text).type
        if isinstance(type_, str) and type_ in IN_ROOMS:
            return commands.decode(text)
        said = _said.decode(text)
    except msgspec.ValidationError as error:
        raise commands.explain(text, str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise commands.not_json(error) from None
    if said.content is not UNSET:
        return _say(room_id, said.content, said.kind, said.id)
    if isinstance(type_, str):
        raise _unknown(type_, said.id)
    raise Invalid(ErrorCode.INVALID_MESSAGE, Reason.FIELD_MISSING, said.id, field="$.content")


def read_notification_command(text: str) -> Command:
    command = commands.decode(text)
    type_ = str(command.__struct_config__.tag)
    if type_ not in ABOUT_NOTIFICATIONS:
        raise _unknown(type_, command.id)
    return command


def _say(room_id: str, text: str, kind: Kind = "text", id: str | None = None) -> Message:
    if not text:
        raise Invalid(ErrorCode.INVALID_MESSAGE, Reason.MESSAGE_EMPTY, id)
    return Message(message=text, room_id=room_id, kind=kind, id=id)


def _unknown(type_: str, id: str | None) -> Invalid:
    return Invalid(ErrorCode.UNKNOWN_MESSAGE_TYPE, Reason.UNKNOWN_COMMAND_HERE, id, name=type_[:MAX_SHOWN])


# What is told

SHARED = frozenset({"connected", "pong", "error", "heartbeat", "auth_expiring", "disconnect"})
ABOUT_CHAT = frozenset({"chat", "typing", "presence", "user_status", "online_count", "joined", "left"})


OtherKind = Literal["image", "notification"]


class ToldChatData(msgspec.Struct):
    from_username: str
    message: str
    timestamp: str
    message_id: int
    room_id: str
    kind: str = "text"


class ToldChat(msgspec.Struct):
    """A `chat` frame, as far as it is told."""

    data: ToldChatData
    seq: int


class ToldAck(msgspec.Struct):
    """An `ack`, as far as it is told."""

    message_id: int | UnsetType = UNSET
    id: str | UnsetType = UNSET


class ReadData(msgspec.Struct):
    room_id: str | None = None


class ReadFrame(msgspec.Struct):
    data: ReadData


class RoomMessage(ServerFrame, tag="message", frozen=True):
    """A message on `/ws/chat/{room_id}`. A `kind` is named where it is not `text`."""

    content: Text
    timestamp: Time
    room_id: RoomId
    message_id: int
    sender: Text
    seq: Seq
    kind: OtherKind | UnsetType = UNSET


class RoomChat(ServerFrame, tag="chat", frozen=True):
    """A message on `/ws/chat/rooms/{room_id}`. A `kind` is named where it is not `text`."""

    room_id: RoomId
    content: Text
    sender: Text
    timestamp: Time
    message_id: int
    seq: Seq
    kind: OtherKind | UnsetType = UNSET


class Accepted(Data, frozen=True):
    """What the sender of a message gets on `/ws/chat/{room_id}`; the only frame without a `type`."""

    status: Literal["ok"]
    message_id: int
    id: CommandId | UnsetType = UNSET


_chat = msgspec.json.Decoder(ToldChat)
_ack = msgspec.json.Decoder(ToldAck)
_read = msgspec.json.Decoder(ReadFrame)


def tell_message(payload: bytes) -> bytes | None:
    """A frame on `/ws/chat/{room_id}`."""
    type_ = _typed.decode(payload).type
    if type_ == "chat":
        return _retell(payload, RoomMessage)
    if type_ == "ack":
        return _accept(payload)
    return payload if type_ in SHARED else None


def tell_chat(payload: bytes) -> bytes | None:
    """A frame on `/ws/chat/rooms/{room_id}`: who sends without an `id` sees by his own message that it is stored."""
    type_ = _typed.decode(payload).type
    if type_ == "chat":
        return _retell(payload, RoomChat)
    if type_ == "ack":
        ack = _read_ack(payload)
        return payload if ack.message_id is UNSET or ack.id is not UNSET else None
    return payload if type_ in SHARED else None


def tell_notification(payload: bytes) -> bytes | None:
    """A frame on `/ws/notifications`: whatever is not about chat, so what a site sends of its own as well."""
    type_ = _typed.decode(payload).type
    return None if type_ in ABOUT_CHAT or (type_ == "read" and _is_of_room(payload)) else payload


def _is_of_room(payload: bytes) -> bool:
    try:
        return _read.decode(payload).data.room_id is not None
    except msgspec.ValidationError:
        return False  # of the site's own making


def _retell(payload: bytes, shape: type[RoomMessage] | type[RoomChat]) -> bytes | None:
    try:
        chat = _chat.decode(payload)
    except msgspec.ValidationError:
        return None  # of the site's own making
    data = chat.data
    return encode(
        shape(
            room_id=data.room_id,
            content=data.message,
            sender=data.from_username,
            timestamp=data.timestamp,
            message_id=data.message_id,
            seq=chat.seq,
            kind=UNSET if data.kind == "text" else cast(OtherKind, data.kind),
        )
    )


def _read_ack(payload: bytes) -> ToldAck:
    try:
        return _ack.decode(payload)
    except msgspec.ValidationError:
        return ToldAck()  # of the site's own making


def _accept(payload: bytes) -> bytes:
    ack = _read_ack(payload)
    if ack.message_id is UNSET:
        return payload
    return encode(Accepted("ok", ack.message_id, ack.id))


# Which there are


def speak_text(room_id: str) -> Dialect:
    return Dialect(partial(read_text, room_id), tell_message)


def speak_content(room_id: str) -> Dialect:
    return Dialect(partial(read_content, room_id), tell_chat)


NOTIFICATIONS = Dialect(read_notification_command, tell_notification)
