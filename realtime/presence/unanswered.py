"""Reports that the store may have taken without an answer: who has arrived with them. Used by the tracker."""

from collections.abc import Collection

from realtime.presence.store import ONLINE, Change, PresenceStore


class UnansweredReports:
    """The next report of these users does not say that they have arrived, if the store knows it already."""

    def __init__(self) -> None:
        # By user key, the last change that was known before the first of these reports; 0 for none.
        self._before: dict[str, int] = {}

    def note(self, users: Collection[str], version: int) -> None:
        self._before = {**dict.fromkeys(users, version), **self._before}

    async def find_arrivals(self, store: PresenceStore, reported: Collection[str]) -> list[Change]:
        """Of the users in a report that was answered now, who has arrived with an earlier one. Raises StoreUnavailable.

        Where another process has announced it, it is the same change, which nobody is told of twice.
        """
        unsure = [user for user in reported if user in self._before]
        if not unsure:
            return []
        visible = await store.choose_visible(unsure)
        before = {user: self._before.pop(user) for user in unsure}
        places = zip(visible.user_ids, visible.places, strict=True)
        return [Change(user, ONLINE, place) for user, place in places if 0 < before[user] < place]
