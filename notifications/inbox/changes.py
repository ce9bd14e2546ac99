"""What acts and their undoing do to rows: locks, and the values that an act overwrites.

Called by `acts`, `waking` and `retention`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError
from django.db.models import DateTimeField, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from notifications import conf
from notifications.models import Change, Notification, NotificationQuerySet
from notifications.pruning import delete_rows
from realtime.integration import Busy, connection, own_transaction

# A group in which one of them is set is closed.
CLOSING = ("read_at", "archived_at", "snoozed_until", "deleted_at", "acted_at")
GROUP_OPEN = "group_open"
LOCK_TIMEOUT = "100ms"


def lock_inbox(user_id: Any) -> None:
    """One act of a reader at a time, until the caller's transaction ends: so each has a moment of its own."""
    lock_inboxes([user_id])


def lock_inboxes(user_ids: Iterable[Any]) -> None:
    """Of several readers, in one order, so that nobody who does the same waits for a reader whom we wait for."""
    keys = sorted(map(_name, user_ids))
    if connection.vendor == "postgresql" and keys:  # SQLite has one writer at a time
        with connection.cursor() as cursor:
            lock = "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(%s::text[]) AS key"
            cursor.execute(lock, [keys])


def lock_at_once(user_id: Any) -> None:
    """`lock_inbox` without waiting, neither for it nor, for long, for rows that the transaction locks afterwards.

    Raises Busy if somebody else has it. For a transaction of the app's own.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            lock = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)), set_config('lock_timeout', %s, true)"
            cursor.execute(lock, [_name(user_id), LOCK_TIMEOUT])
            if not cursor.fetchone()[0]:
                raise Busy


def _name(user_id: Any) -> str:
    return f"notifications.{user_id}"


def lock_some(chosen: NotificationQuerySet, most: int) -> list[int] | None:
    """Lock these notifications, and return their ids; None if there are more than `most`."""
    # Any of them first: to put very many in order, only to find that they are too many, takes long. Not in one
    # statement: where the database guesses that there is one row, it would look for all of them again for each.
    some = list(chosen.order_by().values_list("pk", flat=True)[: most + 1])
    if len(some) > most:
        return None
    return list(chosen.filter(pk__in=some).locked().values_list("pk", flat=True))


def record(chosen: NotificationQuerySet, at: datetime, column: str, after: datetime | None) -> int:
    """Note what an act is about to overwrite in a column of these notifications. Returns how many there are."""
    return _record(chosen.values_list("pk", column), "notification_id, before", at, column, after)


def recorded(chosen: NotificationQuerySet, at: datetime, column: str) -> NotificationQuerySet:
    """Those of them of which the act of this moment has noted the column.

    Each is looked up by itself: PostgreSQL may join sets of whose size it knows nothing, row by row.
    """
    name = f"recorded_{column}"
    return chosen.alias(**{name: Subquery(_made(at, column).values("pk")[:1])}).filter(**{f"{name}__isnull": False})


def record_open(chosen: NotificationQuerySet, at: datetime) -> None:
    """Note which groups among these notifications an act is about to close, of those that could have grown yet."""
    settings = conf.settings()
    grown_after = at - timedelta(seconds=settings.group_seconds)
    opened_after = at - timedelta(seconds=settings.group_seconds_at_most)
    closed = chosen.filter(group_open=True, arrived_at__gt=grown_after, created_at__gt=opened_after)
    _record(closed.values_list("pk"), "notification_id", at, GROUP_OPEN)


def _record(found: QuerySet[Any, Any], columns: str, at: datetime, field: str, after: datetime | None = None) -> int:
    query, params = found.order_by().query.sql_with_params()
    prepare = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Change._meta.db_table} ({columns}, at, field, after)"
            f" SELECT found.*, %s, %s, %s FROM ({query}) AS found",
            [prepare(at), field, prepare(after), *params],
        )
        return int(cursor.rowcount)


def forget_unchanged(reader: Any, at: datetime, column: str, after: datetime | None) -> int:
    """Delete what was recorded of notifications that the act of this moment has not changed: those that are not locked
    may be gone by now, or go yet. Returns of how many the column was recorded.
    """
    # Another reader's act may have the same moment.
    kept = Notification.objects.filter(~Q(recipient=reader) | _is(column, after), pk=OuterRef("notification"))
    others = Change.objects.filter(~Exists(kept), at=at)
    count, _by_table = others.filter(field=column).delete()
    others.delete()
    return count


def undoable(own: NotificationQuerySet, at: datetime, column: str, after: datetime | None) -> NotificationQuerySet:
    """Those notifications whose column still is as the act of this moment has left it."""
    later = Change.objects.filter(_is("after", after), notification=OuterRef("pk"), field=column, at__gt=at)
    found = recorded(own.filter(_is(column, after)), at, column)
    return found.alias(later=Subquery(later.values("pk")[:1])).filter(later__isnull=True)


def _is(name: str, moment: datetime | None) -> Q:
    return Q(**{f"{name}__isnull": True} if moment is None else {name: moment})


def earlier(at: datetime, column: str) -> dict[str, Any]:
    """For an UPDATE: what the act of this moment has overwritten."""
    before = Subquery(_made(at, column).values("before")[:1], output_field=DateTimeField())
    # What is read has been seen, though whatever had noted that may have been undone.
    seen = {"seen_at": Coalesce("seen_at", before, output_field=DateTimeField())} if column == "read_at" else {}
    return {column: before, **seen}


def restore(undone: NotificationQuerySet, at: datetime, column: str) -> None:
    """Write what the act of this moment has emptied besides its own column, just before it is undone."""
    recorded(undone, at, column).update(**earlier(at, column))


def reopen(undone: NotificationQuerySet, at: datetime, column: str) -> None:
    """Let the groups grow again that the act of this moment has closed, just before it is undone.

    Not those that something else keeps closed. They grow again when that is undone, too.
    """
    others = Q(**{f"{name}__isnull": True for name in CLOSING if name != column})
    closed_by_acts = Change.objects.filter(notification=OuterRef("pk"), field=GROUP_OPEN)
    closed = Exists(closed_by_acts.filter(Q(at=at) | Q(after__isnull=False)))
    same = {name: OuterRef(name) for name in ("recipient", "type", "group_key")}
    newer = Notification.objects.filter(pk__gt=OuterRef("pk"), **same).exclude(group_key="")
    try:
        with own_transaction():
            undone.exclude(group_key="").filter(others, closed, ~Exists(newer)).update(group_open=True)
    except IntegrityError:  # somebody has just opened a new group with the key of one of these
        pass
    still_closed = undone.filter(group_open=False).values("pk")
    Change.objects.filter(notification__in=still_closed, at=at, field=GROUP_OPEN).update(after=at)


def _made(at: datetime, column: str) -> QuerySet[Change]:
    return Change.objects.filter(notification=OuterRef("pk"), at=at, field=column)


def forget_acts(keys: Sequence[int]) -> None:
    """These notifications were brought back as if they were new: what was done to them before is not undone."""
    Change.objects.filter(notification__in=keys).delete()


def forget(before: datetime) -> None:
    """Delete what can no longer be undone, in portions."""
    delete_rows(Change.objects.filter(at__lt=before), by="at")
    delete_rows(Notification.objects.filter(deleted_at__lt=before), by="deleted_at")
