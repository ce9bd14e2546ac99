"""The log: only this module and `pending` write events. Synchronous; called by the other packages and by site code.

The row lock of a stream, held by the transaction that stores an event, orders the writers: whoever sees N+1 can read N.
Several streams are always locked in the order of their names, so writers cannot deadlock.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.db.models import QuerySet
from django.utils import timezone

from realtime.conf import settings
from realtime.models import Event
from realtime.protocol.streams import room_slug
from realtime.storage.deleting import delete_in_portions
from realtime.storage.json_rows import Rows, rows
from realtime.storage.routed import connection
from realtime.storage.transactions import OutcomeUnknown, own_transaction, require_committed

# Rows that one query returns, so that a client that was away for long does not cause one huge result.
READ_CHUNK = 1_000
# Bytes of events that one query for a stream returns: a thousand of the longest messages are 40 MB, and what is read is
# written to the sockets at once. It is half of what may wait for a socket by default.
READ_BYTES = 524_288
# The same for each of several ranges: a socket that comes back begins with eight streams, which together are as much.
RANGE_BYTES = READ_BYTES // 8
# Of very many events, in one statement. A longer one keeps a core from others, such as a message that is stored.
ROWS_AT_ONCE = 300
# The stream row whose `last_seq` is the highest of all retired rooms. It is not the name of a stream.
RETIRED = "room"
# Between bodies in one parameter. JSON texts cannot contain it (RFC 7464).
SEPARATOR = "\x1e"
# Three texts as the columns of a table, in PostgreSQL.
EVENT_COLUMNS = Rows(
    {name: f"item.{name}" for name in ("stream", "seq", "body")},
    "unnest(string_to_array(%s, chr(30)), string_to_array(%s, ',')::bigint[], string_to_array(%s, chr(30)))"
    " AS item(stream, seq, body)",
)


class LoggedEvent(NamedTuple):
    """One event: `body` is the frame's JSON without `stream` and `seq`."""

    stream: str
    seq: int
    body: bytes


def append(bodies: Sequence[tuple[str, bytes]], now: datetime | None = None) -> list[LoggedEvent]:
    """Give each (stream, body) pair a `seq` and store it, in the caller's transaction.

    That transaction must be short: the streams stay locked until it ends.
    """
    place = Places(reserve_many(Counter(stream for stream, _ in bodies)))
    events = [LoggedEvent(stream, place.next(stream), body) for stream, body in bodies]
    insert_many(events, now or timezone.now())
    return events


def reserve_many(counts: Mapping[str, int]) -> dict[str, int]:
    """`reserve` with short statements, which together lock the streams in the order of their names as well."""
    names = sorted(counts)
    firsts: dict[str, int] = {}
    for start in range(0, len(names), ROWS_AT_ONCE):
        firsts |= reserve({name: counts[name] for name in names[start : start + ROWS_AT_ONCE]})
    return firsts


def insert_many(events: Sequence[LoggedEvent], now: datetime) -> None:
    """`insert` with short statements."""
    for start in range(0, len(events), ROWS_AT_ONCE):
        insert(events[start : start + ROWS_AT_ONCE], now)


class Places:
    """Hands out reserved `seq`s, stream by stream."""

    def __init__(self, firsts: dict[str, int]) -> None:
        self._next = firsts

    def next(self, stream: str) -> int:
        seq = self._next[stream]
        self._next[stream] = seq + 1
        return seq


def reserve(counts: Mapping[str, int], rooms: Mapping[str, int] | None = None) -> dict[str, int]:
    """Reserve `counts[stream]` numbers of each stream; returns the first one of each.

    `rooms` has the primary keys of rooms by stream; that of any other room is looked up by its name. Between the events
    of two rooms with the same name one number is left out: see `realtime.delivery.feed`. The streams' row locks are
    held until the caller's transaction ends.
    """
    known = rooms or {}
    table = rows(name="text", count="bigint", room="bigint", slug="text")
    column = table.column
    payload = [
        {"name": name, "count": counts[name], "room": known.get(name), "slug": room_slug(name)}
        for name in sorted(counts)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO realtime_stream (name, last_seq, room) SELECT {column['name']}, {column['count']},"
            f" COALESCE({column['room']}, (SELECT r.id FROM realtime_room r WHERE r.slug = {column['slug']}), 0)"
            f" FROM {table.source} WHERE true ON CONFLICT (name) DO UPDATE SET room = excluded.room,"
            " last_seq = realtime_stream.last_seq + excluded.last_seq"
            " + CASE WHEN realtime_stream.room IN (0, excluded.room) THEN 0 ELSE 1 END"
            " RETURNING name, last_seq",
            [msgspec.json.encode(payload).decode()],
        )
        lasts: dict[str, int] = dict(cursor.fetchall())
        firsts = [name for name, last_seq in lasts.items() if last_seq == counts[name] > 0 and room_slug(name)]
        if firsts:
            lasts |= _lift(firsts, cursor)
    return {name: last_seq - counts[name] + 1 for name, last_seq in lasts.items()}


def _lift(streams: list[str], cursor: Any) -> dict[str, int]:
    """Rooms get their first events: the numbers are beyond those of all retired rooms. Returns what has changed.

    The signal of a new room has done this already, unless the room was made without signals.
    """
    cursor.execute("SELECT last_seq FROM realtime_stream WHERE name = %s AND last_seq > 0", [RETIRED])
    if (found := cursor.fetchone()) is None:
        return {}
    places = ", ".join(["%s"] * len(streams))
    cursor.execute(
        f"UPDATE realtime_stream SET last_seq = last_seq + %s WHERE name IN ({places}) RETURNING name, last_seq",
        [found[0] + 1, *streams],
    )
    return dict(cursor.fetchall())


def insert(events: Sequence[LoggedEvent], now: datetime | None = None) -> None:
    """Store events whose `seq`s were reserved in the same transaction."""
    created_at = connection.ops.adapt_datetimefield_value(now or timezone.now())
    table, params = _as_table(events)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO realtime_event (stream, seq, body, created_at)"
            f" SELECT {table.columns}, %s FROM {table.source}",
            [created_at, *params],
        )


def _as_table(events: Sequence[LoggedEvent]) -> tuple[Rows, list[str]]:
    """The events as a table, with the parameters of its source.

    PostgreSQL gets columns: within JSON, each body would be escaped here and read once more there, which for a thousand
    takes as long as storing them. A site's body may be no valid JSON.
    """
    bodies = SEPARATOR.join([event.body.decode() for event in events])
    if connection.vendor == "postgresql" and bodies.count(SEPARATOR) < len(events):
        streams = SEPARATOR.join([event.stream for event in events])
        seqs = ",".join([str(event.seq) for event in events])
        return EVENT_COLUMNS, [streams, seqs, bodies]
    payload = [{"stream": event.stream, "seq": event.seq, "body": event.body.decode()} for event in events]
    return rows(stream="text", seq="bigint", body="text"), [msgspec.json.encode(payload).decode()]


def commit(bodies: Sequence[tuple[str, bytes]]) -> list[LoggedEvent]:
    """`append`, in a transaction of its own. Raises OutcomeUnknown, or OperationalError if nothing was stored."""
    events: list[LoggedEvent] = []
    now = timezone.now()
    try:
        with own_transaction():
            events += append(bodies, now)
    except OutcomeUnknown as unknown:
        # The time makes sure that these are not another process's events, which got the same numbers later.
        places = {"stream__in": {event.stream for event in events}, "seq__in": [event.seq for event in events]}
        rows = Event.objects.filter(created_at=now, **places)
        require_stored(unknown, rows, [(event.stream, event.seq, event.body.decode()) for event in events])
    return events


def require_stored(unknown: OutcomeUnknown, rows: QuerySet[Event], wanted: list[tuple[str, int | None, str]]) -> None:
    """Return if the transaction that wrote these rows was committed. Raises as `require_committed` does."""

    def look() -> bool:
        wait_for_writers(wanted[0][0])
        return set(wanted) <= set(rows.values_list("stream", "seq", "body"))

    if wanted:
        require_committed(unknown, look)


def wait_for_writers(stream: str) -> None:
    """Wait until the transactions that have reserved places in the stream have ended."""
    reserve({stream: 0})


def missed(stream: str, after: int, until: int) -> list[LoggedEvent]:
    """The first events with after < seq <= until in order: at most 1,000, and `portion_bytes` or one event.

    Events that were pruned are missing from it.
    """
    size = _bytes_of("body")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT seq, body FROM (SELECT seq, body, sum({size}) OVER (ORDER BY seq) AS total, {size} AS size"
            " FROM realtime_event WHERE stream = %s AND seq > %s AND seq <= %s ORDER BY seq LIMIT %s) AS measured"
            " WHERE total - size < %s ORDER BY seq",
            [stream, after, until, READ_CHUNK, portion_bytes(READ_BYTES)],
        )
        return [LoggedEvent(stream, seq, body.encode()) for seq, body in cursor.fetchall()]


def portion_bytes(most: int) -> int:
    """How many bytes may be read at once: `most`, or half of what may wait for a socket if the site allows less."""
    return min(most, settings().max_queued_bytes // 2)


def _bytes_of(column: str) -> str:
    """The SQL for the length of a text. SQLite's `length` counts characters, unless it is a BLOB."""
    # PostgreSQL knows this length without reading the text.
    return f"octet_length({column})" if connection.vendor == "postgresql" else f"length(CAST({column} AS BLOB))"


class Range(NamedTuple):
    """Events of a stream with after < seq <= until."""

    stream: str
    after: int
    until: int


def missed_many(ranges: Sequence[Range]) -> list[list[LoggedEvent]]:
    """The first events of each range in order: 64 KiB at most, or one event. With one query.

    Equal ranges are read once and share their list.
    """
    unique = list(dict.fromkeys(ranges))
    table = rows(number="bigint", stream="text", low="bigint", high="bigint")
    payload = [{"number": n, "stream": r.stream, "low": r.after, "high": r.until} for n, r in enumerate(unique)]
    found: list[list[LoggedEvent]] = [[] for _ in unique]
    column, size = table.column, _bytes_of("e.body")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT number, seq, body FROM (SELECT {column['number']} AS number, e.seq AS seq, e.body AS body,"
            f" sum({size}) OVER (PARTITION BY {column['number']} ORDER BY e.seq) AS total, {size} AS size"
            f" FROM {table.source} JOIN realtime_event e"
            f" ON e.stream = {column['stream']} AND e.seq > {column['low']} AND e.seq <= {column['high']}"
            ") AS measured WHERE total - size < %s ORDER BY number, seq",
            [msgspec.json.encode(payload).decode(), portion_bytes(RANGE_BYTES)],
        )
        for number, seq, body in cursor.fetchall():
            found[number].append(LoggedEvent(unique[number].stream, seq, body.encode()))
    answers = dict(zip(unique, found, strict=True))
    return [answers[wanted] for wanted in ranges]


def forget(stream: str, until: int | None = None) -> None:
    """Delete a stream's events, or those up to a `seq`, in the caller's transaction.

    The stream's own row stays, so that no `seq` is ever used again for another event. Events without a `seq` stay:
    see `pending.forget`.
    """
    numbered = Event.objects.filter(stream=stream, seq__isnull=False)
    (numbered if until is None else numbered.filter(seq__lte=until)).delete()


def forget_in_portions(stream: str, until: int) -> None:
    """`forget` for very many events, the oldest first, while others go on writing to the stream."""
    delete_in_portions(Event.objects.filter(stream=stream, seq__lte=until), "seq")


def find_stored(streams: Iterable[str]) -> set[str]:
    """Those of the streams that have events."""
    return set(Event.objects.filter(stream__in=list(streams)).values_list("stream", flat=True).distinct())


def list_stored(after_key: int, limit: int) -> list[tuple[int, str, int | None, datetime]]:
    """Primary key, stream, `seq` and time of the first `limit` events whose keys follow `after_key`."""
    events = Event.objects.filter(pk__gt=after_key).order_by("pk")
    return list(events.values_list("pk", "stream", "seq", "created_at")[:limit])
