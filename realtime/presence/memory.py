"""Presence in this process: the store of a site without Redis. Opened by `presence.open_store`.

No method awaits anything, so each of them is atomic on its event loop.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from realtime.presence.store import (
    NO_STATUSES,
    OFFLINE,
    ONLINE,
    Change,
    Entry,
    Lost,
    OnLost,
    Process,
    StatusResult,
    StoredStatus,
    SyncResult,
    Visible,
    ignore_lost,
    to_ms,
)
from realtime.protocol.census import Census


class MemoryPresence:
    """`PresenceStore` in dictionaries. `clock` gives seconds and never goes back."""

    def __init__(
        self, *, lease_seconds: float, grace_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lease_ms = to_ms(lease_seconds)
        self._grace_ms = to_ms(grace_seconds)
        self._clock = clock
        self._leases: dict[str, int] = {}  # process -> when it ends
        self._retiring: set[str] = set()
        self._counts: dict[str, dict[str, int]] = {}  # process -> user -> sockets, never 0
        self._totals: dict[str, int] = {}  # user -> sockets; 0 for users who are leaving
        self._leaving: dict[str, int] = {}  # user -> when the grace time ends
        # Users in the order in which they came online, each with the number of that change.
        self._visible: dict[str, int] = {}
        self._version = 0  # the number of the last change
        self._statuses: dict[str, StoredStatus] = {}  # of users who have set one

    async def sync(
        self, process: str, counts: Mapping[str, int], statuses: Mapping[str, StoredStatus] = NO_STATUSES
    ) -> SyncResult:
        known = process in self._leases
        self._leases[process] = self._now() + self._lease_ms
        mine = self._counts.setdefault(process, {})
        arrived = []
        restored = self._restore(counts, statuses)
        for user, count in counts.items():
            change = count - mine.pop(user, 0)
            if count:
                mine[user] = count
            if self._add(user, change):
                arrived.append(Change(user, ONLINE, self._version))
        to_hide = [user for user in restored if self._statuses[user].status == OFFLINE]
        hidden = [Change(user, OFFLINE, self._version) for user in to_hide if self._hide(user)]
        here = {user: self._statuses[user] for user, count in counts.items() if count and user in self._statuses}
        return SyncResult(len(self._visible), arrived, known, self._version, hidden, here)

    async def renew(self, process: str) -> bool:
        if process not in self._leases:
            return False
        self._leases[process] = self._now() + self._lease_ms
        return True

    async def sweep(self, *, processes: bool = True, on_lost: OnLost = ignore_lost) -> list[Change]:
        now = self._now()
        dead = {process: ends for process, ends in self._leases.items() if processes and ends <= now}
        for process, ends in dead.items():
            on_lost([Lost(user, user in self._visible) for user in self._bury(process)], (now - ends) / 1000)
        gone = self._take_due(now)
        return [Change(user, OFFLINE, self._version) for user in gone if self._remove(user)]

    async def retire(self, process: str) -> int:
        now = self._now()
        self._retiring.add(process)
        return sum(ends > now for other, ends in self._leases.items() if other not in self._retiring)

    async def drop(self, process: str, longer_seconds: float = 0) -> None:
        self._bury(process, to_ms(longer_seconds))

    async def set_status(self, user_id: str, status: str, data: bytes, process: str = "") -> StatusResult | None:
        if user_id not in self._totals:
            return None
        previous, _ = self._statuses.get(user_id, (ONLINE, b""))
        self._statuses[user_id] = StoredStatus(status, data)
        if status == OFFLINE:
            self._hide(user_id)
        else:
            self._show(user_id)
        is_elsewhere = self._totals[user_id] > self._counts.get(process, {}).get(user_id, 0)
        return StatusResult(previous, await self.census(), is_elsewhere)

    async def count(self) -> int:
        return len(self._visible)

    async def census(self) -> Census:
        return Census(len(self._visible), self._version)

    async def choose_visible(self, user_ids: Sequence[str]) -> Visible:
        found = {user: self._visible[user] for user in user_ids if user in self._visible}
        ordered = sorted(found, key=found.__getitem__)
        return Visible(ordered, self._version, [found[user] for user in ordered])

    async def page(self, offset: int, limit: int) -> list[Entry]:
        return [self._entry(user) for user in islice(self._visible, offset, offset + limit)]

    async def get(self, user_ids: Sequence[str]) -> dict[str, Entry]:
        return {user: self._entry(user) for user in user_ids if user in self._totals}

    async def processes(self, limit: int) -> list[Process]:
        now = self._now()
        live = sorted(process for process, ends in self._leases.items() if ends > now)
        counts = ((name, self._counts.get(name, {})) for name in live[:limit])
        return [Process(name, len(mine), sum(mine.values()), name in self._retiring) for name, mine in counts]

    async def close(self) -> None:
        return None

    def _now(self) -> int:
        return to_ms(self._clock())

    def _entry(self, user: str) -> Entry:
        return Entry(user, self._totals[user], *self._statuses.get(user, (ONLINE, b"")))

    def _restore(self, counts: Mapping[str, int], statuses: Mapping[str, StoredStatus]) -> list[str]:
        """Store the statuses of users who have none here. Returns these users."""
        lost = [user for user in counts if counts[user] and user in statuses and user not in self._statuses]
        self._statuses.update({user: statuses[user] for user in lost})
        return lost

    def _add(self, user: str, change: int, longer_ms: int = 0) -> bool:
        """Change the user's total. True if the user was not known before, and is visible now."""
        # A repeated 0 must not postpone the end of the grace time.
        if not change:
            return False
        known = user in self._totals
        self._totals[user] = self._totals.get(user, 0) + change
        self._leaving.pop(user, None)
        if not self._totals[user]:
            self._leaving[user] = self._now() + self._grace_ms + longer_ms
        status = self._statuses.get(user)
        is_new = not known and (status is None or status.status != OFFLINE)
        if is_new:
            self._show(user)
        return is_new

    def _show(self, user: str) -> None:
        if user not in self._visible:
            self._version += 1
            self._visible[user] = self._version

    def _hide(self, user: str) -> bool:
        """True if the user was visible."""
        if self._visible.pop(user, None) is None:
            return False
        self._version += 1
        return True

    def _bury(self, process: str, longer_ms: int = 0) -> list[str]:
        """Forget the process, and subtract the sockets that it had. Returns the users who have none left."""
        self._leases.pop(process, None)
        self._retiring.discard(process)
        counts = self._counts.pop(process, {})
        for user, count in counts.items():
            self._add(user, -count, longer_ms)
        return [user for user in counts if not self._totals[user]]

    def _take_due(self, now: int) -> list[str]:
        return [user for user, gone_at in self._leaving.items() if gone_at <= now]

    def _remove(self, user: str) -> bool:
        """Forget the user. True if the user was visible."""
        del self._totals[user], self._leaving[user]
        self._statuses.pop(user, None)
        return self._hide(user)
