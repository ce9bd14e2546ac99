"""Who is online: a store in memory or in Redis, the reports of this process to it, and the announcements."""

from realtime.conf import Settings
from realtime.presence.store import PresenceStore


def open_store(settings: Settings) -> PresenceStore:
    """The store of this process: Redis if the site has one, else memory. Call it on the loop that will use it."""
    lease, grace = settings.presence_lease_seconds, settings.presence_grace_seconds
    # Imported here, so that a site without Redis need not load its client.
    if settings.redis_url:
        from realtime.presence.redis import RedisPresence

        prefix = f"{settings.key_prefix}:presence:"
        return RedisPresence(settings.redis_url, prefix, lease_seconds=lease, grace_seconds=grace)
    from realtime.presence.memory import MemoryPresence

    return MemoryPresence(lease_seconds=lease, grace_seconds=grace)
