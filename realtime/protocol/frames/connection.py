"""Frames about the socket itself: its beginning, its end, and what keeps it open (pure)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from realtime.protocol.errors import CloseCode
from realtime.protocol.frames.fields import Count, Data, Position, ServerFrame, StreamName, Text, Time, UserId


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
