"""What staff see of a site at this moment: who is online, the processes, the rooms. Bounded, however large the site is.

The topics of `realtime.topics` send it, and the admin shows it. Each question is asked of the stores by a function for
threads and by its twin for event loops; what names users and rooms is synchronous, because it asks the database.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from realtime.auth.user_ids import read_id, wire_id
from realtime.auth.users import all_users
from realtime.delivery.process_names import read_name
from realtime.models import Room
from realtime.presence import online
from realtime.presence.attendance import lookup
from realtime.presence.online import OnlinePage
from realtime.presence.store import Entry, Process
from realtime.protocol.frames import Count, UserId
from realtime.protocol.streams import room_slug, room_stream
from realtime.storage.database import run

USERS: Final = "realtime-live-users"
PROCESSES: Final = "realtime-live-processes"
ROOMS: Final = "realtime-live-rooms"
MOST_USERS = 100
MOST_PROCESSES = 200
MOST_ROOMS = 50


class LiveUser(msgspec.Struct, frozen=True):
    user_id: UserId
    username: str
    # "online", "away" or "busy"; "leaving" in the grace time after the last socket; "offline" for a user who is not
    # online, or appears so.
    status: str
    sockets: Count


class LiveUsers(msgspec.Struct, frozen=True):
    """How many users are online, and those who came last, the newest first."""

    online_count: Count
    users: list[LiveUser]


class LiveProcess(msgspec.Struct, frozen=True):
    key: str  # the name that no other process has
    host: str
    pid: int
    users: Count
    sockets: Count
    stopping: bool


class LiveProcesses(msgspec.Struct, frozen=True):
    """The processes that serve sockets, and all their sockets."""

    sockets: Count
    processes: list[LiveProcess]


class LiveRoom(msgspec.Struct, frozen=True):
    room_id: str
    title: str
    private: bool
    sockets: Count


class LiveRooms(msgspec.Struct, frozen=True):
    """The rooms that are open on the most sockets."""

    rooms: list[LiveRoom]


def find_users() -> LiveUsers:
    return _name_users(online.newest(MOST_USERS))


async def afind_users() -> LiveUsers:
    return await run(_name_users, await online.anewest(MOST_USERS))


def find_processes() -> LiveProcesses:
    return _describe_processes(online.processes(MOST_PROCESSES))


async def afind_processes() -> LiveProcesses:
    return _describe_processes(await online.aprocesses(MOST_PROCESSES))


def find_rooms() -> LiveRooms:
    return _name_rooms(lookup.find_largest(MOST_ROOMS))


async def afind_rooms() -> LiveRooms:
    return await run(_name_rooms, await lookup.afind_largest(MOST_ROOMS))


def describe_user(user: Any, entry: Entry | None) -> LiveUser:
    """A user of the site, who need not be online."""
    if entry is None or not entry.online:
        return LiveUser(wire_id(user.pk), str(user.get_username()), "offline", 0)
    status = entry.status if entry.connections else "leaving"
    return LiveUser(wire_id(user.pk), str(user.get_username()), status, entry.connections)


def _name_users(page: OnlinePage) -> LiveUsers:
    users = {str(user.pk): user for user in all_users().filter(pk__in=[read_id(e.user_id) for e in page.entries])}
    # Users who were deleted a moment ago are left out.
    named = [describe_user(users[e.user_id], e) for e in page.entries if e.user_id in users]
    return LiveUsers(page.online_count, named)


def _describe_processes(processes: Sequence[Process]) -> LiveProcesses:
    described = [
        LiveProcess(one.name, *read_name(one.name), users=one.users, sockets=one.sockets, stopping=one.retiring)
        for one in processes
    ]
    return LiveProcesses(sum(one.sockets for one in processes), described)


def _name_rooms(largest: Sequence[tuple[str, int]]) -> LiveRooms:
    rooms = Room.objects.filter(slug__in=[room_slug(stream) for stream, _ in largest], direct=False)
    by_stream = {room_stream(room.slug): room for room in rooms}
    found = [(by_stream[stream], sockets) for stream, sockets in largest if stream in by_stream]
    return LiveRooms([LiveRoom(room.slug, room.title, room.private, sockets) for room, sockets in found])
