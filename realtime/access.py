"""What a user may do in a room (L3), looked up for many commands at once. Called by the sockets for rooms that were not
joined on them."""

from collections.abc import Sequence
from dataclasses import dataclass

from realtime.database import Batcher
from realtime.models import Membership, Room
from realtime.users import read_id


@dataclass(frozen=True, slots=True)
class Access:
    """A room from the point of view of one user. `room` is its primary key."""

    room: int
    private: bool
    member: bool


Question = tuple[str, str]  # user key, slug
Asker = Batcher[Question, Access | None]


def find_access(questions: Sequence[Question]) -> list[Access | None]:
    """Synchronous, two queries. None where there is no such room; direct rooms are not found by slug."""
    rooms = {room.slug: room for room in Room.objects.filter(slug__in={slug for _, slug in questions}, direct=False)}
    users = [read_id(user) for user, _ in questions]
    members = set(Membership.objects.filter(room__in=rooms.values(), user__in=users).values_list("user_id", "room_id"))
    return [
        Access(room.pk, room.private, (read_id(user), room.pk) in members) if (room := rooms.get(slug)) else None
        for user, slug in questions
    ]
