"""How many readers have seen, read and confirmed an announcement. Called by the admin, the retention, and a signal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Count, F, QuerySet

from notifications.models import Announcement, AnnouncementState
from notifications.rules.signals import with_children
from realtime.integration import database_alias, own_transaction, read_user


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


def connect_users() -> None:
    """Keep the numbers when a user is deleted, whose states go by a cascade. Called once by `apps`."""
    for sender in with_children(get_user_model()):
        models.signals.pre_delete.connect(
            keep_numbers, sender=sender, dispatch_uid="notifications.announcements.keep_numbers"
        )


def keep_numbers(sender: type[models.Model], instance: models.Model, using: str, **_: Any) -> None:
    if using == database_alias():
        own = AnnouncementState.objects.filter(user=read_user(instance))
        delete_states(list(own.values_list("pk", flat=True)), skips_locked=False)


def delete_states(keys: Sequence[int], *, skips_locked: bool = True) -> int:
    """Delete states of readers by their primary keys, and keep their numbers. Returns how many there were.

    Without `skips_locked`, it waits for whoever notes something in one of them at this moment.
    """
    if not keys:
        return 0
    with own_transaction():
        # Locked in their order.
        locked = AnnouncementState.objects.select_for_update(skip_locked=skips_locked)
        locked = locked.filter(pk__in=keys).order_by("pk")
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
