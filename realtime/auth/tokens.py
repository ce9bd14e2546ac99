"""Access and refresh tokens: their claims, which are revoked, how a login begins and ends. Called by auth and the API.

All tokens of a login have its name in the claim `realtime_login`, which simplejwt copies from a refresh token into
every token made from it.
"""

from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.db import DataError
from django.utils.translation import gettext as _
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, BlacklistMixin, RefreshToken, Token
from rest_framework_simplejwt.utils import aware_utcnow, get_md5_hash_password

from realtime.auth.login_names import LOGIN_CLAIM, claimed_login, refresh_login
from realtime.auth.login_names import cookie_login as cookie_login
from realtime.auth.outstanding import find_refreshes
from realtime.auth.outstanding import login_of as login_of
from realtime.auth.received_tokens import ReceivedAccess, ReceivedRefresh, skewed_backend
from realtime.auth.site_tokens import NOT_AN_ID
from realtime.protocol.errors import CloseCode, Closed
from realtime.storage.routed import exact
from realtime.storage.transactions import own_transaction

# What simplejwt and PyJWT raise for a token that is signed and whose claims are not what they should be, or missing.
NOT_A_TOKEN = (TokenError, ValueError, TypeError, LookupError, OverflowError, RecursionError)

BLACKLIST = "rest_framework_simplejwt.token_blacklist"

_rotating: ContextVar[bool] = ContextVar("rotating", default=False)
_make_access_token: Any = vars(RefreshToken)["access_token"].fget


def name_logins() -> None:
    """Let every pair that simplejwt makes name its login, whoever makes it. Called once, when the apps are ready.

    Nothing else connects the two tokens of a pair, and `for_user`, which stores the refresh token, cannot be extended.
    """
    RefreshToken.set_jti = _set_jti  # type: ignore[method-assign, assignment]
    RefreshToken.access_token = property(_access_token)  # type: ignore[assignment, method-assign]


def _set_jti(token: RefreshToken) -> None:
    """A new refresh token begins a login. One that has an id already is being rotated, and its login goes on."""
    jti = token.payload.get(api_settings.JTI_CLAIM)
    token.payload.setdefault(LOGIN_CLAIM, refresh_login({}, str(jti)) if jti else uuid4().hex)
    super(RefreshToken, token).set_jti()


def _access_token(token: RefreshToken) -> AccessToken:
    """The access token of a refresh token that was made elsewhere, or earlier, names its login, too."""
    access: AccessToken = _make_access_token(token)
    if login := refresh_login(token.payload, str(token.payload.get(api_settings.JTI_CLAIM) or "")):
        access.payload.setdefault(LOGIN_CLAIM, login)
    return access


class RotatedToken(ReceivedRefresh):
    """A refresh token that is replaced by another one of the same login. Blacklisting it does not end the login."""

    def check_blacklist(self) -> None:
        """simplejwt looks for the token alone. The end of its login may be noted and the token not be known."""
        jti = str(self.payload[api_settings.JTI_CLAIM])
        if revoked([jti, refresh_login(self.payload, jti)]):
            raise TokenError(_("Token is blacklisted"))

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
    login: str  # `realtime_login`; see `login_names` for tokens that have none
    jti: str
    expires_at: datetime | None  # None only for a ticket without end
    # For a comparison with the user's present password; None for a token when CHECK_REVOKE_TOKEN is off.
    password_hash: str | None
    is_key: bool = False  # whether `user_id` is the primary key, whatever USER_ID_FIELD is
    # When an access token was issued that does not name its login, as Unix time; 0 for all others. The end of a login
    # that did not name itself ends all such tokens of the user that were issued before.
    issued_at: int = 0


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
    except NOT_A_TOKEN:
        # simplejwt parses the header before it checks the signature, so any header can get here.
        raise _unauthenticated() from None
    to_claims(verified)
    return verified


def verify_refresh(token: str) -> RefreshToken:
    """The refresh token in `token`, if neither it nor its login is revoked. Raises Closed with UNAUTHENTICATED."""
    try:
        verified = ReceivedRefresh(token)  # type: ignore[arg-type]
    except (*NOT_A_TOKEN, DataError):  # the last one for an id for which PostgreSQL does not look
        raise _unauthenticated() from None
    claims = to_claims(verified)
    # simplejwt has looked for the token, perhaps in a replica.
    if revoked([claims.login, claims.jti]):
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
        or not str(jti).isprintable()  # the database could not look for it
        or (api_settings.CHECK_REVOKE_TOKEN and not password_hash)
    ):
        raise _unauthenticated()
    login = refresh_login(token.payload, str(jti)) if isinstance(token, RefreshToken) else claimed_login(token.payload)
    # A sliding token is its own refresh token.
    is_unnamed = not login and not isinstance(token, BlacklistMixin)
    return Claims(
        user_id=str(user_id),
        login=str(login or jti),
        jti=str(jti),
        # As long as simplejwt accepts the token.
        expires_at=_find_end(token),
        password_hash=password_hash,
        issued_at=int(token.get("iat") or 1) if is_unnamed else 0,
    )


def _find_end(token: Token) -> datetime:
    try:
        return datetime.fromtimestamp(token["exp"], UTC) + skewed_backend().get_leeway()
    except NOT_A_TOKEN:  # simplejwt has not looked at the `exp` of an expired token
        raise _unauthenticated() from None


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
    return RefreshToken.for_user(user)


def end_login(refresh: RefreshToken) -> None:
    """Revoke the refresh token and all other tokens of its login. A second call does nothing."""
    end_logins(refresh, None)


def end_logins(refresh: RefreshToken | None, access: Claims | None) -> set[str]:
    """Revoke all tokens of the logins to which a refresh and an access token belong; returns the logins' names.

    The refresh tokens that simplejwt has stored are blacklisted one by one, for code that does not know of logins.
    """
    given = [access] if access is not None else []
    if refresh is not None:
        given.append(to_claims(refresh))
    logins = {claims.login for claims in given} - {""}  # nothing can revoke tokens without an id
    if can_revoke():
        with own_transaction():
            for login in sorted(logins):  # in one order, so that two calls do not wait for each other
                revoke_login(login)
            if refresh is not None:
                # The user whom it names may be of another kind than the site's users are now.
                with suppress(*NOT_AN_ID):
                    refresh.blacklist()
            for claims in given:
                for noted in find_refreshes(claims.user_id, logins, claims.issued_at):
                    BlacklistedToken.objects.get_or_create(token=noted)
    return logins


def revoke_login(login: str) -> bool:
    """Revoke all tokens of a login, or one token, if `login` is its `jti`. Returns whether it was not revoked before.

    The row of the revocation is kept for the full lifetime of a refresh token: a rotated token of the same login may
    expire later than the one that was sent with the logout.
    """
    if not can_revoke():
        return False
    now = aware_utcnow()
    kept = {"token": "", "created_at": now, "expires_at": now + api_settings.REFRESH_TOKEN_LIFETIME}
    with own_transaction():
        noted, _ = OutstandingToken.objects.get_or_create(jti=login, defaults=kept)
        _, is_new = BlacklistedToken.objects.get_or_create(token=noted)
    return is_new


def is_rotating() -> bool:
    """Whether a token is being blacklisted because another one replaces it."""
    return _rotating.get()


def revoked(ids: Iterable[str]) -> set[str]:
    """The `jti`s and logins among `ids` that are revoked, with one query."""
    return set(find_revocations(ids))


def find_revocations(ids: Iterable[str]) -> dict[str, float]:
    """When those of `ids` that are revoked were revoked, as Unix time; one query."""
    if not can_revoke():
        return {}
    noted = exact(BlacklistedToken.objects).filter(token__jti__in=set(ids) - {""})
    return {jti: moment.timestamp() for jti, moment in noted.values_list("token__jti", "blacklisted_at")}


def can_revoke() -> bool:
    """Whether the site has installed simplejwt's blacklist. Otherwise its models are abstract and cannot be queried.

    They are so, too, where INSTALLED_APPS has the path of its configuration instead of the name of the app.
    """
    return not OutstandingToken._meta.abstract and apps.is_installed(BLACKLIST)
