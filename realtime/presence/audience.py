"""Finds who gets announcements about a user, as the setting PRESENCE_AUDIENCE says. Called by the tracker."""

from collections.abc import Callable, Iterable

from django.utils.module_loading import import_string

from realtime.conf import settings
from realtime.delivery.envelopes import Passing
from realtime.models import Membership
from realtime.storage import database


async def address(user_key: str, body: bytes) -> Passing | None:
    """The frame `body` about a user, addressed to the user's audience; None if nobody gets it.

    Raises DatabaseUnavailable, and what a site's own function raises.
    """
    audience = settings().presence_audience
    if audience == "nobody":
        return None
    if audience == "everyone":
        return Passing(body, exclude=user_key, announcement=True)
    choose = room_mates if audience == "rooms" else import_string(audience)
    users = await database.run(_user_keys, choose, user_key)
    return Passing(body, users=users, exclude=user_key) if users else None


def room_mates(user_key: str) -> Iterable[object]:
    """The ids of the other members of the user's rooms, without direct rooms.

    Whoever was added to a room, and has not opened it yet, does not count: otherwise an owner could watch every user.
    """
    opened = Membership.objects.filter(invited=False)
    mine = opened.filter(user_id=user_key, room__direct=False).values("room")
    others = opened.filter(room__in=mine).exclude(user_id=user_key)
    return others.values_list("user_id", flat=True).distinct()


def _user_keys(choose: Callable[[str], Iterable[object]], user_key: str) -> tuple[str, ...]:
    return tuple(str(user) for user in choose(user_key))
