"""Refusals: the exceptions, their codes and reasons. Raised by all packages, answered by the sockets and the API."""

from enum import IntEnum, StrEnum, auto


class ErrorCode(StrEnum):
    """The `error_code` of an `error` frame, and the `code` of an error over REST."""

    # What each means is in `meanings`.

    INVALID_JSON = "INVALID_JSON"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    UNKNOWN_MESSAGE_TYPE = "UNKNOWN_MESSAGE_TYPE"
    MESSAGE_PROCESSING_ERROR = "MESSAGE_PROCESSING_ERROR"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    RATE_LIMITED = "RATE_LIMITED"
    CONFLICT = "CONFLICT"
    UNAVAILABLE = "UNAVAILABLE"


class Reason(StrEnum):
    """Why something is refused. `realtime.delivery.refusal_texts` has a sentence for each, in every language.

    A sentence may have placeholders; the comment behind a reason names the parameters that fill them.
    """

    # Frames that are not commands
    NOT_JSON = auto()
    NOT_JSON_AT = auto()  # byte
    NUMBER_OUT_OF_RANGE = auto()
    NESTED_TOO_DEEPLY = auto()
    BINARY_FRAME = auto()
    NOT_AN_OBJECT = auto()
    NOT_A_COMMAND = auto()  # words (from the decoder, in English)
    UNKNOWN_COMMAND = auto()  # name
    UNKNOWN_COMMAND_HERE = auto()  # name

    # Fields of commands; each has the parameter `field`
    FIELD_MISSING = auto()
    WRONG_TYPE = auto()  # expected
    WRONG_TYPE_GOT = auto()  # expected, got
    WRONG_VALUE = auto()  # value
    WRONG_PATTERN = auto()  # pattern
    TOO_SHORT = auto()  # n
    TOO_LONG = auto()  # n
    TOO_SMALL = auto()  # n
    TOO_GREAT = auto()  # n

    # Commands
    BATCH_IN_BATCH = auto()
    DATA_TOO_LARGE = auto()
    NEEDS_ROOM_OR_USER = auto()
    NEEDS_POSITION_OR_IDS = auto()
    TOO_MANY_COMMANDS = auto()
    TOKEN_OF_ANOTHER_USER = auto()

    # Messages
    MESSAGE_EMPTY = auto()
    MESSAGE_TOO_LONG = auto()  # n
    MESSAGE_TOO_LARGE = auto()  # n
    MESSAGE_HAS_NUL = auto()
    MESSAGE_ID_TAKEN = auto()
    WRITING_TO_ONESELF = auto()

    # Rooms and their members
    NO_SUCH_ROOM = auto()
    NO_SUCH_USER = auto()
    NO_SUCH_MEMBER = auto()
    NOT_A_MEMBER = auto()
    NOT_AN_OWNER = auto()
    LAST_OWNER = auto()
    BAD_ROOM_ID = auto()
    RESERVED_ROOM_ID = auto()
    ROOM_ID_TAKEN = auto()
    ROOM_NOT_JOINED = auto()
    TOO_MANY_ROOMS = auto()

    # Streams, sessions, notifications
    NO_SUCH_STREAM = auto()
    NO_SUCH_TOPIC = auto()
    NOT_SUBSCRIBED = auto()
    NO_SUCH_SESSION = auto()
    NO_NOTIFICATIONS = auto()
    NO_SUCH_NOTIFICATION = auto()
    NO_SUCH_ACT = auto()
    NO_SUCH_ACTION = auto()
    ACTION_TAKEN = auto()
    NO_SUCH_OBJECT = auto()
    NO_SUCH_ANNOUNCEMENT = auto()
    NOT_DISMISSIBLE = auto()
    NOT_TO_CONFIRM = auto()

    # Handshakes
    ORIGIN_NOT_ALLOWED = auto()
    SERVER_FULL = auto()
    NO_SUCH_SOCKET = auto()
    NO_HANDSHAKE = auto()

    # Requests
    INVALID_REQUEST = auto()
    REQUEST_UNREADABLE = auto()
    REQUEST_NOT_JSON = auto()  # line, column
    REQUEST_TOO_LARGE = auto()
    TOKEN_EXPIRED = auto()
    TOKEN_NOT_VALID = auto()
    LOGIN_NOT_OURS = auto()

    # The server cannot do it now
    DATABASE_AWAY = auto()
    NOTHING_STORED = auto()
    OUTCOME_UNKNOWN = auto()
    PRESENCE_AWAY = auto()
    SESSIONS_AWAY = auto()
    TOO_MUCH_WAITING = auto()
    TOO_MANY_RESUMES = auto()
    TRY_AGAIN = auto()
    OUR_FAULT = auto()


class CloseCode(IntEnum):
    """A code with which the server closes a socket."""

    # What each means is in `meanings`.

    NORMAL = 1000
    INVALID_DATA = 1007
    TOO_BIG = 1009
    SERVER_ERROR = 1011
    RESTARTING = 1012
    OVERLOADED = 1013
    BAD_FRAMES = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    HEARTBEAT_TIMEOUT = 4408
    TOO_MANY_CONNECTIONS = 4409
    SESSION_OUTDATED = 4410
    SLOW_CONSUMER = 4413
    RATE_LIMITED = 4429


# Codes after which the same client may simply connect again.
RECONNECT_CODES = frozenset(
    {
        CloseCode.SERVER_ERROR,
        CloseCode.RESTARTING,
        CloseCode.OVERLOADED,
        CloseCode.HEARTBEAT_TIMEOUT,
        CloseCode.TOO_MANY_CONNECTIONS,
        CloseCode.SESSION_OUTDATED,
        CloseCode.SLOW_CONSUMER,
        CloseCode.RATE_LIMITED,
    }
)


class Refused(Exception):
    """A command or request is refused; the socket stays open.

    `params` fill the placeholders in the text of the reason. `retry_after_ms` is set with RATE_LIMITED only.
    """

    def __init__(
        self, code: ErrorCode, reason: Reason, *, retry_after_ms: int | None = None, **params: str | int
    ) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.params = params
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        """For logs and for site code. What clients read is translated in `realtime.delivery.refusal_texts`."""
        details = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        words = f"{self.code}: {self.reason.replace('_', ' ')}"
        return f"{words} ({details})" if details else words


class Closed(Exception):
    """The socket must be closed with `code`. `reason` and `retry_after_ms` go into its `disconnect` frame."""

    def __init__(self, code: CloseCode, reason: str, *, retry_after_ms: int = 0) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry_after_ms = retry_after_ms
