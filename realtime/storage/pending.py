"""Events of the site's transactions: written without a `seq` beside the site's rows, which they get after the commit.

Synchronous. `publishing` writes them and gives them their `seq`s; processes with sockets sweep up what a crash left.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from django.db.models import Case, Q, QuerySet, When
from django.db.models.expressions import RawSQL
from django.db.models.functions import Length
from django.utils import timezone

from realtime.models import Event
from realtime.storage import log
from realtime.storage.bundles import BUNDLE, MOST, leave_out, name_in_body, pack, portions, unpack, weigh
from realtime.storage.completing import complete
from realtime.storage.json_rows import rows, update_rows
from realtime.storage.log import LoggedEvent
from realtime.storage.routed import connection
from realtime.storage.transactions import OutcomeUnknown, own_transaction


def write(stream: str, body: bytes) -> int:
    """`write_all` for one event."""
    return next(iter(write_all([(stream, body)])))


def write_all(bodies: Sequence[tuple[str, bytes]]) -> dict[int, int]:
    """Store events without a `seq` in the caller's transaction; returns the weights of the rows, by primary key.

    Many events share a row (`bundles`). No row is locked, so the transaction may be long. `sequence` assigns the `seq`s
    after the commit; `sweep` does it if the process died in between.
    """
    created_at = connection.ops.adapt_datetimefield_value(timezone.now())
    packed = pack(bodies)
    with connection.cursor() as cursor:
        if any(stream == BUNDLE for (stream, _), _ in packed):
            return {_write_bundle(cursor, body, created_at): weight for (_, body), weight in packed}
        table = rows(stream="text", body="text")
        payload = [{"stream": stream, "body": body.decode()} for stream, body in bodies]
        cursor.execute(
            f"INSERT INTO realtime_event (stream, body, created_at) SELECT {table.columns}, %s FROM {table.source}"
            " RETURNING id",
            [created_at, msgspec.json.encode(payload).decode()],
        )
        return {key: weight for (key,), (_, weight) in zip(cursor.fetchall(), packed, strict=True)}


def _write_bundle(cursor: Any, body: bytes, created_at: Any) -> int:
    """As a plain parameter: it is large, and would be parsed as part of another JSON text."""
    cursor.execute(
        "INSERT INTO realtime_event (stream, body, created_at) VALUES (%s, %s, %s) RETURNING id",
        [BUNDLE, body.decode(), created_at],
    )
    return int(cursor.fetchone()[0])


def sequence(keys: Iterable[int]) -> list[LoggedEvent]:
    """Assign a `seq` to committed pending events, oldest first, in a transaction of its own. Returns these events.

    `keys` are those of their rows. Events that another process is handling or has handled are left out.
    """
    numbered: list[LoggedEvent] = []
    singles: list[int] = []
    now = timezone.now()
    try:
        with own_transaction():
            locked = Event.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
            # Tuples: ten thousand instances of the model would take longer than all the rest in this process.
            pending = locked.filter(pk__in=_among(keys), seq=None).order_by("pk").values_list("pk", "stream", "body")
            found = [(pk, stream, body.encode()) for pk, stream, body in pending]
            singles += [pk for pk, stream, _ in found if stream != BUNDLE]
            if found:
                numbered += _number(found, now)
    except OutcomeUnknown as unknown:
        # The time makes sure that these are not another process's events, which got the same numbers later.
        bundled = Q(created_at=now, stream__in={e.stream for e in numbered}, seq__in={e.seq for e in numbered})
        stored = Event.objects.filter(Q(pk__in=singles) | bundled)
        log.require_stored(unknown, stored, [(event.stream, event.seq, event.body.decode()) for event in numbered])
    return numbered


def _number(pending: Sequence[tuple[int, str, bytes]], now: datetime) -> list[LoggedEvent]:
    """Assign a `seq` to all events in these rows, which are locked. The events of a bundle get rows of their own."""
    events = [
        (None if stream == BUNDLE else pk, *event) for pk, stream, body in pending for event in unpack(stream, body)
    ]
    place = log.Places(log.reserve_many(Counter(stream for _, stream, _ in events)))
    bodies = complete([(stream, body) for _, stream, body in events])
    numbered = [
        LoggedEvent(stream, place.next(stream), body) for (_, stream, _), body in zip(events, bodies, strict=True)
    ]
    bundled = [event for event, (pk, _, _) in zip(numbered, events, strict=True) if pk is None]
    changed = [
        (pk, event, event.body is not body)
        for event, (pk, _, body) in zip(numbered, events, strict=True)
        if pk is not None
    ]
    if bundled:
        log.insert_many(bundled, now)
        Event.objects.filter(pk__in=[pk for pk, stream, _ in pending if stream == BUNDLE]).delete()
    if changed:
        _assign(changed)
    return numbered


def _among(keys: Iterable[int]) -> RawSQL:
    """For a filter such as `pk__in`: any number of keys as one parameter."""
    table = rows(id="bigint")
    payload = msgspec.json.encode([{"id": key} for key in keys]).decode()
    return RawSQL(f"SELECT {table.columns} FROM {table.source}", [payload])


def _assign(singles: Sequence[tuple[int, LoggedEvent, bool]]) -> None:
    """Write the `seq`s into these rows; and the bodies, unless all of them are as they were."""
    is_new = any(is_completed for _, _, is_completed in singles)
    values = [{"id": pk, "seq": e.seq, **({"body": e.body.decode()} if is_new else {})} for pk, e, _ in singles]
    update_rows("realtime_event", {"seq": "bigint", **({"body": "text"} if is_new else {})}, values)


class Swept(NamedTuple):
    """What one call of `sweep` has done. `last` is where the next call goes on; None if nothing old is left."""

    events: list[LoggedEvent]
    last: int | None


def sweep(age_seconds: float, after_key: int = 0) -> Swept:
    """Assign a `seq` to events that a crash left without one and that are older than `age_seconds`.

    At most 1,000 in one call, or fewer if they are large, of the rows whose keys follow `after_key`. What others are
    handling is passed by, so several processes share what there is, and nothing waits behind a row that is locked.
    """
    old = Event.objects.filter(seq=None, created_at__lt=timezone.now() - timedelta(seconds=age_seconds))
    # The length of a bundle does not matter, and PostgreSQL would have to unpack it.
    size = Case(When(stream=BUNDLE, then=0), default=Length("body"))
    rows = list(old.filter(pk__gt=after_key).order_by("pk").values_list("pk", "stream", size)[:MOST])
    weights = ((pk, MOST if stream == BUNDLE else weigh(1, size)) for pk, stream, size in rows)
    if not (portion := next(portions(weights), [])):
        return Swept([], None)
    is_all = len(portion) == len(rows) < MOST
    return Swept(sequence(portion), None if is_all else portion[-1])


def forget(stream: str, *, skip_locked: bool = False) -> None:
    """Delete the events of a stream that wait for their numbers, in the caller's transaction. Then call `log.forget`.

    Waits for whoever is giving them their numbers, unless what is locked is to be skipped. What waits in the same rows
    for other streams is left to the sweep, until the caller's transaction ends.
    """
    holds = Q(stream=stream) | Q(stream=BUNDLE, body__contains=name_in_body(stream))
    keys = list(Event.objects.filter(holds, seq=None).values_list("pk", flat=True))
    if keys:  # hardly ever
        with own_transaction():
            _leave_out(stream, Event.objects.filter(pk__in=keys, seq=None), skip_locked)


def _leave_out(stream: str, waiting: QuerySet[Event], skip_locked: bool) -> None:
    skips = skip_locked and connection.features.has_select_for_update_skip_locked
    found = waiting.select_for_update(skip_locked=skips).order_by("pk").values_list("pk", "stream", "body")
    for pk, name, body in found:
        row = Event.objects.filter(pk=pk)
        if rest := leave_out(stream, body.encode()) if name == BUNDLE else b"":
            row.update(body=rest.decode())
        else:
            row.delete()
