"""What follows when a token is blacklisted: its login ends. Called by the signals, and by the node's clock.

`bulk_create`, SQL and other programs send no signal to this one. So each process looks for such rows by itself.
"""

import time
from collections import deque
from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from realtime.auth import logins, tokens
from realtime.auth.login_names import PAIR_PREFIX
from realtime.auth.outstanding import created_at, find_live
from realtime.delivery import publishing
from realtime.storage.routed import exact
from realtime.storage.transactions import own_transaction

CHUNK = 500
# How far the first look of a process goes back: as long as an access token may live, and at most a day.
FIRST_LOOK = timedelta(days=1)
# A row gets its key before its transaction is committed, so a row with a lower key may appear later, up to so long.
OVERLAP_SECONDS = 900
# Between the end of a token and the beginning of the one that replaces it, where neither names its login.
ROTATION_SECONDS = 5


def end_login_of(row: BlacklistedToken) -> None:
    """End the login of a blacklisted token, and close its sockets in every process. In a transaction: on commit."""
    noted = row._state.fields_cache.get("token") or exact(OutstandingToken.objects).get(pk=row.token_id)
    login = tokens.login_of(noted)
    if login == noted.jti:
        publishing.disconnect_login(login)
        return
    with own_transaction():
        # This blacklists the login itself, whose signal calls this function again.
        tokens.revoke_login(login)
        if login.startswith(PAIR_PREFIX) and noted.user_id is not None:
            # Access tokens that were made elsewhere from this refresh token do not name their login.
            logins.end_unnamed(noted.user_id, row.blacklisted_at)
            publishing.unauthenticate_unnamed(noted.user_id, int(row.blacklisted_at.timestamp()))


class SilentRows:
    """The rows of the blacklist that were written without a signal. Kept by a node; looks on one thread at a time."""

    def __init__(self) -> None:
        # When this process looked, and the highest key that it had seen before, oldest first.
        self._looks: deque[tuple[float, int]] = deque()
        self._judged: set[int] = set()  # keys of rows that need nothing more
        # Keys of rows that the last look has found. If one of them is a rotation, the next look sees its successor.
        self._doubted: set[int] = set()

    def look(self) -> None:
        """End the logins of rows that no signal has announced. Each is judged by the second look that sees it."""
        if not tokens.can_revoke():
            return
        if not self._looks:
            self._looks.append((time.monotonic(), _find_first_key()))
        keys = set(exact(BlacklistedToken.objects).filter(pk__gt=self._looks[0][1]).values_list("pk", flat=True))
        self._judged &= keys
        fresh = sorted(keys - self._judged)
        silent = {pk for start in range(0, len(fresh), CHUNK) for pk in self._judge(fresh[start : start + CHUNK])}
        self._judged |= keys - silent
        self._doubted = silent
        self._remember(max(keys, default=0))

    def _judge(self, keys: Sequence[int]) -> set[int]:
        """End what has to be ended. Returns the rows that are left for the next look."""
        rows = {row: tokens.login_of(row.token) for row in _find_rows(keys)}
        announced = tokens.revoked(rows.values())
        silent = {row: login for row, login in rows.items() if login not in announced}
        seen_twice = {row: login for row, login in silent.items() if row.pk in self._doubted}
        replaced = _find_replaced(seen_twice)
        for row in seen_twice:
            if row not in replaced:
                end_login_of(row)
        return {row.pk for row in silent if row not in seen_twice}

    def _remember(self, highest: int) -> None:
        now = time.monotonic()
        self._looks.append((now, max(highest, self._looks[-1][1])))
        while len(self._looks) > 1 and self._looks[1][0] < now - OVERLAP_SECONDS:
            self._looks.popleft()


def _find_first_key() -> int:
    """The key of the newest row that is too old for the first look. The newest rows are read first, so it ends soon."""
    begin = timezone.now() - min(api_settings.ACCESS_TOKEN_LIFETIME, FIRST_LOOK)
    older = exact(BlacklistedToken.objects).filter(blacklisted_at__lt=begin).order_by("-pk")
    return older.values_list("pk", flat=True).first() or 0


def _find_rows(keys: Sequence[int]) -> list[BlacklistedToken]:
    return list(exact(BlacklistedToken.objects).filter(pk__in=keys).select_related("token"))


def _find_replaced(rows: dict[BlacklistedToken, str]) -> set[BlacklistedToken]:
    """Those whose login goes on, because another refresh token of it is still good."""
    users = {row.token.user_id for row in rows} - {None}
    keeps_old_ones = api_settings.ROTATE_REFRESH_TOKENS and not api_settings.BLACKLIST_AFTER_ROTATION
    if not users or keeps_old_ones:  # then a rotation blacklists nothing
        return set()
    live = [(noted, tokens.login_of(noted)) for noted in find_live(user__in=users)]
    names = {login for _, login in live}
    begun = [(noted.user_id, created_at(noted)) for noted, login in live if login.startswith(PAIR_PREFIX)]
    replaced = set()
    for row, login in rows.items():
        ended_at = row.blacklisted_at.timestamp()
        is_pair = login.startswith(PAIR_PREFIX)
        # A successor of a token without a name has another name. It was made when its predecessor was blacklisted.
        follows = (user == row.token.user_id and abs(moment - ended_at) <= ROTATION_SECONDS for user, moment in begun)
        if login in names or (is_pair and any(follows)):
            replaced.add(row)
    return replaced
