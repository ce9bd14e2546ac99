"""Sessions in Redis: the store of a site with more than one process. Opened by `sessions.open_store`.

A session is a hash of `user`, `data` and, once claimed, `successor`. One that was given up keeps its key for its whole
lifetime, with an empty user, so that the socket that lost it cannot bring it back by saving late.
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

# KEYS are the session and its successor. Both need one Redis, not a cluster.
CLAIM = """
local user, data = unpack(redis.call('HMGET', KEYS[1], 'user', 'data'))
if user ~= ARGV[1] or data == '' then return false end
redis.call('HSET', KEYS[1], 'successor', ARGV[2])
redis.call('HSET', KEYS[2], 'user', ARGV[1], 'data', data)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return data
"""

GIVE_UP = """
if redis.call('HGET', KEYS[1], 'successor') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'user', '', 'data', '', 'successor', '')
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""


class RedisSessions:
    """`SessionStore` in Redis, shared by all processes with the same `url` and `prefix`."""

    def __init__(self, url: str, prefix: str, life_seconds: float) -> None:
        self._prefix = prefix
        self._life_ms = round(life_seconds * 1000)
        self._client = open_client(url)
        self._save = self._client.register_script(SAVE)
        self._claim = self._client.register_script(CLAIM)
        self._give_up = self._client.register_script(GIVE_UP)

    async def save(self, sessions: Mapping[str, Session]) -> None:
        with translated_errors(SessionsUnavailable):
            async with self._client.pipeline(transaction=False) as pipeline:
                for id, session in sessions.items():
                    data = msgspec.msgpack.encode(session)
                    await self._save(
                        keys=[self._prefix + id], args=[session.user, data, self._life_ms], client=pipeline
                    )
                await pipeline.execute()

    async def claim(self, id: str, user: str, successor: str) -> Session | None:
        with translated_errors(SessionsUnavailable):
            keys = [self._prefix + id, self._prefix + successor]
            data = await self._claim(keys=keys, args=[user, successor, self._life_ms])
        return msgspec.msgpack.decode(data, type=Session) if data else None

    async def give_up(self, successors: Mapping[str, str]) -> None:
        with translated_errors(SessionsUnavailable):
            async with self._client.pipeline(transaction=False) as pipeline:
                for id, successor in successors.items():
                    await self._give_up(keys=[self._prefix + id], args=[successor, self._life_ms], client=pipeline)
                await pipeline.execute()

    async def close(self) -> None:
        with translated_errors(SessionsUnavailable):
            await self._client.aclose()
