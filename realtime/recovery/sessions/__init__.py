"""Sessions: the subscriptions of a socket, kept for a while after it has closed, in memory or in Redis."""

from realtime.conf import Settings
from realtime.recovery.sessions.store import SessionStore


def open_store(settings: Settings) -> SessionStore:
    """The store of this process: Redis if the site has one, else memory. Call it on the loop that will use it."""
    # Imported here, so that a site without Redis need not load its client.
    if settings.redis_url:
        from realtime.recovery.sessions.redis import RedisSessions

        return RedisSessions(settings.redis_url, f"{settings.key_prefix}:session:", settings.session_seconds)
    from realtime.recovery.sessions.memory import MemorySessions

    return MemorySessions(settings.session_seconds)
