"""This process's part in presence: counts its users' sockets, reports and announces changes. Owned by the node.

A report to the store holds the absolute counts of all users that changed, so a repeated report also repairs a store
that was away or has lost its data.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple, Protocol

from realtime.conf import settings
from realtime.delivery.envelopes import Passing
from realtime.presence import audience
from realtime.presence.announcements import Announcements, wire_key
from realtime.presence.health import StoreHealth, report_seconds
from realtime.presence.last_seen import Departures
from realtime.presence.statuses import Statuses
from realtime.presence.store import OFFLINE, ONLINE, Change, PresenceStore, StoredStatus, StoreUnavailable
from realtime.presence.unanswered import UnansweredReports
from realtime.protocol.census import Census
from realtime.protocol.commands import Status
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import Presence, PresenceData, encode
from realtime.storage.tasks import end_tasks, time_limit

logger = logging.getLogger(__name__)

CHUNK = 1000  # users in one call
# How long a new socket, or a process that stops, waits for a store that does not answer.
PATIENCE_SECONDS = 1


class Waiting(NamedTuple):
    """A new socket whose user is to be reported. `reported` gets the answer of the store."""

    user_key: str
    reported: "asyncio.Future[Census]"


class Counter(Protocol):
    """Who hears how many users are online: the announcer."""

    def note(self, census: Census) -> None: ...
    def restart(self, census: Census) -> None: ...
    def take_miscounting(self) -> set[str]: ...


class Tracker:
    """Counts, leases and announcements of one process."""

    def __init__(
        self,
        process: str,
        store: PresenceStore,
        announce: Callable[[Passing], None],
        clock: Callable[[], float] = time.monotonic,
        counter: Counter | None = None,
        tell_others: Callable[[str], None] = lambda _user_key: None,
    ) -> None:
        """`counter` hears how many users are online, if everybody may know that.

        `tell_others` is called with a user whose status has changed: all trackers are to call `look_up_status`.
        """
        self.store = store
        self._clock = clock
        self.census = Census(0, 0)  # the newest answer of the store
        self._counter = counter
        self._process = process
        self._announcements = Announcements(store, announce)
        self._counts: dict[str, int] = {}  # sockets of each user in this process
        self._statuses = Statuses(clock)  # needed if the store forgets
        self._tell_others = tell_others
        # Users whose count the store does not know yet, or whose status this process does not know.
        self._changed: set[str] = set()
        self._departures = Departures()
        self._waiting: list[Waiting] = []  # new sockets, until they are reported
        self._guessed: set[str] = (
            set()
        )  # users with a socket whose greeting has a guessed count, until they are reported
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        # The time over which this process's users come back, after it has ended.
        self._return_seconds = 0.0
        self._synced = False  # whether the store has known this process
        # Still to be announced, with those who are found to appear offline.
        self._arrived: list[Change] = []
        self._unanswered = UnansweredReports()
        self._renewed_at = float("-inf")
        self._health = StoreHealth(settings().presence_lease_seconds, clock)

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        choose_seen = partial(self._departures.choose_seen, self.store)
        others = (choose_seen, self._sweep, self._take_census, self._correct_counts, self._departures.write)
        # The lease by itself: the others wait for the database, which may hang, and who is here must not seem gone.
        steps = (self._report(), self._repeat(self._renew_if_due), self._repeat(*others))
        self._tasks = [loop.create_task(step) for step in steps]

    async def stop(self) -> None:
        """Leave the store. This process's users have the grace time to connect to another process."""
        await end_tasks(self._tasks)
        self._tasks = []
        for user in self._counts:
            self._departures.note_gone(user, hidden=self._statuses.is_hidden(user))
        with contextlib.suppress(Refused, StoreUnavailable, TimeoutError):
            async with time_limit(PATIENCE_SECONDS):
                await self._departures.choose_seen(self.store)
                await self._departures.write()
        with contextlib.suppress(StoreUnavailable):
            await self.store.drop(self._process, self._return_seconds)
        with contextlib.suppress(StoreUnavailable):
            await self.store.close()

    async def has_others(self) -> bool:
        """Report that this process will stop. Returns whether another one goes on; True if that cannot be known."""
        others = 1
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with time_limit(PATIENCE_SECONDS):
                others = await self.store.retire(self._process)
        self._return_seconds = 0.0 if others else settings().restart_window_seconds
        return others > 0

    @property
    def online_count(self) -> int:
        """As last reported by the store."""
        return self.census.online_count

    async def arrive(self, user_key: str) -> Census:
        """Count one more socket. Returns how many users are online, of those whose presence the user may see.

        That includes the user, and every change that was announced before the call. The version is 0 if that could not
        be looked up: then the count is a guess.
        """
        self._count(user_key, +1)
        reported: asyncio.Future[Census] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(user_key, reported))
        with contextlib.suppress(TimeoutError):
            async with time_limit(PATIENCE_SECONDS):
                # Not `self.census`: a count that was asked for before may have arrived after the report.
                census = await reported
                if not audience.is_everyone():
                    census = await audience.count_visible(self.store, user_key)
                if census.version:
                    return census
        # The right count is sent after the next report, which it has to contain.
        self._guessed.add(user_key)
        self._changed.add(user_key)
        self._wake.set()
        return Census(self.online_count if audience.is_everyone() else 1, 0)

    def depart(self, user_key: str) -> None:
        self._count(user_key, -1)

    async def set_status(self, user_key: str, status: Status, data: dict[str, object]) -> None:
        """Raises Refused(UNAVAILABLE)."""
        try:
            encoded = encode(data) if data else b""
            result = await self.store.set_status(user_key, status, encoded, self._process)
        except StoreUnavailable:
            result = None
        if result is None:
            raise Refused(ErrorCode.UNAVAILABLE, Reason.PRESENCE_AWAY)
        if user_key in self._counts:
            self._statuses.note({user_key: StoredStatus(status, encoded)})
        if result.is_elsewhere:
            self._tell_others(user_key)
        self._note(result.census)
        if (result.previous == OFFLINE) != (status == OFFLINE):
            if status == OFFLINE:
                self._departures.note_hidden(user_key)
            change = Change(user_key, OFFLINE if status == OFFLINE else ONLINE, result.census.version)
            await self._announcements.announce(change)
            await self._announcements.send_own_count(user_key)
        if status != OFFLINE and (status, result.previous) != (ONLINE, OFFLINE):
            body = encode(Presence(PresenceData(wire_key(user_key), status, data)))
            await self._announcements.send(user_key, body)

    async def send_unless_hidden(self, user_key: str, body: bytes) -> None:
        """Send a frame to the audience, unless the user appears offline, or might do so because the store is away."""
        # The store answers later, when the user may be visible again: what was done while hidden stays hidden.
        if self._statuses.is_hidden(user_key):
            return
        try:
            entry = (await self.store.get([user_key])).get(user_key)
        except StoreUnavailable:
            return
        if entry is None or entry.online:
            await self._announcements.send(user_key, body)

    def look_up_status(self, user_key: str) -> None:
        """The user's status has changed, perhaps in another process. The answer to the next report says it."""
        if user_key in self._counts:
            self._changed.add(user_key)
            self._wake.set()

    def _count(self, user_key: str, step: int) -> None:
        if user_key not in self._counts:
            self._statuses.enter(user_key)
        count = self._counts.get(user_key, 0) + step
        if count > 0:
            self._counts[user_key] = count
        else:
            self._counts.pop(user_key, None)
            self._departures.note_gone(user_key, hidden=self._statuses.is_hidden(user_key))
            self._statuses.leave(user_key)
        self._changed.add(user_key)
        self._wake.set()

    def _note(self, census: Census) -> None:
        """The store has answered. Answers may overtake each other."""
        if census.version >= self.census.version:
            self.census = census
        if self._counter is not None and audience.is_everyone():
            self._counter.note(self.census)

    async def _report(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._changed or self._arrived:
                try:
                    await self._sync()
                    await self._announce_arrivals()
                except StoreUnavailable as error:
                    self._health.note_refusal(error)
                    await asyncio.sleep(1)
                except Refused:
                    logger.warning("Arrivals are announced later: the database is away")
                # A site's own audience function may raise anything, and this task is the only one that reports.
                except Exception:
                    logger.exception("Arrivals were not announced")

    async def _sync(self) -> None:
        users = {self._changed.pop() for _ in range(min(CHUNK, len(self._changed)))}
        # The other sockets went on without an answer after PATIENCE_SECONDS.
        left = [one for one in self._waiting if not one.reported.done()]
        waiting = [one for one in left if one.user_key in users]
        self._waiting = [one for one in left if one.user_key not in users]
        before = self.census.version
        try:
            counts = {user: self._counts.get(user, 0) for user in users}
            known = self._statuses.find(user for user in users if counts[user])
            result = await self.store.sync(self._process, counts, known)
        except StoreUnavailable:
            self._changed.update(users)
            self._unanswered.note(users, before)
            self._waiting += waiting
            raise
        self._health.note_report()
        self._note(result.census)
        for one in waiting:
            if not one.reported.done():
                one.reported.set_result(result.census)
        if self._synced and not result.known:
            self._start_again(result.census)
        self._synced = True
        self._statuses.note({user: status for user, status in result.statuses.items() if user in self._counts})
        self._arrived += result.arrived + result.hidden
        for user in [*(change.user_id for change in result.hidden), *(self._guessed & users)]:
            self._announcements.doubt(user)
        self._guessed -= users
        try:
            found = await self._unanswered.find_arrivals(self.store, users)
        except StoreUnavailable:
            self._changed.update(users)
            raise
        heard = {change.user_id for change in result.arrived}
        self._arrived += [change for change in found if change.user_id not in heard]

    async def _announce_arrivals(self) -> None:
        while self._arrived:
            change = self._arrived.pop(0)
            try:
                await self._announcements.announce(change)
            except Refused:
                self._announcements.late.append(change)
                raise

    async def _repeat(self, *steps: Callable[[], Awaitable[None]]) -> None:
        """Take these steps, at least once a second while nothing hangs."""
        conf = settings()
        period = min(report_seconds(conf.presence_lease_seconds), conf.presence_grace_seconds / 2 or 1.0)
        while True:
            try:
                for step in steps:
                    await step()
            except StoreUnavailable as error:
                self._health.note_refusal(error)
            except Refused as error:
                logger.debug("Presence is postponed: %s", error)
            except Exception:
                logger.exception("Presence could not be updated")
            await asyncio.sleep(period)

    async def _take_census(self) -> None:
        before = self.census
        census = await self.store.census()
        if census.version < before.version:
            self._start_again(census)
        self._note(census)

    async def _correct_counts(self) -> None:
        """Send counts to the users of this process who were not told of a change."""
        await self._announcements.send_counts(self._counter.take_miscounting() if self._counter is not None else ())

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
        await self._announcements.leave_out_what_is_over()
        self._announcements.late += await self.store.sweep(
            processes=self._health.may_remove_processes(), on_lost=self._departures.note_lost
        )
        self._health.note_report()
        await self._announcements.announce_late()

    async def _renew(self) -> None:
        was_known = self._synced
        if not await self.store.renew(self._process):
            result = await self.store.sync(self._process, {})
            if was_known:
                self._start_again(result.census)
        self._health.note_report()

    def _start_again(self, census: Census) -> None:
        """The store has lost this process, or its last changes: report all users again."""
        self._changed.update(self._counts)
        self._wake.set()
        self.census = census
        if self._counter is not None:
            self._counter.restart(census)
