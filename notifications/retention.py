"""Retention: which notifications and states of announcements are deleted, and when. Called by `jobs` and a command.

Open clients are not told: what goes is months old, and there may be millions. Their counts are right again with the
reader's next event.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from notifications import ages, conf
from notifications.announcements.numbers import delete_states
from notifications.inbox import changes
from notifications.inbox.acts import UNDO_SECONDS
from notifications.models import Announcement, AnnouncementState, Change, Notification, NotificationQuerySet
from notifications.pruning import delete_rows

# Columns whose values can be taken back by `undo`.
UNDOABLE = ("seen_at", "read_at", "archived_at")


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were deleted."""

    read: int = 0
    unread: int = 0
    states: int = 0


def prune_old(now: datetime) -> Pruned:
    """Delete what is older than the settings say."""
    settings = conf.settings()
    return prune(now, settings.read_days, settings.unread_days)


def prune(now: datetime, read_days: float, unread_days: float) -> Pruned:
    """Delete what is older than so many days; 0 keeps it for ever."""
    read, unread, states = 0, 0, 0
    if read_days:
        before = now - timedelta(days=read_days)
        read = _delete(now, before, Q(read_at__isnull=False))
        states += _prune_states(before, Q(read_at__isnull=False) | Q(dismissed_at__isnull=False))
    if unread_days:
        before = now - timedelta(days=unread_days)
        unread = _delete(now, before, Q(read_at__isnull=True))
        states += _prune_states(before, Q(read_at__isnull=True, dismissed_at__isnull=True))
    return Pruned(read, unread, states)


def forget_undone(now: datetime) -> None:
    """Delete what can no longer be undone: what acts have overwritten, and notifications that their readers deleted."""
    changes.forget(now - timedelta(seconds=UNDO_SECONDS))


def _delete(now: datetime, before: datetime, which: Q) -> int:
    # What arrived before the moment was created before it, too.
    return sum(delete_rows(rows) for rows in ages.portions_before(_old(now, before).filter(which), before))


def _old(now: datetime, before: datetime) -> NotificationQuerySet:
    """Notifications that arrived before a moment, but those that are snoozed, or in which an act can be undone yet."""
    undoable = now - timedelta(seconds=UNDO_SECONDS)
    settled = Q(deleted_at__isnull=True)  # those that their readers deleted are forgotten separately
    for column in UNDOABLE:
        settled &= Q(**{f"{column}__isnull": True}) | Q(**{f"{column}__lt": undoable})
    lately = Change.objects.filter(notification=OuterRef("pk"), at__gte=undoable)
    return Notification.objects.filter(settled, ~Exists(lately), arrived_at__lt=before, snoozed_until__isnull=True)


def _prune_states(before: datetime, which: Q) -> int:
    """Delete old states of announcements that are over: for a live one, they say who has dismissed it."""
    over = Announcement.objects.filter(over_at__lt=before)
    old = AnnouncementState.objects.filter(which, announcement__in=over.values("pk"), created_at__lt=before)
    return delete_rows(old, delete=delete_states)
