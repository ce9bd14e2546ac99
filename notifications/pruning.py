"""Deletes many rows in small portions. Called by `retention`, `inbox.changes` and `personal`.

Between two portions others can write. A row that somebody is working on is left for the next time: so this waits for
nobody, and nobody waits for more than one portion.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet

from realtime.integration import own_transaction, retry_conflicts

ROWS_AT_ONCE = 1_000
PAUSE_SECONDS = 0.05


def delete_rows(
    rows: "QuerySet[Any]", *, by: str = "pk", delete: Callable[[Sequence[Any]], object] | None = None
) -> int:
    """Delete what a queryset has, in the order of the column `by`. Returns how many rows there were.

    `delete` gets the primary keys of a portion, whose rows are locked; by default it deletes them and what belongs to
    them. An index on `by` should lead to the rows.
    """
    work = delete or (lambda keys: rows.model._base_manager.filter(pk__in=keys).only("pk").delete())
    total = 0
    rest = rows.order_by(by)
    # To look takes no transaction, in which nobody else could write on SQLite. In the order in which an index leads.
    if rest.values_list("pk").first() is None:
        return 0
    while True:
        count, last = _delete_portion(rest, by, work)
        total += count
        if count < ROWS_AT_ONCE:
            return total
        # Otherwise every portion would read the index entries of all rows that were deleted before.
        rest = rows.order_by(by).filter(**{f"{by}__gte": last})
        time.sleep(PAUSE_SECONDS)


@retry_conflicts
def _delete_portion(rows: "QuerySet[Any]", by: str, work: Callable[[Sequence[Any]], object]) -> tuple[int, Any]:
    """How many rows there were, and the last value of `by`."""
    with own_transaction():
        locked = rows.select_for_update(skip_locked=True, of=("self",))
        found = list(locked.values_list("pk", by)[:ROWS_AT_ONCE])
        if found:
            work([pk for pk, _value in found])
    return len(found), found[-1][1] if found else None
