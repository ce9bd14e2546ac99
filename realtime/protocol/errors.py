"""What can be refused, and with which word. Raised by every layer, answered in one place per edge."""

from enum import IntEnum, StrEnum


class ErrorCode(StrEnum):
    """`error_code` of an `error` frame and `code` of a REST error (protocol §6)."""

    INVALID_JSON = "INVALID_JSON"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    UNKNOWN_MESSAGE_TYPE = "UNKNOWN_MESSAGE_TYPE"
    MESSAGE_PROCESSING_ERROR = "MESSAGE_PROCESSING_ERROR"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    RATE_LIMITED = "RATE_LIMITED"
    CONFLICT = "CONFLICT"
    UNAVAILABLE = "UNAVAILABLE"


class CloseCode(IntEnum):
    """Codes with which the server closes a socket (protocol §6)."""

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
    SLOW_CONSUMER = 4413
    RATE_LIMITED = 4429


# Codes after which the same client may simply come back.
RECONNECT_CODES = frozenset(
    {
        CloseCode.SERVER_ERROR,
        CloseCode.RESTARTING,
        CloseCode.OVERLOADED,
        CloseCode.HEARTBEAT_TIMEOUT,
        CloseCode.SLOW_CONSUMER,
        CloseCode.RATE_LIMITED,
    }
)


class Refused(Exception):
    """A command or request is refused; the socket stays open.

    `retry_after_ms` is set with RATE_LIMITED only.
    """

    def __init__(self, code: ErrorCode, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms


class Closed(Exception):
    """The socket is to be closed with `code`; `reason` is the word of its `disconnect` frame."""

    def __init__(self, code: CloseCode, reason: str, *, retry_after_ms: int = 0) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry_after_ms = retry_after_ms
