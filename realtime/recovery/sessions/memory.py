"""Sessions in this process: the store of a site without Redis. Opened by `sessions.open_store`."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from realtime.recovery.sessions.store import Session

MAX_SESSIONS = 100_000  # beyond that, the oldest are dropped


class Kept(NamedTuple):
    """What is known of one session."""

    ends: float  # when it is forgotten
    session: Session | None  # None: given up
    successor: str | None = None  # of the latest claim


class MemorySessions:
    """`SessionStore` in a dictionary, in the order of saving. `clock` gives seconds and never goes back."""

    def __init__(self, life_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._life_seconds = life_seconds
        self._clock = clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    async def save(self, sessions: Mapping[str, Session]) -> None:
        self._forget_old()
        for id, session in sessions.items():
            known = self._kept.get(id)
            is_over = known is not None and known.session is None
            self._put(id, None if is_over else session, known.successor if known else None)

    async def claim(self, id: str, user: str, successor: str) -> Session | None:
        self._forget_old()
        known = self._kept.get(id)
        if known is None or known.session is None or known.session.user != user:
            return None
        self._put(id, known.session, successor)
        self._put(successor, known.session)
        return known.session

    async def give_up(self, successors: Mapping[str, str]) -> None:
        self._forget_old()
        for id, successor in successors.items():
            known = self._kept.get(id)
            if known is not None and known.successor == successor:
                self._put(id, None)

    async def close(self) -> None:
        self._kept.clear()

    def _put(self, id: str, session: Session | None, successor: str | None = None) -> None:
        self._kept[id] = Kept(self._clock() + self._life_seconds, session, successor)
        self._kept.move_to_end(id)

    def _forget_old(self) -> None:
        now = self._clock()
        while self._kept and (len(self._kept) > MAX_SESSIONS or next(iter(self._kept.values())).ends <= now):
            self._kept.popitem(last=False)
