"""What staff send to some or to all users, in portions: each is one transaction, with the place that it has reached.

Called by the admin and by the jobs. Any number of processes may work on the same dispatch: the lock of its row lets
them take turns, so nobody gets it twice, and a process that dies loses nothing.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.db import IntegrityError, InterfaceError, OperationalError
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from notifications import clock
from notifications.announcements.audiences import everybody, members
from notifications.models import Dispatch, Notification, TypeSwitch
from notifications.portions import RUN_SECONDS
from notifications.sending import notify
from notifications.types import find_type
from notifications.withdrawing import withdraw_rows, withdraw_some
from realtime.integration import exact, is_stopping, own_statement, own_transaction, read_user, retry_conflicts

logger = logging.getLogger(__name__)

PEOPLE_AT_ONCE = 1_000
ERROR_CHARS = 500
ATTEMPTS = 3

State, Audience = Dispatch.State, Dispatch.Audience
OVER = {State.SENDING: State.SENT, State.WITHDRAWING: State.WITHDRAWN}
UNDER_WAY = tuple(OVER)
FAILED = {State.SENDING: State.FAILED, State.WITHDRAWING: State.NOT_WITHDRAWN}


class SwitchedOff(Exception):
    """Staff have switched the type off meanwhile, so nobody got the portion."""


class NoGroups(Exception):
    """Whoever has not had their turn cannot be found any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Who is to get it: people, the members of groups, or everyone."""

    audience: str
    people: Sequence[Any] = ()  # primary keys
    groups: Sequence[Group] = ()

    def users(self) -> "QuerySet[Any]":
        if self.audience == Audience.PEOPLE:
            return everybody().filter(pk__in=self.people)
        return everybody() if self.audience == Audience.EVERYONE else members(self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be sent: the arguments of `notify`."""

    type: str
    params: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    link: str = ""
    title: str = ""
    message: str | None = None
    actor: Any = None  # a user


def find_reached(draft: Draft, chosen: Chosen) -> "QuerySet[Any]":
    """Who would get it now: people get no notification of what they did themselves."""
    users = chosen.users()
    return users if draft.actor is None else users.exclude(pk=draft.actor.pk)


def start(draft: Draft, chosen: Chosen, *, form_key: str, created_by: Any) -> Dispatch:
    """Store what is to be sent. People who are named get it at once, in the same transaction.

    The caller sends the first portion to others; the jobs send the rest. Raises IntegrityError if the form was sent
    before, and what `notify` raises.
    """
    with own_transaction():
        row = Dispatch.objects.create(
            type=draft.type,
            params=draft.params,
            data=draft.data,
            link=draft.link,
            title=draft.title,
            message=draft.message,
            actor=draft.actor,
            audience=chosen.audience,
            form_key=form_key,
            created_by=created_by,
            created_at=clock.now(),
            total=find_reached(draft, chosen).count(),
        )
        row.groups.set(chosen.groups)
        if chosen.audience == Audience.PEOPLE:
            row.state, row.ended_at, row.passed = State.SENT, clock.now(), row.total
            row.stored = _send(row, chosen.people)
            row.save(update_fields=["state", "ended_at", "passed", "stored"])
    return row


@retry_conflicts
def stop(key: int) -> bool:
    """Send no further portion. False if it is not being sent."""
    sending = Dispatch.objects.filter(pk=key, state=State.SENDING)
    with own_statement():
        return bool(sending.update(state=State.STOPPED, ended_at=clock.now()))


@retry_conflicts
def resume(key: int) -> bool:
    """Go on where it was stopped, or has failed. False if it was neither."""
    halted = Dispatch.objects.filter(pk=key, state__in=[State.STOPPED, State.FAILED])
    with own_statement():
        return bool(halted.update(state=State.SENDING, ended_at=None, error=""))


@retry_conflicts
def take_back(key: int) -> bool:
    """Withdraw all notifications that were sent, in portions, from the beginning. False if that was done before."""
    sent = Dispatch.objects.filter(pk=key).exclude(state__in=[State.WITHDRAWING, State.WITHDRAWN])
    with own_statement():
        return bool(sent.update(state=State.WITHDRAWING, ended_at=None, error="", position="", passed=0))


def run_due(now: datetime) -> bool:
    """Work on what is under way, the oldest first, for a few seconds. Returns whether some is left for the next run."""
    end = time.monotonic() + RUN_SECONDS
    for key in Dispatch.objects.filter(state__in=UNDER_WAY).order_by("pk").values_list("pk", flat=True):
        while not is_stopping() and take_step(key):
            if time.monotonic() >= end:
                return True
    return False


def take_step(key: int) -> bool:
    """Work on one portion. Returns whether there is more to do. What cannot be sent or withdrawn says why."""
    try:
        return _try_step(key)
    except (OperationalError, InterfaceError):
        raise
    except SwitchedOff:
        _halt(key, {State.SENDING: State.STOPPED}, _("Staff have switched this type off."))
    except NoGroups:
        _halt(key, {State.SENDING: State.FAILED}, _("All groups that it was for were deleted."))
    except Exception as failure:
        logger.exception("The dispatch %s failed", key)
        _halt(key, FAILED, repr(failure))
    return False


@retry_conflicts
def _halt(key: int, states: Mapping[Dispatch.State, Dispatch.State], error: str) -> None:
    """`states` are those to which it goes, by those in which it is."""
    with own_transaction():
        for state, halted in states.items():
            found = Dispatch.objects.filter(pk=key, state=state)
            if found.update(state=halted, error=error[:ERROR_CHARS], ended_at=clock.now()):
                return


def _try_step(key: int) -> bool:
    for _attempt in range(1, ATTEMPTS):
        # One of the users may have been deleted before COMMIT. The next attempt does not find them any more.
        with contextlib.suppress(IntegrityError):
            return _take_step(key)
    return _take_step(key)


@retry_conflicts
def _take_step(key: int) -> bool:
    with own_transaction():
        # Another process that has the row is working on this portion.
        found = Dispatch.objects.select_for_update(skip_locked=True)
        row = found.filter(pk=key, state__in=UNDER_WAY).first()
        if row is None:
            return False
        keys = _next_keys(row)
        work: Callable[[Dispatch, Sequence[Any]], int] = _send if row.state == State.SENDING else _withdraw
        changed = work(row, keys)
        if row.state == State.SENDING and TypeSwitch.is_off(row.type):
            raise SwitchedOff
        passed = sum(pk != row.actor_id for pk in keys)  # who has caused it was not counted as a recipient
        values: dict[str, Any] = {"passed": F("passed") + passed, "stored": F("stored") + changed}
        if keys:
            values["position"] = str(keys[-1])
        is_over = len(keys) < PEOPLE_AT_ONCE and not (row.state == State.WITHDRAWING and _withdraw_rest(row))
        if is_over:
            values |= {"state": OVER[State(row.state)], "ended_at": clock.now()}
        Dispatch.objects.filter(pk=key).update(**values)
    return not is_over


def _next_keys(row: Dispatch) -> list[Any]:
    # Not from a replica, which may not have them yet.
    groups = list(exact(row.groups)) if row.audience == Audience.GROUPS else []
    if row.audience == Audience.GROUPS and row.state == State.SENDING and not groups:
        raise NoGroups
    # Who was named is not stored: `_withdraw_rest` finds what they got.
    users = Chosen(audience=row.audience, groups=groups).users().order_by("pk")
    if row.position:
        users = users.filter(pk__gt=read_user(row.position))
    return list(users.values_list("pk", flat=True)[:PEOPLE_AT_ONCE])


def _send(row: Dispatch, keys: Sequence[Any]) -> int:
    """Returns how many got it."""
    if not keys:
        return 0
    own: dict[str, Any] = {"title": row.title or None, "message": row.message, "dedupe_key": row.dedupe_key}
    kind = find_type(row.type)
    if kind is not None and kind.group_key:
        # A group of its own: to withdraw it must not take along what others have sent.
        own["group_key"] = row.dedupe_key
    count = notify(list(keys), row.type, actor=row.actor_id, data=row.data, link=row.link, **own, **row.params)
    assert isinstance(count, int)
    return count


def _withdraw(row: Dispatch, keys: Sequence[Any]) -> int:
    """Reader by reader, so that an index finds them and no portion sorts all. Returns a number below 0."""
    return -withdraw_rows(Notification.objects.filter(recipient__in=keys, dedupe_key=row.dedupe_key))


def _withdraw_rest(row: Dispatch) -> bool:
    """What those got who do not belong to the audience any more. Returns whether there was any."""
    count = withdraw_some(Notification.objects.filter(dedupe_key=row.dedupe_key).order_by("recipient_id"))
    Dispatch.objects.filter(pk=row.pk).update(stored=F("stored") - count)
    return count > 0
