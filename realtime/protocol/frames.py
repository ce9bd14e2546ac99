"""The frames that the server sends, each as a type, and their JSON (pure). `commands` has what clients may send.

All packages build frames with these types, the REST API answers with some of them, and the tests decode with them.
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

UserId = int | str  # the primary key, as in JSON
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
Fetch = Annotated[str, Meta(pattern=r"^/")]  # the address of a history
Context = Annotated[str, Meta(min_length=1, max_length=100)]
Role = Literal["owner", "member"]
NotificationIds = Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1)]

T = TypeVar("T")


def key_of(map: str) -> Meta:
    """Notes for documents that a field is a key of `map`, which sites fill: `value_of` is the field that it decides."""
    return Meta(extra_json_schema={"x-key-of": map})


def value_of(map: str) -> Meta:
    return Meta(extra_json_schema={"x-value-of": map})


_encoder = msgspec.json.Encoder()


def encode(frame: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """A frame's JSON. Raises TypeError for a value that JSON cannot express."""
    return _encoder.encode(frame)


def is_frame(value: object) -> bool:
    """Whether its JSON is an object with a `type`: a mapping that has one, or a struct whose tag is one."""
    if isinstance(value, msgspec.Struct):
        return value.__struct_config__.tag_field == "type"
    return isinstance(value, Mapping) and isinstance(value.get("type"), str)


def given(value: T | None) -> T | UnsetType:
    """The value of a key that is left out when the value is None."""
    return UNSET if value is None else value


def stamp(body: bytes, stream: str, seq: int) -> bytes:
    """The JSON of an event as it is sent: `body` with `stream` and `seq` added at the end."""
    return b'%b,"stream":"%b","seq":%d}' % (body[:-1], stream.encode(), seq)


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds: `2025-10-22T10:00:00.123456Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@overload
def format_epoch(seconds: float) -> str: ...
@overload
def format_epoch(seconds: float | None) -> str | None: ...
def format_epoch(seconds: float | None) -> str | None:
    """A Unix time in the form of `format_time`; None stays None."""
    return None if seconds is None else format_time(datetime.fromtimestamp(seconds, UTC))


def utc_now() -> str:
    return format_time(datetime.now(UTC))


# No frame refers to itself, so the garbage collector need not track frames (`gc=False`). Keys are sent in the order of
# the fields; a field that is UNSET is left out.


class Data(msgspec.Struct, frozen=True, gc=False):
    """An object inside a frame."""


class ServerFrame(msgspec.Struct, tag_field="type", frozen=True, gc=False):
    """Base of all frames: adds the `type`."""


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
    """The first frame. `streams` are those that the socket is subscribed to, each with its last `seq`."""

    data: ConnectedData


class Heartbeat(ServerFrame, tag="heartbeat", frozen=True):
    """The client must answer, with `pong` or any other command."""

    timestamp: Time


class ExpiringData(Data, frozen=True):
    expires_at: Time
    seconds: Count


class AuthExpiring(ServerFrame, tag="auth_expiring", frozen=True):
    """The socket will be closed at `expires_at` unless `auth` extends it."""

    data: ExpiringData


class Disconnect(ServerFrame, tag="disconnect", frozen=True):
    """The last frame: why the socket is closed, and whether the same client may simply connect again."""

    code: CloseCode
    reason: Text
    reconnect: bool
    retry_after_ms: Count


class Batch(ServerFrame, tag="batch", frozen=True):
    """Several frames sent as one: any but `connected`, `disconnect` and `batch`."""

    # This type is never built: `delivery.batches` joins the frames' bytes.
    messages: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=1000)]


# Answers. `id` is the `id` of the command, if it had one.


class Pong(ServerFrame, tag="pong", frozen=True):
    """Answers `ping`, with its `timestamp`."""

    timestamp: str | int | float | None
    id: CommandId | UnsetType = UNSET


class Ack(ServerFrame, tag="ack", frozen=True, kw_only=True):
    """The command was carried out. For `message` it has `message_id` and `seq`, for `auth` it has `expires_at`."""

    status: Literal["ok"]
    message_id: int | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET
    expires_at: Time | UnsetType | None = UNSET
    timestamp: Time
    id: CommandId | UnsetType = UNSET


class ErrorFrame(ServerFrame, tag="error", frozen=True, kw_only=True):
    """The command was refused, or the frame was bad; the socket stays open.

    `stream` is the stream of a `resume` that the error is about; `reference` is what to search for in the server's log.
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
    """The `error` frame for a refusal. `message` is in the client's language; `id` is None if it could not be read."""
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
    """Answers `join`. `seq` is the position of the room's stream. With `since`, `recovered` and `fetch` mean the same
    as in `resumed`.
    """

    room_id: RoomId
    title: str
    role: Role
    recovered: bool | UnsetType = UNSET
    seq: Position
    fetch: Fetch | UnsetType = UNSET
    id: CommandId | UnsetType = UNSET


class Left(ServerFrame, tag="left", frozen=True):
    """Answers `leave`. Without an `id` and with a `reason` it reports that the user lost access to the room."""

    room_id: RoomId
    reason: Literal["REMOVED"] | UnsetType = UNSET
    id: CommandId | UnsetType = UNSET


class RoomUpdated(ServerFrame, tag="room_updated", frozen=True):
    """The title or the privacy of a room that this socket has joined has changed."""

    room_id: RoomId
    title: str
    private: bool


class Subscribed(ServerFrame, tag="subscribed", frozen=True, kw_only=True):
    """Answers `subscribe`. `seq` is the position of the topic's stream. With `since`, `recovered` means the same as in
    `resumed`.
    """

    topic: TopicName
    recovered: bool | UnsetType = UNSET
    seq: Position
    id: CommandId | UnsetType = UNSET


class Unsubscribed(ServerFrame, tag="unsubscribed", frozen=True):
    """Answers `unsubscribe`. Without an `id` and with a `reason` it reports that the user lost access to the topic."""

    topic: TopicName
    reason: Literal["REMOVED"] | UnsetType = UNSET
    id: CommandId | UnsetType = UNSET


class StreamOutcome(Data, frozen=True):
    """The result of a replay of one stream. `fetch` is the address of the history when nothing was replayed."""

    recovered: bool
    seq: Position
    fetch: Fetch | UnsetType = UNSET


class Resumed(ServerFrame, tag="resumed", frozen=True):
    """Answers `resume`. All missed events that could be replayed have been sent before it."""

    streams: dict[StreamName, StreamOutcome]
    id: CommandId | UnsetType = UNSET


# Messages and topics


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


# About users


class TypingData(Data, frozen=True):
    user_id: UserId
    is_typing: bool
    context: Context


class Typing(ServerFrame, tag="typing", frozen=True):
    """A user began or stopped typing. `context` is a room's id, or any text that the client chose."""

    data: TypingData


class PresenceData(Data, frozen=True):
    user_id: UserId
    status: Literal["online", "away", "busy"]
    data: dict[str, Any]


class Presence(ServerFrame, tag="presence", frozen=True):
    """A user has set a status. `data.data` is what the user's client sent with it."""

    data: PresenceData


class StatusData(Data, frozen=True):
    user_id: UserId
    status: Literal["online", "offline"]
    timestamp: Time


class UserStatus(ServerFrame, tag="user_status", frozen=True):
    """A user's first socket was opened, or the user has had no socket for the grace time."""

    data: StatusData


class OnlineCountData(Data, frozen=True):
    online_count: Count


class OnlineCount(ServerFrame, tag="online_count", frozen=True):
    """Sent once a second instead of announcements about users, while there are too many of them.

    Also sent to single sockets that could not be told who has come or gone.
    """

    data: OnlineCountData


class ReadData(Data, frozen=True):
    """Either `room_id`, `seq` and `unread`, or `notification_ids`."""

    room_id: RoomId | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET
    unread: Count | UnsetType = UNSET
    notification_ids: NotificationIds | UnsetType = UNSET


class Read(ServerFrame, tag="read", frozen=True):
    """Reports to a user's other sockets what the user has read."""

    data: ReadData


# Every frame that a socket at `/api/v1/ws` can get from the server itself.
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
    | RoomUpdated
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
