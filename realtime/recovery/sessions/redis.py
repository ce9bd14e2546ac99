"""Sessions in Redis: the store of a site with more than one process. Opened by `sessions.open_store`.

A session is a hash of `user` and `data`. A claimed session keeps its key for its whole lifetime, so that the socket
that lost it cannot bring it back by saving late.
"""

from collections.abc import Mapping

import msgspec

from realtime.recovery.sessions.store import Session, SessionsUnavailable
from realtime.storage.redis_client import open_client, translated_errors

SAVE = """
local user = redis.call('HGET', KEYS[1], 'user')
if user == '' then return redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
redis.call('HSET', KEYS[1], 'user', ARGV[1], 'data', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""

CLAIM = """
if redis.call('HGET', KEYS[1], 'user') ~= ARGV[1] then return false end
local data = redis.call('HGET', KEYS[1], 'data')
redis.call('HSET', KEYS[1], 'user', '', 'data', '')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return data
"""


class RedisSessions:
    """`SessionStore` in Redis, shared by all processes with the same `url` and `prefix`."""

    def __init__(self, url: str, prefix: str, life_seconds: float) -> None:
        self._prefix = prefix
        self._life_ms = round(life_seconds * 1000)
        self._client = open_client(url)
        self._save = self._client.register_script(SAVE)
        self._claim = self._client.register_script(CLAIM)

    async def save(self, sessions: Mapping[str, Session]) -> None:
        with translated_errors(SessionsUnavailable):
            async with self._client.pipeline(transaction=False) as pipeline:
                for id, session in sessions.items():
                    data = msgspec.msgpack.encode(session)
                    await self._save(
                        keys=[self._prefix + id], args=[session.user, data, self._life_ms], client=pipeline
                    )
                await pipeline.execute()

    async def claim(self, id: str, user: str) -> Session | None:
        with translated_errors(SessionsUnavailable):
            data = await self._claim(keys=[self._prefix + id], args=[user, self._life_ms])
        return msgspec.msgpack.decode(data, type=Session) if data else None

    async def close(self) -> None:
        with translated_errors(SessionsUnavailable):
            await self._client.aclose()
