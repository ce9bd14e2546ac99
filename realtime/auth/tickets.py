"""Tickets: credentials that open one socket, within seconds. Issued by the REST edge, redeemed by the socket's.

A ticket travels in an address, where it may be logged; by then it is used. Only digests are stored.
"""

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.utils import timezone

from realtime.auth.tokens import Claims
from realtime.conf import settings
from realtime.models import Ticket


def issue(user_id: Any, claims: Claims | None) -> str:
    """A new ticket. The socket it opens ends with the token in `claims`; None is for one that lasts."""
    ticket = secrets.token_urlsafe(32)
    now = timezone.now()
    prune()
    Ticket.objects.create(
        digest=_digest(ticket),
        user_id=user_id,
        token_login=claims.login if claims else "",
        token_expires_at=claims.expires_at if claims else None,
        expires_at=now + timedelta(seconds=settings().ticket_seconds),
    )
    return ticket


def redeem(ticket: str) -> Ticket | None:
    """What the ticket stands for, once; None for one that is unknown, expired or used.

    The conditional DELETE decides: of two that read the same row, one deletes it.
    """
    valid = Ticket.objects.filter(digest=_digest(ticket), expires_at__gt=timezone.now())
    found = valid.first()
    deleted, _ = valid.delete()
    return found if deleted else None


def prune() -> int:
    """Delete those that have expired; returns how many."""
    deleted, _ = Ticket.objects.filter(expires_at__lte=timezone.now()).delete()
    return deleted


def _digest(ticket: str) -> str:
    return sha256(ticket.encode(errors="replace")).hexdigest()
