"""Queues mails when notifications are stored, in the same transaction. Called by `routing` and by preferences."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from notifications import bulk
from notifications.models import Delivery
from notifications.preferences.cascade import Decision
from notifications.preferences.deciding import Wishes
from realtime.integration import connection, rows, stored_id, user_column

# While a mail waits for one of these, its reader may change when it is due.
CHOSEN_REASONS = ("mute", "quiet_hours", "digest", "online")
# The reader's own choices against a mail. They may change, so they are noted; what else is against it can be derived.
REFUSALS = ("channel", "type", "category")
INSERT = (
    "INSERT INTO {name} AS had (notification_id, user_id, due_at, state, reason, channel, created_at,"
    " attempts, rule, lease, error, message_id) SELECT {columns}, 'mail', %s, 0, '', '', '', '' FROM {source}"
    " WHERE true ON CONFLICT (notification_id, channel) DO UPDATE SET due_at = excluded.due_at,"
    " state = excluded.state, reason = excluded.reason"
    " WHERE had.state = 'suppressed' AND had.reason IN {refusals}"
)


def add(decisions: Mapping[int, tuple[Any, Decision]], wishes: Wishes) -> None:
    """Queue a mail for each of these notifications, or note that its reader has chosen to get none.

    `decisions` are by primary key of the notification, with its reader. A mail is due when the reader has been away
    long enough, and everything is checked again then. A notification that has a mail already, because its group has
    grown, gets no other.
    """
    usual = bulk.moment(wishes.now + timedelta(seconds=wishes.of(None).away_seconds))
    due = {
        reader: bulk.moment(wishes.now + timedelta(seconds=choices.away_seconds))
        for reader, choices in wishes.choices.items()
    }
    values = [
        {
            "notification": key,
            "recipient": stored_id(reader),
            "due": due.get(reader, usual) if decision.verdict != "off" else bulk.moment(wishes.now),
            "state": "queued" if decision.verdict != "off" else "suppressed",
            "reason": "" if decision.verdict != "off" else decision.rule,
        }
        for key, (reader, decision) in decisions.items()
        if decision.verdict != "off" or decision.rule in REFUSALS
    ]
    table = rows(notification="bigint", recipient=user_column(), due="timestamptz", state="text", reason="text")
    parts = {"name": Delivery._meta.db_table, "columns": table.columns, "source": table.source}
    insert = INSERT.format(refusals=REFUSALS, **parts)
    created_at = connection.ops.adapt_datetimefield_value(wishes.now)
    for start in range(0, len(values), bulk.ROWS_AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(insert, [created_at, bulk.as_json(values[start : start + bulk.ROWS_AT_ONCE])])


def reconsider(reader: Any, now: datetime) -> None:
    """The reader has changed something: what waits for the reader's sake is checked again by the next job."""
    queued = Delivery.objects.filter(user_id=reader, state=Delivery.State.QUEUED, reason__in=CHOSEN_REASONS)
    queued.filter(due_at__gt=now).update(due_at=now)


def restart(keys: Sequence[int], now: datetime) -> None:
    """The mails of these notifications that were sent, or not sent for a reason, begin again."""
    settled = Delivery.objects.filter(notification__in=keys, channel="mail").exclude(state=Delivery.State.QUEUED)
    new: dict[str, Any] = {"reason": "", "error": "", "attempts": 0, "sent_at": None, "lease": "", "leased_until": None}
    settled.update(state=Delivery.State.QUEUED, due_at=now, **new)
