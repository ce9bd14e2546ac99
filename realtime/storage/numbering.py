"""The rows of streams: where they stand, rooms that take over a name, a log that went back, streams that ended.

All of it keeps one promise: no `seq` of a stream ever means two events. Synchronous; called by the hub, signals and
the retention.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import AutoField, UUIDField

from realtime.models import Room, Stream
from realtime.protocol.streams import room_slug, split_stream
from realtime.storage import log
from realtime.storage.json_rows import rows
from realtime.storage.log import RETIRED
from realtime.storage.routed import connection, exact
from realtime.storage.transactions import own_transaction

RETIRE_CHUNK = 1_000  # rows that one call of `retire` looks at


class Standing(NamedTuple):
    """Where a stream stands: its last `seq`, and the primary key of the room that has its name now; 0 for none."""

    position: int
    room: int


def standings(streams: Iterable[str]) -> dict[str, Standing]:
    """Where each stream stands. Position and room are read at the same moment.

    Read from the database that is written to: a replica that lags behind would look like a log that went back.
    """
    names = list(streams)
    table = rows(name="text", slug="text")
    name, slug = table.column["name"], table.column["slug"]
    found: dict[str, Standing] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(names), log.READ_CHUNK):
            chunk = [{"name": name, "slug": room_slug(name)} for name in names[start : start + log.READ_CHUNK]]
            cursor.execute(
                f"SELECT {name}, COALESCE(s.last_seq, 0), COALESCE(r.id, 0) FROM {table.source}"
                f" LEFT JOIN realtime_stream s ON s.name = {name} LEFT JOIN realtime_room r ON r.slug = {slug}",
                [msgspec.json.encode(chunk).decode()],
            )
            found.update({stream: Standing(position, room) for stream, position, room in cursor.fetchall()})
    return found


def positions(streams: Iterable[str]) -> dict[str, int]:
    """The last `seq` of each stream; 0 for a stream without events."""
    return {stream: standing.position for stream, standing in standings(streams).items()}


def begin(stream: str, room: int) -> None:
    """A room was created: its events come after those of every earlier room of its name. In the caller's transaction.

    The stream's row is not waited for. If a writer has it, the first event of the room does the same.
    """
    with connection.cursor() as cursor:
        # Shared, so that rooms can be created at the same time, but not while streams are retired.
        cursor.execute(f"SELECT last_seq FROM realtime_stream WHERE name = %s {_lock('SHARE')}", [RETIRED])
        floor: int = (cursor.fetchone() or [0])[0]
        cursor.execute(
            "UPDATE realtime_stream SET room = %s, last_seq = 1 + CASE WHEN last_seq < %s THEN %s ELSE last_seq END"
            " WHERE name IN"
            " (SELECT name FROM realtime_stream WHERE name = %s AND (room NOT IN (0, %s) OR last_seq < %s)"
            f" {_lock('UPDATE SKIP LOCKED')})",
            [room, floor, floor, stream, room, floor],
        )
        if floor:
            cursor.execute(
                "INSERT INTO realtime_stream (name, last_seq, room) VALUES (%s, %s, %s) ON CONFLICT (name) DO NOTHING",
                [stream, floor + 1, room],
            )


def cut(stream: str, position: int, *, is_certain: bool = False) -> int | None:
    """The log has lost events up to `position`, which clients have got. Go on after them, with one number left out.

    Nothing is changed if the log is at `position` or further, unless `is_certain`. What was stored under those numbers
    meanwhile can no longer be replayed. Returns the number that was left out; None if nothing was changed.
    """
    with own_transaction(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO realtime_stream (name, last_seq, room) VALUES (%s, %s, 0) ON CONFLICT (name) DO UPDATE SET"
            " last_seq = 1 + CASE WHEN realtime_stream.last_seq < %s THEN %s ELSE realtime_stream.last_seq END"
            " WHERE %s OR realtime_stream.last_seq < %s RETURNING last_seq",
            [stream, position + 1, position, position, is_certain, position],
        )
        found: tuple[int] | None = cursor.fetchone()
        if found is None:
            return None
        log.forget(stream, until=found[0])
        return found[0]


def retire(after: str = "") -> tuple[int, str | None]:
    """Delete rows of streams whose room or user is gone and that have no events left, in the order of their names.

    Looks at the rows after the name `after`. Returns how many were deleted, and the `after` for the next call; None at
    the end. A user's row is kept if another user may get the same key.
    """
    with own_transaction():
        _floor, is_new = Stream.objects.get_or_create(name=RETIRED)
        locked = Stream.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        # A transaction that creates a room holds the row, or began before there was one.
        floor = None if is_new else locked.filter(name=RETIRED).first()
        if floor is None:
            return 0, None
        rest = Stream.objects.filter(name__gt=after).order_by("name")
        names = list(rest.values_list("name", flat=True)[:RETIRE_CHUNK])
        ended = list(locked.filter(name__in=_ended_rooms(names) | _ended_users(names)).order_by("name"))
        # Looked up after the rows are locked: no event can be stored any more until they have gone.
        stored = log.find_stored(stream.name for stream in ended)
        ended = [stream for stream in ended if stream.name not in stored]
        floor.last_seq = max([floor.last_seq, *(stream.last_seq for stream in ended if room_slug(stream.name))])
        floor.save(update_fields=["last_seq"])
        Stream.objects.filter(pk__in=[stream.pk for stream in ended]).delete()
        return len(ended), names[-1] if len(names) == RETIRE_CHUNK else None


def user_keys_come_back() -> bool:
    """Whether a user may get the key of one who was deleted: any key may, but automatic ones and UUIDs."""
    return not isinstance(get_user_model()._meta.pk, AutoField | UUIDField)


def _ended_rooms(names: list[str]) -> set[str]:
    slugs = {name: slug for name in names if (slug := room_slug(name))}
    found = set(Room.objects.filter(slug__in=slugs.values()).values_list("slug", flat=True))
    return {name for name, slug in slugs.items() if slug not in found}


def _ended_users(names: list[str]) -> set[str]:
    if user_keys_come_back():
        return set()
    key = get_user_model()._meta.pk
    keys = {name: split_stream(name).name for name in names if name.startswith("user.")}
    wanted = {pk for text in keys.values() if (pk := _read_key(key, text)) is not None}
    found = exact(get_user_model()._base_manager).filter(pk__in=wanted).values_list("pk", flat=True)
    alive = {str(pk) for pk in found}
    return {name for name, text in keys.items() if text not in alive}


def _read_key(field: Any, text: str) -> Any | None:
    try:
        return field.clean(text, None)
    except ValidationError:  # nobody has this key
        return None


def _lock(strength: str) -> str:
    """SQLite has no row locks and needs none: it has one writer at a time."""
    return f"FOR {strength}" if connection.vendor == "postgresql" else ""
