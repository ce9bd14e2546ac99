"""Access and refresh tokens: what a token says, which are revoked, how a login begins and ends.

A login is named by the `sid` claim, which simplejwt copies from a refresh token into every token made from it.
Called by the authentication of both edges and by the REST views.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.db import transaction
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token, UntypedToken
from rest_framework_simplejwt.utils import aware_utcnow, datetime_from_epoch, get_md5_hash_password

from realtime.protocol.errors import CloseCode, Closed

LOGIN_CLAIM = "sid"


_rotating: ContextVar[bool] = ContextVar("rotating", default=False)


class LoginToken(RefreshToken):
    """The first refresh token of a login, which it names from the start: simplejwt stores it as soon as it is made."""

    def set_jti(self) -> None:
        super().set_jti()
        self.payload.setdefault(LOGIN_CLAIM, uuid4().hex)


class RotatedToken(RefreshToken):
    """A refresh token whose place another one of the same login takes: blacklisting it ends nothing."""

    def blacklist(self) -> Any:
        before = _rotating.set(True)
        try:
            return super().blacklist()
        finally:
            _rotating.reset(before)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    user_id: str
    login: str  # the login's `sid`, or the token's own id where it has none
    jti: str
    expires_at: datetime
    password_hash: str | None  # to be compared with the user's; None when CHECK_REVOKE_TOKEN is off


def cookie_login(key: str) -> str:
    """The name of a login by session cookie; the key itself would open the session."""
    return "cookie." + sha256(key.encode()).hexdigest()[:32]


def parse_access(token: str) -> Claims:
    """The claims of a valid access token; nothing is looked up in the database.

    Raises Closed with 4401: TOKEN_EXPIRED when its age is its only fault, else UNAUTHENTICATED.
    """
    return to_claims(verify_access(token))


def verify_access(token: str) -> AccessToken:
    """The access token in `token`. Raises Closed as `parse_access` does."""
    try:
        verified = AccessToken(token)  # type: ignore[arg-type]  # it takes the encoded token, whatever it declares
    except ExpiredTokenError:
        # simplejwt looks at the age first: an old refresh token must not be told to get itself renewed.
        to_claims(_read_expired(token))
        raise Closed(CloseCode.UNAUTHENTICATED, "TOKEN_EXPIRED") from None
    except (TokenError, ValueError, RecursionError):  # the header is parsed before the signature is checked
        raise _unauthenticated() from None
    to_claims(verified)
    return verified


def verify_refresh(token: str) -> RefreshToken:
    """The refresh token in `token`, if neither it nor its login is revoked. Raises Closed with UNAUTHENTICATED."""
    try:
        verified = RefreshToken(token)  # type: ignore[arg-type]
    except (TokenError, ValueError, RecursionError):
        raise _unauthenticated() from None
    if revoked([to_claims(verified).login]):
        raise _unauthenticated()
    return verified


def _read_expired(token: str) -> AccessToken:
    """An expired token whose signature has already been found good."""
    try:
        expired = AccessToken(token, verify=False)  # type: ignore[arg-type]
        expired.verify_token_type()
    except TokenError:
        raise _unauthenticated() from None
    return expired


def to_claims(token: Token) -> Claims:
    """The claims of a verified token. Raises Closed with UNAUTHENTICATED when one that is needed is missing."""
    user_id = token.get(api_settings.USER_ID_CLAIM)
    jti = token.get(api_settings.JTI_CLAIM)
    password_hash = token.get(api_settings.REVOKE_TOKEN_CLAIM) if api_settings.CHECK_REVOKE_TOKEN else None
    if user_id in (None, "") or not jti or (api_settings.CHECK_REVOKE_TOKEN and not password_hash):
        raise _unauthenticated()
    return Claims(
        user_id=str(user_id),
        login=str(token.get(LOGIN_CLAIM) or jti),
        jti=str(jti),
        expires_at=datetime_from_epoch(token["exp"]),
        password_hash=password_hash,
    )


def _unauthenticated() -> Closed:
    return Closed(CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED")


def matches_password(claims: Claims, user: Any) -> bool:
    """Whether the password is still the one with which the token was obtained, where the site wants that checked."""
    return claims.password_hash is None or claims.password_hash == get_md5_hash_password(user.password)


def start_login(user: Any) -> RefreshToken:
    """The refresh token of a new login."""
    return LoginToken.for_user(user)


def end_login(refresh: RefreshToken) -> None:
    """Revoke the refresh token and everything else of its login. Repeating it does nothing."""
    if not can_revoke():
        return
    with transaction.atomic():
        refresh.blacklist()
        if login := refresh.get(LOGIN_CLAIM):
            revoke_login(str(login))


def revoke_login(login: str) -> None:
    """Revoke all tokens of a login, or the one token whose id is given.

    The note is kept for a whole refresh token's lifetime: a rotated token of the same login may outlive the one that
    was shown at the logout.
    """
    if not can_revoke():
        return
    now = aware_utcnow()
    kept = {"token": "", "created_at": now, "expires_at": now + api_settings.REFRESH_TOKEN_LIFETIME}
    with transaction.atomic():
        noted, _ = OutstandingToken.objects.get_or_create(jti=login, defaults=kept)
        BlacklistedToken.objects.get_or_create(token=noted)


def is_rotating() -> bool:
    """Whether a token is being blacklisted because another one takes its place."""
    return _rotating.get()


def login_of(noted: OutstandingToken) -> str:
    """The login of a stored token, which is the token's own id where it names none."""
    try:
        stored = UntypedToken(noted.token, verify=False)  # type: ignore[arg-type]
    except TokenError:  # a note of a login has no token
        return noted.jti
    return str(stored.get(LOGIN_CLAIM) or noted.jti)


def revoked(ids: Iterable[str]) -> set[str]:
    """Those of the given `jti`s and `sid`s that are revoked, by one query."""
    if not can_revoke():
        return set()
    noted = BlacklistedToken.objects.filter(token__jti__in=set(ids))
    return set(noted.values_list("token__jti", flat=True))


def can_revoke() -> bool:
    """Whether the site has the table for it. Without it simplejwt's models are abstract and cannot be queried."""
    return apps.is_installed("rest_framework_simplejwt.token_blacklist")
