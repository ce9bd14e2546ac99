"""The inbox of a user: marking notifications as read. `apps` registers it for the `read` command of sockets."""

from collections.abc import Sequence
from typing import Any

from notifications.models import Notification
from realtime.integration import own_transaction


def mark_read(user_id: Any, ids: Sequence[int]) -> list[int]:
    """Mark the user's notifications with these ids as read, and return the ids of those that were unread.

    Ignores ids that do not exist or belong to other users.
    """
    with own_transaction():
        own = Notification.objects.select_for_update().filter(recipient_id=user_id, pk__in=ids).unread()
        found = list(own.order_by("pk").values_list("pk", flat=True))
        Notification.objects.filter(pk__in=found).mark_read()
    return found
