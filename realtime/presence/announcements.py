"""Announces who has come and gone to the audience of presence. Owned by the tracker.

What cannot be announced, because the database is away and nobody knows who is to hear it, is kept until it can.
"""

import logging
from collections.abc import Callable, Collection

from realtime.auth.user_ids import read_id, wire_id
from realtime.delivery.envelopes import Passing
from realtime.presence import audience
from realtime.presence.store import OFFLINE, Change, PresenceStore
from realtime.protocol.errors import Refused
from realtime.protocol.frames import OnlineCount, OnlineCountData, StatusData, UserStatus, encode, utc_now

logger = logging.getLogger(__name__)


class Announcements:
    """What is said about users, and what is still to be said."""

    def __init__(self, store: PresenceStore, announce: Callable[[Passing], None]) -> None:
        self._store = store
        self._announce = announce
        self.late: list[Change] = []  # departures, and arrivals that were not announced in time
        self._miscounting: set[str] = set()  # users, by key, who need a count of those whom they may see

    async def send(self, user_key: str, body: bytes, version: int = 0) -> None:
        """Send a frame about a user to the audience of presence. `version` is that of the change that it tells."""
        passing = await audience.address(user_key, body, version)
        if passing is not None:
            self._announce(passing)

    async def announce(self, change: Change) -> None:
        """Raises Refused if the database is away, and what a site's own audience function raises."""
        data = StatusData(wire_key(change.user_id), change.status, utc_now())
        await self.send(change.user_id, encode(UserStatus(data)), change.version)

    async def send_own_count(self, user_key: str) -> bool:
        """Users who have become hidden or visible are not told of themselves, but count as others count them.

        With the audience `everyone`, the announcer sends the count. False if nobody can tell the count now: then it is
        sent later.
        """
        if audience.is_everyone():
            return True
        census = await audience.count_visible(self._store, user_key)
        if not census.version:
            self._miscounting.add(user_key)
            return False
        body = encode(OnlineCount(OnlineCountData(census.online_count)))
        self._announce(Passing(body, users=(user_key,), version=census.version))
        return True

    def doubt(self, user_key: str) -> None:
        """The count of this user's sockets may be wrong: `send_counts` sends another one."""
        self._miscounting.add(user_key)

    async def send_counts(self, user_keys: Collection[str]) -> None:
        """Send counts to these users, and to those who still need one."""
        self._miscounting.update(user_keys)
        is_known = True
        while self._miscounting and is_known:
            is_known = await self.send_own_count(self._miscounting.pop())

    async def leave_out_what_is_over(self) -> None:
        """Of the changes that could not be announced: who was gone may be back meanwhile, and the reverse."""
        if not self.late:
            return
        latest = {change.user_id: change for change in self.late}
        count = len(self.late)  # arrivals may be added meanwhile
        present = await self._store.get(list(latest))
        online = {user for user, entry in present.items() if entry.online}
        self.late[:count] = [c for c in latest.values() if (c.user_id in online) == (c.status != OFFLINE)]

    async def announce_late(self) -> None:
        """Raises Refused if the database is away; what has not been announced is kept."""
        while self.late:
            change = self.late.pop(0)
            try:
                await self.announce(change)
            except Refused:
                self.late.insert(0, change)
                raise
            except Exception:  # raised by a site's own audience function
                logger.exception("A change of presence was not announced")


def wire_key(user_key: str) -> int | str:
    """A user's id as in frames."""
    return wire_id(read_id(user_key))
