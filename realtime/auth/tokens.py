"""Access and refresh tokens: their claims, which are revoked, how a login begins and ends. Called by auth and the API.

All tokens of a login have its name in the claim `sid`, which simplejwt copies from a refresh token into every token
made from it.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

from django.apps import apps
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token, UntypedToken
from rest_framework_simplejwt.utils import aware_utcnow, get_md5_hash_password

from realtime.auth.received_tokens import ReceivedAccess, ReceivedRefresh, skewed_backend
from realtime.protocol.errors import CloseCode, Closed
from realtime.storage.transactions import own_transaction

LOGIN_CLAIM = "sid"

_rotating: ContextVar[bool] = ContextVar("rotating", default=False)


class LoginToken(RefreshToken):
    """The first refresh token of a login.

    It gets the login's name on creation, because simplejwt stores the token as soon as it is made.
    """

    def set_jti(self) -> None:
        super().set_jti()
        self.payload.setdefault(LOGIN_CLAIM, uuid4().hex)


class RotatedToken(ReceivedRefresh):
    """A refresh token that is replaced by another one of the same login. Blacklisting it does not end the login."""

    def blacklist(self) -> Any:
        before = _rotating.set(True)
        try:
            return super().blacklist()
        finally:
            _rotating.reset(before)


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token."""

    user_id: str  # the value of the field that USER_ID_FIELD names; see `is_key`
    login: str  # `sid`, or `jti` if there is none
    jti: str
    expires_at: datetime | None  # None only for a ticket without end
    # For a comparison with the user's present password; None for a token when CHECK_REVOKE_TOKEN is off.
    password_hash: str | None
    is_key: bool = False  # whether `user_id` is the primary key, whatever USER_ID_FIELD is


def cookie_login(key: str) -> str:
    """The name of a login by session cookie. A digest, because the key itself would open Django's session."""
    return "cookie." + sha256(key.encode()).hexdigest()[:32]


def parse_access(token: str) -> Claims:
    """The claims of a valid access token. The database is not queried.

    Raises Closed with 4401: TOKEN_EXPIRED when nothing else is wrong with the token, else UNAUTHENTICATED.
    """
    return to_claims(verify_access(token))


def verify_access(token: str) -> AccessToken:
    """The access token in `token`. Raises Closed as `parse_access` does."""
    try:
        # The constructor takes the encoded token, although its annotation says otherwise.
        verified = ReceivedAccess(token)  # type: ignore[arg-type]
    except ExpiredTokenError:
        # simplejwt checks the age before the token's type. TOKEN_EXPIRED makes a client renew its access token, so an
        # expired refresh token must not get this answer.
        to_claims(_read_expired(token))
        raise Closed(CloseCode.UNAUTHENTICATED, "TOKEN_EXPIRED") from None
    except (TokenError, ValueError, RecursionError):
        # simplejwt parses the header before it checks the signature, so any header can get here.
        raise _unauthenticated() from None
    to_claims(verified)
    return verified


def verify_refresh(token: str) -> RefreshToken:
    """The refresh token in `token`, if neither it nor its login is revoked. Raises Closed with UNAUTHENTICATED."""
    try:
        verified = ReceivedRefresh(token)  # type: ignore[arg-type]
    except (TokenError, ValueError, RecursionError):
        raise _unauthenticated() from None
    if revoked([to_claims(verified).login]):
        raise _unauthenticated()
    return verified


def _read_expired(token: str) -> AccessToken:
    """The access token in an expired token, whose signature was found valid before."""
    try:
        expired = AccessToken(token, verify=False)  # type: ignore[arg-type]
        expired.verify_token_type()
    except TokenError:
        raise _unauthenticated() from None
    return expired


def to_claims(token: Token) -> Claims:
    """The claims of a verified token. Raises Closed with UNAUTHENTICATED when a required claim is missing."""
    user_id = token.get(api_settings.USER_ID_CLAIM)
    # A site may do without it; then its tokens cannot be revoked one by one.
    jti = token.get(api_settings.JTI_CLAIM) if api_settings.JTI_CLAIM else ""
    password_hash = token.get(api_settings.REVOKE_TOKEN_CLAIM) if api_settings.CHECK_REVOKE_TOKEN else None
    if (
        not isinstance(user_id, str | int)
        or user_id == ""
        or (api_settings.JTI_CLAIM and not jti)
        or (api_settings.CHECK_REVOKE_TOKEN and not password_hash)
    ):
        raise _unauthenticated()
    return Claims(
        user_id=str(user_id),
        login=str(token.get(LOGIN_CLAIM) or jti),
        jti=str(jti),
        # As long as simplejwt accepts the token.
        expires_at=datetime.fromtimestamp(token["exp"], UTC) + skewed_backend().get_leeway(),
        password_hash=password_hash,
    )


def _unauthenticated() -> Closed:
    return Closed(CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED")


def matches_password(claims: Claims, user: Any) -> bool:
    """Whether the user's password has not changed since the token was made. True if the site does not check that."""
    return claims.password_hash is None or claims.password_hash == hash_password(user)


def hash_password(user: Any) -> str:
    """What a token or ticket keeps of the user's password hash, in order to end with it."""
    return get_md5_hash_password(getattr(user, "password", None) or "")


def start_login(user: Any) -> RefreshToken:
    """The refresh token of a new login."""
    return LoginToken.for_user(user)


def end_login(refresh: RefreshToken) -> None:
    """Revoke the refresh token and all other tokens of its login. A second call does nothing."""
    end_logins(refresh, None)


def end_logins(refresh: RefreshToken | None, access: Claims | None) -> set[str]:
    """Revoke all tokens of the logins to which a refresh and an access token belong; returns the logins' names."""
    logins = {access.login} if access else set()
    if refresh is not None:
        logins.add(to_claims(refresh).login)
    logins.discard("")  # of tokens without an id, which nothing can revoke
    if can_revoke():
        with own_transaction():
            for login in sorted(logins):  # in one order, so that two calls do not wait for each other
                revoke_login(login)
            if refresh is not None:
                refresh.blacklist()
    return logins


def revoke_login(login: str) -> None:
    """Revoke all tokens of a login, or one token, if `login` is its `jti`.

    The row of the revocation is kept for the full lifetime of a refresh token: a rotated token of the same login may
    expire later than the one that was sent with the logout.
    """
    if not can_revoke():
        return
    now = aware_utcnow()
    kept = {"token": "", "created_at": now, "expires_at": now + api_settings.REFRESH_TOKEN_LIFETIME}
    with own_transaction():
        noted, _ = OutstandingToken.objects.get_or_create(jti=login, defaults=kept)
        BlacklistedToken.objects.get_or_create(token=noted)


def is_rotating() -> bool:
    """Whether a token is being blacklisted because another one replaces it."""
    return _rotating.get()


def login_of(noted: OutstandingToken) -> str:
    """The login of a stored token: its `sid`, or its `jti` if it has none."""
    try:
        stored = UntypedToken(noted.token, verify=False)  # type: ignore[arg-type]
    except TokenError:  # a revoked login's row has no token
        return noted.jti
    return str(stored.get(LOGIN_CLAIM) or noted.jti)


def revoked(ids: Iterable[str]) -> set[str]:
    """The `jti`s and `sid`s among `ids` that are revoked, with one query."""
    if not can_revoke():
        return set()
    noted = BlacklistedToken.objects.filter(token__jti__in=set(ids) - {""})
    return set(noted.values_list("token__jti", flat=True))


def can_revoke() -> bool:
    """Whether the site has installed simplejwt's blacklist. Otherwise its models are abstract and cannot be queried."""
    return apps.is_installed("rest_framework_simplejwt.token_blacklist")
