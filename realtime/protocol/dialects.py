"""Dialects: how sockets for one purpose write commands and frames (pure; protocol §7). Used by their consumers.

A dialect only translates between a socket's texts and the protocol. It makes no decisions.
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
from realtime.protocol.outgoing import Translation
from realtime.protocol.validation import MAX_SHOWN


@dataclass(frozen=True, slots=True)
class Dialect:
    """`parse` turns a text into a command, or raises Invalid.

    `translate` turns a frame's JSON into the text that is sent; None means that the frame is not sent. Sockets with the
    same `translate` share its result, so the result must not depend on whose socket it is.
    """

    parse: Callable[[str], Command]
    translate: Translation


# Incoming texts

IN_ROOMS = frozenset({"ping", "pong", "auth"})
ABOUT_NOTIFICATIONS = IN_ROOMS | {"read", "resume"}


class Said(msgspec.Struct):
    """A message that a client writes in a room. The sender is known from the socket; other fields are ignored."""

    content: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    kind: Kind = "text"
    id: CommandId | None = None


class Typed(msgspec.Struct):
    type: Any = None


_said = msgspec.json.Decoder(Said)
_typed = msgspec.json.Decoder(Typed)


def parse_text(room_id: str, text: str) -> Command:
    """A text that is not a JSON object is a message with just that text, also `42`, `"quoted"` and `{this}`."""
    if text.lstrip().startswith("{"):
        try:
            return parse_content(room_id, text)
        except Invalid as error:
            if error.code is not ErrorCode.INVALID_JSON:
                raise
    return _say(room_id, text)


def parse_content(room_id: str, text: str) -> Command:
    """A command if the `type` is one that sockets of rooms accept, else a message.

    Raises Invalid.
    """
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


def parse_notification_command(text: str) -> Command:
    """One of the commands in ABOUT_NOTIFICATIONS. Raises Invalid for any other."""
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


# Outgoing frames

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
    """The fields of a `chat` frame that are translated."""

    data: ToldChatData
    seq: int


class ToldAck(msgspec.Struct):
    """The fields of an `ack` that are translated."""

    message_id: int | UnsetType = UNSET
    id: str | UnsetType = UNSET


class ReadData(msgspec.Struct):
    room_id: str | None = None


class ReadFrame(msgspec.Struct):
    data: ReadData


class RoomMessage(ServerFrame, tag="message", frozen=True):
    """A message on `/ws/chat/{room_id}`. `kind` is left out when it is `text`."""

    content: Text
    timestamp: Time
    room_id: RoomId
    message_id: int
    sender: Text
    seq: Seq
    kind: OtherKind | UnsetType = UNSET


class RoomChat(ServerFrame, tag="chat", frozen=True):
    """A message on `/ws/chat/rooms/{room_id}`. `kind` is left out when it is `text`."""

    room_id: RoomId
    content: Text
    sender: Text
    timestamp: Time
    message_id: int
    seq: Seq
    kind: OtherKind | UnsetType = UNSET


class Accepted(Data, frozen=True):
    """The answer to the sender of a message on `/ws/chat/{room_id}`. The only frame without a `type`."""

    status: Literal["ok"]
    message_id: int
    id: CommandId | UnsetType = UNSET


_chat = msgspec.json.Decoder(ToldChat)
_ack = msgspec.json.Decoder(ToldAck)
_read = msgspec.json.Decoder(ReadFrame)


def translate_message(payload: bytes) -> bytes | None:
    """A frame's JSON for `/ws/chat/{room_id}`; None if it is not sent there."""
    type_ = _typed.decode(payload).type
    if type_ == "chat":
        return _reshape(payload, RoomMessage)
    if type_ == "ack":
        return _accept(payload)
    return payload if type_ in SHARED else None


def translate_chat(payload: bytes) -> bytes | None:
    """A frame's JSON for `/ws/chat/rooms/{room_id}`; None if it is not sent there.

    A message sent without an `id` gets no `ack`: when its sender receives the message itself, it is stored.
    """
    type_ = _typed.decode(payload).type
    if type_ == "chat":
        return _reshape(payload, RoomChat)
    if type_ == "ack":
        ack = _read_ack(payload)
        return payload if ack.message_id is UNSET or ack.id is not UNSET else None
    return payload if type_ in SHARED else None


def translate_notification(payload: bytes) -> bytes | None:
    """A frame's JSON for `/ws/notifications`; None if it is about chat.

    Everything else is sent unchanged, including frames that site code made.
    """
    type_ = _typed.decode(payload).type
    return None if type_ in ABOUT_CHAT or (type_ == "read" and _is_of_room(payload)) else payload


def _is_of_room(payload: bytes) -> bool:
    try:
        return _read.decode(payload).data.room_id is not None
    except msgspec.ValidationError:
        return False  # site code made this frame


def _reshape(payload: bytes, shape: type[RoomMessage] | type[RoomChat]) -> bytes | None:
    try:
        chat = _chat.decode(payload)
    except msgspec.ValidationError:
        return None  # site code made this frame
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
        return ToldAck()  # site code made this frame


def _accept(payload: bytes) -> bytes:
    ack = _read_ack(payload)
    if ack.message_id is UNSET:
        return payload
    return encode(Accepted("ok", ack.message_id, ack.id))


# The dialects


def speak_text(room_id: str) -> Dialect:
    return Dialect(partial(parse_text, room_id), translate_message)


def speak_content(room_id: str) -> Dialect:
    return Dialect(partial(parse_content, room_id), translate_chat)


NOTIFICATIONS = Dialect(parse_notification_command, translate_notification)
