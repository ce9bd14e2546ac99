"""What a reader does with notifications, one or all of a list, and how it is undone. Synchronous.

Called by the REST API, the `read` command of sockets (through `apps`), the admin and site code. Every act is one
conditional UPDATE, so two devices cannot move a state backwards, and ends in one event with the new counts.
"""

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core import signing
from django.db import OperationalError
from django.db.models import Case, DateTimeField, F, Q, When
from django.db.models.functions import Coalesce

from notifications import clock
from notifications.frames import Act
from notifications.inbox import announcing, changes
from notifications.inbox.lists import Filters, Place, select, up_to
from notifications.mailing import queue
from notifications.models import Notification, NotificationQuerySet
from realtime.integration import Busy, connection, own_transaction, read_user, retry_conflicts, wire_id
from realtime.protocol.frames import format_time

IDS_AT_ONCE = 1_000  # in one query, and in one frame
UNDO_SECONDS = 600
SALT = "notifications.undo"
LOCK_NOT_AVAILABLE = "55P03"


class CannotUndo(ValueError):
    """The text is not from an act of this reader, or the act was too long ago."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`undo` is a text for `undo`; empty if nothing was changed. `ids` is None if there are more than IDS_AT_ONCE."""

    changed: int = 0
    undo: str = ""
    ids: list[int] | None = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """What an act does to one column: to rows where it fits `before`, it writes the moment of the act, or `after`."""

    column: str
    is_set: bool  # it writes the moment, which identifies the act
    before: Q
    closes_group: bool = False
    ends: str = ""  # another column, which it empties: a notification is in one list

    def values(self, at: datetime, until: datetime | None = None) -> dict[str, Any]:
        """For an UPDATE: what the act of this moment writes."""
        values: dict[str, Any] = {self.column: at if self.is_set else until}
        if self.closes_group:
            values["group_open"] = False
        if self.ends:
            values[self.ends] = None
        return values | _seen(at) if self.column == "read_at" and self.is_set else values


def _seen(at: datetime) -> dict[str, Any]:
    return {"seen_at": Coalesce("seen_at", at, output_field=DateTimeField())}


STEPS: dict[str, Step] = {
    "seen": Step("seen_at", True, Q(seen_at__isnull=True)),
    "read": Step("read_at", True, Q(read_at__isnull=True), closes_group=True),
    "unread": Step("read_at", False, Q(read_at__isnull=False)),
    "archive": Step("archived_at", True, Q(archived_at__isnull=True), closes_group=True, ends="snoozed_until"),
    "unarchive": Step("archived_at", False, Q(archived_at__isnull=False)),
    "snooze": Step("snoozed_until", False, Q(), closes_group=True, ends="archived_at"),
    "unsnooze": Step("snoozed_until", False, Q(snoozed_until__isnull=False)),
    "delete": Step("deleted_at", True, Q(deleted_at__isnull=True), closes_group=True),
}
TAKING_BACK = ("unread", "unarchive", "unsnooze")  # after which mails are sent that an act had stopped


@retry_conflicts
def act(
    user_id: Any,
    name: Act,
    *,
    ids: Sequence[int] | None = None,
    filters: Filters | None = None,
    place: Place | None = None,
    until: datetime | None = None,
    to_other_sockets: bool = True,
) -> Outcome:
    """Do `name` to the reader's notifications with these ids, or to those of a list that are at `place` or before it.

    What came after the newest notification that the reader has seen stays as it is. `until` is for `snooze`. Ids that
    do not exist, or belong to others, are ignored. `user_id` may be a user, too. Raises TypeError for anything else,
    ValueError for another act, and for a snooze without an end.
    """
    user_id, step = read_user(user_id), _find_step(name, until)
    with own_transaction():
        changes.lock_inbox(user_id)
        at = clock.now()
        chosen = select(user_id, filters or Filters(box="all")).filter(step.before)
        if ids is not None:
            chosen = chosen.filter(pk__in=ids)
        if place is not None:
            chosen = chosen.filter(up_to(place))
        found = changes.lock_some(chosen, IDS_AT_ONCE)
        if found == []:
            return Outcome()
        if found is not None:
            chosen = chosen.filter(pk__in=found)
        changed = _record_and_update(chosen, step, at, until, user_id if found is None else None)
        if name in TAKING_BACK:
            _restore_mails(user_id, found, at)
        announcing.announce(user_id, name, found, to_other_sockets=to_other_sockets)
    return Outcome(changed, _sign(user_id, name, at, until), found)


class _OthersHaveCome(Exception):
    """Between recording and changing: very many are not locked. What was changed is rolled back."""


def _record_and_update(
    chosen: NotificationQuerySet, step: Step, at: datetime, until: datetime | None, unlocked_of: Any
) -> int:
    """`unlocked_of` is their reader if they are not locked, else None. Returns how many changed."""
    if step.ends:
        changes.record(chosen.filter(**{f"{step.ends}__isnull": False}), at, step.ends, None)
    if step.closes_group:
        changes.record_open(chosen, at)
    if not step.is_set:
        recorded = changes.record(chosen, at, step.column, until)

    def update(chosen: NotificationQuerySet) -> tuple[int, int]:
        """How many have changed, and how many that were recorded have not, because they have gone."""
        values = step.values(at, until)
        changed = chosen.update(**values)
        gone = 0 if unlocked_of is None else changes.forget_unchanged(unlocked_of, at, step.column, values[step.column])
        return changed, gone

    if step.is_set:
        return update(chosen)[0]
    with contextlib.suppress(_OthersHaveCome), own_transaction():
        changed, gone = update(chosen)
        if changed != recorded - gone:
            raise _OthersHaveCome
        return changed
    # To look for each what is recorded takes long.
    return update(changes.recorded(chosen, at, step.column))[0]


def _find_step(name: str, until: datetime | None) -> Step:
    if name not in STEPS or (name == "snooze" and until is None):
        raise ValueError(f"The acts are {', '.join(STEPS)}, and `snooze` needs `until`: {name!r}.")
    return STEPS[name]


@retry_conflicts
def undo(user_id: Any, text: str) -> Outcome:
    """Undo an act within ten minutes: what it changed, and nobody has changed since, becomes as it was before.

    `user_id` may be a user, too. Raises CannotUndo.
    """
    user_id = read_user(user_id)
    name, at, until = _read(user_id, text)
    step = STEPS[name]
    with own_transaction():
        changes.lock_inbox(user_id)
        own = Notification.objects.filter(_is_untouched(name, at), recipient_id=user_id)
        if step.is_set:
            chosen = own.filter(**{step.column: at})
            seen = Case(When(seen_at=at, then=None), default=F("seen_at"), output_field=DateTimeField())
            values: dict[str, Any] = {step.column: None, "seen_at": seen} if name == "read" else {step.column: None}
        else:
            chosen = changes.undoable(own, at, step.column, until)
            values = changes.earlier(at, step.column)
        found = changes.lock_some(chosen, IDS_AT_ONCE)
        if step.ends:
            changes.restore(chosen.filter(_has_no_action_since(at)), at, step.ends)
        if step.closes_group:
            changes.reopen(chosen, at, step.column)
        changed = chosen.update(**values)
        if changed:
            _restore_mails(user_id, found, clock.now())
            announcing.announce(user_id, "undo", found)
    return Outcome(changed, "", found)


def _is_untouched(name: str, at: datetime) -> Q:
    """Those in which nothing has been done since an act that would not be true without it."""
    if name == "seen":  # what was read since has been seen, whoever saw it first
        return Q(read_at__isnull=True)
    if name == "read":  # whoever has taken an action since has read it
        return _has_no_action_since(at)
    if name == "unarchive":  # whoever has snoozed it since wants it back in the inbox
        return Q(snoozed_until__isnull=True)
    if name == "unsnooze":
        return Q(archived_at__isnull=True) & _has_no_action_since(at)
    return Q()


def _has_no_action_since(at: datetime) -> Q:
    """An action is the end of a snooze, too: what was dealt with does not come back."""
    return Q(acted_at__isnull=True) | Q(acted_at__lt=at)


def _restore_mails(user_id: Any, ids: Sequence[int] | None, now: datetime) -> None:
    if ids is None:
        queue.restore_all(user_id, now)
    else:
        queue.restore(ids, now)


@retry_conflicts
def take_action(user_id: Any, pk: int, key: str) -> bool:
    """Note which action of a notification its reader has taken. False if one was taken before.

    It also reads the notification, and ends its snooze.
    """
    user_id = read_user(user_id)
    with own_transaction():
        changes.lock_inbox(user_id)
        now = clock.now()
        own = Notification.objects.filter(recipient_id=user_id, pk=pk, action="").existing()
        read_at = list(own.locked().values_list("read_at", flat=True))
        values = {"action": key, "acted_at": now, **STEPS["read"].values(now)}
        values |= {"read_at": Coalesce("read_at", now), "snoozed_until": None}
        if not own.update(**values):
            return False
        announcing.announce(user_id, "act", [pk])
        if read_at == [None]:
            announcing.send_read(user_id, [pk])
    return True


def mark_read(user: Any, ids: Sequence[int]) -> list[int]:
    """Mark the user's notifications with these ids as read, and tell the user's sockets on commit.

    `user` is a user or a primary key. Returns the ids of those that were unread. Ids that do not exist, or belong to
    others, are ignored. Raises TypeError for anything that is not a user.
    """
    return _mark(read_user(user), ids, "read")


@retry_conflicts
def mark(user_id: Any, ids: Sequence[int]) -> list[int]:
    """`mark_read` for the `read` command of a socket, which tells the user's other sockets by itself.

    It does not wait for what else marks the user's notifications: it raises Busy.
    """
    if connection.in_atomic_block:  # in a test of a site
        return _mark(user_id, ids, "read", to_other_sockets=False)
    try:
        with own_transaction():
            changes.lock_at_once(user_id)
            return _mark(user_id, ids, "read", to_other_sockets=False)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", getattr(error.__cause__, "pgcode", None)) == LOCK_NOT_AVAILABLE:
            raise Busy from error
        raise


@retry_conflicts
def mark_all(name: Act, notifications: NotificationQuerySet) -> int:
    """Do an act, but `snooze`, to notifications of any readers, up to some thousand, with a few statements.

    Their sockets hear of it. Returns how many changed.
    """
    step = STEPS[name]
    with own_transaction():
        chosen = notifications.existing().filter(step.before)
        changes.lock_inboxes(set(chosen.order_by().values_list("recipient_id", flat=True)))
        at = clock.now()
        by_reader: dict[Any, list[int]] = defaultdict(list)
        for pk, reader in chosen.locked().values_list("pk", "recipient_id"):
            by_reader[reader].append(pk)
        found = Notification.objects.filter(pk__in=[pk for ids in by_reader.values() for pk in ids])
        if not step.is_set:
            changes.record(found, at, step.column, None)
        changed = found.update(**step.values(at))
        if name in TAKING_BACK:
            queue.restore(sorted(pk for ids in by_reader.values() for pk in ids), at)
        announcing.announce_all(name, by_reader)
    return changed


@retry_conflicts
def _mark(user_id: Any, ids: Sequence[int], name: Act, *, to_other_sockets: bool = True) -> list[int]:
    found: list[int] = []
    ids = sorted(set(ids))
    with own_transaction():
        for start in range(0, len(ids), IDS_AT_ONCE):
            part = ids[start : start + IDS_AT_ONCE]
            found += act(user_id, name, ids=part, to_other_sockets=to_other_sockets).ids or []
    return found


def _sign(user_id: Any, name: str, at: datetime, until: datetime | None) -> str:
    content = [str(wire_id(user_id)), name, format_time(at), until and format_time(until)]
    return signing.dumps(content, salt=SALT)


def _read(user_id: Any, text: str) -> tuple[str, datetime, datetime | None]:
    try:
        user, name, at, until = signing.loads(text, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        raise CannotUndo(text) from None
    acted_at = clock.read(at)
    if user != str(wire_id(user_id)) or clock.now() - acted_at > timedelta(seconds=UNDO_SECONDS):
        raise CannotUndo(text)
    return name, acted_at, clock.read(until) if until else None
