"""What the server says (pure): every frame as a type, and its JSON. What clients may send is in `commands`.

Every layer builds frames with these types; the REST API answers with the same ones, and the tests decode with them.
Constraints and docstrings are for documents and tests: nothing is checked when a frame is built or encoded.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar, overload

import msgspec
from msgspec import UNSET, Meta, UnsetType

from realtime.protocol.commands import CommandId, Kind, RoomId, TopicName
from realtime.protocol.errors import CloseCode, ErrorCode, Refused

VERSION: Literal[1] = 1

UserId = int | str  # the primary key, as JSON has it
Time = Annotated[
    str,
    Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", extra_json_schema={"format": "date-time"}),
]
Position = Annotated[int, Meta(ge=0)]  # the `seq` of a stream's last event; 0 where it has none
Seq = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[int, Meta(ge=1)]
Text = Annotated[str, Meta(min_length=1)]
StreamName = Annotated[str, Meta(pattern=r"^(site$|user\..|room\..|topic\..)")]
Fetch = Annotated[str, Meta(pattern=r"^/api/v1/")]  # the address of a history
Context = Annotated[str, Meta(min_length=1, max_length=100)]
Role = Literal["owner", "member"]
NotificationIds = Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1)]

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


def encode(frame: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """A frame's JSON. Raises TypeError for values that JSON does not have."""
    return _encoder.encode(frame)


def given(value: T | None) -> T | UnsetType:
    """For a key that is left out where there is no value."""
    return UNSET if value is None else value


def stamp(body: bytes, stream: str, seq: int) -> bytes:
    """An event's frame as it goes out: `body` with its `stream` and `seq` put in at the end."""
    return b'%b,"stream":"%b","seq":%d}' % (body[:-1], stream.encode(), seq)


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds: `2025-10-22T10:00:00.123456Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@overload
def format_epoch(seconds: float) -> str: ...
@overload
def format_epoch(seconds: float | None) -> str | None: ...
def format_epoch(seconds: float | None) -> str | None:
    """A unix time in the same form; None stays None."""
    return None if seconds is None else format_time(datetime.fromtimestamp(seconds, UTC))


def utc_now() -> str:
    return format_time(datetime.now(UTC))


# No frame refers to itself, so the collector need not look at any (`gc=False`). Keys are sent in the order of the
# fields; a field that is UNSET is left out.


class Data(msgspec.Struct, frozen=True, gc=False):
    """An object inside a frame."""


class ServerFrame(msgspec.Struct, tag_field="type", frozen=True, gc=False):
    """What every frame has: its `type`."""


# The socket itself


class ConnectedData(Data, frozen=True):
    message: Text
    user_id: UserId
    online_count: Count
    connection_id: Text
    session_id: Text
    expires_at: Time | None
    heartbeat_seconds: float
    max_frame_bytes: int
    typing_seconds: float
    streams: dict[StreamName, Position]
    protocol: Literal[1]


class Connected(ServerFrame, tag="connected", frozen=True):
    """The first frame. `streams` are those that the socket listens to, each with its last `seq`."""

    data: ConnectedData


class Heartbeat(ServerFrame, tag="heartbeat", frozen=True):
    """To be answered, with `pong` or any other command."""

    timestamp: Time


class ExpiringData(Data, frozen=True):
    expires_at: Time
    seconds: Count


class AuthExpiring(ServerFrame, tag="auth_expiring", frozen=True):
    """The socket will be closed at `expires_at` unless `auth` extends it."""

    data: ExpiringData


class Disconnect(ServerFrame, tag="disconnect", frozen=True):
    """The last frame: why the socket is closed, and whether the same client may simply come back."""

    code: CloseCode
    reason: Text
    reconnect: bool
    retry_after_ms: Count


class Batch(ServerFrame, tag="batch", frozen=True):
    """Frames that leave together. Only described here: `delivery.batches` joins their bytes."""

    messages: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=1000)]


# Answers. The `id` is that of the command, where that had one.


class Pong(ServerFrame, tag="pong", frozen=True):
    timestamp: str | int | float | None
    id: CommandId | UnsetType = UNSET


class Ack(ServerFrame, tag="ack", frozen=True, kw_only=True):
    """The command was done. `message_id` and `seq` come with that of a message, `expires_at` with that of `auth`."""

    status: Literal["ok"]
    message_id: int | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET
    expires_at: Time | UnsetType | None = UNSET
    timestamp: Time
    id: CommandId | UnsetType = UNSET


class ErrorFrame(ServerFrame, tag="error", frozen=True, kw_only=True):
    """The command was refused, or the frame was bad; the socket stays open.

    `stream` names the stream of a `resume` that it is about, `reference` what to look for in the server's log.
    """

    error_code: ErrorCode
    message: Text
    stream: str | UnsetType = UNSET
    reference: Text | UnsetType = UNSET
    retry_after_ms: Milliseconds | UnsetType = UNSET
    timestamp: Time
    id: CommandId | UnsetType = UNSET


def make_error(
    refusal: Refused,
    message: str,
    id: str | None = None,
    *,
    stream: str | UnsetType = UNSET,
    reference: str | UnsetType = UNSET,
) -> ErrorFrame:
    """The `error` of a refusal. `message` is in the client's language; `id` is None also where none could be read."""
    return ErrorFrame(
        error_code=refusal.code,
        message=message,
        stream=stream,
        reference=reference,
        retry_after_ms=given(refusal.retry_after_ms),
        timestamp=utc_now(),
        id=given(id),
    )


class Joined(ServerFrame, tag="joined", frozen=True, kw_only=True):
    """`seq` says where the room's stream stands; after `since`, `recovered` and `fetch` are as in `resumed`."""

    room_id: RoomId
    title: str
    role: Role
    recovered: bool | UnsetType = UNSET
    seq: Position
    fetch: Fetch | UnsetType = UNSET
    id: CommandId | UnsetType = UNSET


class Left(ServerFrame, tag="left", frozen=True):
    """Answers `leave`; without an `id` and with a `reason` it tells of a room that was taken away."""

    room_id: RoomId
    reason: Literal["REMOVED"] | UnsetType = UNSET
    id: CommandId | UnsetType = UNSET


class Subscribed(ServerFrame, tag="subscribed", frozen=True, kw_only=True):
    """`seq` says where the topic's stream stands; after `since`, `recovered` is as in `resumed`."""

    topic: TopicName
    recovered: bool | UnsetType = UNSET
    seq: Position
    id: CommandId | UnsetType = UNSET


class Unsubscribed(ServerFrame, tag="unsubscribed", frozen=True):
    """Answers `unsubscribe`; without an `id` and with a `reason` it tells of a topic that was taken away."""

    topic: TopicName
    reason: Literal["REMOVED"] | UnsetType = UNSET
    id: CommandId | UnsetType = UNSET


class StreamOutcome(Data, frozen=True):
    """What became of one stream. `fetch` says where the history is when nothing was replayed."""

    recovered: bool
    seq: Position
    fetch: Fetch | UnsetType = UNSET


class Resumed(ServerFrame, tag="resumed", frozen=True):
    """All that was missed has been sent."""

    streams: dict[StreamName, StreamOutcome]
    id: CommandId | UnsetType = UNSET


# Messages, and what a site sends


class ChatData(Data, frozen=True, kw_only=True):
    """A message: `room_id` is there in a room, `to_user_id` in a direct one. `client_id` is the `id` of the sender's
    command. In a history the sender is null, without a name, when the account is gone.
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
    """A `chat` frame as the log keeps it, before `stamp`."""

    data: ChatData
    timestamp: Time


class Chat(ChatBody, tag="chat", frozen=True):
    """A message to a room, or to both users."""

    stream: StreamName
    seq: Seq


class TopicValue(ServerFrame, tag="topic", frozen=True):
    """A value of a topic; an event where the topic is stored."""

    topic: TopicName
    data: Any
    timestamp: Time
    stream: StreamName | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET


# About people


class TypingData(Data, frozen=True):
    user_id: UserId
    is_typing: bool
    context: Context


class Typing(ServerFrame, tag="typing", frozen=True):
    """`context` is a room's id, or a free word."""

    data: TypingData


class PresenceData(Data, frozen=True):
    user_id: UserId
    status: Literal["online", "away", "busy"]
    data: dict[str, Any]


class Presence(ServerFrame, tag="presence", frozen=True):
    """A user has set a status; `data.data` is what the user's client said with it."""

    data: PresenceData


class StatusData(Data, frozen=True):
    user_id: UserId
    status: Literal["online", "offline"]
    timestamp: Time


class UserStatus(ServerFrame, tag="user_status", frozen=True):
    """A user's first socket has opened, or the last one has been gone for the grace time."""

    data: StatusData


class OnlineCountData(Data, frozen=True):
    online_count: Count


class OnlineCount(ServerFrame, tag="online_count", frozen=True):
    """Once a second in place of announcements about people, when there are too many of them."""

    data: OnlineCountData


class ReadData(Data, frozen=True):
    """`room_id`, `seq` and `unread` together, or `notification_ids` alone."""

    room_id: RoomId | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET
    unread: Count | UnsetType = UNSET
    notification_ids: NotificationIds | UnsetType = UNSET


class Read(ServerFrame, tag="read", frozen=True):
    """Tells a user's other sockets what was read."""

    data: ReadData


# All that a socket at `/api/v1/ws` is sent by the server itself.
AnyFrame = (
    Connected
    | Heartbeat
    | AuthExpiring
    | Disconnect
    | Batch
    | Pong
    | Ack
    | ErrorFrame
    | Joined
    | Left
    | Subscribed
    | Unsubscribed
    | Resumed
    | Chat
    | TopicValue
    | Typing
    | Presence
    | UserStatus
    | OnlineCount
    | Read
)
