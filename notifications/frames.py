"""The frame that tells of a notification, as a type. Made by `inbox`; the tests decode with it."""

from typing import Any

from realtime.protocol.frames import Data, Seq, ServerFrame, StreamName, Text, Time


class Item(Data, frozen=True):
    """A notification as clients see it. `data` is what the site said with it."""

    id: int
    type: Text
    title: str
    message: str
    data: dict[str, Any]
    link: str
    created_at: Time


class NotificationBody(ServerFrame, tag="notification", frozen=True):
    """A `notification` frame as the log keeps it, before it has its place."""

    notification_type: Text
    data: Item
    timestamp: Time


class NotificationFrame(NotificationBody, tag="notification", frozen=True):
    """A user is told something. `notification_type` is the `type` of `data`."""

    stream: StreamName
    seq: Seq
