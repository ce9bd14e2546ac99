"""The commands that clients may send, each as a type, with their decoder (pure). `frames` has what clients receive.

Called by the sockets' intake, which checks the size of a frame first, and by `dialects`.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.validation import MAX_SHOWN, read_decode_error, read_validation_error

CommandId = Annotated[str, Meta(max_length=64)]
UserId = Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(min_length=1, max_length=255)]
RoomId = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}\Z")]
TopicName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Timestamp = str | int | float | None
Status = Literal["online", "away", "busy", "offline"]
Kind = Literal["text", "image", "notification"]


class Command(msgspec.Struct, tag_field="type"):
    """A command. `id` is chosen by the client and repeated in the answer."""

    # Whether a command with an `id` is answered by a plain `ack`. False for commands that have an answer of their own.
    acknowledged: ClassVar[bool] = False

    id: CommandId | None = None


class Ping(Command, tag="ping"):
    """Ask whether the server is there. `timestamp` comes back in the `pong`; without one, it has the server's time."""

    timestamp: Timestamp | UnsetType = UNSET


class Pong(Command, tag="pong"):
    """Answer a `heartbeat`. It also confirms that all frames before the heartbeat have arrived."""

    acknowledged: ClassVar[bool] = True

    timestamp: Timestamp = None


class Auth(Command, tag="auth", kw_only=True):
    """Authenticate a socket that was opened without a credential, or extend one with a new access token of its user."""

    token: Annotated[str, Meta(min_length=1, max_length=8192)]


class TypingInput(msgspec.Struct):
    """`context` is a room's id, whose members hear of it, or any word for those who may see the user's presence."""

    is_typing: bool
    context: Annotated[str, Meta(min_length=1, max_length=100)] = "general"


class Typing(Command, tag="typing", kw_only=True):
    """Report that the user has begun or stopped typing."""

    acknowledged: ClassVar[bool] = True

    data: TypingInput


class Presence(Command, tag="presence", kw_only=True):
    """Set the user's status on all of their sockets. With `offline` they appear offline. `data` is free, up to 1 KB."""

    acknowledged: ClassVar[bool] = True

    status: Status
    data: dict[str, Any] = {}


class Message(Command, tag="message", kw_only=True):
    """Send a message to a room (`room_id`) or to a user (`to_user_id`). The same `id` again stores nothing twice."""

    message: Annotated[str, Meta(min_length=1)]
    to_user_id: UserId | None = None
    room_id: RoomId | None = None
    kind: Kind = "text"
    timestamp: Timestamp = None


class Note(Message, tag="note", kw_only=True):
    """A message to oneself. Made by sockets for notes (`dialects`); no command of clients is decoded as one."""


class Join(Command, tag="join", kw_only=True):
    """Subscribe this socket to a room. With `since`, the events after that position follow."""

    room_id: RoomId
    since: Seq | None = None


class Leave(Command, tag="leave", kw_only=True):
    """End this socket's subscription to a room. The user stays a member."""

    room_id: RoomId


class Read(Command, tag="read", kw_only=True):
    """Report how far the user has read a room (`room_id` and `seq`), or which notifications (`notification_ids`)."""

    acknowledged: ClassVar[bool] = True

    room_id: RoomId | None = None
    seq: Seq | None = None
    notification_ids: Annotated[list[Annotated[int, Meta(ge=1, le=2**63 - 1)]], Meta(max_length=1000)] | None = None


class Subscribe(Command, tag="subscribe", kw_only=True):
    """Subscribe this socket to a topic. With `since`, the events of a stored topic after that position follow."""

    topic: TopicName
    since: Seq | None = None


class Unsubscribe(Command, tag="unsubscribe", kw_only=True):
    """End this socket's subscription to a topic."""

    topic: TopicName


class Resume(Command, tag="resume", kw_only=True):
    """Subscribe this socket to streams, and get what has happened after these positions."""

    streams: Annotated[dict[Annotated[str, Meta(max_length=100)], Seq], Meta(max_length=250)]


class Batch(Command, tag="batch", kw_only=True):
    """Several commands in one frame. Each of them is executed in its turn, and gets an answer of its own."""

    acknowledged: ClassVar[bool] = True

    # Each is decoded when its turn comes.
    messages: Annotated[list[msgspec.Raw], Meta(max_length=100)]


# Every command that a socket at `/api/v1/ws` accepts.
AnyCommand = (
    Ping | Pong | Auth | Typing | Presence | Message | Join | Leave | Read | Subscribe | Unsubscribe | Resume | Batch
)

_commands = msgspec.json.Decoder(AnyCommand)
_anything = msgspec.json.Decoder()


class Invalid(Refused):
    """A frame that is not a command. `id` is the frame's own `id`, or None if it could not be read."""

    def __init__(self, code: ErrorCode, reason: Reason, id: str | None = None, **params: str | int) -> None:
        super().__init__(code, reason)
        self.params = params
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
        raise not_json(error) from None
    return command


def not_json(error: Exception) -> Invalid:
    """The refusal of a frame that is not JSON, made from the decoder's exception."""
    reason, params = read_decode_error(error)
    return Invalid(ErrorCode.INVALID_JSON, reason, None, **params)


def explain(raw: bytes | str, words: str) -> Invalid:
    """The refusal of a frame that is valid JSON but not a command. `words` is the decoder's error message.

    Decodes the frame a second time; only bad frames cost that.
    """
    try:
        value = _anything.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        return not_json(error)
    if not isinstance(value, dict):
        return Invalid(ErrorCode.INVALID_MESSAGE, Reason.NOT_AN_OBJECT)
    id = _find_id(value)
    if words.endswith("`$.type`") and isinstance(value.get("type"), str):
        return Invalid(ErrorCode.UNKNOWN_MESSAGE_TYPE, Reason.UNKNOWN_COMMAND, id, name=value["type"][:MAX_SHOWN])
    reason, params = read_validation_error(words)
    return Invalid(ErrorCode.INVALID_MESSAGE, reason, id, **params)


def read_id(raw: bytes | str) -> str | None:
    """The `id` of a frame that is refused before it is decoded as a command; None if there is none."""
    try:
        return _find_id(_anything.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _find_id(value: Any) -> str | None:
    given = value.get("id") if isinstance(value, dict) else None
    return given if isinstance(given, str) and len(given) <= 64 else None
