"""Sessions: what a socket was subscribed to, kept for a while after it has gone, in memory or in Redis."""

from realtime.conf import Settings
from realtime.recovery.sessions.store import SessionStore


def open_store(settings: Settings) -> SessionStore:
    """The store of this process: Redis when the site has one, else memory. Called inside the loop that will use it."""
    # Imported here, so that a site without Redis need not load its client.
    if settings.redis_url:
        from realtime.recovery.sessions.redis import RedisSessions

        return RedisSessions(settings.redis_url, f"{settings.key_prefix}:session:", settings.session_seconds)
    from realtime.recovery.sessions.memory import MemorySessions

    return MemorySessions(settings.session_seconds)
