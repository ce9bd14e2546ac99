"""Sessions in this process: the store of a site without Redis. Opened by `sessions.open_store`."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from realtime.recovery.sessions.store import Session

MAX_SESSIONS = 100_000  # beyond that, the oldest are dropped


class MemorySessions:
    """`SessionStore` in a dictionary, in the order of saving. `clock` gives seconds and never goes back."""

    def __init__(self, life_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._life_seconds = life_seconds
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Session | None]] = OrderedDict()  # None: claimed

    async def save(self, sessions: Mapping[str, Session]) -> None:
        self._forget_old()
        for id, session in sessions.items():
            self._put(id, session if self._kept.get(id, (0, session))[1] is not None else None)

    async def claim(self, id: str, user: str) -> Session | None:
        self._forget_old()
        _ends, session = self._kept.get(id, (0, None))
        if session is None or session.user != user:
            return None
        self._put(id, None)
        return session

    async def close(self) -> None:
        self._kept.clear()

    def _put(self, id: str, session: Session | None) -> None:
        self._kept[id] = (self._clock() + self._life_seconds, session)
        self._kept.move_to_end(id)

    def _forget_old(self) -> None:
        now = self._clock()
        while self._kept and (len(self._kept) > MAX_SESSIONS or next(iter(self._kept.values()))[0] <= now):
            self._kept.popitem(last=False)
