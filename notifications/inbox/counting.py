"""The counts of many readers at once, for what jobs and withdrawals announce. Synchronous; called by `announcing`."""

from collections.abc import Sequence
from typing import Any

from notifications import bulk, clock
from notifications.frames import MOST_COUNTED, Counts
from notifications.models import Notification
from realtime.integration import connection, plain, rows, stored_id, user_column

# As `NotificationQuerySet.in_inbox` has it, so that the same indexes serve. Its parameters are now and the limit.
COUNT = (
    f"(SELECT COUNT(*) FROM (SELECT 1 AS one FROM {Notification._meta.db_table} n"
    " WHERE n.recipient_id = given.recipient"
    " AND n.archived_at IS NULL AND n.snoozed_until IS NULL AND n.deleted_at IS NULL AND n.read_at IS NULL{unseen}"
    " AND (n.expires_at IS NULL OR n.expires_at > %s) ORDER BY n.seen_at LIMIT %s) AS counted)"
)
UNSEEN = " AND n.seen_at IS NULL"


def counts_of(readers: Sequence[Any]) -> dict[Any, Counts]:
    """`lists.counts` for many readers, with one statement for a thousand of them."""
    found: dict[Any, Counts] = {}
    for start in range(0, len(readers), bulk.ROWS_AT_ONCE):
        found |= _count(readers[start : start + bulk.ROWS_AT_ONCE])
    return found


def _count(readers: Sequence[Any]) -> dict[Any, Counts]:
    table = rows(recipient=user_column())
    by_stored = {plain(stored_id(reader)): reader for reader in readers}
    limits = [connection.ops.adapt_datetimefield_value(clock.now()), MOST_COUNTED]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT given.recipient, {COUNT.format(unseen='')}, {COUNT.format(unseen=UNSEEN)}"
            f" FROM (SELECT {table.columns} AS recipient FROM {table.source}) AS given",
            [*limits, *limits, bulk.as_json([{"recipient": stored_id(reader)} for reader in readers])],
        )
        return {by_stored[plain(reader)]: Counts(unread, unseen) for reader, unread, unseen in cursor.fetchall()}
