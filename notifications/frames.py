"""The `notification` frame as structs. `sending` builds it; the tests decode with it."""

from typing import Any

from realtime.protocol.frames import Data, Seq, ServerFrame, StreamName, Text, Time


class Item(Data, frozen=True):
    """A notification as clients see it. `data` is what the site passed to `notify`."""

    id: int
    type: Text
    title: str
    message: str
    data: dict[str, Any]
    link: str
    created_at: Time


class NotificationBody(ServerFrame, tag="notification", frozen=True):
    """A `notification` frame as the log stores it, before it gets its `seq`."""

    notification_type: Text
    data: Item
    timestamp: Time


class NotificationFrame(NotificationBody, tag="notification", frozen=True):
    """A notification for a user. `notification_type` repeats `data.type`."""

    stream: StreamName
    seq: Seq
