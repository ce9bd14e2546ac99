"""The statuses of this process's users, for a store that loses its data. Owned by the tracker.

The store keeps the statuses; its answers, and the commands of this process's sockets, are noted here.
"""

from collections.abc import Callable, Iterable, Mapping

from realtime.conf import settings
from realtime.presence.store import OFFLINE, StoredStatus


class Statuses:
    """The statuses of users who have set one, while they have sockets here and for the grace time afterwards.

    Who loads a page again while the store is away is still the same visitor.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, StoredStatus] = {}
        # Of these users, who has no sockets here, and since when; the first has been away for the longest.
        self._left: dict[str, float] = {}

    def note(self, statuses: Mapping[str, StoredStatus]) -> None:
        """These users have sockets here."""
        self._known.update(statuses)

    def enter(self, user_key: str) -> None:
        """The user has a first socket here."""
        self._forget_long_left()
        self._left.pop(user_key, None)

    def leave(self, user_key: str) -> None:
        """The user's last socket here has closed."""
        self._forget_long_left()
        if user_key in self._known:
            self._left[user_key] = self._clock()

    def find(self, user_keys: Iterable[str]) -> dict[str, StoredStatus]:
        return {user: self._known[user] for user in user_keys if user in self._known}

    def is_hidden(self, user_key: str) -> bool:
        """Whether the user appears offline, as far as this process knows."""
        known = self._known.get(user_key)
        return known is not None and known.status == OFFLINE

    def _forget_long_left(self) -> None:
        until = self._clock() - settings().presence_grace_seconds
        while self._left and self._left[user := next(iter(self._left))] <= until:
            del self._left[user], self._known[user]
