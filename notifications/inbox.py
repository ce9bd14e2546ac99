"""The inbox of a user: marking notifications as read, which the user's open sockets hear of.

Site code calls `mark_read`, the admin `mark_all_read`. `apps` registers `mark` for the `read` command of sockets.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

import realtime
from notifications.models import Notification, NotificationQuerySet
from realtime.integration import own_transaction, read_user
from realtime.protocol.frames import Read, ReadData

IDS_AT_ONCE = 1_000  # in one query, and in one frame


def mark_read(user: Any, ids: Sequence[int]) -> list[int]:
    """Mark the user's notifications with these ids as read, and tell the user's sockets on commit.

    `user` is a user or a primary key. Returns the ids of those that were unread. Ids that do not exist, or belong to
    others, are ignored. Raises TypeError for anything that is not a user.
    """
    pk = read_user(user)
    with own_transaction():
        found = mark(pk, ids)
        _tell(pk, found)
    return found


def mark(user_id: Any, ids: Sequence[int]) -> list[int]:
    """`mark_read` without telling the sockets."""
    found: list[int] = []
    ids = sorted(ids)  # rows are locked in one order, so that two calls do not wait for each other
    with own_transaction():
        for start in range(0, len(ids), IDS_AT_ONCE):
            wanted = ids[start : start + IDS_AT_ONCE]
            own = Notification.objects.select_for_update().filter(recipient_id=user_id, pk__in=wanted).unread()
            own_ids = list(own.order_by("pk").values_list("pk", flat=True))
            Notification.objects.filter(pk__in=own_ids).mark_read()
            found += own_ids
    return found


def mark_all_read(notifications: NotificationQuerySet) -> int:
    """Mark notifications of any users as read, and tell their sockets on commit. Returns how many were unread."""
    by_recipient: dict[Any, list[int]] = defaultdict(list)
    with own_transaction():
        for pk, recipient in notifications.unread().order_by("recipient_id", "pk").values_list("pk", "recipient_id"):
            by_recipient[recipient].append(pk)
        return sum(len(mark_read(recipient, ids)) for recipient, ids in by_recipient.items())


def _tell(user_id: Any, ids: Sequence[int]) -> None:
    for start in range(0, len(ids), IDS_AT_ONCE):
        frame = Read(ReadData(notification_ids=list(ids[start : start + IDS_AT_ONCE])))
        realtime.send_to_user(user_id, msgspec.to_builtins(frame), durable=False)
