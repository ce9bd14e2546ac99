"""Finds the user behind a credential. Called by the handshake.

Tokens are verified at once. Users and revocations are looked up together for all handshakes that wait, with one query
each; so are the rows behind tickets that were issued for tokens in a table.
"""

from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.contrib.auth import get_user, get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from rest_framework.exceptions import APIException
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings

from realtime.auth import logins, sessions, tickets, tokens
from realtime.auth.credentials import Credential
from realtime.auth.names import display_name, with_relations
from realtime.auth.site_tokens import NOT_AN_ID, changes_validation, find_authentication, look_up
from realtime.auth.tokens import Claims
from realtime.auth.user_ids import read_id, wire_id
from realtime.auth.users import UNKNOWN, all_users, has_column, mark_password
from realtime.protocol.errors import CloseCode, Closed
from realtime.storage.database import Batcher, run


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """The user of a socket, and how long the socket may stay open. Not shown in logs: it may have a session's key."""

    user_id: int | str  # as in frames
    key: str  # `user_id` as a string; names streams and presence
    name: str  # that others see
    login: str = ""  # the login whose end closes the socket
    expires_at: float | None = None  # Unix time; None if the socket does not expire
    password: int = UNKNOWN  # `mark_password` of the user's password
    issued_at: int = 0  # see `Claims`
    # The session that is looked up again before the socket ends; "" if there is none, or if that would tell nothing.
    session_key: str = ""


Loader = Batcher[Claims, Identity]


async def identify(credential: Credential, loader: Loader) -> Identity | None:
    """The user behind a credential; None for a session cookie of a visitor who is not logged in.

    Raises Closed (4401, 4403) and DatabaseUnavailable.
    """
    if credential.carrier == "session":
        return await run(load_session, credential.value)
    if credential.carrier == "ticket":
        return await loader.submit(await run(redeem_ticket, credential.value))
    return await identify_token(credential.value, loader)


async def identify_token(token: str, loader: Loader) -> Identity:
    """The user of an access token. Raises Closed and DatabaseUnavailable."""
    if (authentication := find_authentication()) is not None:
        return await run(load_by_site, authentication, token)
    return await loader.submit(tokens.parse_access(token))


def load_by_site(kind: type[JWTAuthentication], raw: str) -> Identity:
    """Synchronous. The user that the site's own class finds. Raises Closed."""
    authentication = kind()
    try:
        decides = changes_validation(kind)
        token = authentication.get_validated_token(raw.encode()) if decides else tokens.verify_access(raw)
        claims = tokens.to_claims(token)
        user = look_up(authentication, authentication.get_user(token), token)
    except APIException as refusal:  # InvalidToken is one, too
        detail: Any = refusal.detail
        if isinstance(detail, dict) and detail.get("code") == "user_inactive":
            raise Closed(CloseCode.FORBIDDEN, "USER_DISABLED") from None
        if refusal.status_code == 403:
            raise Closed(CloseCode.FORBIDDEN, "FORBIDDEN") from None
        if getattr(detail, "code", None) == "TOKEN_EXPIRED":
            raise Closed(CloseCode.UNAUTHENTICATED, "TOKEN_EXPIRED") from None
        raise _unauthenticated() from None
    except (TokenError, *NOT_AN_ID, RecursionError):
        raise _unauthenticated() from None
    if logins.find_ended([logins.make_login(claims, user)]):
        raise _unauthenticated()
    return _identity_of(user, claims)


def load_identities(batch: Sequence[Claims]) -> list[Identity | Exception]:
    """The users of many verified tokens, with two queries; a Closed for each token that is refused."""
    names = [_named(claims) for claims in batch]
    users = _users({name for name in names if name is not None})
    found = [(claims, users.get(name) if name else None) for claims, name in zip(batch, names, strict=True)]
    ended = logins.find_ended({logins.make_login(claims, user) for claims, user in found})
    return [_admit(claims, user, ended) for claims, user in found]


def redeem_ticket(value: str) -> Claims:
    """Synchronous. What a ticket claims, which is used up by this. Raises Closed."""
    ticket = tickets.redeem(value)
    if ticket is None:
        raise _unauthenticated()
    return Claims(
        str(ticket.user_id),
        login=ticket.token_login,
        jti="",
        expires_at=ticket.token_expires_at,
        password_hash=ticket.password_hash or None,
        is_key=True,
        issued_at=ticket.token_issued_at,
    )


def load_session(key: str) -> Identity | None:
    """Synchronous. The user of Django's session with this key; None if nobody is logged in.

    Raises Closed when the user has been disabled, or the session was logged out.
    """
    request = HttpRequest()
    session = request.session = sessions.open_session(key)
    user = get_user(request)
    if not user.is_authenticated:
        return None
    login = logins.Login(sessions.name_login(session, key), str(user.pk))
    # Django deletes the session only after its logout was noted, and some session engines cannot delete it.
    if logins.find_ended([login]):
        raise _unauthenticated()
    again = key if sessions.can_be_read_again(session) else ""
    return _identity(user, login.name, sessions.find_end(session), session_key=again)


class Name(NamedTuple):
    """How claims name their user: a field of the user model, and its value, also as the text that a row has there."""

    field: str
    text: str
    value: Any


def _named(claims: Claims) -> Name | None:
    """None for what the field cannot have. A value may be spelled in several ways, such as a UUID in capitals."""
    field = api_settings.USER_ID_FIELD
    if claims.is_key or field in ("pk", get_user_model()._meta.pk.name):
        pk = read_id(claims.user_id)
        return None if pk is None else Name("pk", str(pk), pk)
    if "\0" in claims.user_id:
        return None
    with suppress(ValidationError, ValueError):
        known: Any = get_user_model()._meta.get_field(field)
        value = known.to_python(claims.user_id)
        return Name(field, str(value), value)
    return None


def _users(wanted: Set[Name]) -> dict[Name, Any]:
    """The users that are named so. A name that belongs to several users is nobody's."""
    # Whole rows: a model may read any column when it is loaded.
    users = with_relations(all_users())
    found: dict[tuple[str, str], Any] = {}
    for field in {name.field for name in wanted}:
        for user in users.filter(**{f"{field}__in": [name.value for name in wanted if name.field == field]}):
            key = (field, str(getattr(user, field)))
            found[key] = user if found.get(key, user) == user else None  # a row may have been found twice
    for field, text, value in wanted:
        # The database may take other texts for the same, in which letters are large or small.
        if (field, text) not in found and isinstance(value, str):
            same = users.filter(**{field: value})[:2]
            found[field, text] = same[0] if len(same) == 1 else None
    return {name: found.get((name.field, name.text)) for name in wanted}


def _admit(claims: Claims, user: Any, ended: Set[logins.Login]) -> Identity | Exception:
    if user is None or logins.make_login(claims, user) in ended or not tokens.matches_password(claims, user):
        return _unauthenticated()
    try:
        return _identity_of(user, claims)
    except Closed as refusal:
        return refusal


def _identity_of(user: Any, claims: Claims) -> Identity:
    ends = claims.expires_at.timestamp() if claims.expires_at else None
    return _identity(user, claims.login, ends, issued_at=claims.issued_at)


def _identity(user: Any, login: str, expires_at: float | None, **more: Any) -> Identity:
    if user is None:
        raise _unauthenticated()
    if not getattr(user, "is_active", True):
        raise Closed(CloseCode.FORBIDDEN, "USER_DISABLED")
    mark = mark_password(user.password if has_column("password") else "")
    return Identity(wire_id(user.pk), str(user.pk), display_name(user), login, expires_at, mark, **more)


def _unauthenticated() -> Closed:
    return Closed(CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED")
