"""Since when users have been away, from any thread. Called by other apps through `integration`.

Users who appear offline count as what they are: whoever asks must not show it to others.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from realtime.auth.user_ids import read_user
from realtime.models import LastSeen
from realtime.presence import circuit, online


def find_connected(users: Iterable[Any]) -> frozenset[Any]:
    """Those of the users, by primary keys, who have a socket or had one until a moment ago. Raises StoreUnavailable."""
    by_key = {str(read_user(user)): user for user in users}
    found: set[str] = set()
    for portion in circuit.split(list(by_key)):
        found.update(online.call(circuit.ask(partial(online.aentries, portion))))
    return frozenset(by_key[key] for key in found)


def find_last_seen(users: Iterable[Any]) -> dict[Any, datetime]:
    """When the last sockets of users were closed, by primary keys. Users who never had one are left out."""
    rows = LastSeen.objects.filter(user__in=list(users)).values_list("user_id", "at", "left_at")
    return {pk: at if left_at is None else max(at, left_at) for pk, at, left_at in rows}
