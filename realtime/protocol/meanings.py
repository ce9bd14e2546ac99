"""What the codes of the protocol mean, in words for those who write clients (pure). `errors` has the codes.

The description of the sockets (`realtime.asyncapi`) has these texts; docs/protocol.md says more.
"""

from collections.abc import Mapping

from realtime.protocol.errors import CloseCode, ErrorCode

ERRORS: Mapping[ErrorCode, str] = {
    ErrorCode.INVALID_JSON: "The frame is not JSON.",
    ErrorCode.INVALID_MESSAGE: "The frame is binary, or no valid command; `message` names the field.",
    ErrorCode.UNKNOWN_MESSAGE_TYPE: "There is no such command.",
    ErrorCode.MESSAGE_PROCESSING_ERROR: "An error in the server; its log has the `reference`.",
    ErrorCode.FORBIDDEN: "The user does not have the right to do this.",
    ErrorCode.NOT_FOUND: "There is no such room, user or topic, or the user may not see it.",
    ErrorCode.RATE_LIMITED: "Too many commands. Try again after `retry_after_ms`.",
    ErrorCode.CONFLICT: "The `id` was used for another message, or the socket has joined too many rooms.",
    ErrorCode.UNAVAILABLE: "The server cannot do it now. Send the command again, with the same `id`.",
}

# The reasons in `disconnect` frames, each with what it means.
CLOSES: Mapping[CloseCode, Mapping[str, str]] = {
    CloseCode.NORMAL: {},
    CloseCode.INVALID_DATA: {"INVALID_DATA": "A text was not UTF-8."},
    CloseCode.TOO_BIG: {"FRAME_TOO_LARGE": "A frame was larger than `max_frame_bytes`."},
    CloseCode.SERVER_ERROR: {"SERVER_ERROR": "An error in the server."},
    CloseCode.RESTARTING: {"RESTARTING": "The server stops. Come back after `retry_after_ms`."},
    CloseCode.OVERLOADED: {"OVERLOADED": "The server or its database has too much to do. Come back a little later."},
    CloseCode.BAD_FRAMES: {"TOO_MANY_ERRORS": "Too many bad frames within a short time."},
    CloseCode.UNAUTHENTICATED: {
        "UNAUTHENTICATED": "There is no valid credential, or it has ended: a logout, or a new password.",
        "TOKEN_EXPIRED": "The token or the session has ended. Come back with a new one.",
        "AUTH_TIMEOUT": "The socket was opened without a credential, and no `auth` followed in time.",
    },
    CloseCode.FORBIDDEN: {
        "FORBIDDEN": "The user may not open this socket, or not any more.",
        "KICKED": "The site has disconnected the user. A site may give other reasons, too.",
        "USER_DISABLED": "The user may not log in any more.",
    },
    CloseCode.HEARTBEAT_TIMEOUT: {"HEARTBEAT_TIMEOUT": "The client has sent nothing for too long."},
    CloseCode.TOO_MANY_CONNECTIONS: {
        "TOO_MANY_CONNECTIONS": "The user has too many sockets. Come back after `retry_after_ms`."
    },
    CloseCode.SESSION_OUTDATED: {
        "SESSION_OUTDATED": "The session may go on: come back with the present cookie, or with a new ticket."
    },
    CloseCode.SLOW_CONSUMER: {"SLOW_CONSUMER": "The client reads more slowly than it is written to."},
    CloseCode.RATE_LIMITED: {"RATE_LIMITED": "Too many commands in a row were refused with `RATE_LIMITED`."},
}
