"""How many readers have seen, read and confirmed an announcement. Called by the admin and the retention."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Count, F, QuerySet

from notifications.models import Announcement, AnnouncementState
from realtime.integration import own_transaction


@dataclass(frozen=True, slots=True)
class Numbers:
    """`reached` is the size of the audience when it went live, whom it could reach; None before it has been counted.

    Whether it was delivered to an open page is not stored: who has got it for certain is among `seen`.
    """

    reached: int | None
    seen: int
    read: int
    confirmed: int


def numbers_of(announcements: Iterable[Announcement]) -> dict[int, Numbers]:
    """The numbers of these announcements by their primary keys, with one query."""
    rows = {announcement.pk: announcement for announcement in announcements}
    counted = _count(AnnouncementState.objects.filter(announcement__in=list(rows)))
    found = {}
    for key, row in rows.items():
        seen, read, confirmed = counted.get(key, (0, 0, 0))
        found[key] = Numbers(row.reached, row.past_seen + seen, row.past_read + read, row.past_confirmed + confirmed)
    return found


def delete_states(keys: Sequence[int]) -> int:
    """Delete states of readers by their primary keys, and keep their numbers. Returns how many there were."""
    with own_transaction():
        # Locked in their order; whoever notes something in one of them at this moment is let alone.
        locked = AnnouncementState.objects.select_for_update(skip_locked=True).filter(pk__in=keys).order_by("pk")
        found = list(locked.values_list("pk", flat=True))
        states = AnnouncementState.objects.filter(pk__in=found)
        for announcement, (seen, read, confirmed) in sorted(_count(states).items()):
            Announcement.objects.filter(pk=announcement).update(
                past_seen=F("past_seen") + seen,
                past_read=F("past_read") + read,
                past_confirmed=F("past_confirmed") + confirmed,
            )
        states.delete()
    return len(found)


def _count(states: "QuerySet[AnnouncementState]") -> dict[int, tuple[int, int, int]]:
    """How many of the states are seen, read and confirmed, by announcement."""
    counts = [Count("seen_at"), Count("read_at"), Count("confirmed_at")]
    found = states.order_by().values_list("announcement").annotate(*counts)
    return {key: (seen, read, confirmed) for key, seen, read, confirmed in found}
