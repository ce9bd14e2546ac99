"""How far users have read: positions in rooms, for many commands at once, and a hook for notifications.

Called by the `read` command. This app keeps no notifications: the one that does registers a function here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db import transaction
from django.db.models import Case, PositiveBigIntegerField, Q, Value, When

from realtime.auth.access import Access, find_access
from realtime.auth.user_ids import read_id
from realtime.chat.rooms import not_found
from realtime.models import Membership
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.streams import room_stream
from realtime.storage import log
from realtime.storage.database import Batcher

LIMIT = 200  # marks in one transaction: SQLite takes expressions of a limited depth

NotificationReader = Callable[[Any, list[int]], list[int]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A user, by his key, has read a room up to `seq`."""

    user: str
    slug: str
    seq: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the user now stands, and how many events of the room are after that."""

    seq: int
    unread: int


Marker = Batcher[Mark, Moved | None]


def mark(marks: Sequence[Mark]) -> list[Moved | Exception | None]:
    """Synchronous. Positions only grow, and never beyond the stream; None for one that was there already.

    In the place of a mark that is refused: NOT_FOUND, or FORBIDDEN for outsiders of a public room.
    """
    allowed = find_access([(mark.user, mark.slug) for mark in marks])
    ends = log.positions({room_stream(mark.slug) for mark in marks})
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
    seq = moved.pop((read_id(given.user), access.room), None)  # of equal marks one is told, and tells the others
    return None if seq is None else Moved(seq, end - seq)


def _advance(wanted: dict[tuple[Any, int], int]) -> dict[tuple[Any, int], int]:
    """Move memberships, given by user and room, up to their positions; returns those that moved."""
    if not wanted:
        return {}
    named = reduce(or_, (Q(user_id=user, room_id=room) for user, room in wanted))
    with transaction.atomic():
        # Locked in one order, so that two processes do not wait for each other in a circle.
        rows = Membership.objects.select_for_update().filter(named).order_by("pk")
        behind = {row.pk: row for row in rows if row.last_read_seq < wanted[row.user_id, row.room_id]}
        if behind:
            steps = [When(pk=pk, then=Value(wanted[row.user_id, row.room_id])) for pk, row in behind.items()]
            position = Case(*steps, output_field=PositiveBigIntegerField())
            Membership.objects.filter(pk__in=behind, last_read_seq__lt=position).update(last_read_seq=position)
    return {(row.user_id, row.room_id): wanted[row.user_id, row.room_id] for row in behind.values()}


_readers: list[NotificationReader] = []


def register_notification_reader(function: NotificationReader) -> None:
    """Have `function(user_id, ids)` mark notifications as read, from `apps.ready()`; the last one registered counts.

    It is synchronous, touches the user's own notifications only, and returns the ids that it did mark.
    """
    _readers[:] = [function]


def mark_notifications(user_id: Any, ids: list[int]) -> list[int]:
    """Synchronous. The ids that were unread and the user's own. Raises NOT_FOUND where nobody keeps notifications."""
    if not _readers:
        raise Refused(ErrorCode.NOT_FOUND, Reason.NO_NOTIFICATIONS)
    return _readers[0](user_id, ids)
