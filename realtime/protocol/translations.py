"""Frames as sockets for one purpose get them (pure; protocol §7). The dialects name these functions."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast

import msgspec
from msgspec import UNSET, UnsetType

from realtime.protocol.commands import CommandId, Kind, RoomId
from realtime.protocol.frames import Data, Seq, ServerFrame, Text, Time, UserId, encode

SHARED = frozenset({"connected", "pong", "error", "heartbeat", "auth_expiring", "disconnect", "resumed"})
ABOUT_CHAT = frozenset({"chat", "typing", "presence", "user_status", "online_count", "joined", "left", "room_updated"})


OtherKind = Literal["image", "notification"]


class ToldChatData(msgspec.Struct):
    from_user_id: int | str
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


class RoomKind(Data, frozen=True):
    """A message on `/ws/advanced/{room_id}`: its kind is the `type`."""

    type: Kind
    content: Text
    sender_id: UserId
    timestamp: Time
    room_id: RoomId
    message_id: int
    sender: Text
    seq: Seq


class Accepted(Data, frozen=True):
    """The answer to the sender of a message, on `/ws/chat/{room_id}` (`ok`) and `/ws/db/{user_id}` (`saved`).

    The only frame without a `type`.
    """

    status: Literal["ok", "saved"]
    message_id: int
    id: CommandId | UnsetType = UNSET


class Typed(msgspec.Struct):
    type: Any = None


_typed = msgspec.json.Decoder(Typed)
_chat = msgspec.json.Decoder(ToldChat)
_ack = msgspec.json.Decoder(ToldAck)
_read = msgspec.json.Decoder(ReadFrame)


def read_type(text: str | bytes) -> Any:
    """The `type` in a JSON object, whatever it is; None without one. Raises msgspec's errors."""
    return _typed.decode(text).type


def translate_message(payload: bytes) -> bytes | None:
    """A frame's JSON for `/ws/chat/{room_id}`; None if it is not sent there."""
    type_ = read_type(payload)
    if type_ == "chat":
        return _reshape(payload, partial(_build, RoomMessage))
    if type_ == "ack":
        return _accept(payload, "ok")
    return payload if type_ in SHARED else None


def translate_note(payload: bytes) -> bytes | None:
    """A frame's JSON for `/ws/db/{user_id}`; None if it is not sent there."""
    type_ = read_type(payload)
    if type_ == "ack":
        return _accept(payload, "saved")
    return payload if type_ in SHARED else None


def translate_chat(payload: bytes) -> bytes | None:
    """A frame's JSON for `/ws/chat/rooms/{room_id}`; None if it is not sent there.

    A message sent without an `id` gets no `ack`: when its sender receives the message itself, it is stored.
    """
    type_ = read_type(payload)
    if type_ == "chat":
        return _reshape(payload, partial(_build, RoomChat))
    if type_ == "ack":
        ack = _read_ack(payload)
        return payload if ack.message_id is UNSET or ack.id is not UNSET else None
    return payload if type_ in SHARED else None


def translate_kind(payload: bytes) -> bytes | None:
    """A frame's JSON for `/ws/advanced/{room_id}`; None if it is not sent there. Acks are as in `translate_chat`."""
    return _reshape(payload, _build_kind) if read_type(payload) == "chat" else translate_chat(payload)


def translate_notification(payload: bytes) -> bytes | None:
    """A frame's JSON for `/ws/notifications`; None if it is about chat.

    Everything else is sent unchanged, including frames that site code made.
    """
    type_ = read_type(payload)
    return None if type_ in ABOUT_CHAT or (type_ == "read" and _is_of_room(payload)) else payload


def _is_of_room(payload: bytes) -> bool:
    try:
        return _read.decode(payload).data.room_id is not None
    except msgspec.ValidationError:
        return False  # site code made this frame


def _reshape(payload: bytes, build: Callable[[ToldChat], msgspec.Struct]) -> bytes | None:
    try:
        return encode(build(_chat.decode(payload)))
    except msgspec.ValidationError:
        return None  # site code made this frame


def _build(shape: type[RoomMessage] | type[RoomChat], chat: ToldChat) -> RoomMessage | RoomChat:
    data = chat.data
    return shape(
        room_id=data.room_id,
        content=data.message,
        sender=data.from_username,
        timestamp=data.timestamp,
        message_id=data.message_id,
        seq=chat.seq,
        kind=UNSET if data.kind == "text" else cast(OtherKind, data.kind),
    )


def _build_kind(chat: ToldChat) -> RoomKind:
    data = chat.data
    return RoomKind(
        type=cast(Kind, data.kind),
        content=data.message,
        sender_id=data.from_user_id,
        timestamp=data.timestamp,
        room_id=data.room_id,
        message_id=data.message_id,
        sender=data.from_username,
        seq=chat.seq,
    )


def _read_ack(payload: bytes) -> ToldAck:
    try:
        return _ack.decode(payload)
    except msgspec.ValidationError:
        return ToldAck()  # site code made this frame


def _accept(payload: bytes, status: Literal["ok", "saved"]) -> bytes:
    ack = _read_ack(payload)
    if ack.message_id is UNSET:
        return payload
    return encode(Accepted(status, ack.message_id, ack.id))
