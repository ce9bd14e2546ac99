"""Who works on which mails: a worker claims those of some readers for a while, and settles what has become of them.

A worker that dies leaves its claims to the next one, when they have ended. Called by `sending`.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from notifications import bulk, clock
from notifications.models import Delivery
from realtime.integration import own_transaction, retry_conflicts

LEASE = timedelta(minutes=10)
READERS_AT_ONCE = 100
# Of these readers: fewer, if they have more. What one reader has beyond that is in the next mail.
ROWS_AT_ONCE = 5_000
COLUMNS = {
    "state": "text",
    "reason": "text",
    "rule": "text",
    "attempts": "integer",
    "due_at": "timestamptz",
    "error": "text",
    "message_id": "text",
    "sent_at": "timestamptz",
    "settled_at": "timestamptz",
    "lease": "text",
}
ERROR_CHARS, ID_CHARS = 500, 255


@dataclass(frozen=True, slots=True)
class Claim:
    """Deliveries that nobody else works on until the lease ends."""

    token: str
    until: datetime
    deliveries: Sequence[Delivery]


@retry_conflicts
def claim(now: datetime) -> Claim | None:
    """Claim all waiting mails of the first readers who have one that is due. None if nobody has."""
    token, until = secrets.token_hex(16), now + LEASE
    mails = Delivery.objects.filter(channel="mail", state=Delivery.State.QUEUED)
    free = mails.filter(Q(lease="") | Q(leased_until__lte=now))
    claimed = mails.filter(user=OuterRef("user"), leased_until__gt=now).exclude(lease="")
    # All that waits for a reader is one mail, also if some of it has come while another worker is on the way to them.
    queued = free.filter(~Exists(claimed))
    due = queued.filter(due_at__lte=now).order_by("due_at").values_list("user_id", flat=True)
    readers = list(dict.fromkeys(due[: READERS_AT_ONCE * 10]))[:READERS_AT_ONCE]
    if not readers:
        return None
    with own_transaction():
        # Whoever has the first row of a reader claims all of them. Of two workers that lock rows at the same moment,
        # each would get a part of what waits for a reader otherwise, and send a mail.
        of_readers = queued.filter(user__in=readers)
        firsts = of_readers.order_by().values("user").annotate(first=Min("pk")).values("first")
        own = set(_lock(queued.filter(pk__in=firsts)).values_list("user_id", flat=True))
        chosen = _choose([reader for reader in readers if reader in own], of_readers)
        keys = list(_lock(queued.filter(user__in=chosen)).values_list("pk", flat=True)[:ROWS_AT_ONCE])
        if not free.filter(pk__in=keys).update(lease=token, leased_until=until):
            return None
    return Claim(token, until, list(Delivery.objects.filter(pk__in=keys, lease=token).order_by("due_at", "pk")))


def _choose(readers: Sequence[Any], mails: "QuerySet[Delivery]") -> list[Any]:
    """The first of the readers, one at least, as long as there is room for all that waits for each.

    A part of it would be a mail of its own, and the rest would wait for the next digest.
    """
    waiting = dict(mails.order_by().values_list("user").annotate(Count("pk")))
    chosen: list[Any] = []
    room = ROWS_AT_ONCE
    for reader in readers:
        room -= waiting.get(reader, 0)
        if chosen and room < 0:
            break
        chosen.append(reader)
    return chosen


def _lock(chosen: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    """Rows that somebody else has locked are left alone. In one order, so none waits for the other."""
    return chosen.select_for_update(skip_locked=True).order_by("pk")


@retry_conflicts
def settle(claimed: Claim, deliveries: Sequence[Delivery]) -> set[int]:
    """Store what has become of these deliveries, and give them up. One that another worker has now stays as it is.

    Returns the primary keys of the others.

    In a transaction of its own: what was sent stays noted, whatever fails after it, and a conflict with another
    transaction sends nothing twice.
    """
    now = clock.now()
    values = [
        {
            "id": delivery.pk,
            "state": delivery.state,
            "reason": delivery.reason,
            "rule": delivery.rule,
            "attempts": delivery.attempts,
            "due_at": bulk.moment(delivery.due_at),
            "error": delivery.error[:ERROR_CHARS],
            "message_id": delivery.message_id[:ID_CHARS],
            "sent_at": bulk.moment(delivery.sent_at),
            "settled_at": bulk.moment(_settled_at(delivery, now)),
            "lease": "",
        }
        for delivery in deliveries
    ]
    with own_transaction():
        own = Delivery.lock(Delivery.objects.filter(pk__in=[one.pk for one in deliveries], lease=claimed.token))
        bulk.update(Delivery, COLUMNS, values, only_if=("lease", claimed.token))
    return set(own)


def _settled_at(delivery: Delivery, now: datetime) -> datetime | None:
    if delivery.state == Delivery.State.QUEUED:
        return None
    return delivery.sent_at if delivery.state == Delivery.State.SENT else now


def postpone(deliveries: Iterable[Delivery], until: datetime, reason: str) -> None:
    for delivery in deliveries:
        delivery.due_at, delivery.reason = until, reason


def suppress(deliveries: Iterable[Delivery], reason: str) -> None:
    for delivery in deliveries:
        delivery.state, delivery.reason = Delivery.State.SUPPRESSED, reason


def by_reader(deliveries: Iterable[Delivery]) -> dict[Any, list[Delivery]]:
    found: dict[Any, list[Delivery]] = {}
    for delivery in deliveries:
        found.setdefault(delivery.user_id, []).append(delivery)
    return found
