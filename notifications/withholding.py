"""Pushes that are not sent at once: because the reader wants it so, or because there were too many in a minute.

Called by `routing`. The notification says which rule has decided, and when a summary will tell its reader of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from notifications import bulk, conf
from notifications.models import Notification
from notifications.preferences.cascade import Decision
from realtime.integration import connection, plain, rows, stored_id, user_column

MINUTE = timedelta(minutes=1)
COLUMNS = {"withheld_by": "text", "withheld_until": "timestamptz", "pushed_by": "text"}
LAST_YEAR = 9999  # of a mute without an end


def note(decisions: Mapping[int, Decision]) -> None:
    """Note on these notifications, by primary key, why they are pushed or not. Of what is off, no summary will tell."""
    values = [
        {
            "id": key,
            "withheld_by": "" if decision.is_sent else decision.rule,
            "withheld_until": bulk.moment(_summary_at(decision)),
            "pushed_by": decision.rule if decision.is_sent else "",
        }
        for key, decision in decisions.items()
    ]
    bulk.update(Notification, COLUMNS, values)


def forget(keys: Sequence[int]) -> None:
    """These notifications were withheld before their group has grown; now they are pushed."""
    for start in range(0, len(keys), bulk.ROWS_AT_ONCE):
        part = Notification.objects.filter(pk__in=keys[start : start + bulk.ROWS_AT_ONCE])
        part.exclude(withheld_by="").update(withheld_by="", withheld_until=None)


def _summary_at(decision: Decision) -> datetime | None:
    """None for a mute without an end."""
    until = decision.until
    return None if until is None or until.year == LAST_YEAR else until


def reconsider(reader: Any, now: datetime) -> None:
    """The reader has changed something: what was withheld for the reader's sake is decided again by the next job.

    In the caller's transaction.
    """
    withheld = Notification.objects.filter(recipient_id=reader, withheld_until__isnull=False)
    # All are locked: the job may be about to commit that one of them is withheld longer.
    for part in bulk.parts(list(withheld.locked().values_list("pk", flat=True))):
        longer = withheld.filter(pk__in=part, withheld_until__gt=now).exclude(withheld_by="limit")
        longer.update(withheld_until=now)


def find_full(readers: Sequence[Any], now: datetime) -> set[Any]:
    """Those of the readers, who have just got a notification, for whom that was one too many to be pushed.

    What was not pushed because the reader wants it so does not count. Never looks at more rows than the limit.
    """
    limit = conf.settings().pushes_per_minute
    if not limit:
        return set()
    return {reader for part in bulk.few(readers) for reader in _find_full(part, now - MINUTE, limit)}


def _find_full(readers: Sequence[Any], after: datetime, limit: int) -> list[Any]:
    table = rows(recipient=user_column())
    by_stored = {plain(stored_id(reader)): reader for reader in readers}
    since = connection.ops.adapt_datetimefield_value(after)
    payload = bulk.as_json([{"recipient": stored_id(reader)} for reader in readers])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT given.recipient FROM (SELECT {table.columns} AS recipient FROM {table.source}) AS given"
            " WHERE (SELECT SUM(recent.pushes) FROM ("
            f"SELECT CASE WHEN n.burst_at > %s THEN n.burst ELSE 1 END AS pushes FROM {Notification._meta.db_table} n"
            " WHERE n.recipient_id = given.recipient AND n.arrived_at > %s AND NOT n.silent"
            " AND n.withheld_by IN ('', 'limit') LIMIT %s) AS recent) > %s",
            [payload, since, since, limit + 1, limit],
        )
        return [by_stored[plain(reader)] for (reader,) in cursor.fetchall()]


def end_of_minute(now: datetime) -> datetime:
    """When the reader is told how many pushes were withheld since the limit was reached."""
    return now.replace(second=0, microsecond=0) + MINUTE
