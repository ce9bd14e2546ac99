"""Stores the rows of one notification for many readers, with one statement for a thousand. Called by `sending`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import IntegrityError
from django.db.models import Exists, OuterRef, Q

from notifications import bulk
from notifications.content import Content
from notifications.models import GroupMember, Notification
from realtime.integration import connection, own_transaction, plain, rows, stored_id, user_column, wire_id

ROWS_AT_ONCE = 1_000
NAMED = 3  # people of a group

TABLE = Notification._meta.db_table
OPEN_GROUPS = "realtime_notifications_one_group"  # the unique index
# The row of the open group, which grows. Its lock is held until the caller's transaction ends.
GROW = (
    "ON CONFLICT (recipient_id, group_key, type) WHERE {is_open} DO UPDATE SET {grown},"
    " group_count = {table}.group_count + excluded.group_count,"
    # It is silent if all in it are. What waits to be told of in a summary still waits when its reader is present.
    " silent = {table}.silent AND excluded.silent,"
    " withheld_by = CASE WHEN excluded.withheld_by <> '' AND {table}.withheld_until IS NULL"
    " THEN excluded.withheld_by ELSE {table}.withheld_by END,"
    # Both parameters are a minute ago.
    " burst = CASE WHEN {table}.burst_at > %s THEN {table}.burst + 1 ELSE 1 END,"
    " burst_at = CASE WHEN {table}.burst_at > %s THEN {table}.burst_at ELSE excluded.burst_at END"
)
# The row has the key of its newest notification. It is looked at when it is locked.
GROW_ONCE = ", dedupe_key = excluded.dedupe_key WHERE {table}.dedupe_key <> excluded.dedupe_key"
ATTEMPTS = 3
TEXTS = ("params", "data", "link", "title", "message")
GROWN = ("arrived_at", "seen_at", *TEXTS, "actor_id", "reason", "expires_at", "pushed_by")


@dataclass(frozen=True, slots=True)
class Window:
    """A group that was opened or has grown before these moments grows no more."""

    opened_after: datetime
    grown_after: datetime


def insert(content: Content, keys: Sequence[Any], *, seen: bool = False) -> dict[Any, int]:
    """Store a row for each reader, who may have `seen` it already. Returns the ids of the rows, by reader.

    Readers who have a notification with the same `dedupe_key` are left out.
    """
    found: dict[Any, int] = {}
    # Without a key and a group nothing can be there already, and PostgreSQL need not note for each row that it was not.
    conflict = "ON CONFLICT DO NOTHING" if content.dedupe_key else ""
    for part in _parts(keys):
        found |= _insert(_columns(content, seen), part, conflict)
    return found


def insert_or_grow(content: Content, keys: Sequence[Any], window: Window, *, seen: bool = False) -> dict[Any, int]:
    """`insert`, or let the reader's open group grow; one that is too old is closed first.

    A group has one type. With an actor, it counts people, each once; without one, it counts notifications. Two writers
    wait for each other, so the count is exact.
    """
    open_groups = Notification.objects.filter(group_key=content.group_key, type=content.kind.key, group_open=True)
    too_old = Q(created_at__lte=window.opened_after) | Q(arrived_at__lte=window.grown_after)
    found: dict[Any, int] = {}
    for part in _parts(keys):
        open_groups.filter(too_old | Q(expires_at__lte=content.now), recipient__in=part).update(group_open=False)
        found |= _grow_once(content, part, seen) if content.dedupe_key else _grow(content, part, seen)
    return found


def _columns(content: Content, seen: bool) -> dict[str, Any]:
    return content.columns() | ({"seen_at": content.now, "withheld_by": "present"} if seen else {})


def _grow(content: Content, keys: Sequence[Any], seen: bool) -> dict[Any, int]:
    values = {"group_open": True, "group_count": 1 if content.actor is None else 0, "burst_at": content.now}
    minute_ago = connection.ops.adapt_datetimefield_value(content.now - timedelta(minutes=1))
    grow = (GROW + GROW_ONCE if content.dedupe_key else GROW).format(
        table=TABLE, is_open=_read_condition(), grown=", ".join(f"{name} = excluded.{name}" for name in GROWN)
    )
    stored = _insert(_columns(content, seen) | values, keys, grow, [minute_ago, minute_ago])
    if stored:
        _note(content, list(stored.values()))
    return stored


def _grow_once(content: Content, keys: Sequence[Any], seen: bool) -> dict[Any, int]:
    """Without the readers who have a notification with this `dedupe_key`, in whichever group it is."""
    repeats = Notification.objects.filter(dedupe_key=content.dedupe_key, recipient__in=keys)
    # A group has the key of its newest notification. Its members have all.
    members = GroupMember.objects.filter(dedupe_key=content.dedupe_key, notification__recipient__in=keys)
    for attempt in range(1, ATTEMPTS + 1):
        known = set(repeats.values_list("recipient_id", flat=True))
        known |= set(members.values_list("notification__recipient_id", flat=True))
        try:
            with own_transaction():
                return _grow(content, [pk for pk in keys if pk not in known], seen)
        except IntegrityError:  # another process has just stored it: look again
            if attempt == ATTEMPTS:
                raise
    return {}


def _read_condition() -> str:
    """The condition of the unique index of open groups, as the statement has to name it.

    SQLite wants the words of the index, and versions of Django write them differently.
    """
    if connection.vendor != "sqlite":
        return "group_open"
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [OPEN_GROUPS])
        return str(cursor.fetchone()[0]).rpartition(" WHERE ")[2]


def _parts(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), ROWS_AT_ONCE):
        yield keys[start : start + ROWS_AT_ONCE]


def _insert(
    values: dict[str, Any], keys: Sequence[Any], conflict: str, conflict_params: Sequence[Any] = ()
) -> dict[Any, int]:
    """Insert a row for each of the keys; what is not in `values` has the field's default."""
    table = rows(recipient=user_column())
    fields = [f for f in Notification._meta.concrete_fields if f.attname not in ("id", "recipient_id")]
    prepared = [field.get_db_prep_save(values.get(field.attname, field.get_default()), connection) for field in fields]
    columns = ", ".join(str(field.column) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    by_stored = {plain(stored_id(pk)): pk for pk in keys}
    payload = msgspec.json.encode([{"recipient": stored_id(pk)} for pk in keys]).decode()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (recipient_id, {columns})"
            f" SELECT {table.columns}, {places} FROM {table.source} WHERE true {conflict} RETURNING id, recipient_id",
            [*prepared, payload, *conflict_params],
        )
        return {by_stored[plain(recipient)]: key for key, recipient in cursor.fetchall()}


def _note(content: Content, keys: Sequence[int]) -> None:
    """Note what is counted in these groups, whose rows are locked: the actor, who is named first, and the key."""
    if content.actor is None:
        if content.dedupe_key:
            _add_member(keys, "", content.dedupe_key)
        return
    person = {"user_id": wire_id(content.actor.pk), "name": content.params["actor"]}
    member = str(content.actor.pk)
    counted = Exists(GroupMember.objects.filter(notification=OuterRef("pk"), person=member))
    groups = Notification.objects.filter(pk__in=keys).values_list("pk", "group_count", "group_actors", counted)
    payload = [
        {"id": pk, "group_count": count + (not is_counted), "group_actors": _name_first(person, actors)}
        for pk, count, actors, is_counted in groups
    ]
    _add_member(keys, member, content.dedupe_key)
    bulk.update(Notification, {"group_count": "bigint", "group_actors": "jsonb"}, payload)


def _add_member(keys: Sequence[int], person: str, dedupe_key: str) -> None:
    """Raises IntegrityError if one of these groups has the `dedupe_key` already."""
    table = rows(notification="bigint")
    conflict = "" if dedupe_key else " ON CONFLICT DO NOTHING"  # the person may be in it already
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {GroupMember._meta.db_table} (notification_id, person, dedupe_key)"
            f" SELECT {table.columns}, %s, %s FROM {table.source} WHERE true{conflict}",
            [person, dedupe_key, msgspec.json.encode([{"notification": key} for key in keys]).decode()],
        )


def _name_first(person: dict[str, Any], named: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    others = [other for other in named if other["user_id"] != person["user_id"]]
    return [person, *others][:NAMED]
