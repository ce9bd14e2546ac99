"""Finds the user behind a credential. Called by the handshake.

Tokens are verified at once. Users and revocations are looked up together for all handshakes that wait, with one query
each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any

from django.contrib.auth import get_user, get_user_model
from django.http import HttpRequest

from realtime.auth import tickets, tokens
from realtime.auth.credentials import Credential
from realtime.auth.tokens import Claims
from realtime.auth.user_ids import read_id, wire_id
from realtime.auth.users import UNKNOWN, has_column, mark_password
from realtime.conf import session_engine
from realtime.protocol.errors import CloseCode, Closed
from realtime.storage.database import Batcher, run


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a socket, and how long the socket may stay open."""

    user_id: int | str  # as in frames
    key: str  # `user_id` as a string; names streams and presence
    name: str
    login: str = ""  # the login whose end closes the socket
    expires_at: float | None = None  # Unix time; None if the socket does not expire
    password: int = UNKNOWN  # `mark_password` of the user's password


Loader = Batcher[Claims, Identity]


async def identify(credential: Credential, loader: Loader) -> Identity | None:
    """The user behind a credential; None for a session cookie of a visitor who is not logged in.

    Raises Closed (4401, 4403) and DatabaseUnavailable.
    """
    if credential.carrier == "session":
        return await run(load_session, credential.value)
    if credential.carrier == "ticket":
        return await loader.submit(await run(redeem_ticket, credential.value))
    return await loader.submit(tokens.parse_access(credential.value))


def load_identities(batch: Sequence[Claims]) -> list[Identity | Exception]:
    """The users of many verified tokens, with two queries; a Closed for each token that is refused."""
    users = _users([claims.user_id for claims in batch])
    revoked = tokens.revoked({id for claims in batch for id in (claims.jti, claims.login)})
    return [_admit(claims, users.get(claims.user_id), revoked) for claims in batch]


def redeem_ticket(value: str) -> Claims:
    """Synchronous. What a ticket claims, which is used up by this. Raises Closed."""
    ticket = tickets.redeem(value)
    if ticket is None:
        raise _unauthenticated()
    login = ticket.token_login
    return Claims(str(ticket.user_id), login, login, ticket.token_expires_at, ticket.password_hash or None)


def load_session(key: str) -> Identity | None:
    """Synchronous. The user of Django's session with this key; None if nobody is logged in.

    Raises Closed when the user has been disabled, or the session was logged out.
    """
    request = HttpRequest()
    request.session = import_module(session_engine()).SessionStore(key)
    user = get_user(request)
    if not user.is_authenticated:
        return None
    login = tokens.cookie_login(key)
    # Django deletes the session only after its logout was noted, and some session engines cannot delete it.
    if tokens.revoked([login]):
        raise _unauthenticated()
    return _identity(user, login, request.session.get_expiry_date())


def _users(keys: Sequence[str]) -> dict[str, Any]:
    pks = {pk for key in keys if (pk := read_id(key)) is not None}
    users = get_user_model()._default_manager.filter(pk__in=pks).only(*_needed_fields())
    return {str(user.pk): user for user in users}


@cache
def _needed_fields() -> tuple[str, ...]:
    """The fields that a handshake reads, as far as the site's user model has them as columns."""
    model = get_user_model()
    wanted = {model._meta.pk.name, model.USERNAME_FIELD, "is_active", "password"}
    return tuple(name for name in wanted if has_column(name))


def _admit(claims: Claims, user: Any, revoked: set[str]) -> Identity | Exception:
    if claims.jti in revoked or claims.login in revoked or user is None:
        return _unauthenticated()
    if not tokens.matches_password(claims, user):
        return _unauthenticated()
    try:
        return _identity(user, claims.login, claims.expires_at)
    except Closed as refusal:
        return refusal


def _identity(user: Any, login: str, expires_at: datetime | None) -> Identity:
    if user is None:
        raise _unauthenticated()
    if not user.is_active:
        raise Closed(CloseCode.FORBIDDEN, "USER_DISABLED")
    ends = expires_at.timestamp() if expires_at else None
    mark = mark_password(getattr(user, "password", None))
    return Identity(wire_id(user.pk), str(user.pk), user.get_username(), login, ends, mark)


def _unauthenticated() -> Closed:
    return Closed(CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED")
