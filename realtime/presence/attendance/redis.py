"""Attendance in Redis: the store of a site with more than one process. Opened by `attendance.open_store`.

Each method is one Lua script for each batch, so it is atomic. The scripts make the names of keys, so they need one
Redis, not a cluster.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec

from realtime.presence.attendance.store import Attendance, choose_largest
from realtime.presence.redis_scripts import BATCH
from realtime.presence.store import StoreUnavailable, to_ms
from realtime.storage.redis_client import open_client, translated_errors

# The keys, after the prefix:
# - `leases`: process -> when its lease ends, in ms
# - `open:<process>`: streams, ordered by their sockets in that process; `users:<process>:<stream>`: user -> sockets;
#   neither is ever 0
SHARED = """
local prefix = KEYS[1]
local leases = prefix .. 'leases'

local function now(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function live(given) return redis.call('ZRANGEBYSCORE', leases, '(' .. now(given), '+inf') end
local function open_in(process) return prefix .. 'open:' .. process end
local function users_of(process, stream) return prefix .. 'users:' .. process .. ':' .. stream end
"""

BEGIN = "redis.call('ZADD', leases, now(ARGV[1]) + ARGV[3], ARGV[2])"

REPORT = """
local time, process = now(ARGV[1]), ARGV[2]
local ends = redis.call('ZSCORE', leases, process)
if not ends or tonumber(ends) <= time then return 0 end
redis.call('ZADD', leases, time + ARGV[3], process)
for _, change in ipairs(cjson.decode(ARGV[4])) do
  local stream, user, sockets = change[1], change[2], change[3]
  local users = users_of(process, stream)
  local before = tonumber(redis.call('HGET', users, user) or 0)
  if sockets > 0 then redis.call('HSET', users, user, sockets) else redis.call('HDEL', users, user) end
  if sockets ~= before and tonumber(redis.call('ZINCRBY', open_in(process), sockets - before, stream)) <= 0 then
    redis.call('ZREM', open_in(process), stream)
  end
end
return 1
"""

FIND = """
local found, wanted = {}, cjson.decode(ARGV[3])
for _, process in ipairs(live(ARGV[1])) do
  local users = users_of(process, ARGV[2])
  if redis.call('EXISTS', users) == 1 then
    for i, sockets in ipairs(redis.call('HMGET', users, unpack(wanted))) do
      if sockets then found[#found + 1] = wanted[i] end
    end
  end
end
return found
"""

# The largest streams of each process, with their sockets there.
LARGEST = """
local found = {}
for _, process in ipairs(live(ARGV[1])) do
  found[#found + 1] = redis.call('ZREVRANGE', open_in(process), 0, ARGV[2] - 1, 'WITHSCORES')
end
return found
"""

# The sockets of some streams, for each process.
COUNT = """
local found, wanted = {}, cjson.decode(ARGV[2])
for _, process in ipairs(live(ARGV[1])) do
  found[#found + 1] = redis.call('ZMSCORE', open_in(process), unpack(wanted))
end
return found
"""

# A batch of the streams of one process that is dead. Returns whether there may be more to delete.
SWEEP = f"""
local process = redis.call('ZRANGEBYSCORE', leases, '-inf', now(ARGV[1]), 'LIMIT', 0, 1)[1]
if not process then return 0 end
local streams = redis.call('ZRANGE', open_in(process), 0, {BATCH} - 1)
for _, stream in ipairs(streams) do
  redis.call('UNLINK', users_of(process, stream))
  redis.call('ZREM', open_in(process), stream)
end
if redis.call('EXISTS', open_in(process)) == 0 then redis.call('ZREM', leases, process) end
return 1
"""

# The lease ends now, and what it was for is swept.
DROP = "if redis.call('ZSCORE', leases, ARGV[2]) then redis.call('ZADD', leases, 0, ARGV[2]) end"


class RedisAttendance:
    """`AttendanceStore` in Redis, shared by all processes with the same `url` and `prefix`.

    `clock` is for tests. Without it, the time is that of Redis, so the clocks of the machines need not agree.
    """

    def __init__(
        self, url: str, prefix: str, *, lease_seconds: float, clock: Callable[[], float] | None = None
    ) -> None:
        self._prefix = prefix
        self._lease_ms = to_ms(lease_seconds)
        self._clock = clock
        self._client = open_client(url)
        # Cached, because registering computes the digest of the script.
        self._script = cache(lambda body: self._client.register_script(SHARED + body))

    async def begin(self, process: str) -> None:
        await self._run(BEGIN, process, self._lease_ms)

    async def report(self, process: str, changes: Sequence[Attendance]) -> bool:
        for start in range(0, max(1, len(changes)), BATCH):
            # One argument in JSON: the client would need longer for thousands of them than for all the rest.
            batch = msgspec.json.encode(changes[start : start + BATCH])
            if not await self._run(REPORT, process, self._lease_ms, batch):
                return False
        return True

    async def find(self, stream: str, users: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(users), BATCH):
            batch = msgspec.json.encode(users[start : start + BATCH])
            found |= {user.decode() for user in await self._run(FIND, stream, batch)}
        return found

    async def largest(self, limit: int) -> list[tuple[str, int]]:
        known: Counter[str] = Counter()
        for flat in await self._run(LARGEST, 2 * limit):
            parts = iter(flat)
            known.update({stream.decode(): int(count) for stream, count in zip(parts, parts, strict=True)})
        # Each of these may have more sockets, in processes where it is not among the largest.
        likely = [stream for stream, _ in choose_largest(known, 2 * limit)]
        return choose_largest(await self._count(likely), limit)

    async def _count(self, streams: Sequence[str]) -> Counter[str]:
        found: Counter[str] = Counter()
        if streams:
            for counts in await self._run(COUNT, msgspec.json.encode(streams)):
                found.update({stream: int(count or 0) for stream, count in zip(streams, counts, strict=True)})
        return +found

    async def sweep(self) -> None:
        while await self._run(SWEEP):
            pass

    async def drop(self, process: str) -> None:
        await self._run(DROP, process)

    async def close(self) -> None:
        with translated_errors(StoreUnavailable):
            await self._client.aclose()

    async def _run(self, script: str, *args: str | bytes | int) -> Any:
        now: str | int = "" if self._clock is None else to_ms(self._clock())
        with translated_errors(StoreUnavailable):
            return await self._script(script)(keys=[self._prefix], args=[now, *args])
