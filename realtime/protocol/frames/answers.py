"""Frames that answer commands (pure). `id` is the `id` of the command, if it had one."""

from typing import Literal

from msgspec import UNSET, UnsetType

from realtime.protocol.commands import CommandId, RoomId, TopicName
from realtime.protocol.errors import ErrorCode, Refused
from realtime.protocol.frames.encoding import given, utc_now
from realtime.protocol.frames.fields import (
    Data,
    Fetch,
    Milliseconds,
    Position,
    Role,
    Seq,
    ServerFrame,
    StreamName,
    Text,
    Time,
)


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
