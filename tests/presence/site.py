"""A site of two processes, whose clock and store the tests hold."""

import json

from realtime.presence.memory import MemoryPresence
from realtime.presence.store import StoreUnavailable
from realtime.presence.tracker import Tracker


class Refusing(MemoryPresence):
    """Takes no reports while it is full."""

    is_full = False

    async def _refuse_if_full(self) -> None:
        if self.is_full:
            raise StoreUnavailable

    async def sync(self, *report):
        await self._refuse_if_full()
        return await super().sync(*report)

    async def renew(self, process):
        await self._refuse_if_full()
        return await super().renew(process)

    async def set_status(self, *change):
        await self._refuse_if_full()
        return await super().set_status(*change)


class Site:
    """Two processes with one store. Time passes in seconds, in each of which both do what is due."""

    def __init__(self):
        self.now = 1_000.0
        self.store = Refusing(lease_seconds=20, grace_seconds=1, clock=lambda: self.now)
        self.announced = []
        self.processes = {name: self._open(name) for name in ("p1", "p2")}

    def _open(self, name):
        def announce(passing):
            frame = json.loads(passing.body)
            self.announced.append((frame["data"]["user_id"], frame["data"]["status"]))

        return Tracker(name, self.store, announce, clock=lambda: self.now, tell_others=self._tell_status)

    def _tell_status(self, user_key):
        for tracker in self.processes.values():
            tracker.look_up_status(user_key)

    def lose_data(self):
        """As of a Redis that starts empty."""
        is_full, version = self.store.is_full, self.store._version
        self.store.__init__(lease_seconds=20, grace_seconds=1, clock=lambda: self.now)
        self.store.is_full, self.store._version = is_full, version + 1_000_000

    async def pass_time(self, seconds):
        for _ in range(seconds):
            self.now += 1
            for tracker in self.processes.values():
                for step in (tracker._sync, tracker._announce_arrivals, tracker._renew_if_due, tracker._sweep):
                    try:
                        await step()
                    except StoreUnavailable as error:
                        tracker._health.note_refusal(error)
                        break
