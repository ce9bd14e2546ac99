"""The frames that the server sends, each as a type, and their JSON (pure). `commands` has what clients may send.

All packages build frames with these types, the REST API answers with some of them, and the tests decode with them.
Constraints and docstrings are for the description of the sockets (`realtime.asyncapi`) and for tests. Nothing is
checked when a frame is built or encoded.
"""

from realtime.protocol.frames.answers import (
    Ack,
    ErrorFrame,
    Joined,
    Left,
    Pong,
    Resumed,
    StreamOutcome,
    Subscribed,
    Unsubscribed,
    make_error,
)
from realtime.protocol.frames.connection import (
    AuthExpiring,
    Batch,
    Connected,
    ConnectedData,
    Disconnect,
    ExpiringData,
    Heartbeat,
)
from realtime.protocol.frames.encoding import (
    encode,
    format_epoch,
    format_time,
    given,
    is_frame,
    require_own,
    stamp,
    utc_now,
)
from realtime.protocol.frames.fields import (
    VERSION,
    Context,
    Count,
    Data,
    Fetch,
    Milliseconds,
    NotificationIds,
    Position,
    Role,
    Seq,
    ServerFrame,
    StreamName,
    Text,
    Time,
    UserId,
    key_of,
    value_of,
)
from realtime.protocol.frames.messages import (
    Chat,
    ChatBody,
    ChatData,
    HistoryItem,
    RoomUpdated,
    TopicValue,
)
from realtime.protocol.frames.people import (
    OnlineCount,
    OnlineCountData,
    Presence,
    PresenceData,
    Read,
    ReadData,
    StatusData,
    Typing,
    TypingData,
    UserStatus,
)

__all__ = [
    "VERSION",
    "Ack",
    "AnyFrame",
    "AuthExpiring",
    "Batch",
    "Chat",
    "ChatBody",
    "ChatData",
    "Connected",
    "ConnectedData",
    "Context",
    "Count",
    "Data",
    "Disconnect",
    "ErrorFrame",
    "ExpiringData",
    "Fetch",
    "Heartbeat",
    "HistoryItem",
    "Joined",
    "Left",
    "Milliseconds",
    "NotificationIds",
    "OnlineCount",
    "OnlineCountData",
    "Pong",
    "Position",
    "Presence",
    "PresenceData",
    "Read",
    "ReadData",
    "Resumed",
    "Role",
    "RoomUpdated",
    "Seq",
    "ServerFrame",
    "StatusData",
    "StreamName",
    "StreamOutcome",
    "Subscribed",
    "Text",
    "Time",
    "TopicValue",
    "Typing",
    "TypingData",
    "Unsubscribed",
    "UserId",
    "UserStatus",
    "encode",
    "format_epoch",
    "format_time",
    "given",
    "is_frame",
    "key_of",
    "make_error",
    "require_own",
    "stamp",
    "utc_now",
    "value_of",
]

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
