"""One summary for a reader whose pushes were withheld, when the time has come: how many wait, and since when.

Called by the jobs. What was read meanwhile is not counted, and all is decided again: quiet hours may have changed.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from notifications import bulk, clock, withholding
from notifications.frames import WaitingBody, WaitingData
from notifications.inbox.counting import counts_of
from notifications.models import Notification, NotificationQuerySet
from notifications.models.target import Target
from notifications.portions import keep_together, work_off
from notifications.preferences.cascade import Decision
from notifications.preferences.deciding import Wishes, all_wishes
from notifications.types import find_type
from realtime.integration import own_transaction, publish_all, retry_conflicts, user_stream
from realtime.protocol.frames import format_time

READERS_AT_ONCE = 500
# Of these readers: fewer, if they have more. One who has more than that waiting gets a second summary.
ROWS_AT_ONCE = 20_000
STATES = ("arrived_at", "read_at", "archived_at", "snoozed_until", "deleted_at", "expires_at")
FIELDS = ("recipient", "type", "target_type", "target_key", *STATES)


def send_due(now: datetime) -> bool:
    """Send the summaries whose time has come. Returns whether some are left for the next run."""
    due = Notification.objects.filter(withheld_until__lte=now).order_by("withheld_until")
    return work_off(due, partial(_send_page, due, now))


@retry_conflicts
def _send_page(due: NotificationQuerySet, now: datetime) -> bool:
    """Returns whether there was anything to do. Two workers wait for each other, so each row is told of once."""
    with own_transaction():
        first = due.values_list("recipient_id", flat=True)[:READERS_AT_ONCE]
        if not (readers := list(dict.fromkeys(first))):
            return False
        of_readers = due.filter(recipient__in=readers).locked()
        found = keep_together(list(of_readers.only(*FIELDS)[: ROWS_AT_ONCE + 1]), ROWS_AT_ONCE, "recipient_id")
        waiting = _sort(found, all_wishes(readers, now), now)
        _publish(waiting)
    return True


def _sort(found: Sequence[Notification], wishes: Wishes, now: datetime) -> dict[Any, list[Notification]]:
    """Withhold longer what still is to wait; of the rest, return what would be pushed now, by reader."""
    later: dict[int, Decision] = {}
    waiting: dict[Any, list[Notification]] = {}
    for row in found:
        target = Target(row.target_type_id, row.target_key)
        decision = wishes.decide(row.recipient_id, find_type(row.type), "socket", target)
        if decision.verdict == "defer":
            later[row.pk] = decision
        elif decision.is_sent and row.is_waiting(now):
            waiting.setdefault(row.recipient_id, []).append(row)
    withholding.note(later)
    told = {row.pk for rows in waiting.values() for row in rows}
    _settle(sorted(told), told_at=now)
    _settle([row.pk for row in found if row.pk not in later and row.pk not in told])
    return waiting


def _settle(keys: Sequence[int], **fields: Any) -> None:
    """No other summary will tell of these."""
    for start in range(0, len(keys), bulk.ROWS_AT_ONCE):
        part = Notification.objects.filter(pk__in=keys[start : start + bulk.ROWS_AT_ONCE])
        part.update(withheld_until=None, **fields)


def _publish(waiting: dict[Any, list[Notification]]) -> None:
    events = []
    for reader, counts in counts_of(list(waiting)).items():
        since = min(row.arrived_at for row in waiting[reader])
        data = WaitingData(counts.unread, counts.unseen, len(waiting[reader]), format_time(since))
        events.append((user_stream(reader), WaitingBody(data, format_time(clock.now()))))
    publish_all(events)
