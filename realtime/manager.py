"""Who is online, for site code. Each method has an asynchronous version with an `a` in front.

All raise `realtime.presence.store.StoreUnavailable` when Redis is unavailable.
"""

from collections.abc import Sequence
from typing import Any

from realtime.auth.user_ids import read_id, read_user, wire_id
from realtime.presence import online
from realtime.presence.store import Entry


class Manager:
    """Presence for views, tasks and templates.

    `user` is a user or a primary key; anything else is a TypeError.
    """

    def get_online_count(self) -> int:
        """How many users are online, not counting users who appear offline."""
        return online.count()

    async def aget_online_count(self) -> int:
        return await online.acount()

    def get_online_users(self, limit: int = 1000, offset: int = 0) -> list[int | str]:
        """Ids of users who are online, in the order in which they came online.

        Raises ValueError for a `limit` or an `offset` below 0.
        """
        return online.call(self.aget_online_users(limit, offset))

    async def aget_online_users(self, limit: int = 1000, offset: int = 0) -> list[int | str]:
        if limit < 0 or offset < 0:
            raise ValueError(f"`limit` and `offset` are 0 or more, not {limit!r} and {offset!r}.")
        page = await online.apage(offset, limit)
        return [wire_id(read_id(entry.user_id)) for entry in page.entries]

    def is_user_online(self, user: Any) -> bool:
        """Whether the user is online and does not appear offline."""
        return online.call(self.ais_user_online(user))

    async def ais_user_online(self, user: Any) -> bool:
        entry = (await self.aget_entries([user])).get(str(read_user(user)))
        return entry is not None and entry.online

    def get_user_connections_count(self, user: Any) -> int:
        """How many sockets the user has in all processes; 0 for a user who appears offline."""
        return online.call(self.aget_user_connections_count(user))

    async def aget_user_connections_count(self, user: Any) -> int:
        entry = (await self.aget_entries([user])).get(str(read_user(user)))
        return entry.connections if entry is not None and entry.online else 0

    def get_entries(self, users: Sequence[Any]) -> dict[str, Entry]:
        """The presence of those users who have sockets, by their ids as strings."""
        return online.call(self.aget_entries(users))

    async def aget_entries(self, users: Sequence[Any]) -> dict[str, Entry]:
        return await online.aentries([str(read_user(user)) for user in users])


manager = Manager()
