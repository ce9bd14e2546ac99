"""Leases: a name that one process holds at a time. Stored in memory or in Redis."""

from realtime.conf import Settings
from realtime.storage.leases.store import LeaseStore


def open_store(settings: Settings) -> LeaseStore:
    """The store of this process: Redis if the site has one, else memory. Call it inside the loop that will use it."""
    # Imported here, so that a site without Redis does not load its client.
    if settings.redis_url:
        from realtime.storage.leases.redis import RedisLeases

        return RedisLeases(settings.redis_url, f"{settings.key_prefix}:lease:")
    from realtime.storage.leases.memory import MemoryLeases

    return MemoryLeases()
