"""Tickets: credentials that open one socket, within seconds. Issued by the REST API, redeemed by the handshake.

A ticket is part of an address and may be logged with it; by then it has been used. Only digests are stored. Times are
the database's: the processes' own clocks may differ by more than a ticket's life.
"""

import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from realtime.auth.tokens import Claims
from realtime.conf import settings
from realtime.models import Ticket
from realtime.storage.transactions import own_transaction, retry_conflicts

LAST_MOMENT = datetime(9999, 12, 30, tzinfo=UTC)


def issue(user_id: Any, claims: Claims | None, password_hash: str | None = None) -> str:
    """A new ticket. Its socket is closed when the token of `claims` expires; with None it does not expire.

    With `password_hash` (`tokens.hash_password`), the ticket opens nothing after the user has a new password.
    """
    ticket = secrets.token_urlsafe(32)
    prune()
    Ticket.objects.create(
        digest=_digest(ticket),
        user_id=user_id,
        token_login=claims.login if claims else "",
        token_expires_at=claims.expires_at and _as_stored(claims.expires_at) if claims else None,
        token_issued_at=claims.issued_at if claims else 0,
        password_hash=password_hash or "",
        expires_at=Now() + timedelta(seconds=settings().ticket_seconds),
    )
    return ticket


def _as_stored(moment: datetime) -> datetime:
    """The moment as the site's database takes it: without USE_TZ, in the site's time zone and without its name."""
    if timezone.is_aware(timezone.now()) or timezone.is_naive(moment):
        return moment
    # A day more, and it could be in the year 10000 in that time zone.
    return timezone.make_naive(min(moment, LAST_MOMENT))


@retry_conflicts
def redeem(ticket: str) -> Ticket | None:
    """Use up a ticket and return its row; None if the ticket is unknown, expired or used.

    The conditional DELETE decides: of two callers that read the same row, only one deletes it.
    """
    valid = Ticket.objects.filter(digest=_digest(ticket), expires_at__gt=Now())
    found = valid.first()
    with own_transaction():
        deleted, _ = valid.delete()
    return found if deleted else None


@retry_conflicts
def prune() -> int:
    """Delete expired tickets; returns how many."""
    with own_transaction():
        deleted, _ = Ticket.objects.filter(expires_at__lte=Now()).delete()
    return deleted


def _digest(ticket: str) -> str:
    return sha256(ticket.encode(errors="replace")).hexdigest()
