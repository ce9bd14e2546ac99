"""Queues mails and web pushes when notifications are stored, in the same transaction.

Called by `routing`, by `web_push` and by preferences.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from notifications import bulk
from notifications.models import Delivery
from notifications.preferences.cascade import Decision, Rule
from notifications.preferences.deciding import Wishes
from notifications.types import Channel
from notifications.withholding import LAST_YEAR
from realtime.integration import connection, rows, stored_id, user_column

# While a mail waits for one of these, its reader may change when it is due.
CHOSEN_REASONS = ("mute", "quiet_hours", "digest", "online")
# The reader's own choices against it. They may change, so they are noted; what else is against it can be derived.
REFUSALS: Mapping[Channel, tuple[Rule, ...]] = {
    "mail": ("channel", "type", "category"),
    "web_push": ("type", "category", "default"),  # the channel is off unless a reader wants it
}
INSERT = (
    "INSERT INTO {name} (notification_id, user_id, due_at, state, reason, channel, created_at,"
    " attempts, rule, lease, error, message_id) SELECT {columns}, %s, %s, 0, '', '', '', '' FROM {source}"
    " WHERE true ON CONFLICT (notification_id, channel) DO {conflict}"
)
CONFLICT: Mapping[Channel, str] = {
    # It locks nothing: a worker may be settling the mail that is there.
    "mail": "NOTHING",
    "web_push": "UPDATE SET due_at = excluded.due_at, state = excluded.state, reason = excluded.reason",
}


def add(decisions: Mapping[int, tuple[Any, Decision]], wishes: Wishes, channel: Channel = "mail") -> None:
    """Queue a mail or a web push for each of these notifications, or note that its reader has chosen to get none.

    `decisions` are by primary key of the notification, with its reader. A mail is due when the reader has been away
    long enough, and everything is checked again then. A notification that has a mail already, because its group has
    grown, gets no other. A web push is due at once, or when the reader's quiet hours are over.
    """
    values = [
        {"notification": key, "recipient": stored_id(reader), **_state_of(reader, decision, wishes, channel)}
        for key, (reader, decision) in decisions.items()
        if decision.verdict != "off" or decision.rule in REFUSALS[channel]
    ]
    table = rows(notification="bigint", recipient=user_column(), due="timestamptz", state="text", reason="text")
    parts = {"name": Delivery._meta.db_table, "columns": table.columns, "source": table.source}
    insert = INSERT.format(conflict=CONFLICT[channel], **parts)
    created_at = connection.ops.adapt_datetimefield_value(wishes.now)
    for start in range(0, len(values), bulk.ROWS_AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(insert, [channel, created_at, bulk.as_json(values[start : start + bulk.ROWS_AT_ONCE])])


def _state_of(reader: Any, decision: Decision, wishes: Wishes, channel: Channel) -> dict[str, str | None]:
    if decision.verdict == "off":
        return {"due": bulk.moment(wishes.now), "state": "suppressed", "reason": decision.rule}
    if channel == "mail":
        away = timedelta(seconds=wishes.of(reader).away_seconds)
        return {"due": bulk.moment(wishes.now + away), "state": "queued", "reason": ""}
    until = decision.until
    if until is not None and until.year == LAST_YEAR:  # a mute without an end
        return {"due": bulk.moment(wishes.now), "state": "suppressed", "reason": decision.rule}
    reason = "" if until is None else decision.rule
    return {"due": bulk.moment(until or wishes.now), "state": "queued", "reason": reason}


def forget_refusals(keys: Sequence[int]) -> None:
    """These notifications have grown: whether their readers want a mail is decided once more."""
    refused = Delivery.objects.filter(channel="mail", state=Delivery.State.SUPPRESSED, reason__in=REFUSALS["mail"])
    for start in range(0, len(keys), bulk.ROWS_AT_ONCE):
        refused.filter(notification__in=keys[start : start + bulk.ROWS_AT_ONCE]).delete()


def reconsider(reader: Any, now: datetime) -> None:
    """The reader has changed something: what waits for the reader's sake is checked again by the next job."""
    queued = Delivery.objects.filter(user_id=reader, state=Delivery.State.QUEUED, reason__in=CHOSEN_REASONS)
    queued.filter(due_at__gt=now).update(due_at=now)


def restart(keys: Sequence[int], now: datetime) -> None:
    """The mails of these notifications that were sent, or not sent for a reason, begin again."""
    settled = Delivery.objects.filter(notification__in=keys, channel="mail").exclude(state=Delivery.State.QUEUED)
    new: dict[str, Any] = {"reason": "", "error": "", "attempts": 0, "sent_at": None, "lease": "", "leased_until": None}
    settled.update(state=Delivery.State.QUEUED, due_at=now, **new)
