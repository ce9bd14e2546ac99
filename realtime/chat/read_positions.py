"""How far users have read: positions in rooms, stored for many commands at once, and a hook for notifications.

Called by the `read` command. This app stores no notifications: the app that does registers a function here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Case, PositiveBigIntegerField, Q, Value, When

from realtime.auth.access import Access, find_access
from realtime.auth.user_ids import read_id
from realtime.chat.rooms import not_found
from realtime.models import Membership
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.streams import room_stream
from realtime.storage import numbering
from realtime.storage.database import Batcher
from realtime.storage.transactions import OutcomeUnknown, own_transaction, require_committed

# Marks in one transaction: SQLite limits the depth of expressions.
MARKS_AT_ONCE = 200

NotificationMarker = Callable[[Any, list[int]], list[int]]


class Busy(Exception):
    """Something else changes the user's notifications at this moment. Nothing was marked."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A user, given by their key, has read a room up to `seq`."""

    user: str
    slug: str
    seq: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The user's new position, and how many events of the room come after it."""

    seq: int
    unread: int


ReadMarker = Batcher[Mark, Moved | None]


def mark_read(marks: Sequence[Mark]) -> list[Moved | Exception | None]:
    """Synchronous. Positions only grow, and never beyond the end of the stream; None for a mark that moved nothing.

    The result for a refused mark is a Refused: NOT_FOUND, or FORBIDDEN if the user is no member of a public room.
    """
    allowed = find_access([(mark.user, mark.slug) for mark in marks])
    ends = numbering.positions({room_stream(mark.slug) for mark in marks})
    wanted: dict[tuple[Any, int], int] = {}
    for given, access in zip(marks, allowed, strict=True):
        if access is not None and access.member:
            place = (read_id(given.user), access.room)
            wanted[place] = max(wanted.get(place, 0), min(given.seq, ends[room_stream(given.slug)]))
    moved = _advance(wanted)
    return [
        _answer(given, access, moved, ends[room_stream(given.slug)])
        for given, access in zip(marks, allowed, strict=True)
    ]


def _answer(
    given: Mark, access: Access | None, moved: dict[tuple[Any, int], int], end: int
) -> Moved | Exception | None:
    if access is None or (access.private and not access.member):
        return not_found()
    if not access.member:
        return Refused(ErrorCode.FORBIDDEN, Reason.NOT_A_MEMBER)
    # Only the first of a user's marks for one room gets the move; its handler announces it to the user's other sockets.
    seq = moved.pop((read_id(given.user), access.room), None)
    return None if seq is None else Moved(seq, end - seq)


def _advance(wanted: dict[tuple[Any, int], int]) -> dict[tuple[Any, int], int]:
    """Move the read positions of memberships, given by user and room, forward. Returns those that moved."""
    if not wanted:
        return {}
    named = reduce(or_, (Q(user_id=user, room_id=room) for user, room in wanted))
    behind: dict[int, Membership] = {}
    try:
        with own_transaction():
            # Locked in one order, so that two processes cannot deadlock.
            rows = Membership.objects.select_for_update().filter(named).order_by("pk")
            behind |= {row.pk: row for row in rows if row.last_read_seq < wanted[row.user_id, row.room_id]}
            if behind:
                steps = [When(pk=pk, then=Value(wanted[row.user_id, row.room_id])) for pk, row in behind.items()]
                position = Case(*steps, output_field=PositiveBigIntegerField())
                Membership.objects.filter(pk__in=behind, last_read_seq__lt=position).update(last_read_seq=position)
    except OutcomeUnknown as unknown:
        _require_moved(unknown, behind, wanted)
    return {(row.user_id, row.room_id): wanted[row.user_id, row.room_id] for row in behind.values()}


def _require_moved(unknown: OutcomeUnknown, behind: dict[int, Membership], wanted: dict[tuple[Any, int], int]) -> None:
    """Return if the transaction that moved these positions was committed, or another one moved them since."""

    def look() -> bool:
        rows = Membership.objects.select_for_update().filter(pk__in=behind).order_by("pk")
        return all(row.last_read_seq >= wanted[row.user_id, row.room_id] for row in rows)

    require_committed(unknown, look)


_readers: list[NotificationMarker] = []


def register_notification_marker(function: NotificationMarker) -> None:
    """Register `function(user_id, ids)` to mark notifications as read. Call in `apps.ready()`; the last one is used.

    It is synchronous, changes only the user's own notifications, and returns the ids that it marked. It raises Busy
    where it would have to wait, because the database threads are those of all users: then it is called again.
    """
    _readers[:] = [function]


def mark_notifications(user_id: Any, ids: list[int]) -> list[int]:
    """Synchronous. Returns the ids that were unread and the user's own.

    Raises Busy, and NOT_FOUND if no app registered.
    """
    if not _readers:
        raise Refused(ErrorCode.NOT_FOUND, Reason.NO_NOTIFICATIONS)
    return _readers[0](user_id, ids)
