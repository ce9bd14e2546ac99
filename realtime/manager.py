"""Who is online, for site code (L3). Each function has an asynchronous twin with an `a` in front.

All raise `realtime.presence.store.StoreUnavailable` when Redis is away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from realtime.auth.user_ids import read_id, wire_id
from realtime.delivery import bridge
from realtime.presence.store import Entry, PresenceStore

T = TypeVar("T")


class Manager:
    """Presence as views, tasks and templates want it. `user_id` is a primary key, as itself or as a string."""

    def get_online_count(self) -> int:
        """How many users are online, those who appear offline not counted."""
        return bridge.call(self.aget_online_count())

    async def aget_online_count(self) -> int:
        return await _ask(lambda store: store.count())

    def get_online_users(self, limit: int = 1000, offset: int = 0) -> list[int | str]:
        """Ids of users who are online, in the order in which they came."""
        return bridge.call(self.aget_online_users(limit, offset))

    async def aget_online_users(self, limit: int = 1000, offset: int = 0) -> list[int | str]:
        return [wire_id(read_id(entry.user_id)) for entry in await self.aget_online_page(offset, limit)]

    def is_user_online(self, user_id: Any) -> bool:
        """Whether the user is online and does not appear offline."""
        return bridge.call(self.ais_user_online(user_id))

    async def ais_user_online(self, user_id: Any) -> bool:
        entry = (await self.aget_entries([user_id])).get(str(user_id))
        return entry is not None and entry.online

    def get_user_connections_count(self, user_id: Any) -> int:
        """How many sockets the user has over all processes; 0 as well for one who appears offline."""
        return bridge.call(self.aget_user_connections_count(user_id))

    async def aget_user_connections_count(self, user_id: Any) -> int:
        entry = (await self.aget_entries([user_id])).get(str(user_id))
        return entry.connections if entry is not None and entry.online else 0

    def get_online_page(self, offset: int, limit: int) -> list[Entry]:
        return bridge.call(self.aget_online_page(offset, limit))

    async def aget_online_page(self, offset: int, limit: int) -> list[Entry]:
        return await _ask(lambda store: store.page(offset, limit))

    def get_entries(self, user_ids: Sequence[Any]) -> dict[str, Entry]:
        """Presence of those of the users who are there, by their ids as strings."""
        return bridge.call(self.aget_entries(user_ids))

    async def aget_entries(self, user_ids: Sequence[Any]) -> dict[str, Entry]:
        keys = [str(user_id) for user_id in user_ids]
        return await _ask(lambda store: store.get(keys))


async def _ask(question: Callable[[PresenceStore], Awaitable[T]]) -> T:
    """Ask the store of the loop that serves this process's sockets, from whichever loop the caller runs on."""

    async def answer() -> T:
        return await question(await bridge.presence_store())

    home = bridge.home_loop()
    if home is asyncio.get_running_loop():
        return await answer()
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answer(), home))


manager = Manager()
