"""Which users have which rooms open: a store in memory or in Redis, and the reports of this process to it."""

from realtime.conf import Settings
from realtime.presence.attendance.store import AttendanceStore


def open_store(settings: Settings) -> AttendanceStore:
    """The store of this process: Redis if the site has one, else memory. Call it on the loop that will use it."""
    # Imported here, so that a site without Redis need not load its client.
    if settings.redis_url:
        from realtime.presence.attendance.redis import RedisAttendance

        prefix = f"{settings.key_prefix}:attendance:"
        return RedisAttendance(settings.redis_url, prefix, lease_seconds=settings.presence_lease_seconds)
    from realtime.presence.attendance.memory import MemoryAttendance

    return MemoryAttendance(lease_seconds=settings.presence_lease_seconds)
