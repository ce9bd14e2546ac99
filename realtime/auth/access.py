"""What a user may do with a room or a topic.

Called for commands about rooms that their socket has not joined, for subscriptions, and when streams are resumed.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from realtime.auth.user_ids import read_id
from realtime.models import Membership, Room
from realtime.protocol import topics
from realtime.storage.database import Batcher, DatabaseUnavailable, finish, run
from realtime.storage.json_rows import plain, rows, stored_id, user_column
from realtime.storage.routed import connection

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Access:
    """What one user may do with a room. `room` is its primary key; `member` says whether the user is in it."""

    room: int
    private: bool
    member: bool


Question = tuple[str, str]  # user key, slug
Asker = Batcher[Question, Access | None]


def find_access(questions: Sequence[Question]) -> list[Access | None]:
    """Synchronous; two queries for all questions. None for a room that does not exist.

    Direct rooms count as missing: they are not addressed by slug.
    """
    rooms = {room.slug: room for room in Room.objects.filter(slug__in={slug for _, slug in questions}, direct=False)}
    users = [read_id(user) for user, _ in questions]
    members = set(Membership.objects.filter(room__in=rooms.values(), user__in=users).values_list("user_id", "room_id"))
    return [
        Access(room.pk, room.private, (read_id(user), room.pk) in members) if (room := rooms.get(slug)) else None
        for user, slug in questions
    ]


def find_members(pairs: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    """Synchronous; one query. Those of the pairs of a user's key and a room's whose user is a member of the room.

    Only these are looked at: a user has a membership for everybody with whom they have ever exchanged a message.
    """
    wanted = {(stored_id(read_id(user)), room): (user, room) for user, room in pairs}
    if not wanted:
        return set()
    table = rows(user_id=user_column(), room_id="bigint")
    given = [{"user_id": user, "room_id": room} for user, room in wanted]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT m.user_id, m.room_id FROM {table.source} JOIN realtime_membership m"
            f" ON m.room_id = {table.column['room_id']} AND m.user_id = {table.column['user_id']}",
            [msgspec.json.encode(given).decode()],
        )
        return {wanted[plain(user), room] for user, room in cursor.fetchall()}


async def may_subscribe(user_id: Any, name: str) -> bool:
    """Whether the topic exists and the user may subscribe to it. Raises DatabaseUnavailable."""
    topic = topics.find(name)
    if topic is None or topic.allow is None:
        return topic is not None
    try:
        # The coroutine of an asynchronous `allow` is true, whatever it would return.
        return bool(await finish(await run(topic.allow, user_id)))
    except DatabaseUnavailable:
        raise
    except Exception:
        # An error in one topic's `allow` must not close a socket that resumes ten streams.
        logger.exception("A subscription to the topic %s was refused, because its `allow` failed", name)
        return False
