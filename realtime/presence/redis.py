"""Presence in Redis: the store of a site with more than one process. Opened by `presence.open_store`.

Each atomic step is one Lua script of `redis_scripts`. This module makes the batches and parses the answers.
Needs Redis 6.2 (HRANDFIELD).
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from itertools import islice
from typing import Any

from realtime.presence import redis_scripts
from realtime.presence.redis_scripts import BATCH, LOOK_UP_BATCH
from realtime.presence.store import (
    NO_STATUSES,
    OFFLINE,
    ONLINE,
    Change,
    Entry,
    Lost,
    OnLost,
    Process,
    StatusResult,
    StoredStatus,
    StoreUnavailable,
    SyncResult,
    Visible,
    ignore_lost,
    to_ms,
)
from realtime.protocol.census import Census
from realtime.storage.redis_client import SOCKET_TIMEOUT_SECONDS, open_client, translated_errors


class RedisPresence:
    """`PresenceStore` in Redis, shared by all processes with the same `url` and `prefix`.

    `clock` is for tests. Without it, the time is that of Redis, so the clocks of the machines need not agree.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        *,
        lease_seconds: float,
        grace_seconds: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._prefix = prefix
        self._lease_ms = to_ms(lease_seconds)
        self._grace_ms = to_ms(grace_seconds)
        self._clock = clock
        self._name = secrets.token_hex(8)
        self._swept = 0  # the last change of which a sweep has told
        self._turn = asyncio.Lock()  # held by the sync that is running
        self._client = open_client(url)
        # Cached, because registering computes the digest of the script.
        self._script = cache(self._client.register_script)

    async def sync(
        self, process: str, counts: Mapping[str, int], statuses: Mapping[str, StoredStatus] = NO_STATUSES
    ) -> SyncResult:
        result = SyncResult(0, [], known=True)
        async with self._own_turn():
            for batch in batches(counts, statuses):
                head = (self._now(), process, self._lease_ms, self._grace_ms)
                result = add_answer(result, await self._run(redis_scripts.SYNC, *head, *batch))
        return result

    async def renew(self, process: str) -> bool:
        return bool(await self._run(redis_scripts.RENEW, self._now(), process, self._lease_ms))

    async def sweep(self, *, processes: bool = True, on_lost: OnLost = ignore_lost) -> list[Change]:
        gone: list[Change] = []
        more = True
        while more:
            head = (self._now(), self._grace_ms, int(processes), self._name)
            try:
                # What was removed in a call that was not answered is in the next answer.
                more, users, lost, ended_ms = await self._run(redis_scripts.SWEEP, *head, self._swept)
            except StoreUnavailable:
                if not gone:
                    raise
                # Return the users already removed: no other process will announce them.
                break
            parts = iter(lost)
            found = [Lost(user.decode(), bool(visible)) for user, visible in zip(parts, parts, strict=True)]
            on_lost(found, ended_ms / 1000)
            parts = iter(users)
            gone += [Change(user.decode(), OFFLINE, int(float(at))) for user, at in zip(parts, parts, strict=True)]
            self._swept = max([self._swept, *(change.version for change in gone)])
        return gone

    async def retire(self, process: str) -> int:
        return int(await self._run(redis_scripts.RETIRE, self._now(), process))

    async def drop(self, process: str, longer_seconds: float = 0) -> None:
        grace_ms = self._grace_ms + to_ms(longer_seconds)
        async with self._own_turn():
            while await self._run(redis_scripts.DROP, self._now(), process, grace_ms):
                pass

    async def set_status(self, user_id: str, status: str, data: bytes, process: str = "") -> StatusResult | None:
        answer = await self._run(redis_scripts.SET_STATUS, user_id, status, data, process)
        if answer is None:
            return None
        previous, online_count, version, is_elsewhere = answer
        return StatusResult(parse_status(previous).status, Census(online_count, version), bool(is_elsewhere))

    async def count(self) -> int:
        with translated_errors(StoreUnavailable):
            return await self._client.zcard(self._prefix + "online")

    async def census(self) -> Census:
        return Census(*await self._run(redis_scripts.CENSUS))

    async def choose_visible(self, user_ids: Sequence[str]) -> Visible:
        places: dict[str, float] = {}
        version = 0
        for start in range(0, max(1, len(user_ids)), LOOK_UP_BATCH):
            answer = await self._run(redis_scripts.CHOOSE_VISIBLE, *user_ids[start : start + LOOK_UP_BATCH])
            # Of the first batch: what changes before the last one is counted twice at worst, and not left out.
            version = version or answer[0]
            parts = iter(answer[1])
            places.update((user.decode(), float(place)) for user, place in zip(parts, parts, strict=True))
        ordered = sorted(places, key=places.__getitem__)
        return Visible(ordered, version, [int(places[user]) for user in ordered])

    async def page(self, offset: int, limit: int) -> list[Entry]:
        # ZRANGE counts a negative end from the end of the set, and would return everything.
        if limit < 1:
            return []
        return list(parse_entries(await self._run(redis_scripts.PAGE, offset, offset + limit - 1)))

    async def get(self, user_ids: Sequence[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for start in range(0, len(user_ids), BATCH):
            answer = await self._run(redis_scripts.GET, *user_ids[start : start + BATCH])
            found.update((entry.user_id, entry) for entry in parse_entries(answer))
        return found

    async def processes(self, limit: int) -> list[Process]:
        found = await self._run(redis_scripts.PROCESSES, self._now())
        listed = [
            Process(name.decode(), users, int(sockets), bool(retiring)) for name, users, sockets, retiring in found
        ]
        return sorted(listed, key=lambda process: process.name)[:limit]

    async def close(self) -> None:
        with translated_errors(StoreUnavailable):
            await self._client.aclose()

    def _now(self) -> str | int:
        return "" if self._clock is None else to_ms(self._clock())

    async def _run(self, script: str, *args: str | bytes | int) -> Any:
        with translated_errors(StoreUnavailable):
            return await self._script(script)(keys=[self._prefix], args=args)

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        """One call at a time: on two connections, they might overtake each other, and old counts replace new ones."""
        with translated_errors(StoreUnavailable):
            # If Redis hangs, the waiting callers must fail at the same time, not one every five seconds.
            async with asyncio.timeout(SOCKET_TIMEOUT_SECONDS):
                await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()


def batches(counts: Mapping[str, int], statuses: Mapping[str, StoredStatus]) -> Iterator[list[str | bytes | int]]:
    """`user, count, status …` for the script. One empty batch if there are no users: it creates the lease."""
    users = iter(counts)
    batch = list(islice(users, BATCH))
    while True:
        yield [part for user in batch for part in (user, counts[user], format_status(statuses.get(user)))]
        batch = list(islice(users, BATCH))
        if not batch:
            return


def add_answer(result: SyncResult, answer: Sequence[Any]) -> SyncResult:
    """`result` is that of the batches before."""
    online_count, is_known, version, arrived, hidden, flat = answer
    # Nothing else has changed anything: `version` is the number of the last of these changes.
    first_hidden = version - len(hidden) + 1
    first = first_hidden - len(arrived)
    parts = iter(flat)
    statuses = {user.decode(): parse_status(stored) for user, stored in zip(parts, parts, strict=True)}
    return SyncResult(
        online_count,
        result.arrived + [Change(user.decode(), ONLINE, number) for number, user in enumerate(arrived, first)],
        result.known and bool(is_known),
        version,
        result.hidden + [Change(user.decode(), OFFLINE, number) for number, user in enumerate(hidden, first_hidden)],
        {**result.statuses, **statuses},
    )


def format_status(status: StoredStatus | None) -> bytes:
    return b"" if status is None else b"%s:%s" % (status.status.encode(), status.data)


def parse_status(stored: bytes) -> StoredStatus:
    status, _, data = stored.partition(b":")
    return StoredStatus(status.decode() or ONLINE, data)


def parse_entries(flat: Iterable[bytes]) -> Iterator[Entry]:
    parts = iter(flat)
    for user, connections, stored in zip(parts, parts, parts, strict=True):
        yield Entry(user.decode(), int(connections), *parse_status(stored))
