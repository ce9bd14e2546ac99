"""Every frame as a type (L0): decoding and checking what clients send, encoding what they get.

Pure: no sockets, no database, no settings. The consumer decodes with it; every layer that makes frames encodes with it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from realtime.errors import ErrorCode, Refused

VERSION = 1

CommandId = Annotated[str, Meta(max_length=64)]
UserId = Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(min_length=1, max_length=64)]
RoomId = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}\Z")]
TopicName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Timestamp = str | int | float | None
Status = Literal["online", "away", "busy", "offline"]
Kind = Literal["text", "image", "notification"]


class Command(msgspec.Struct, tag_field="type"):
    """What a client sends. `id` is its own word for the command, given back in the answer."""

    acknowledged: ClassVar[bool] = False  # with an `id` it gets a plain `ack`, having no answer of its own

    id: CommandId | None = None


class Ping(Command, tag="ping"):
    timestamp: Timestamp | UnsetType = UNSET


class Pong(Command, tag="pong"):
    acknowledged: ClassVar[bool] = True

    timestamp: Timestamp = None


class Auth(Command, tag="auth", kw_only=True):
    token: Annotated[str, Meta(min_length=1, max_length=8192)]


class TypingData(msgspec.Struct):
    is_typing: bool
    context: Annotated[str, Meta(min_length=1, max_length=100)] = "general"


class Typing(Command, tag="typing", kw_only=True):
    acknowledged: ClassVar[bool] = True

    data: TypingData


class Presence(Command, tag="presence", kw_only=True):
    acknowledged: ClassVar[bool] = True

    status: Status
    data: dict[str, Any] = {}


class Message(Command, tag="message", kw_only=True):
    message: Annotated[str, Meta(min_length=1)]
    to_user_id: UserId | None = None
    room_id: RoomId | None = None
    kind: Kind = "text"
    timestamp: Timestamp = None


class Join(Command, tag="join", kw_only=True):
    room_id: RoomId
    since: Seq | None = None


class Leave(Command, tag="leave", kw_only=True):
    room_id: RoomId


class Read(Command, tag="read", kw_only=True):
    acknowledged: ClassVar[bool] = True

    room_id: RoomId | None = None
    seq: Seq | None = None
    notification_ids: Annotated[list[Annotated[int, Meta(ge=1, le=2**63 - 1)]], Meta(max_length=1000)] | None = None


class Subscribe(Command, tag="subscribe", kw_only=True):
    topic: TopicName
    since: Seq | None = None


class Unsubscribe(Command, tag="unsubscribe", kw_only=True):
    topic: TopicName


class Resume(Command, tag="resume", kw_only=True):
    streams: Annotated[dict[Annotated[str, Meta(max_length=100)], Seq], Meta(max_length=250)]


class Batch(Command, tag="batch", kw_only=True):
    """Commands in one frame, each decoded when its turn comes, so that each has an answer of its own."""

    acknowledged: ClassVar[bool] = True

    messages: Annotated[list[msgspec.Raw], Meta(max_length=100)]


_commands = msgspec.json.Decoder(
    Ping | Pong | Auth | Typing | Presence | Message | Join | Leave | Read | Subscribe | Unsubscribe | Resume | Batch
)
_anything = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class Invalid(Refused):
    """A frame that is not a command; `id` is the sender's word for it where one could be read."""

    def __init__(self, code: ErrorCode, message: str, id: str | None = None) -> None:
        super().__init__(code, message)
        self.id = id


def decode(raw: bytes | str) -> Command:
    """The command in one incoming text frame.

    Raises Invalid (INVALID_JSON, INVALID_MESSAGE, UNKNOWN_MESSAGE_TYPE), and UnicodeDecodeError for bytes that are not
    UTF-8.
    """
    try:
        command: Command = _commands.decode(raw)
    except UnicodeDecodeError:
        raise
    except msgspec.ValidationError as error:
        raise explain(raw, str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(ErrorCode.INVALID_JSON, f"The frame is not valid JSON: {error}") from None
    return command


def explain(raw: bytes | str, reason: str) -> Invalid:
    """Why a frame of good JSON is no command. Decodes a second time, which only bad frames pay for."""
    try:
        value = _anything.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        return Invalid(ErrorCode.INVALID_JSON, f"The frame is not valid JSON: {error}")
    if not isinstance(value, dict):
        return Invalid(ErrorCode.INVALID_MESSAGE, "A frame is one JSON object.")
    id = _find_id(value)
    if reason.endswith("`$.type`") and isinstance(value.get("type"), str):
        return Invalid(ErrorCode.UNKNOWN_MESSAGE_TYPE, f"There is no command {value['type'][:64]!r}.", id)
    return Invalid(ErrorCode.INVALID_MESSAGE, reason, id)


def read_id(raw: bytes | str) -> str | None:
    """The sender's word for a frame that is refused unread."""
    try:
        return _find_id(_anything.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _find_id(value: Any) -> str | None:
    given = value.get("id") if isinstance(value, dict) else None
    return given if isinstance(given, str) and len(given) <= 64 else None


def encode(frame: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """A frame's JSON. Raises TypeError for values that JSON does not have."""
    return _encoder.encode(frame)


def stamp(body: bytes, stream: str, seq: int) -> bytes:
    """An event's frame as it goes out: `body` with its `stream` and `seq` put in at the end."""
    return b'%b,"stream":"%b","seq":%d}' % (body[:-1], stream.encode(), seq)


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds: `2025-10-22T10:00:00.123456Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def format_epoch(seconds: float | None) -> str | None:
    """A unix time in the same form; None stays None."""
    return None if seconds is None else format_time(datetime.fromtimestamp(seconds, UTC))


def now() -> str:
    return format_time(datetime.now(UTC))


class ChatData(msgspec.Struct, omit_defaults=True):
    """`data` of a `chat` frame and an item of a history (protocol §3). Defaults are left out."""

    from_user_id: int | str | None
    from_username: str
    message: str
    timestamp: str
    message_id: int
    kind: str
    room_id: str | None = None
    to_user_id: int | str | None = None
    client_id: str | None = None
    seq: int | None = None


class Chat(msgspec.Struct, tag_field="type", tag="chat"):
    data: ChatData
    timestamp: str


def ack(id: str | None, **fields: Any) -> bytes:
    """An `ack`; `expires_at` comes with that of `auth`. The `id` is left out where the command had none."""
    frame = {"type": "ack", "status": "ok", **fields, "timestamp": now()}
    return encode(frame if id is None else {**frame, "id": id})


def ack_message(id: str | None, message_id: int, seq: int, timestamp: str) -> bytes:
    """The `ack` of a message, sent after the commit."""
    frame = {"type": "ack", "status": "ok", "message_id": message_id, "seq": seq, "timestamp": timestamp}
    return encode(frame if id is None else {**frame, "id": id})


def error(refusal: Refused, id: str | None = None, **more: Any) -> bytes:
    """An `error` frame; the `id` is left out where none could be read."""
    frame: dict[str, Any] = {"type": "error", "error_code": refusal.code, "message": refusal.message, **more}
    if refusal.retry_after_ms is not None:
        frame["retry_after_ms"] = refusal.retry_after_ms
    frame["timestamp"] = now()
    if id is not None:
        frame["id"] = id
    return encode(frame)


def connected(message: str, **fields: Any) -> bytes:
    return encode({"type": "connected", "data": {"message": message, **fields, "protocol": VERSION}})


def pong(command: Ping) -> bytes:
    timestamp = now() if command.timestamp is UNSET else command.timestamp
    frame = {"type": "pong", "timestamp": timestamp}
    return encode(frame if command.id is None else {**frame, "id": command.id})


def joined(id: str | None, room_id: str, title: str, role: str, **position: Any) -> bytes:
    """`seq` says where the room's stream stands; after `since`, `recovered` and `fetch` as in `resumed`."""
    frame = {"type": "joined", "room_id": room_id, "title": title, "role": role, **position}
    return encode(frame if id is None else {**frame, "id": id})


def resumed(id: str | None, streams: Mapping[str, Any]) -> bytes:
    frame = {"type": "resumed", "streams": streams}
    return encode(frame if id is None else {**frame, "id": id})


def read_room(room_id: str, seq: int, unread: int) -> bytes:
    """Tells a user's other sockets how far he has read."""
    return encode({"type": "read", "data": {"room_id": room_id, "seq": seq, "unread": unread}})


def read_notifications(ids: list[int]) -> bytes:
    return encode({"type": "read", "data": {"notification_ids": ids}})


def left(id: str | None, room_id: str, **reason: str) -> bytes:
    """Answers `leave`; without an `id` and with a `reason` it tells of a room that was taken away."""
    frame = {"type": "left", "room_id": room_id, **reason}
    return encode(frame if id is None else {**frame, "id": id})


def subscribed(id: str | None, name: str, **position: Any) -> bytes:
    """`seq` says where the topic's stream stands; after `since`, `recovered` as in `resumed`."""
    frame = {"type": "subscribed", "topic": name, **position}
    return encode(frame if id is None else {**frame, "id": id})


def unsubscribed(id: str | None, name: str, **reason: str) -> bytes:
    """Answers `unsubscribe`; without an `id` and with a `reason` it tells of a topic that was taken away."""
    frame = {"type": "unsubscribed", "topic": name, **reason}
    return encode(frame if id is None else {**frame, "id": id})


def topic(name: str, data: Any) -> bytes:
    """A value of a topic."""
    return encode({"type": "topic", "topic": name, "data": data, "timestamp": now()})


def disconnect(code: int, reason: str, *, reconnect: bool, retry_after_ms: int = 0) -> bytes:
    return encode(
        {
            "type": "disconnect",
            "code": int(code),
            "reason": reason,
            "reconnect": reconnect,
            "retry_after_ms": retry_after_ms,
        }
    )


def heartbeat() -> bytes:
    return encode({"type": "heartbeat", "timestamp": now()})


def typing(user_id: int | str, is_typing: bool, context: str) -> bytes:
    return encode({"type": "typing", "data": {"user_id": user_id, "is_typing": is_typing, "context": context}})


def presence(user_id: int | str, status: str, data: Mapping[str, Any]) -> bytes:
    return encode({"type": "presence", "data": {"user_id": user_id, "status": status, "data": data}})


def user_status(user_id: int | str, status: str) -> bytes:
    return encode({"type": "user_status", "data": {"user_id": user_id, "status": status, "timestamp": now()}})


def online_count(count: int) -> bytes:
    return encode({"type": "online_count", "data": {"online_count": count}})


def auth_expiring(expires_at: float, seconds: float) -> bytes:
    data = {"expires_at": format_epoch(expires_at), "seconds": round(seconds)}
    return encode({"type": "auth_expiring", "data": data})
