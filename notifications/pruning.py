"""Deletes many rows in small portions. Called by `retention`, `inbox.changes` and `personal`.

Between two portions others can write, so nobody waits for more than one of them.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet

from realtime.integration import own_transaction, retry_conflicts

ROWS_AT_ONCE = 1_000
PAUSE_SECONDS = 0.05


def delete_rows(
    rows: "QuerySet[Any]",
    *,
    by: str = "pk",
    delete: Callable[[Sequence[Any]], object] | None = None,
    skips_locked: bool = True,
) -> int:
    """Delete what a queryset has, in the order of the column `by`. Returns how many rows there were.

    `delete` gets the primary keys of a portion, whose rows are locked; by default it deletes them and what belongs to
    them. An index on `by` should lead to the rows. What somebody is working on is left for the next time. Without
    `skips_locked`, this waits for it, in the order of `by` and the primary key.
    """
    work = delete or (lambda keys: rows.model._base_manager.filter(pk__in=keys).only("pk").delete())
    total = 0
    # Ties do not matter to who waits for nobody, and very many may have one moment: to sort them would take long.
    order = [by] if skips_locked or by == "pk" else [by, "pk"]
    rest = rows.order_by(*order)
    # To look takes no transaction, in which nobody else could write on SQLite. In the order in which an index leads.
    if rest.values_list("pk").first() is None:
        return 0
    while True:
        count, last = _delete_portion(rest.select_for_update(skip_locked=skips_locked, of=("self",)), by, work)
        total += count
        if count < ROWS_AT_ONCE:
            return total
        # Otherwise every portion would read the index entries of all rows that were deleted before.
        rest = rows.order_by(*order).filter(**{f"{by}__gte": last})
        time.sleep(PAUSE_SECONDS)


@retry_conflicts
def _delete_portion(locked: "QuerySet[Any]", by: str, work: Callable[[Sequence[Any]], object]) -> tuple[int, Any]:
    """How many rows there were, and the last value of `by`."""
    with own_transaction():
        found = list(locked.values_list("pk", by)[:ROWS_AT_ONCE])
        if found:
            work([pk for pk, _value in found])
    return len(found), found[-1][1] if found else None
