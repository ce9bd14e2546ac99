"""The names of logins, by which tokens, tickets, open sockets and revocations are connected. Pure; used by `auth`.

A login is named by the claim LOGIN_CLAIM of its tokens. One that has no such claim gets a name that everybody can work
out.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

# No word that a site may use for something that many users share: `sid` is its shop, or its school.
LOGIN_CLAIM = "realtime_login"
SESSION_PREFIX = "cookie."
PAIR_PREFIX = "pair."
ROW_PREFIX = "row."
CLAIM_PREFIX = "claim."

MAX_LENGTH = 64  # of `Ticket.token_login`


def cookie_login(key: str) -> str:
    """The name of a login by session cookie. A digest, because the key itself would open Django's session."""
    return SESSION_PREFIX + _digest(key)


def claimed_login(claims: Mapping[str, Any]) -> str:
    """The login that these claims name; empty if they name none.

    A site may give a login a name of its own. One that the database could not keep is represented by its digest.
    """
    claim = str(claims.get(LOGIN_CLAIM) or "")
    is_short = len(claim) <= MAX_LENGTH and claim.isprintable()
    return claim if is_short else CLAIM_PREFIX + _digest(claim)


def refresh_login(claims: Mapping[str, Any], jti: str) -> str:
    """The login of a refresh token with these claims and this id.

    Without the claim it is named after the id, but not the id itself: blacklisting that ends one token, and may be a
    rotation.
    """
    return claimed_login(claims) or (PAIR_PREFIX + _digest(jti) if jti else "")


def row_login(table: str, key: Any) -> str:
    """The name of a login by a token that is a row of a table, and whose key may be the token itself."""
    return ROW_PREFIX + _digest(f"{table}:{key}")


def unnamed_tokens(user_key: str) -> str:
    """The name under which the end of those access tokens of a user is noted that do not name their login."""
    return "unnamed." + _digest(user_key)


def _digest(text: str) -> str:
    return sha256(text.encode(errors="backslashreplace")).hexdigest()[:32]
