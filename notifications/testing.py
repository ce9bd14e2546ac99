"""For the tests of a site: what its code has notified whom of, and a clock. docs/testing.md shows it.

Works with pytest and with Django's test cases. `realtime.testing` is for what arrives on sockets.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any
from unittest.mock import patch

from django.db import models
from django.utils import timezone

from notifications import clock as app_clock
from notifications import sending
from notifications.content import Content, require_object
from notifications.models import Notification
from notifications.models.target import target_of
from notifications.recipients import Recipients
from notifications.sending import Stored
from notifications.types import require_type
from realtime.integration import read_user

__all__ = ["Clock", "Sent", "assert_not_notified", "assert_notified", "clock", "fake", "outbox"]


@dataclass(frozen=True, slots=True)
class Sent:
    """One call of `notify`: the primary keys of those who got it, and what they got, which has no id here."""

    recipients: list[Any]
    notification: Notification


_NOTHING = object()
# The blocks that are open; the last one is the innermost.
_open: list[list[Sent]] = []


@contextmanager
def outbox() -> Iterator[list[Sent]]:
    """`with outbox() as sent:` lists what is sent in the block, on any thread. It is stored and pushed as ever."""
    sent: list[Sent] = []
    send = sending.send

    def record(prepared: Content, recipients: Recipients, unless_present: str) -> Stored:
        stored = send(prepared, recipients, unless_present)
        _note(sent, prepared, list(stored.ids))
        return stored

    with _recording(sent, send=record):
        yield sent


@contextmanager
def fake() -> Iterator[list[Sent]]:
    """Like `outbox`, but nothing is stored, pushed or mailed. Who has chosen not to get it is not looked up.

    Of those with the same `dedupe_key` in the block, a reader gets the first. What is wrong with a call is an error, as
    ever. For one user, `notify` returns a notification without an id.
    """
    sent: list[Sent] = []
    known: set[tuple[Any, str]] = set()

    def record(prepared: Content, recipients: Recipients, unless_present: str) -> Stored:
        actor = None if prepared.actor is None else prepared.actor.pk
        key = prepared.dedupe_key
        keys = [pk for pk in recipients.keys if pk != actor and (pk, key) not in known]
        known.update((pk, key) for pk in keys if key)
        _note(sent, prepared, keys)
        return Stored(dict.fromkeys(keys, 0))

    def read_row(prepared: Content, stored: Stored) -> Notification:
        (recipient,) = stored.ids
        return Notification(recipient_id=recipient, **prepared.columns())

    with _recording(sent, send=record, read_row=read_row):
        yield sent


def assert_notified(user: Any, type: str, /, **values: Any) -> Notification:
    """Fail unless `user` has got a notification of this type with these values. Returns the last one that fits.

    Looks at what was sent in the innermost open block of `outbox` or `fake`; outside of one, at what is stored for the
    user. Values are looked up in the `data` of the notification, in the parameters of its type, and among its other
    properties: `title` and `message` in the active language, `actor`, `target`, `link`, `reason` and so on.
    """
    got = _got_by(user)
    fitting = [row for row in got if row.type == type and _has(row, values)]
    if not fitting:
        raise AssertionError(f"{user} was not notified of {_describe(type, values)}. They got:{_show(got)}")
    return fitting[-1]


def assert_not_notified(user: Any, type: str | None = None, /, **values: Any) -> None:
    """Fail if `user` has got a notification of this type, or of any, with these values.

    Raises UnknownType for a type that nobody has registered, of which there can be none.
    """
    if type is not None:
        require_type(type)
    fitting = [row for row in _got_by(user) if type in (None, row.type) and _has(row, values)]
    if fitting:
        raise AssertionError(f"{user} was notified:{_show(fitting)}")


class Clock:
    """A clock that stands still until `move` is called.

    It goes on by a microsecond when it is looked at: what happens one after the other has different times.
    """

    def __init__(self, moment: datetime) -> None:
        self._moment = moment
        self._lock = Lock()

    def move(self, seconds: float = 0, **units: float) -> None:
        """Let time pass; `units` are those of `timedelta`, such as `minutes` or `days`."""
        passed = timedelta(seconds=seconds, **units)
        if passed < timedelta(0):
            raise ValueError("Time does not go back.")
        with self._lock:
            self._moment += passed

    def now(self) -> datetime:
        with self._lock:
            self._moment += timedelta(microseconds=1)
            return self._moment


@contextmanager
def clock(moment: datetime | None = None) -> Iterator[Clock]:
    """`with clock(moment) as time:` lets this app believe that it is `moment`, or that time stands still now.

    `time.move(60)` is a minute later. Only `notifications` obeys it: tokens and sockets go by the real time.
    """
    given = moment or datetime.now(UTC)
    time = Clock(timezone.make_aware(given) if timezone.is_naive(given) else given)
    with patch.object(app_clock, "stand_in", time.now):
        yield time


@contextmanager
def _recording(sent: list[Sent], **replaced: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for name, function in replaced.items():
            stack.enter_context(patch.object(sending, name, function))
        _open.append(sent)
        try:
            yield
        finally:
            _open[:] = [other for other in _open if other is not sent]  # equal ones may be open, too


def _note(sent: list[Sent], prepared: Content, keys: list[Any]) -> None:
    if keys:
        sent.append(Sent(keys, Notification(**prepared.columns())))


def _got_by(user: Any) -> list[Notification]:
    pk = read_user(user)
    if _open:
        return [sent.notification for sent in _open[-1] if pk in sent.recipients]
    return list(Notification.objects.filter(recipient=pk).order_by("pk"))


def _has(row: Notification, values: dict[str, Any]) -> bool:
    return all(_has_value(row, name, value) for name, value in values.items())


def _has_value(row: Notification, name: str, value: Any) -> bool:
    stored = value
    if not isinstance(value, models.Model):
        stored = require_object({name: value})[name]
        if any(name in there and there[name] == stored for there in (row.data, row.params)):
            return True
    if name == "actor":
        return bool(row.actor_id == getattr(value, "pk", value))
    if name == "target":
        return (row.target_type_id, row.target_key) == tuple(target_of(value))
    owner = row.render() if name in ("title", "message") else row
    # What is stored as JSON has lists where the test may have tuples; the other columns have no texts for moments.
    return getattr(owner, name, _NOTHING) in (value, stored)


def _describe(type: str, values: dict[str, Any]) -> str:
    return " ".join([repr(type), *(f"{name}={value!r}" for name, value in values.items())])


def _show(rows: Iterable[Notification]) -> str:
    lines = [_describe(row.type, {**row.params, **row.data}) for row in rows]
    return "".join(f"\n  {line}" for line in lines) or " nothing"
