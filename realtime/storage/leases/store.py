"""The contract of leases (L1): a name belongs to one owner at a time, until the owner gives it back or stops renewing.

Two stores keep it, `memory` and `redis`, and one test file runs on both. Called by the ticker and by the pruner.
"""

from typing import Protocol

from realtime.conf import Settings


class LeasesUnavailable(Exception):
    """The store cannot be reached. What was asked may or may not have happened."""


class LeaseStore(Protocol):
    """All methods raise `LeasesUnavailable`. An instance belongs to one event loop."""

    async def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Own `name` for that long from now on, also when it is one's own already. False while somebody else does."""
        ...

    async def release(self, name: str, owner: str) -> None:
        """Give one's own back; somebody else's stays."""
        ...

    async def close(self) -> None: ...


def open_store(settings: Settings) -> LeaseStore:
    """The store of this process: Redis when the site has one, else memory. Called inside the loop that will use it."""
    # Imported here because the stores import the contract above, and a site without Redis need not load its client.
    if settings.redis_url:
        from realtime.storage.leases.redis import RedisLeases

        return RedisLeases(settings.redis_url, f"{settings.key_prefix}:lease:")
    from realtime.storage.leases.memory import MemoryLeases

    return MemoryLeases()
