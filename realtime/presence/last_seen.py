"""Notes who has gone and when users were last seen, and stores that. Owned by the tracker."""

from collections.abc import Iterable

from django.utils import timezone

from realtime.auth.users import all_users
from realtime.models import LastSeen
from realtime.presence.store import PresenceStore
from realtime.storage import database
from realtime.storage.transactions import own_transaction


class Departures:
    """The users of this process who have gone lately, until it is stored when they were last seen.

    A user who appears offline was last seen when that began, and not at the end of the visit.
    """

    def __init__(self) -> None:
        self._gone: dict[str, bool] = {}  # users whose last socket here has closed; whether they appeared offline
        self._seen: dict[str, None] = {}  # users who were seen until now

    def note_gone(self, user_key: str, *, hidden: bool) -> None:
        """The user's last socket here has closed. `hidden` says whether they appear offline, if this process knows."""
        self._gone[user_key] = hidden

    def note_hidden(self, user_key: str) -> None:
        """The user appears offline from now on: others see them leave."""
        self._seen[user_key] = None

    async def choose_seen(self, store: PresenceStore) -> None:
        """Of those who have gone, note who was seen. Called before a sweep, which forgets who appears offline."""
        gone = list(self._gone)
        present = await store.get(gone) if gone else {}
        for user in gone:
            hidden = self._gone.pop(user, False)
            # A short grace time may be over already.
            if not hidden if user not in present else present[user].online:
                self._seen[user] = None

    async def write(self) -> None:
        """Store that the users were seen now. Raises DatabaseUnavailable; nothing is lost then."""
        if not self._seen:
            return
        users, self._seen = self._seen, {}
        try:
            await database.run(write_last_seen, users)
        except BaseException:  # also on a cancellation: the tracker writes what is left when it stops
            self._seen = {**users, **self._seen}
            raise


def write_last_seen(user_keys: Iterable[str]) -> None:
    """Store that the users' last sockets closed now. Users who were deleted meanwhile are skipped. Synchronous."""
    existing = all_users().filter(pk__in=list(user_keys)).order_by("pk").values_list("pk", flat=True)
    now = timezone.now()
    with own_transaction():
        LastSeen.objects.bulk_create(
            [LastSeen(user_id=pk, at=now) for pk in existing],
            update_conflicts=True,
            unique_fields=["user"],
            update_fields=["at"],
        )
