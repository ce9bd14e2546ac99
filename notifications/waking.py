"""Notifications whose time has come: snoozed ones come back unread, and expired ones go. Called by the jobs.

Staff bring back any notification in the same way: the admin calls `send_again`.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from notifications import pushing, routing
from notifications.frames import Act
from notifications.inbox import changes
from notifications.inbox.announcing import announce_all
from notifications.languages import languages_of
from notifications.models import Notification, NotificationQuerySet
from notifications.portions import work_off
from notifications.withdrawing import withdraw_some
from realtime.integration import own_transaction, retry_conflicts

ROWS_AT_ONCE = 500
STEP = timedelta(microseconds=1)  # between two places in a list


def wake(now: datetime) -> bool:
    """Bring back what was snoozed until now: unread, at the top of the lists, pushed and mailed as if it were new.

    Returns whether some are left for the next run.
    """
    due = Notification.objects.existing().filter(snoozed_until__lte=now).order_by("snoozed_until")
    return work_off(due, partial(_wake_page, due, now))


def expire(now: datetime) -> bool:
    """Delete what has expired. It is in no list and no count already; open clients hear of it.

    Returns whether some are left for the next run.
    """
    expired = Notification.objects.filter(expires_at__lte=now).order_by("expires_at")
    return work_off(expired, partial(withdraw_some, expired))


@retry_conflicts
def _wake_page(due: NotificationQuerySet, now: datetime) -> bool:
    """Returns whether there was anything to do. Two workers wait for each other, so each row comes back once."""
    with own_transaction():
        # By their index first: to put all that is due in the order of locking, for each page, takes very long.
        some = list(due.values_list("pk", flat=True)[:ROWS_AT_ONCE])
        found = list(due.filter(pk__in=some).locked())
        _bring_back(found, {"snoozed_until": None, "read_at": None, "seen_at": None}, now)
        _announce(found, now)
    return bool(some)


@retry_conflicts
def send_again(keys: Sequence[int], now: datetime) -> int:
    """Bring back notifications as if they were new, out of the archive as well, and mail them once more.

    What its reader has deleted stays so. Returns how many there were.
    """
    with own_transaction():
        chosen = Notification.objects.existing().filter(pk__in=keys)
        found = list(chosen.locked())
        unread: dict[str, Any] = {"snoozed_until": None, "archived_at": None, "read_at": None, "seen_at": None}
        _bring_back(found, unread, now)
        _announce(found, now, "unread")
    return len(found)


def _bring_back(found: Sequence[Notification], states: dict[str, Any], now: datetime) -> None:
    keys = [row.pk for row in found]
    # A group may have grown while its row was waited for. All move beyond the places that clients know.
    values = states | {"arrived_at": max([now, *(row.arrived_at + STEP for row in found)])}
    Notification.objects.filter(pk__in=keys).update(**values)
    changes.forget_acts(keys)
    for row in found:
        vars(row).update(values)


def _announce(woken: Sequence[Notification], now: datetime, act: Act = "unsnooze") -> None:
    """Push and mail them as if they were new, but for what is in the archive."""
    by_reader: dict[Any, list[int]] = defaultdict(list)
    for row in woken:
        by_reader[row.recipient_id].append(row.pk)
    announce_all(act, by_reader)
    new = [row for row in woken if row.archived_at is None]
    pushed = routing.choose_pushed(new, now)
    pushing.push_again(pushed, languages_of(list(dict.fromkeys(row.recipient_id for row in pushed))))
    routing.mail_again(new, now)
