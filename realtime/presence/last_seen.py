"""Notes who has gone and when users were last seen, and stores that. Owned by the tracker."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from django.db.models import Q, QuerySet
from django.utils import timezone

from realtime.auth.users import all_users
from realtime.conf import settings
from realtime.models import LastSeen
from realtime.presence.store import Lost, PresenceStore
from realtime.storage import database
from realtime.storage.transactions import own_transaction


class End(NamedTuple):
    """How visits ended: the column of `LastSeen`, and the moment if it is another one than that of the writing."""

    column: Literal["at", "left_at"]
    moment: datetime | None = None


SEEN, UNSEEN = End("at"), End("left_at")


class Departures:
    """The users of this process who have gone lately, until it is stored when they were last seen.

    A user who appears offline was last seen when that began, and not at the end of the visit. That end is stored, too,
    for those who ask how long somebody has been away.
    """

    def __init__(self) -> None:
        self._gone: dict[str, bool] = {}  # users whose last socket here has closed; whether they appeared offline
        self._ended: dict[End, dict[str, None]] = {}  # users whose visits have ended, for those who saw them or at all

    def note_gone(self, user_key: str, *, hidden: bool) -> None:
        """The user's last socket here has closed. `hidden` says whether they appear offline, if this process knows."""
        self._gone[user_key] = hidden

    def note_hidden(self, user_key: str) -> None:
        """The user appears offline from now on: others see them leave."""
        self._note(user_key, SEEN)

    def note_lost(self, users: Sequence[Lost], seconds: float) -> None:
        """These users had their last sockets in a process that was killed, whose lease ended so many seconds ago."""
        moment = timezone.now() - timedelta(seconds=settings().presence_lease_seconds + seconds)
        for user in users:
            self._note(user.user_id, End("at" if user.visible else "left_at", moment))

    async def choose_seen(self, store: PresenceStore) -> None:
        """Of those who have gone, note who was seen. Called before a sweep, which forgets who appears offline."""
        gone = list(self._gone)
        present = await store.get(gone) if gone else {}
        for user in gone:
            hidden = self._gone.pop(user, False)
            # A short grace time may be over already.
            is_seen = not hidden if user not in present else present[user].online
            self._note(user, SEEN if is_seen else UNSEEN)

    async def write(self) -> None:
        """Store that the visits ended, now if not said otherwise. Raises DatabaseUnavailable; nothing is lost then."""
        for end in list(self._ended):
            users = self._ended.pop(end)
            try:
                await database.run(write_end, users, end)
            except BaseException:  # also on a cancellation: the tracker writes what is left when it stops
                self._ended[end] = {**users, **self._ended.get(end, {})}
                raise

    def _note(self, user_key: str, end: End) -> None:
        self._ended.setdefault(end, {})[user_key] = None


def write_end(user_keys: Collection[str], end: End) -> None:
    """Store how the users' visits ended. Synchronous."""
    if end == SEEN:
        write_last_seen(user_keys)
    else:
        advance(user_keys, end.column, end.moment or timezone.now())


def write_last_seen(user_keys: Iterable[str]) -> None:
    """Store that the users' last sockets closed now. Users who were deleted meanwhile are skipped. Synchronous."""
    now = timezone.now()
    with own_transaction():
        LastSeen.objects.bulk_create(
            [LastSeen(user_id=pk, at=now) for pk in _existing(user_keys)],
            update_conflicts=True,
            unique_fields=["user"],
            update_fields=["at"],
        )


def advance(user_keys: Collection[str], column: str, moment: datetime) -> None:
    """Set a column to the moment in the users' rows where it has no later one. Synchronous.

    A user without a row was never seen: then only what others may see makes one.
    """
    with own_transaction():
        if column == "at":
            made = [LastSeen(user_id=pk, at=moment) for pk in _existing(user_keys)]
            LastSeen.objects.bulk_create(made, ignore_conflicts=True)
        earlier = Q((f"{column}__lt", moment)) | Q((f"{column}__isnull", True))
        rows = LastSeen.objects.filter(earlier, user__in=list(user_keys))
        # Rows are locked in the same order everywhere.
        locked = list(rows.order_by("user").select_for_update().values_list("user", flat=True))
        LastSeen.objects.filter(user__in=locked).update(**{column: moment})


def _existing(user_keys: Iterable[str]) -> "QuerySet[Any, Any]":
    return all_users().filter(pk__in=list(user_keys)).order_by("pk").values_list("pk", flat=True)
