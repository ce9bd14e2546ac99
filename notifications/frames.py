"""The frames of notifications and announcements as structs, and what lists answer with (`Item`, `AnnouncementItem`).

Sent by `pushing`, `inbox` and `announcements`.
"""

from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct

from notifications.types import Level
from realtime.protocol.frames import (
    Data,
    Milliseconds,
    NotificationIds,
    Seq,
    ServerFrame,
    StreamName,
    Text,
    Time,
    UserId,
    key_of,
    value_of,
)

# Counts end here: "99+".
MOST_COUNTED = 100
Counted = Annotated[int, Meta(ge=0, le=MOST_COUNTED)]

Act = Literal[
    "seen", "read", "unread", "archive", "unarchive", "snooze", "unsnooze", "delete", "act", "undo", "changed"
]


Closing = Literal["dismiss", "confirm", "stay"]


class Person(Data, frozen=True):
    user_id: UserId
    name: str


class Group(Data, frozen=True):
    """How many people a notification stands for, and the last three of them."""

    count: Annotated[int, Meta(ge=2)]
    last: list[Person]


class Target(Data, frozen=True):
    """An object of the site that its readers may follow and mute."""

    model: Text
    key: Text


class ActionLabel(Data, frozen=True):
    """A button. `link` is empty if it only notes the reader's choice."""

    key: Text
    label: Text
    link: str


class Item(Data, frozen=True):
    """A notification as clients see it. `data` is what the site passed to `notify`."""

    id: int
    type: Annotated[Text, key_of("NotificationData")]
    title: str
    message: str
    data: Annotated[dict[str, Any], value_of("NotificationData")]
    link: str
    created_at: Time
    category: Text
    level: Level
    reason: str
    actor: Person | None
    # What it is about. None also if readers cannot follow and mute such objects.
    target: Target | None
    group: Group | None
    actions: list[ActionLabel]
    action: str  # the key of the action that was taken
    arrived_at: Time
    seen_at: Time | None
    read_at: Time | None
    archived_at: Time | None
    snoozed_until: Time | None
    expires_at: Time | None


class NotificationBody(ServerFrame, tag="notification", frozen=True):
    """A `notification` frame as the log stores it, before it gets its `seq`."""

    notification_type: Annotated[Text, key_of("NotificationData")]
    data: Item
    timestamp: Time


class NotificationFrame(NotificationBody, tag="notification", frozen=True):
    """A notification for a user. `notification_type` repeats `data.type`. One that is known already has changed."""

    stream: StreamName
    seq: Seq


class Counts(Data, frozen=True):
    """How many notifications of the inbox are unread and unseen; 100 stands for more than 99."""

    unread: Counted
    unseen: Counted


class InboxData(Counts, frozen=True):
    act: Act
    # None if there are many: load the list again.
    notification_ids: NotificationIds | None


class InboxBody(ServerFrame, tag="inbox", frozen=True):
    """An `inbox` frame as the log stores it. `timestamp` is the moment of the counts, here and in the next two."""

    data: InboxData
    timestamp: Time


class InboxFrame(InboxBody, tag="inbox", frozen=True):
    """One of the user's devices has changed notifications, or something else did; with the counts since."""

    stream: StreamName
    seq: Seq


class RemovedData(Counts, frozen=True):
    notification_ids: NotificationIds


class RemovedBody(ServerFrame, tag="notification_removed", frozen=True):
    data: RemovedData
    timestamp: Time


class RemovedFrame(RemovedBody, tag="notification_removed", frozen=True):
    """Notifications were withdrawn, or have expired: they are gone from lists and counts."""

    stream: StreamName
    seq: Seq


class WaitingData(Counts, frozen=True):
    count: Annotated[int, Meta(ge=1)]
    since: Time


class WaitingBody(ServerFrame, tag="notifications_waiting", frozen=True):
    data: WaitingData
    timestamp: Time


class WaitingFrame(WaitingBody, tag="notifications_waiting", frozen=True):
    """So many notifications arrived without a push: in quiet hours, while muted, or because there were too many."""

    stream: StreamName
    seq: Seq


# Announcements


class AnnouncementBase(Data, frozen=True):
    """What is the same for all readers. `closing`: whether a reader can dismiss it, must confirm it, or neither."""

    id: int
    level: Level
    link: str
    closing: Closing
    live_at: Time
    ends_at: Time | None


class AnnouncementWords(Data, frozen=True):
    """What an announcement says in one language."""

    language: Text
    title: str
    message: str


class AnnouncementData(AnnouncementBase, frozen=True):
    """`fallback` is the language for readers in whose language there is no text. `test`: only its author gets it."""

    texts: Annotated[list[AnnouncementWords], Meta(min_length=1)]
    fallback: Text
    test: bool


class AnnouncementItem(AnnouncementBase, frozen=True):
    """An announcement in a list, in the language that is nearest to the request's, with its reader's state."""

    language: Text
    title: str
    message: str
    seen_at: Time | None
    read_at: Time | None


class AnnouncementBody(ServerFrame, tag="announcement", frozen=True):
    data: AnnouncementData
    timestamp: Time


class AnnouncementFrame(AnnouncementBody, tag="announcement", frozen=True):
    """An announcement to everyone has gone live. The client chooses the text."""

    stream: StreamName
    seq: Seq


class AnnouncementChangedData(Data, frozen=True):
    announcement_id: int
    within_ms: Milliseconds


class AnnouncementChangedBody(ServerFrame, tag="announcement_changed", frozen=True):
    data: AnnouncementChangedData


class AnnouncementChangedFrame(AnnouncementChangedBody, tag="announcement_changed", frozen=True):
    """An announcement has gone live or was changed: load the list, after a random part of `within_ms`."""

    stream: StreamName
    seq: Seq


class AnnouncementEndedData(Data, frozen=True):
    announcement_id: int


class AnnouncementEndedBody(ServerFrame, tag="announcement_ended", frozen=True):
    data: AnnouncementEndedData


class AnnouncementEndedFrame(AnnouncementEndedBody, tag="announcement_ended", frozen=True):
    """An announcement is over, or was cancelled."""

    stream: StreamName
    seq: Seq


class AnnouncementStateData(Data, frozen=True):
    announcement_id: int
    seen_at: Time | None
    read_at: Time | None
    dismissed_at: Time | None
    confirmed_at: Time | None


class AnnouncementStateFrame(ServerFrame, tag="announcement_state", frozen=True):
    """One of the user's devices has read, dismissed or confirmed an announcement. It is not stored."""

    data: AnnouncementStateData


AnnouncementEvent = AnnouncementFrame | AnnouncementChangedFrame | AnnouncementEndedFrame | AnnouncementStateFrame

# Every frame that this app sends to a socket.
NotificationEvent = NotificationFrame | InboxFrame | RemovedFrame | WaitingFrame | AnnouncementEvent
EVENTS: tuple[type[Struct], ...] = get_args(NotificationEvent)
