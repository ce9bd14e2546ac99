"""Who is told about whom, as the setting PRESENCE_AUDIENCE says. Called by the tracker and the REST views.

`address` goes from a user to those who hear about them, `visible_to` and `visible_among` from a reader to those whose
presence the reader may see. All agree. Everybody may see their own presence.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from realtime.auth.user_ids import read_id, read_user, wire_id
from realtime.conf import settings
from realtime.delivery.envelopes import Passing
from realtime.models import Membership
from realtime.presence.store import PresenceStore, StoreUnavailable
from realtime.protocol.census import Census
from realtime.protocol.errors import Refused
from realtime.storage import database

logger = logging.getLogger(__name__)


async def address(user_key: str, body: bytes, version: int = 0) -> Passing | None:
    """The frame `body` about a user, addressed to the user's audience; None if nobody gets it.

    `version` is that of the change that it tells. Raises DatabaseUnavailable, and what a site's own function raises.
    """
    audience = settings().presence_audience
    if audience == "nobody":
        return None
    if audience == "everyone":
        return Passing(body, exclude=user_key, announcement=True, version=version)
    choose: Callable[[str], Iterable[str]] = _room_mate_keys if audience == "rooms" else _ask_whom
    users = tuple(await database.run(choose, user_key))
    return Passing(body, users=users, exclude=user_key, version=version) if users else None


def is_everyone() -> bool:
    """Whether everybody may see everybody's presence: then nothing has to be looked up."""
    return settings().presence_audience == "everyone"


def asks_site() -> bool:
    """Whether a function of the site says who may see whom. It names all whom a reader may see: perhaps everybody."""
    return "." in settings().presence_audience


async def count_visible(store: PresenceStore, reader_key: str) -> Census:
    """How many of those whose presence the user may see are online. If nobody can tell, at least the user is."""
    try:
        visible = await store.choose_visible(await find_visible(reader_key))
    except (Refused, StoreUnavailable):
        return Census(1, 0)
    return Census(len(visible.user_ids), visible.version)


async def find_visible(reader_key: str) -> list[str]:
    """`visible_to` for the event loop. Raises DatabaseUnavailable."""
    if settings().presence_audience == "nobody":
        return [reader_key]
    return await database.run(visible_to, reader_key)


def visible_to(reader_key: str) -> list[str]:
    """The keys of all users whose presence the reader may see, if that is not everybody. Synchronous."""
    others = room_mates(reader_key) if settings().presence_audience == "rooms" else _ask_site(reader_key)
    return list(dict.fromkeys([reader_key, *map(str, others)]))


def visible_among(reader_key: str, pks: Sequence[Any]) -> set[str]:
    """The keys of those of the users whose presence the reader may see. Synchronous, one query at most."""
    asked = {str(pk) for pk in pks}
    others: Iterable[object]
    match settings().presence_audience:
        case "everyone":
            return asked
        case "rooms":
            others = room_mates(reader_key).filter(user_id__in=pks)
        case _:
            others = _ask_site(reader_key)
    return asked & {reader_key, *map(str, others)}


def room_mates(user_key: str) -> "QuerySet[Membership, Any]":
    """The ids of the other members of the user's rooms, without direct rooms.

    Whoever was added to a room, and has not opened it yet, does not count: otherwise an owner could watch every user.
    """
    opened = Membership.objects.filter(invited=False)
    mine = opened.filter(user_id=user_key, room__direct=False).values("room")
    others = opened.filter(room__in=mine).exclude(user_id=user_key)
    return others.values_list("user_id", flat=True).distinct()


def _ask_site(reader_key: str) -> Iterable[object]:
    """Whose presence the reader may see besides their own, as the site's function PRESENCE_VISIBLE says."""
    path = settings().presence_visible
    if not path:
        return ()
    try:
        return _read_keys(import_string(path)(_to_id(reader_key)))
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("PRESENCE_VISIBLE failed for user %s, who sees nobody now", reader_key)
        return ()


def _room_mate_keys(user_key: str) -> list[str]:
    return [str(pk) for pk in room_mates(user_key)]


def _ask_whom(user_key: str) -> list[str]:
    """Who hears about the user, as the site's function PRESENCE_AUDIENCE says."""
    return _read_keys(import_string(settings().presence_audience)(_to_id(user_key)))


def _to_id(user_key: str) -> int | str:
    """The id of a user as in frames, and as `allow` of a topic gets it: a number, where the key is one."""
    pk = read_id(user_key)
    return user_key if pk is None else wire_id(pk)


def _read_keys(given: Iterable[object]) -> list[str]:
    """The keys of those whom a function of the site returned: ids, or users. Raises TypeError for anything else.

    The text of a user is the name, which may be the key of somebody else.
    """
    # A short cut: there may be thousands, and most keys are numbers.
    return [str(user if type(user) is int else read_user(user)) for user in given if user is not None]
