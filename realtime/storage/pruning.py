"""Deletes old events from the log, a portion at a time. Synchronous; called by the retention."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from realtime.storage import log
from realtime.storage.json_rows import rows
from realtime.storage.routed import connection

PRUNE_CHUNK = 5_000  # rows that one call of `prune` reads


def prune(before: datetime, after_key: int, limit: int = PRUNE_CHUNK) -> tuple[int, int | None]:
    """Look at the `limit` events whose primary keys follow `after_key`, and delete those older than `before`.

    Returns how many were deleted, and the `after_key` for the next call; None when nothing old is left. Events are
    read in the order of their keys, which grow with time, because there is no index on the time.

    What is kept of a stream must have no holes. But keys and `seq`s may be in different orders, when a transaction took
    long. So an old event is deleted together with everything before it in its stream; if any of that is young, the old
    event is kept. Events without a `seq` are kept.
    """
    events = log.list_stored(after_key, limit)
    old = [(stream, seq) for _pk, stream, seq, at in events if at < before and seq is not None]
    first_young = _first_young(before, _highest(old)) if old else {}
    ends = _highest((stream, seq) for stream, seq in old if seq < first_young.get(stream, seq + 1))
    deleted = _delete_up_to(ends) if ends else 0
    last = events[-1] if len(events) == limit else None
    return deleted, last[0] if last is not None and last[3] < before else None


def _highest(places: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The highest `seq` by stream."""
    highest: dict[str, int] = {}
    for stream, seq in places:
        highest[stream] = max(seq, highest.get(stream, 0))
    return highest


def _as_rows(ends: Mapping[str, int]) -> str:
    return msgspec.json.encode([{"stream": stream, "high": high} for stream, high in ends.items()]).decode()


def _delete_up_to(ends: Mapping[str, int]) -> int:
    table = rows(stream="text", high="bigint")
    column = table.column
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM realtime_event WHERE id IN (SELECT e.id FROM {table.source} JOIN realtime_event e"
            f" ON e.stream = {column['stream']} AND e.seq <= {column['high']})",
            [_as_rows(ends)],
        )
        return int(cursor.rowcount)


def _first_young(before: datetime, ends: Mapping[str, int]) -> dict[str, int]:
    """By stream, the lowest `seq` up to the one in `ends` whose event is not older than `before`."""
    table = rows(stream="text", high="bigint")
    column = table.column
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT e.stream, MIN(e.seq) FROM {table.source} JOIN realtime_event e"
            f" ON e.stream = {column['stream']} AND e.seq <= {column['high']}"
            " WHERE e.created_at >= %s GROUP BY e.stream",
            [_as_rows(ends), connection.ops.adapt_datetimefield_value(before)],
        )
        return dict(cursor.fetchall())
