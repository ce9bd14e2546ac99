"""Works off what is due, a portion after the other, for a few seconds. Called by the functions of periodic jobs."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import QuerySet

from realtime.integration import is_stopping

# A run ends after so long, so that other jobs have their turn; the next one goes on.
RUN_SECONDS = 4.0

Row = TypeVar("Row")


def work_off(due: "QuerySet[Any, Any]", work: Callable[[], object]) -> bool:
    """Call `work` until nothing is due or it finds nothing to do. Returns whether its time was up before that.

    `due` is in the order of its index. Without an order, PostgreSQL expects to meet one of the rows soon, and reads the
    whole table if there is none.
    """
    ends = time.monotonic() + RUN_SECONDS
    # Mostly there is nothing. To look takes no transaction, in which nobody else could write on SQLite.
    while not is_stopping() and due.values_list("pk")[:1] and work():
        if time.monotonic() >= ends:
            return True
    return False


def keep_together(found: list[Row], most: int, reader: str) -> list[Row]:
    """The first of these rows, `most` at most: all of a reader, whose key is in the column `reader`, or none.

    They are in the order of their readers. Of a single reader, who has more, the first.
    """
    if len(found) <= most:
        return found
    last = getattr(found[-1], reader)
    return [row for row in found if getattr(row, reader) != last] or found[:most]
