"""Queues mails when notifications are stored, in the same transaction. Called by `routing` and by preferences."""

from collections.abc import Mapping, Sequence
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
    usual = bulk.moment(wishes.now + timedelta(seconds=wishes.of(None).away_seconds))
    due = {
        reader: bulk.moment(wishes.now + timedelta(seconds=choices.away_seconds))
        for reader, choices in wishes.choices.items()
    }
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
                f" attempts, reason, lease, error, message_id) SELECT {table.columns}, 'mail', 'queued', %s,"
                f" 0, '', '', '', '' FROM {table.source} WHERE true ON CONFLICT DO NOTHING",
                [created_at, bulk.as_json(values[start : start + bulk.ROWS_AT_ONCE])],
            )


def reconsider(reader: Any, now: datetime) -> None:
    """The reader has changed something: what waits for the reader's sake is checked again by the next job."""
    queued = Delivery.objects.filter(user_id=reader, state=Delivery.State.QUEUED, reason__in=CHOSEN_REASONS)
    queued.filter(due_at__gt=now).update(due_at=now)


def restart(keys: Sequence[int], now: datetime) -> None:
    """The mails of these notifications that were sent, or not sent for a reason, begin again."""
    settled = Delivery.objects.filter(notification__in=keys, channel="mail").exclude(state=Delivery.State.QUEUED)
    new: dict[str, Any] = {"reason": "", "error": "", "attempts": 0, "sent_at": None, "lease": "", "leased_until": None}
    settled.update(state=Delivery.State.QUEUED, due_at=now, **new)
