"""The shape of every frame that a server sends (protocol §1, §3); `conversation` knows their order.

Written from the protocol, not from the server: unknown keys, missing keys and wrong types all fail.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Id = Annotated[str, Meta(max_length=64)]
UserId = int | str
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z\Z")]
Seq = Annotated[int, Meta(ge=1)]
Position = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Room = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}\Z")]
TopicName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Text = Annotated[str, Meta(min_length=1)]


class Data(msgspec.Struct, forbid_unknown_fields=True): ...


class Frame(msgspec.Struct, tag_field="type", forbid_unknown_fields=True): ...


class ConnectedData(Data):
    message: Text
    user_id: UserId
    online_count: Count
    protocol: Literal[1]
    connection_id: Text
    expires_at: Time | None
    heartbeat_seconds: float
    max_frame_bytes: int
    typing_seconds: float
    streams: dict[str, Position]
    session_id: Text | UnsetType = UNSET


class Connected(Frame, tag="connected"):
    data: ConnectedData


class Pong(Frame, tag="pong"):
    timestamp: str | int | float | None
    id: Id | UnsetType = UNSET


class Ack(Frame, tag="ack"):
    status: Literal["ok"]
    timestamp: Time
    id: Id | UnsetType | None = UNSET
    message_id: int | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET
    expires_at: Time | UnsetType | None = UNSET


class ErrorFrame(Frame, tag="error"):
    error_code: Literal[
        "INVALID_JSON",
        "INVALID_MESSAGE",
        "UNKNOWN_MESSAGE_TYPE",
        "FORBIDDEN",
        "NOT_FOUND",
        "RATE_LIMITED",
        "CONFLICT",
        "UNAVAILABLE",
    ]  # MESSAGE_PROCESSING_ERROR would be our fault, so no test may meet it
    message: Text
    timestamp: Time
    id: Id | UnsetType = UNSET
    stream: str | UnsetType = UNSET
    retry_after_ms: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class ChatData(Data):
    from_user_id: UserId
    from_username: Text
    message: Text
    timestamp: Time
    message_id: int
    kind: Literal["text", "image", "notification"] | UnsetType = UNSET
    room_id: Room | UnsetType = UNSET
    to_user_id: UserId | UnsetType = UNSET
    client_id: Id | UnsetType = UNSET


class Chat(Frame, tag="chat"):
    data: ChatData
    timestamp: Time
    stream: str
    seq: Seq


class TypingData(Data):
    user_id: UserId
    is_typing: bool
    context: Annotated[str, Meta(min_length=1, max_length=100)]


class Typing(Frame, tag="typing"):
    data: TypingData


class PresenceData(Data):
    user_id: UserId
    status: Literal["online", "away", "busy"]
    data: dict[str, Any]


class Presence(Frame, tag="presence"):
    data: PresenceData


class StatusData(Data):
    user_id: UserId
    status: Literal["online", "offline"]
    timestamp: Time


class UserStatus(Frame, tag="user_status"):
    data: StatusData


class OnlineCountData(Data):
    online_count: Count


class OnlineCount(Frame, tag="online_count"):
    data: OnlineCountData


class Joined(Frame, tag="joined"):
    room_id: Room
    title: str
    role: Literal["owner", "member"]
    seq: Position
    id: Id | UnsetType = UNSET
    recovered: bool | UnsetType = UNSET
    fetch: str | UnsetType = UNSET


class OutcomeData(Data):
    recovered: bool
    seq: Position
    fetch: str | UnsetType = UNSET


class Resumed(Frame, tag="resumed"):
    streams: dict[str, OutcomeData]
    id: Id | UnsetType = UNSET


class Left(Frame, tag="left"):
    room_id: Room
    id: Id | UnsetType = UNSET
    reason: Literal["REMOVED"] | UnsetType = UNSET


class ReadData(Data):
    room_id: Room | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET
    unread: Count | UnsetType = UNSET
    notification_ids: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1)] | UnsetType = UNSET


class Read(Frame, tag="read"):
    data: ReadData


class Subscribed(Frame, tag="subscribed"):
    topic: TopicName
    seq: Position
    id: Id | UnsetType = UNSET
    recovered: bool | UnsetType = UNSET


class Unsubscribed(Frame, tag="unsubscribed"):
    topic: TopicName
    id: Id | UnsetType = UNSET
    reason: Literal["REMOVED"] | UnsetType = UNSET


class TopicValue(Frame, tag="topic"):
    topic: TopicName
    data: Any
    timestamp: Time
    stream: str | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET  # of a durable one


class Heartbeat(Frame, tag="heartbeat"):
    timestamp: Time


class ExpiringData(Data):
    expires_at: Time
    seconds: Count


class AuthExpiring(Frame, tag="auth_expiring"):
    data: ExpiringData


class Disconnect(Frame, tag="disconnect"):
    code: int
    reason: str
    reconnect: bool
    retry_after_ms: Count


class Batch(Frame, tag="batch"):
    messages: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=1000)]


AnyFrame = (
    Connected
    | Pong
    | Ack
    | ErrorFrame
    | Chat
    | Typing
    | Presence
    | UserStatus
    | OnlineCount
    | Joined
    | Left
    | Read
    | Resumed
    | Subscribed
    | Unsubscribed
    | TopicValue
    | Heartbeat
    | AuthExpiring
    | Disconnect
    | Batch
)
