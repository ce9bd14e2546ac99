"""Which logins have ended. Asked by everything that lets a user in, and by the recheck of open sockets.

A login ends with a row in simplejwt's blacklist. One by a token that is a row itself ends with that row.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.utils import aware_utcnow

from realtime.auth import row_tokens, tokens
from realtime.auth.login_names import ROW_PREFIX, unnamed_tokens
from realtime.auth.tokens import Claims
from realtime.storage.transactions import own_transaction


class Login(NamedTuple):
    """What one token, ticket or socket depends on."""

    name: str
    user: str  # the primary key, as text
    issued_at: int = 0  # see `Claims`
    jti: str = ""  # of the token, which may be revoked alone


def make_login(claims: Claims, user: Any) -> Login:
    """The login of a token, and the user that was found for it; None if none was."""
    return Login(claims.login, "" if user is None else str(user.pk), claims.issued_at, claims.jti)


def find_ended(logins: Collection[Login]) -> set[Login]:
    """Those that have ended. Synchronous; one query, and one for each model of tokens if some are rows."""
    ids = {id for login in logins for id in (login.name, login.jti)}
    ids |= {unnamed_tokens(login.user) for login in logins if login.issued_at}
    moments = tokens.find_revocations(ids)
    ended = {login for login in logins if login.name in moments or login.jti in moments}
    ended |= {login for login in logins if 0 < login.issued_at <= moments.get(unnamed_tokens(login.user), 0)}
    rows = {login for login in logins if login.name.startswith(ROW_PREFIX)}
    if rows:
        known = row_tokens.find_logins({login.user for login in rows})
        ended |= {login for login in rows if login.name not in known}
    return ended


def end_unnamed(user: Any, moment: datetime) -> None:
    """Refuse the access tokens of a user that do not name their login and were issued until `moment`."""
    name = unnamed_tokens(str(user))
    kept = aware_utcnow() + api_settings.REFRESH_TOKEN_LIFETIME
    with own_transaction():
        noted = BlacklistedToken.objects.filter(token__jti=name)
        if not tokens.revoke_login(name):
            OutstandingToken.objects.filter(jti=name).update(expires_at=kept)
            noted = noted.filter(blacklisted_at__lt=moment)
        noted.update(blacklisted_at=moment)
