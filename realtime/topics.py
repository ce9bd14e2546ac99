"""The topics that the app itself declares: what the page "Live" of the admin shows, each for staff with its own right.

Imported at start, as `topics.py` of any app is. The functions run in one process, while somebody is subscribed.
"""

from collections.abc import Awaitable, Callable

from realtime.auth.permissions import staff_with
from realtime.presence import live
from realtime.presence.store import StoreUnavailable
from realtime.protocol.topics import topic

SECONDS = 2.0  # between values


def declare(name: str, permission: str, find: Callable[[], Awaitable[object]]) -> None:
    @topic(name, every=SECONDS, allow=staff_with(permission), recheck=True)
    async def value() -> object:
        try:
            return await find()
        except StoreUnavailable:
            return None  # nothing is sent meanwhile, and the page says so


declare(live.USERS, "realtime.view_live_users", live.afind_users)
declare(live.PROCESSES, "realtime.view_live_processes", live.afind_processes)
declare(live.ROOMS, "realtime.view_live_rooms", live.afind_rooms)
