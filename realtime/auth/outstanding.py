"""The refresh tokens that simplejwt has stored, and the logins to which they belong. Called by `tokens` and delivery.

Nothing is looked up by login: the rows of a user are read, and each of them names its login in its text.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import jwt
from django.db.models import QuerySet
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.utils import aware_utcnow

from realtime.auth.login_names import PAIR_PREFIX, refresh_login
from realtime.auth.site_tokens import NOT_AN_ID
from realtime.storage.routed import exact


def login_of(noted: OutstandingToken) -> str:
    """The login of a stored token; its `jti` for a sliding token, and for the row of a revoked login."""
    try:
        claims = jwt.decode(noted.token, options={"verify_signature": False})
    except jwt.InvalidTokenError:  # a revoked login's row has no token
        return noted.jti
    is_sliding = api_settings.SLIDING_TOKEN_REFRESH_EXP_CLAIM in claims
    return noted.jti if is_sliding else refresh_login(claims, noted.jti)


def names_login(noted: OutstandingToken) -> bool:
    """Whether a stored token names its login, or is one that was made without a name."""
    return not login_of(noted).startswith(PAIR_PREFIX)


def find_live(**users: Any) -> "QuerySet[OutstandingToken]":
    """The stored tokens of these users that are still good."""
    return exact(OutstandingToken.objects).filter(blacklistedtoken__isnull=True, expires_at__gt=aware_utcnow(), **users)


def find_refreshes(user_id: str, logins: Iterable[str], issued_at: int = 0) -> list[OutstandingToken]:
    """The good refresh tokens of some logins of a user, whom USER_ID_FIELD names.

    `issued_at` is that of an access token that does not name its login. It was made from a refresh token that does not
    either: from one that was made in the same moment, or from the only one there is. Otherwise nobody knows.
    """
    wanted = set(logins)
    try:
        live = list(find_live(**{f"user__{api_settings.USER_ID_FIELD}": user_id}).order_by("pk"))
    except NOT_AN_ID:
        return []
    found = [noted for noted in live if login_of(noted) in wanted]
    if found or not issued_at:
        return found
    unnamed = [noted for noted in live if not names_login(noted)]
    together = [noted for noted in unnamed if abs(created_at(noted) - issued_at) <= 1]
    return together or (unnamed if len(unnamed) == 1 else [])


def created_at(noted: OutstandingToken) -> float:
    """When a token was made, as Unix time; 0.0 if that was not stored. Without USE_TZ, simplejwt stores UTC."""
    made: datetime | None = noted.created_at
    if made is None:
        return 0.0
    return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()
