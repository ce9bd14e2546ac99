"""Deletes many rows in portions, so that others can write in between. Synchronous; used by the log and by chat."""

from typing import Any

from django.db.models import QuerySet

from realtime.storage.transactions import own_transaction, retry_conflicts

ROWS_AT_ONCE = 1_000


def delete_in_portions(rows: "QuerySet[Any]", by: str, *, raw: bool = False) -> int:
    """Delete what a queryset has, in the order of the column `by`; returns how many rows that was.

    Each value of `by` has one row, and an index on it leads to the rows. Every portion is a transaction of its own,
    unless the caller has one. `raw`: without signals, and without what refers to the rows.
    """
    total = 0
    rest = rows.order_by(by)
    while values := list(rest.values_list(by, flat=True)[:ROWS_AT_ONCE]):
        portion = rows.filter(**{f"{by}__gte": values[0], f"{by}__lte": values[-1]})
        total += _delete(portion.order_by(), raw)
        if len(values) < ROWS_AT_ONCE:
            break
        # Otherwise every portion would read the index entries of all rows that were deleted before.
        rest = rows.order_by(by).filter(**{f"{by}__gt": values[-1]})
    return total


@retry_conflicts
def _delete(portion: "QuerySet[Any]", raw: bool) -> int:
    with own_transaction():
        if not raw:
            return portion.delete()[0]
        deleting: Any = portion  # the stubs do not have what Django itself calls for rows that nobody needs to see
        return int(deleting._raw_delete(portion.db))
