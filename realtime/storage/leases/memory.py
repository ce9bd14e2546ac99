"""Leases in this process's memory: the store of a site without Redis. Opened by `leases.open_store`."""

import time
from collections.abc import Callable


class MemoryLeases:
    """A `LeaseStore` in a dictionary. `clock` returns seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, tuple[str, float]] = {}  # name -> owner and when it ends

    async def acquire(self, name: str, owner: str, seconds: float) -> bool:
        now = self._clock()
        holder, ends = self._held.get(name, (owner, now))
        if holder != owner and ends > now:
            return False
        self._held[name] = (owner, now + seconds)
        return True

    async def release(self, name: str, owner: str) -> None:
        if self._held.get(name, ("", 0))[0] == owner:
            del self._held[name]

    async def close(self) -> None:
        """Nothing to close. Leases that are held stay until they end."""
