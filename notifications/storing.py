"""Stores the rows of one notification for many readers, with one statement for some hundred. Called by `sending`."""

from collections.abc import Collection, Mapping, Sequence
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

NAMED = 3  # people of a group

TABLE = Notification._meta.db_table
OPEN_GROUPS = "realtime_notifications_one_group"  # the unique index
# The row of the open group, which grows. Its lock is held until the caller's transaction ends.
GROW = (
    "ON CONFLICT (recipient_id, group_key, type) WHERE {is_open} DO UPDATE SET {grown}, arrived_at = {place},"
    " group_count = {table}.group_count + excluded.group_count,"
    # It is silent if all in it are. What waits to be told of in a summary still waits when its reader is present.
    " silent = {table}.silent AND excluded.silent,"
    " withheld_by = CASE WHEN excluded.withheld_by <> '' AND {table}.withheld_until IS NULL"
    " THEN excluded.withheld_by ELSE {table}.withheld_by END,"
    # Both parameters are a minute ago.
    " burst = CASE WHEN {table}.burst_at > %s THEN {table}.burst ELSE 0 END + excluded.burst,"
    " burst_at = CASE WHEN {table}.burst_at > %s THEN {table}.burst_at ELSE excluded.burst_at END"
)
# A writer who has waited for the row may have an earlier moment than the one who had it. Still, the group moves beyond
# the place that clients know.
PLACES = {
    "postgresql": "GREATEST(excluded.arrived_at, {table}.arrived_at + interval '1 microsecond')",
    "sqlite": "MAX(excluded.arrived_at, django_format_dtdelta('+', {table}.arrived_at, 1))",
}
# A group that is too old does not grow, and is locked all the same. The parameters are those of `_Grow.conflict`.
YOUNG = (
    " WHERE {table}.created_at > %s AND {table}.arrived_at > %s"
    " AND ({table}.expires_at IS NULL OR {table}.expires_at > %s)"
)
# The row has the key of its newest notification. It is looked at when it is locked.
OTHER_KEY = ", dedupe_key = excluded.dedupe_key"
IS_OTHER_KEY = " AND {table}.dedupe_key <> excluded.dedupe_key"
ATTEMPTS = 3
TEXTS = ("params", "data", "link", "title", "message")
# What differs between those who are present and others, with its type in PostgreSQL.
OF_PRESENT = {"seen_at": "timestamptz", "withheld_by": "text", "burst": "integer"}
ABOUT = ("target_type_id", "target_key")  # which goes with the link
GROWN = ("seen_at", *TEXTS, *ABOUT, "actor_id", "reason", "expires_at", "pushed_by")


@dataclass(frozen=True, slots=True)
class Conflict:
    """What becomes of a row that is there already."""

    sql: str
    params: Sequence[Any] = ()


KEEP = Conflict("ON CONFLICT DO NOTHING")
INSERT = Conflict("")


@dataclass(frozen=True, slots=True)
class Window:
    """A group that was opened or has grown before these moments grows no more."""

    opened_after: datetime
    grown_after: datetime


def insert(content: Content, keys: Sequence[Any], present: Collection[Any] = ()) -> dict[Any, int]:
    """Store a row for each reader; those who are `present` have seen it already. Returns the ids, by reader.

    Readers who have a notification with the same `dedupe_key`, which has not expired, are left out.
    """
    _free_key(content, keys)
    found: dict[Any, int] = {}
    # Without a key and a group nothing can be there already, and PostgreSQL need not note for each row that it was not.
    conflict = KEEP if content.dedupe_key else INSERT
    for part in bulk.few(keys):
        found |= _insert(content, {}, part, present, conflict)
    return found


def insert_or_grow(
    content: Content, keys: Sequence[Any], window: Window, present: Collection[Any] = ()
) -> dict[Any, int]:
    """`insert`, or let the reader's open group grow; one that is too old is closed first.

    A group has one type. With an actor, it counts people, each once; without one, it counts notifications. Two writers
    wait for each other, so the count is exact.
    """
    _free_key(content, keys)
    grow = _Grow(content, window, present)
    found: dict[Any, int] = {}
    for part in bulk.few(keys):
        found |= _grow_once(grow, part) if content.dedupe_key else _grow(grow, part)
    return found


@dataclass(frozen=True, slots=True)
class _Grow:
    content: Content
    window: Window
    present: Collection[Any]

    @property
    def conflict(self) -> Conflict:
        parts = [GROW, OTHER_KEY, YOUNG, IS_OTHER_KEY] if self.content.dedupe_key else [GROW, YOUNG]
        grown = ", ".join(f"{name} = excluded.{name}" for name in GROWN)
        place = PLACES[connection.vendor].format(table=TABLE)
        statement = "".join(parts).format(table=TABLE, is_open=_read_condition(), grown=grown, place=place)
        now, window = self.content.now, self.window
        minute_ago = now - timedelta(minutes=1)
        moments = (minute_ago, minute_ago, window.opened_after, window.grown_after, now)
        return Conflict(statement, [connection.ops.adapt_datetimefield_value(moment) for moment in moments])

    def close_old(self, keys: Sequence[Any]) -> int:
        """Close those of these readers' groups that are too old. Returns how many there were."""
        now, window = self.content.now, self.window
        too_old = Q(created_at__lte=window.opened_after) | Q(arrived_at__lte=window.grown_after)
        same = {"group_key": self.content.group_key, "type": self.content.kind.key, "group_open": True}
        old = Notification.objects.filter(too_old | Q(expires_at__lte=now), recipient__in=keys, **same)
        return old.update(group_open=False)


def _free_key(content: Content, keys: Sequence[Any]) -> None:
    """Take the `dedupe_key` from what has expired: that is there until a job deletes it, and in no list any more."""
    if not content.dedupe_key:
        return
    of_readers = Notification.objects.filter(recipient__in=bulk.among(keys))
    is_expired = Q(dedupe_key=content.dedupe_key, expires_at__lte=content.now)
    if of_readers.filter(is_expired).exists():
        # With the groups that may grow, in the order of readers in which others lock both.
        is_group = Q(group_key=content.group_key, type=content.kind.key, group_open=True)
        list(of_readers.filter(is_expired | is_group).locked().values_list("pk"))
        of_readers.filter(is_expired).update(dedupe_key="")


def _grow(grow: _Grow, keys: Sequence[Any]) -> dict[Any, int]:
    """One statement locks all there is, reader by reader. What is too old is closed only then."""
    stored = _store(grow, keys)
    rest = [pk for pk in keys if pk not in stored]
    if rest and grow.close_old(rest):
        stored |= _store(grow, rest)
    if stored:
        _note(grow.content, list(stored.values()))
    return stored


def _store(grow: _Grow, keys: Sequence[Any]) -> dict[Any, int]:
    count = 1 if grow.content.actor is None else 0
    burst = {"burst": int(not grow.content.silent), "burst_at": grow.content.now}
    values = {"group_open": True, "group_count": count, **burst}
    return _insert(grow.content, values, keys, grow.present, grow.conflict)


def _grow_once(grow: _Grow, keys: Sequence[Any]) -> dict[Any, int]:
    """Without the readers who have a notification with this `dedupe_key`, in whichever group it is."""
    key = grow.content.dedupe_key
    repeats = Notification.objects.filter(dedupe_key=key, recipient__in=keys)
    # A group has the key of its newest notification. Its members have all.
    members = GroupMember.objects.filter(dedupe_key=key, notification__recipient__in=keys)
    members = members.exclude(notification__expires_at__lte=grow.content.now)
    for attempt in range(1, ATTEMPTS + 1):
        known = set(repeats.values_list("recipient_id", flat=True))
        known |= set(members.values_list("notification__recipient_id", flat=True))
        try:
            with own_transaction():
                return _grow(grow, [pk for pk in keys if pk not in known])
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


def _insert(
    content: Content,
    more: Mapping[str, Any],
    keys: Sequence[Any],
    present: Collection[Any],
    conflict: Conflict,
) -> dict[Any, int]:
    """Insert a row for each of the keys, with `more` values; what has no value has the field's default.

    In the order of the readers, in which all who write to several of them lock their rows.
    """
    values = {**content.columns(), **more}
    differing = OF_PRESENT if present else {}
    table = rows(recipient=user_column(), **differing)
    left_out = ("id", "recipient_id", *differing)
    fields = [f for f in Notification._meta.concrete_fields if f.attname not in left_out]
    prepared = [field.get_db_prep_save(values.get(field.attname, field.get_default()), connection) for field in fields]
    columns = ", ".join([*differing, *(str(field.column) for field in fields)])
    places = ", ".join(["%s"] * len(fields))
    by_stored = {plain(stored_id(pk)): pk for pk in keys}
    given: list[dict[str, Any]] = [{"recipient": stored_id(pk)} for pk in keys]
    if present:
        given = [row | _of_present(content, pk in present) for row, pk in zip(given, keys, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (recipient_id, {columns}) SELECT {table.columns}, {places} FROM {table.source}"
            f" WHERE true ORDER BY 1 {conflict.sql} RETURNING id, recipient_id",
            [*prepared, bulk.as_json(given), *conflict.params],
        )
        return {by_stored[plain(recipient)]: key for key, recipient in cursor.fetchall()}


def _of_present(content: Content, is_present: bool) -> dict[str, Any]:
    if is_present:
        return {"seen_at": bulk.moment(content.now), "withheld_by": "present", "burst": 0}
    return {"seen_at": None, "withheld_by": "", "burst": int(not content.silent)}


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
