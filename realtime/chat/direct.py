"""Direct messages: finds the room of two users, or makes it with their first message. Called by the sockets."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from realtime.auth.user_ids import read_id, wire_id
from realtime.auth.users import is_active
from realtime.chat.rooms import direct_slug
from realtime.conf import settings
from realtime.delivery.endings import Endings
from realtime.models import Membership, Room
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.storage import database
from realtime.storage.transactions import own_transaction, retry_conflicts

CACHED_PAIRS = 50_000


@dataclass(frozen=True, slots=True)
class Pair:
    """Where the messages from one user to another are stored."""

    room: int  # primary key
    recipient: Any  # primary key
    recipient_id: int | str  # as in frames
    asked_at: float  # when the look-up began that found the recipient active; a monotonic time


# By (sender, recipient), in the order of use: the last used is at the end.
_pairs: OrderedDict[tuple[str, str], Pair] = OrderedDict()


def find_cached_pair(sender: str, recipient: int | str, ended: Endings) -> Pair | None:
    """A pair that was found before, else None. `sender` is a user key, `ended` has the users who were disconnected.

    A recipient may be disabled meanwhile. That disconnects them; if it was not noticed, the pair soon grows too old.
    """
    key = (sender, str(recipient))
    pair = _pairs.get(key)
    if pair is None:
        return None
    is_old = time.monotonic() - pair.asked_at > settings().auth_recheck_seconds
    if is_old or ended.has_since(str(pair.recipient), pair.asked_at):
        del _pairs[key]
        return None
    _pairs.move_to_end(key)
    return pair


async def find_pair(sender: str, recipient: int | str) -> Pair:
    """Raises Refused: NOT_FOUND if there is no such active user, INVALID_MESSAGE for oneself, UNAVAILABLE."""
    pair = await database.run(open_pair, sender, recipient)
    _pairs[sender, str(recipient)] = pair
    if len(_pairs) > CACHED_PAIRS:
        _pairs.popitem(last=False)
    return pair


def forget_pair(a: int | str, b: int | str) -> None:
    """The room or one of the users has been deleted: look the pair up again next time."""
    for key in ((str(a), str(b)), (str(b), str(a))):
        _pairs.pop(key, None)


def forget_pairs() -> None:
    """The process stops serving sockets. In the tests of a site, the next ones may find other users with these keys."""
    _pairs.clear()


@retry_conflicts
def open_pair(sender: Any, recipient: int | str) -> Pair:
    """Synchronous. Finds the pair's room, or makes it. Raises Refused as `find_pair` does."""
    asked_at = time.monotonic()
    pk = read_id(recipient)
    if pk is not None and str(pk) == str(sender):
        raise Refused(ErrorCode.INVALID_MESSAGE, Reason.WRITING_TO_ONESELF)
    if pk is None or not is_active(pk):
        raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_USER)
    return Pair(_open_room(sender, pk).pk, pk, wire_id(pk), asked_at)


@retry_conflicts
def open_notes(user: Any) -> Room:
    """Synchronous. The room of the user's notes to themselves: a direct room with one member."""
    return _open_room(user, user)


def _open_room(sender: Any, recipient: Any) -> Room:
    with own_transaction():
        room, created = Room.objects.get_or_create(
            slug=direct_slug(sender, recipient), defaults={"direct": True, "private": True}
        )
        if created:
            users = {str(user): user for user in (sender, recipient)}.values()
            Membership.objects.bulk_create([Membership(room=room, user_id=user) for user in users])
    return room
