"""The protocol as a client may rely on it: a strict check of every frame that a server sends (protocol §1, §3, §6).

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
Text = Annotated[str, Meta(min_length=1)]

CLOSES = {
    1007: {"INVALID_DATA"},
    1009: {"FRAME_TOO_LARGE"},
    1011: {"SERVER_ERROR"},
    1012: {"RESTARTING"},
    1013: {"OVERLOADED"},
    4400: {"TOO_MANY_ERRORS"},
    4401: {"UNAUTHENTICATED", "TOKEN_EXPIRED", "AUTH_TIMEOUT"},
    4403: {"KICKED", "USER_DISABLED", "FORBIDDEN"},
    4408: {"HEARTBEAT_TIMEOUT"},
    4409: {"TOO_MANY_CONNECTIONS"},
    4413: {"SLOW_CONSUMER"},
    4429: {"RATE_LIMITED"},
}
RECONNECT = {1011, 1012, 1013, 4408, 4413, 4429}
PLAIN_CLOSES = {1000, 1002, 1007}  # what RFC 6455 alone is about may end without a `disconnect`


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


class Left(Frame, tag="left"):
    room_id: Room
    id: Id | UnsetType = UNSET


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
    | Heartbeat
    | AuthExpiring
    | Disconnect
)
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyFrame)


class Contract:
    """What one socket has been sent so far. `check` raises for a frame that the protocol does not allow now."""

    def __init__(self) -> None:
        self.positions: dict[str, int] | None = None  # stream -> seq of its last event; None before the greeting
        self.goodbye: Disconnect | None = None

    def check(self, text: str) -> None:
        frame = _decoder.decode(text)
        assert self.goodbye is None, f"after `disconnect`: {text}"
        match frame:
            case Connected():
                assert self.positions is None, "a second greeting"
                self.positions = dict(frame.data.streams)
                assert f"user.{frame.data.user_id}" in self.positions
            case Disconnect():
                self._check_goodbye(frame)
            case _:
                assert self.positions is not None, f"before the greeting: {text}"
                self._check_position(frame)

    def check_close(self, code: int) -> None:
        if self.goodbye is not None:
            assert code == self.goodbye.code
        else:
            assert code in PLAIN_CLOSES, f"closed with {code} without a `disconnect`"

    def _check_goodbye(self, frame: Disconnect) -> None:
        assert frame.reason in CLOSES[frame.code], frame
        assert frame.reconnect == (frame.code in RECONNECT), frame
        self.goodbye = frame

    def _check_position(self, frame: Frame) -> None:
        assert self.positions is not None
        match frame:
            case Chat():
                addressed = f"room.{frame.data.room_id}" if frame.data.room_id else "user."
                assert frame.stream.startswith(addressed)
                assert bool(frame.data.room_id) != bool(frame.data.to_user_id)
                assert frame.seq == self.positions[frame.stream] + 1, (frame, self.positions)
                self.positions[frame.stream] = frame.seq
            case Joined():
                stream = f"room.{frame.room_id}"
                assert self.positions.setdefault(stream, frame.seq) == frame.seq, (frame, self.positions)
            case Left():
                del self.positions[f"room.{frame.room_id}"]
            case ErrorFrame():
                assert (frame.error_code == "RATE_LIMITED") == (frame.retry_after_ms is not UNSET), frame
