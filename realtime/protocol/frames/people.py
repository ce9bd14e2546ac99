"""Frames about users: who is there, who types, and what a user has read (pure)."""

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from realtime.protocol.commands import RoomId
from realtime.protocol.frames.fields import Context, Count, Data, NotificationIds, Seq, ServerFrame, Time, UserId


class TypingData(Data, frozen=True):
    user_id: UserId
    is_typing: bool
    context: Context


class Typing(ServerFrame, tag="typing", frozen=True):
    """A user began or stopped typing. `context` is a room's id, or any text that the client chose."""

    data: TypingData


class PresenceData(Data, frozen=True):
    user_id: UserId
    status: Literal["online", "away", "busy"]
    data: dict[str, Any]


class Presence(ServerFrame, tag="presence", frozen=True):
    """A user has set a status. `data.data` is what the user's client sent with it."""

    data: PresenceData


class StatusData(Data, frozen=True):
    user_id: UserId
    status: Literal["online", "offline"]
    timestamp: Time


class UserStatus(ServerFrame, tag="user_status", frozen=True):
    """A user's first socket was opened, or the user has had no socket for the grace time."""

    data: StatusData


class OnlineCountData(Data, frozen=True):
    online_count: Count


class OnlineCount(ServerFrame, tag="online_count", frozen=True):
    """Sent once a second instead of announcements about users, while there are too many of them.

    Also sent to single sockets that could not be told who has come or gone.
    """

    data: OnlineCountData


class ReadData(Data, frozen=True):
    """Either `room_id`, `seq` and `unread`, or `notification_ids`."""

    room_id: RoomId | UnsetType = UNSET
    seq: Seq | UnsetType = UNSET
    unread: Count | UnsetType = UNSET
    notification_ids: NotificationIds | UnsetType = UNSET


class Read(ServerFrame, tag="read", frozen=True):
    """Reports to a user's other sockets what the user has read."""

    data: ReadData
