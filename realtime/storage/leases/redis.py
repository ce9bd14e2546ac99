"""Leases in Redis: the store of a site with more than one process. Opened by `leases.open_store`."""

from realtime.storage.leases.store import LeasesUnavailable
from realtime.storage.redis_client import open_client, translated_errors

ACQUIRE = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
"""


class RedisLeases:
    """A `LeaseStore` in Redis, shared by all processes with the same `url` and `prefix`."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        self._client = open_client(url)
        self._acquire = self._client.register_script(ACQUIRE)
        self._release = self._client.register_script(RELEASE)

    async def acquire(self, name: str, owner: str, seconds: float) -> bool:
        with translated_errors(LeasesUnavailable):
            return bool(await self._acquire(keys=[self._prefix + name], args=[owner, max(1, round(seconds * 1000))]))

    async def release(self, name: str, owner: str) -> None:
        with translated_errors(LeasesUnavailable):
            await self._release(keys=[self._prefix + name], args=[owner])

    async def close(self) -> None:
        with translated_errors(LeasesUnavailable):
            await self._client.aclose()
