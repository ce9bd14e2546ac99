"""This process's part in presence: counts its users' sockets, reports and announces changes. Owned by the node.

A report to the store holds the absolute counts of all users that changed, so a repeated report also repairs a store
that was away or has lost its data.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from realtime.auth.user_ids import read_id, wire_id
from realtime.conf import settings
from realtime.delivery.envelopes import Passing
from realtime.presence import audience
from realtime.presence.health import StoreHealth
from realtime.presence.last_seen import write_last_seen
from realtime.presence.store import OFFLINE, ONLINE, Change, PresenceStore, StoreUnavailable
from realtime.protocol.commands import Status
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import Presence, PresenceData, StatusData, UserStatus, encode, utc_now
from realtime.storage import database
from realtime.storage.tasks import end_tasks

logger = logging.getLogger(__name__)

CHUNK = 1000  # users in one call
# How long a new socket, or a process that stops, waits for a store that does not answer.
PATIENCE_SECONDS = 1


class Tracker:
    """Counts, leases and announcements of one process."""

    def __init__(
        self,
        process: str,
        store: PresenceStore,
        announce: Callable[[Passing], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._clock = clock
        self.online_count = 0  # as last reported by the store
        self._process = process
        self._announce = announce
        self._counts: dict[str, int] = {}  # sockets of each user in this process
        self._statuses: dict[str, tuple[str, bytes]] = {}  # set here; needed if the store forgets
        self._changed: set[str] = set()  # users whose count the store does not know yet
        self._gone: dict[str, None] = {}  # users whose last socket here has closed
        self._seen: dict[str, None] = {}  # to be written to the database as "last seen"
        self._waiting: list[asyncio.Future[int]] = []  # new sockets, until they are reported
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        # The time over which this process's users come back, after it has ended.
        self._return_seconds = 0.0
        self._synced = False  # whether the store has known this process
        self._arrived: list[Change] = []  # still to be announced
        self._late: list[Change] = []  # also; departures, and arrivals that were not announced in time
        self._renewed_at = float("-inf")
        self._health = StoreHealth(settings().presence_lease_seconds, clock)

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._report()), loop.create_task(self._tick())]

    async def stop(self) -> None:
        """Leave the store. This process's users have the grace time to connect to another process."""
        await end_tasks(self._tasks)
        self._gone.update(dict.fromkeys(self._counts))
        with contextlib.suppress(Refused, StoreUnavailable, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._choose_seen()
                await self._write_last_seen()
        with contextlib.suppress(StoreUnavailable):
            await self.store.drop(self._process, self._return_seconds)
        with contextlib.suppress(StoreUnavailable):
            await self.store.close()

    async def has_others(self) -> bool:
        """Report that this process will stop. Returns whether another one goes on; True if that cannot be known."""
        others = 1
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                others = await self.store.retire(self._process)
        self._return_seconds = 0.0 if others else settings().restart_window_seconds
        return others > 0

    async def arrive(self, user_key: str) -> int:
        """Count one more socket. Returns how many users are online, including this one."""
        self._count(user_key, +1)
        reported: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(reported)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                # Not `online_count`: a count that was asked for before may have arrived after the report.
                return await reported
        return self.online_count

    def depart(self, user_key: str) -> None:
        self._count(user_key, -1)

    async def set_status(self, user_key: str, status: Status, data: dict[str, object]) -> None:
        """Raises Refused(UNAVAILABLE)."""
        try:
            encoded = encode(data) if data else b""
            before = await self.store.set_status(user_key, status, encoded)
        except StoreUnavailable:
            before = None
        if before is None:
            raise Refused(ErrorCode.UNAVAILABLE, Reason.PRESENCE_AWAY)
        if user_key in self._counts:
            self._statuses[user_key] = (status, encoded)
        if (before == OFFLINE) != (status == OFFLINE):
            if status == OFFLINE:
                self._seen[user_key] = None  # others see the user leave now, and not at the end of the visit
            await self._announce_change(Change(user_key, OFFLINE if status == OFFLINE else "online"))
        if status != OFFLINE and (status, before) != ("online", OFFLINE):
            await self.send_to_audience(user_key, encode(Presence(PresenceData(_wire(user_key), status, data))))

    async def send_unless_hidden(self, user_key: str, body: bytes) -> None:
        """`send_to_audience`, unless the user appears offline, or might do so because the store is away."""
        # The store answers later, when the user may be visible again: what was done while hidden stays hidden.
        if self._statuses.get(user_key, (ONLINE, b""))[0] == OFFLINE:
            return
        try:
            entry = (await self.store.get([user_key])).get(user_key)
        except StoreUnavailable:
            return
        if entry is None or entry.online:
            await self.send_to_audience(user_key, body)

    async def send_to_audience(self, user_key: str, body: bytes) -> None:
        """Send a frame about a user to the audience of presence."""
        passing = await audience.address(user_key, body)
        if passing is not None:
            self._announce(passing)

    def _count(self, user_key: str, step: int) -> None:
        count = self._counts.get(user_key, 0) + step
        if count > 0:
            self._counts[user_key] = count
        else:
            self._counts.pop(user_key, None)
            self._statuses.pop(user_key, None)
            self._gone[user_key] = None
        self._changed.add(user_key)
        self._wake.set()

    async def _report(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._changed or self._arrived:
                try:
                    await self._sync()
                    await self._announce_arrivals()
                except StoreUnavailable as error:
                    self._health.note_refusal()
                    logger.warning("The presence store is away: %s", error)
                    await asyncio.sleep(1)
                except Refused:
                    logger.warning("Arrivals are announced later: the database is away")
                # A site's own audience function may raise anything, and this task is the only one that reports.
                except Exception:
                    logger.exception("Arrivals were not announced")

    async def _sync(self) -> None:
        users = [self._changed.pop() for _ in range(min(CHUNK, len(self._changed)))]
        waiting, self._waiting = self._waiting, []
        try:
            result = await self.store.sync(self._process, {user: self._counts.get(user, 0) for user in users})
        except StoreUnavailable:
            self._changed.update(users)
            # The other sockets went on without an answer after PATIENCE_SECONDS.
            self._waiting += [reported for reported in waiting if not reported.done()]
            raise
        self._health.note_report()
        self.online_count = result.online_count
        for reported in waiting:
            if not reported.done():
                reported.set_result(result.online_count)
        if self._synced and not result.known:
            # The store has lost this process: report all users again.
            self._changed.update(self._counts)
        self._synced = True
        self._arrived += result.arrived

    async def _announce_arrivals(self) -> None:
        while self._arrived:
            change = self._arrived[0]
            known = self._statuses.get(change.user_id)
            # The user is not new here: the store has lost its data, or another process took this one for dead.
            if known is not None:
                await self.store.set_status(change.user_id, *known)
            del self._arrived[0]
            if known is not None and known[0] == OFFLINE:
                continue
            try:
                await self._announce_change(change)
            except Refused:
                self._late.append(change)
                raise

    async def _tick(self) -> None:
        conf = settings()
        period = min(1.0, conf.presence_grace_seconds / 2 or 1.0)
        while True:
            try:
                await self._renew_if_due()
                # Before the sweep, which forgets who appears offline.
                await self._choose_seen()
                await self._sweep()
                self.online_count = await self.store.count()
                await self._write_last_seen()
            except StoreUnavailable as error:
                self._health.note_refusal()
                logger.debug("Presence is postponed: %s", error)
            except Refused as error:
                logger.debug("Presence is postponed: %s", error)
            except Exception:
                logger.exception("Presence could not be updated")
            await asyncio.sleep(period)

    async def _renew_if_due(self) -> None:
        """Renew the lease three times in its life, and each time anew after a failure.

        The first renewal is at once: a process that stops looks for others that go on, even without sockets.
        """
        now = self._clock()
        if now - self._renewed_at >= settings().presence_lease_seconds / 3:
            await self._renew()
            self._renewed_at = now

    async def _sweep(self) -> None:
        """Announce who has gone, as far as that can be known (`StoreHealth`)."""
        if not self._health.may_remove_users():
            return
        if self._late:
            await self._leave_out_what_is_over()
        self._late += await self.store.sweep(processes=self._health.may_remove_processes())
        self._health.note_report()
        await self._announce_late()

    async def _leave_out_what_is_over(self) -> None:
        """Of the changes that could not be announced: who was gone may be back meanwhile, and the reverse."""
        latest = {change.user_id: change for change in self._late}
        count = len(self._late)  # arrivals may be added meanwhile
        present = await self.store.get(list(latest))
        online = {user for user, entry in present.items() if entry.online}
        self._late[:count] = [c for c in latest.values() if (c.user_id in online) == (c.status != OFFLINE)]

    async def _announce_late(self) -> None:
        """Raises Refused if the database is away; what has not been announced is kept."""
        while self._late:
            change = self._late.pop(0)
            try:
                await self._announce_change(change)
            except Refused:
                self._late.insert(0, change)
                raise
            except Exception:  # raised by a site's own audience function
                logger.exception("A change of presence was not announced")

    async def _renew(self) -> None:
        if not await self.store.renew(self._process):
            await self.store.sync(self._process, {})
            self._changed.update(self._counts)
            self._wake.set()
        self._health.note_report()

    async def _announce_change(self, change: Change) -> None:
        data = StatusData(_wire(change.user_id), change.status, utc_now())
        await self.send_to_audience(change.user_id, encode(UserStatus(data)))

    async def _choose_seen(self) -> None:
        """Of those who have gone, note who was seen: users who appear offline were last seen when that began."""
        gone = list(self._gone)
        present = await self.store.get(gone) if gone else {}
        for user in gone:
            self._gone.pop(user, None)
            if user not in present or present[user].online:
                self._seen[user] = None

    async def _write_last_seen(self) -> None:
        if not self._seen:
            return
        users, self._seen = self._seen, {}
        try:
            await database.run(write_last_seen, users)
        except BaseException:  # also on a cancellation: `stop` writes what is left
            self._seen = {**users, **self._seen}
            raise


def _wire(user_key: str) -> int | str:
    return wire_id(read_id(user_key))
