"""Queues mails when notifications are stored, in the same transaction. Called by `routing` and by preferences."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from notifications import bulk
from notifications.models import Delivery
from notifications.preferences.deciding import Wishes
from realtime.integration import connection, rows, stored_id, user_column

# While a mail waits for one of these, its reader may change when it is due.
CHOSEN_REASONS = ("mute", "quiet_hours", "digest", "online")


def add(readers: Mapping[int, Any], wishes: Wishes) -> None:
    """Queue a mail for each of these notifications: `readers` are by primary key of the notification.

    It is due when the reader has been away long enough, and everything is checked again then. A notification that has
    a mail already, because its group has grown, gets no other.
    """
    usual = bulk.moment(_due_at(None, wishes))
    due = {reader: bulk.moment(_due_at(reader, wishes)) for reader in wishes.choices}
    values = [
        {"notification": key, "recipient": stored_id(reader), "due": due.get(reader, usual)}
        for key, reader in readers.items()
    ]
    table = rows(notification="bigint", recipient=user_column(), due="timestamptz")
    created_at = connection.ops.adapt_datetimefield_value(wishes.now)
    for start in range(0, len(values), bulk.ROWS_AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {Delivery._meta.db_table} (notification_id, user_id, due_at, channel, state, created_at,"
                f" round, attempts, reason, lease, error, message_id) SELECT {table.columns}, 'mail', 'queued', %s,"
                f" 1, 0, '', '', '', '' FROM {table.source} WHERE true ON CONFLICT DO NOTHING",
                [created_at, bulk.as_json(values[start : start + bulk.ROWS_AT_ONCE])],
            )


def add_again(readers: Mapping[int, Any], wishes: Wishes) -> None:
    """The same for notifications that may have been mailed before, or not for a reason: another round begins.

    One whose mail still waits gets no other. The caller has locked the notifications.
    """
    add(readers, wishes)
    found = Delivery.objects.filter(notification__in=list(readers), channel="mail")
    # The rows are locked, so that nobody tries the last round of one again at the same time.
    last = {delivery.notification_id: delivery for delivery in found.select_for_update().order_by("round", "pk")}
    Delivery.objects.bulk_create(
        Delivery(
            notification_id=key,
            user_id=delivery.user_id,
            round=delivery.round + 1,
            due_at=_due_at(delivery.user_id, wishes),
            created_at=wishes.now,
        )
        for key, delivery in last.items()
        if delivery.state != Delivery.State.QUEUED
    )


def _due_at(reader: Any, wishes: Wishes) -> datetime:
    """When the reader will have been away long enough, if they leave now."""
    return wishes.now + timedelta(seconds=wishes.of(reader).away_seconds)


def reconsider(reader: Any, now: datetime) -> None:
    """The reader has changed something: what waits for the reader's sake is checked again by the next job."""
    queued = Delivery.objects.filter(user_id=reader, state=Delivery.State.QUEUED, reason__in=CHOSEN_REASONS)
    queued.filter(due_at__gt=now).update(due_at=now)
