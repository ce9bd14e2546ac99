"""Frames about rooms, with their messages, and topics (pure)."""

from typing import Annotated, Any

from msgspec import UNSET, UnsetType

from realtime.protocol.commands import CommandId, Kind, RoomId, TopicName
from realtime.protocol.frames.fields import (
    Data,
    Seq,
    ServerFrame,
    StreamName,
    Text,
    Time,
    UserId,
    key_of,
    value_of,
)


class ChatData(Data, frozen=True, kw_only=True):
    """A message. One in a room has `room_id`, a direct one has `to_user_id`. `client_id` is the `id` of the sender's
    command. In a history `from_user_id` is null and the name is empty when the sender's account was deleted.
    """

    from_user_id: UserId | None
    from_username: str
    message: Text
    timestamp: Time
    message_id: int
    kind: Kind
    room_id: RoomId | UnsetType = UNSET
    to_user_id: UserId | UnsetType = UNSET
    client_id: CommandId | UnsetType = UNSET


class HistoryItem(ChatData, frozen=True, kw_only=True):
    """A message: the `data` of a `chat` frame, and its `seq`."""

    seq: Seq


class ChatBody(ServerFrame, tag="chat", frozen=True):
    """A `chat` frame as the log stores it, before `stamp`."""

    data: ChatData
    timestamp: Time


class Chat(ChatBody, tag="chat", frozen=True):
    """A message to a room, or a direct message, which both users get."""

    stream: StreamName
    seq: Seq


class TopicValue(ServerFrame, tag="topic", frozen=True):
    """A value of a topic. Values of a durable topic are events: they have `stream` and `seq`."""

    topic: Annotated[TopicName, key_of("TopicData")]
    data: Annotated[Any, value_of("TopicData")]
    timestamp: Time
    stream: StreamName | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET


class RoomUpdated(ServerFrame, tag="room_updated", frozen=True):
    """The title or the privacy of a room that this socket has joined has changed."""

    room_id: RoomId
    title: str
    private: bool
