"""What the server says (L0, pure): every frame made and encoded. What clients may send is in `decoding`.

No sockets, no database, no settings: every layer that makes frames makes them with it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from realtime.protocol.errors import Refused

VERSION = 1

_encoder = msgspec.json.Encoder()


def encode(frame: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """A frame's JSON. Raises TypeError for values that JSON does not have."""
    return _encoder.encode(frame)


def _answer(id: str | None, frame: dict[str, Any]) -> bytes:
    """The frame with the `id` of the command that it answers, where that had one."""
    return encode(frame if id is None else {**frame, "id": id})


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
    """An `ack`; `expires_at` comes with that of `auth`."""
    return _answer(id, {"type": "ack", "status": "ok", **fields, "timestamp": now()})


def ack_message(id: str | None, message_id: int, seq: int, timestamp: str) -> bytes:
    """The `ack` of a message, sent after the commit."""
    return _answer(id, {"type": "ack", "status": "ok", "message_id": message_id, "seq": seq, "timestamp": timestamp})


def error(refusal: Refused, message: str, id: str | None = None, **more: Any) -> bytes:
    """An `error` frame; `message` is in the client's language, `id` is None also where none could be read."""
    frame: dict[str, Any] = {"type": "error", "error_code": refusal.code, "message": message, **more}
    if refusal.retry_after_ms is not None:
        frame["retry_after_ms"] = refusal.retry_after_ms
    return _answer(id, {**frame, "timestamp": now()})


def connected(message: str, **fields: Any) -> bytes:
    return encode({"type": "connected", "data": {"message": message, **fields, "protocol": VERSION}})


def pong(id: str | None, timestamp: str | float | None) -> bytes:
    return _answer(id, {"type": "pong", "timestamp": timestamp})


def joined(id: str | None, room_id: str, title: str, role: str, **position: Any) -> bytes:
    """`seq` says where the room's stream stands; after `since`, `recovered` and `fetch` as in `resumed`."""
    return _answer(id, {"type": "joined", "room_id": room_id, "title": title, "role": role, **position})


def resumed(id: str | None, streams: Mapping[str, Any]) -> bytes:
    return _answer(id, {"type": "resumed", "streams": streams})


def read_room(room_id: str, seq: int, unread: int) -> bytes:
    """Tells a user's other sockets how far he has read."""
    return encode({"type": "read", "data": {"room_id": room_id, "seq": seq, "unread": unread}})


def read_notifications(ids: list[int]) -> bytes:
    return encode({"type": "read", "data": {"notification_ids": ids}})


def left(id: str | None, room_id: str, **reason: str) -> bytes:
    """Answers `leave`; without an `id` and with a `reason` it tells of a room that was taken away."""
    return _answer(id, {"type": "left", "room_id": room_id, **reason})


def subscribed(id: str | None, name: str, **position: Any) -> bytes:
    """`seq` says where the topic's stream stands; after `since`, `recovered` as in `resumed`."""
    return _answer(id, {"type": "subscribed", "topic": name, **position})


def unsubscribed(id: str | None, name: str, **reason: str) -> bytes:
    """Answers `unsubscribe`; without an `id` and with a `reason` it tells of a topic that was taken away."""
    return _answer(id, {"type": "unsubscribed", "topic": name, **reason})


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
