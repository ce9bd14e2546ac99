"""Lists and counts of one reader's notifications. Synchronous; called by the REST API, by `acts` and by the mails."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q

from notifications import clock, types
from notifications.frames import MOST_COUNTED, Counts
from notifications.models import GroupMember, Notification, NotificationQuerySet
from realtime.protocol.frames import format_time

MAX_ID = 2**63 - 1  # limit of the database's column
FEW = 500  # notifications; it costs little to put so many in order
PLACE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)_([1-9]\d{0,18})", re.ASCII)


class HasMoved(ValueError):
    """An id stands for no place: its group has grown, or it came back, and nobody knows where it was seen."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a list, which is ordered by these two, the newest first. Clients see it as a text."""

    arrived_at: datetime
    id: int

    @classmethod
    def of(cls, row: Notification) -> "Place":
        return cls(row.arrived_at, row.pk)

    @classmethod
    def read(cls, text: str) -> "Place":
        """The place that was written as `text`. Raises ValueError."""
        parts = PLACE.fullmatch(text)
        if parts is None or int(parts[2]) > MAX_ID:
            raise ValueError(f"{text!r} is no place in a list.")
        return cls(clock.read(parts[1]), int(parts[2]))

    def __str__(self) -> str:
        return f"{format_time(self.arrived_at)}_{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which notifications a list has. What is None does not matter; `box` is the tab."""

    box: str = "inbox"  # or archived, snoozed, all
    unread: bool | None = None
    types: Sequence[str] | None = None
    categories: Sequence[str] | None = None
    levels: Sequence[str] | None = None
    reason: str | None = None
    actor: Any = None  # the primary key of a user
    since: datetime | None = None


BOXES = {
    "inbox": Q(archived_at__isnull=True, snoozed_until__isnull=True),
    "archived": Q(archived_at__isnull=False),
    "snoozed": Q(snoozed_until__isnull=False, archived_at__isnull=True),
    "all": Q(),
}


def select(user_id: Any, filters: Filters) -> NotificationQuerySet:
    """The reader's notifications that the filters describe, in no order."""
    found = Notification.objects.filter(BOXES[filters.box], recipient_id=user_id).existing()
    if filters.unread is not None:
        found = found.filter(read_at__isnull=filters.unread)
    for of_wanted_types in type_conditions(filters):
        found = found.filter(of_wanted_types)
    if filters.reason is not None:
        found = found.filter(reason=filters.reason)
    if filters.actor is not None:
        found = found.filter(_caused_by(filters.actor))
    if filters.since is not None:
        found = found.filter(arrived_at__gte=filters.since)
    return found


def _caused_by(actor: Any) -> Q:
    """Also those of groups: `actor_id` is the newest person there."""
    member = GroupMember.objects.filter(notification=OuterRef("pk"), person=str(actor))
    return Q(actor_id=actor) | ~Q(group_key="") & Q(Exists(member))


def type_conditions(filters: Filters) -> Iterator[Q]:
    """For the types, categories and levels of the filters."""
    if filters.types is not None:
        yield Q(type__in=filters.types)
    if filters.categories is not None:
        yield _of_types(types.keys_of_categories(filters.categories), types.GENERAL in filters.categories)
    if filters.levels is not None:
        yield _of_types(types.keys_of_levels(filters.levels), types.INFO in filters.levels)


def _of_types(keys: Sequence[str], with_unknown: bool) -> Q:
    """`with_unknown`: also those whose type is no longer registered, which are shown as general information."""
    known = Q(type__in=keys)
    return known | ~Q(type__in=[kind.key for kind in types.all_types()]) if with_unknown else known


def find(user_id: Any, pk: int) -> Notification | None:
    """The reader's notification with this id, in whichever list it is."""
    return select(user_id, Filters(box="all")).filter(pk=pk).first()


def find_place(user_id: Any, pk: int) -> Place | None:
    """Where the reader's notification is, also if it was deleted or has expired.

    Raises HasMoved if it was elsewhere before.
    """
    row = Notification.objects.filter(recipient_id=user_id, pk=pk).only("arrived_at", "created_at").first()
    if row is not None and row.arrived_at != row.created_at:
        raise HasMoved(pk)
    return None if row is None else Place.of(row)


def page(user_id: Any, filters: Filters, before: Place | None, limit: int) -> list[Notification]:
    """The newest notifications that come before a place, the newest first; one more than `limit` if there are more."""
    found = select(user_id, filters)
    if filters.unread and filters.box == "inbox":
        found = _lead_to_few(found)
    if before is not None:
        found = found.filter(up_to(before, inclusive=False))
    return list(found.order_by("-arrived_at", "-id")[: limit + 1])


def _lead_to_few(unread: NotificationQuerySet) -> NotificationQuerySet:
    """The same notifications, named if they are few: else the index of lists leads through all that are read."""
    pks = list(unread.order_by("seen_at").values_list("pk", flat=True)[: FEW + 1])
    return unread if len(pks) > FEW else unread.filter(pk__in=pks)


def up_to(place: Place, *, inclusive: bool = True) -> Q:
    """The notifications that are at this place or before it."""
    ids = Q(id__lte=place.id) if inclusive else Q(id__lt=place.id)
    # The first condition is implied by the second one; the index can use it.
    return Q(arrived_at__lte=place.arrived_at) & (Q(arrived_at__lt=place.arrived_at) | ids)


def counts(user_id: Any) -> Counts:
    """How many are unread and unseen. Looks at no more than MOST_COUNTED of each, and at what has just expired."""
    inbox = Notification.objects.filter(recipient_id=user_id).in_inbox()
    return Counts(unread=_count(inbox.unread()), unseen=_count(inbox.unseen()))


def _count(found: NotificationQuerySet) -> int:
    # In the order of the partial index: without it, PostgreSQL may read the table, where others' rows come first.
    return found.order_by("seen_at")[:MOST_COUNTED].count()
