"""Rooms and their members: synchronous functions, called by the REST API, the sockets and site code.

A private room is NOT_FOUND to outsiders, like a room that does not exist. Only a user who wants its id for a new room
learns that the id is taken (CONFLICT), as with a public room. A direct room is NOT_FOUND by its slug.
"""

import secrets
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any, cast

from django.db import IntegrityError
from django.db.models import CharField, Count, Exists, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Concat
from django.utils.asyncio import async_unsafe
from django.utils.text import slugify

from realtime.auth.user_ids import read_user
from realtime.auth.users import all_users, is_active
from realtime.conf import settings
from realtime.models import Membership, Room, Stream, is_slug
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import Role
from realtime.protocol.streams import Subscriptions, room_stream
from realtime.storage import numbering
from realtime.storage.database import USE_TWIN, run
from realtime.storage.transactions import own_transaction

DIRECT_PREFIX = "direct-"
SLUG_ATTEMPTS = 5
TITLE_CHARS: int = Room._meta.get_field("title").max_length or 0
OWNER = Membership.Role.OWNER
MEMBER = Membership.Role.MEMBER


@dataclass(frozen=True, slots=True)
class Joined:
    """A room as one of its members sees it."""

    room: int  # primary key
    slug: str
    title: str
    role: Role
    created: bool = False  # whether the membership is new


def direct_slug(a: Any, b: Any) -> str:
    """The slug of the room in which two users, given by their primary keys, write to each other."""
    low, high = sorted((str(a), str(b)))
    return DIRECT_PREFIX + blake2s(f"{low}:{high}".encode(), digest_size=16).hexdigest()


def describe(user_id: Any) -> QuerySet[Room]:
    """The rooms `user_id` may see, as `count` returns them, with the user's `role` and `last_read_seq`. One query."""
    mine = Membership.objects.filter(room=OuterRef("pk"), user_id=user_id)
    return count(Room.objects.visible_to(user_id)).annotate(
        role=Subquery(mine.values("role")), last_read_seq=Subquery(mine.values("last_read_seq"))
    )


def count(rooms: QuerySet[Room]) -> QuerySet[Room]:
    """The rooms with their `members_count` and the `last_seq` of their streams."""
    members = Membership.objects.filter(room=OuterRef("pk")).order_by().values("room").annotate(n=Count("pk"))
    stream = Stream.objects.filter(name=Concat(Value("room."), OuterRef("slug"), output_field=CharField()))
    return rooms.annotate(
        members_count=Coalesce(Subquery(members.values("n")), 0),
        last_seq=Coalesce(Subquery(stream.values("last_seq")), 0),
    )


def get_visible(user_id: Any, slug: str) -> Room:
    """The room as `describe` returns it. Raises NOT_FOUND."""
    room = describe(user_id).filter(slug=slug).first()
    if room is None:
        raise not_found()
    return room


def require_visible(user_id: Any, slug: str) -> Room:
    """The room as it is stored: to count the members of a large one takes long. Raises NOT_FOUND."""
    room = Room.objects.visible_to(user_id).filter(slug=slug).first()
    if room is None:
        raise not_found()
    return room


def require_member(user_id: Any, slug: str) -> Membership:
    """The user's membership with its `room`. Raises NOT_FOUND, or FORBIDDEN for outsiders of a public room."""
    membership = _membership(user_id, slug)
    if membership is None:
        require_visible(user_id, slug)
        raise Refused(ErrorCode.FORBIDDEN, Reason.NOT_A_MEMBER)
    return membership


def require_owner(user_id: Any, slug: str) -> Room:
    """The room. Raises NOT_FOUND, or FORBIDDEN for a user who can see it but does not own it."""
    room = _owned(user_id, slug).first()
    if room is None:
        raise _not_owned(user_id, slug)
    return room


def join(user_id: Any, slug: str) -> Joined:
    """The user's membership. A user who has none becomes a member if the room is public. Raises NOT_FOUND."""
    membership, created = _membership(user_id, slug), False
    if membership is None:
        with own_transaction():
            # Locked, so that nobody joins while the room is being made private.
            room = Room.objects.select_for_update().filter(slug=slug, private=False, direct=False).first()
            if room is None:
                raise not_found()
            membership, created = Membership.objects.get_or_create(
                room=room, user_id=user_id, defaults={"last_read_seq": last_seq(room)}
            )
    if membership.invited:
        with own_transaction():
            Membership.objects.filter(pk=membership.pk).update(invited=False)
        membership.invited = False
    room = membership.room
    return Joined(room.pk, room.slug, room.title, cast(Role, membership.role), created)


@async_unsafe(USE_TWIN)
def create_room(owner: Any, *, title: str, slug: str | None = None, private: bool = False) -> Room:
    """A new room, owned by `owner`, a user or a primary key. Without a slug, one is made from the title.

    If that is taken, it gets a suffix. Raises INVALID_MESSAGE for a bad or reserved slug and for a title that is too
    long or has a NUL character, CONFLICT for a given slug that is taken, NOT_FOUND for the key of a user who does not
    exist, TypeError for an owner who is not a user.
    """
    user_id = read_user(owner)
    _check_title(title)
    if slug is not None:
        return _insert(user_id, check_slug(slug), title, private)
    wanted = slugify(title)[:55].strip("-")
    wanted = "" if wanted.startswith(DIRECT_PREFIX) else wanted
    attempt = wanted or _with_suffix("")
    for _again in range(SLUG_ATTEMPTS):
        try:
            return _insert(user_id, attempt, title, private)
        except Refused as refusal:
            if refusal.code != ErrorCode.CONFLICT:
                raise
            attempt = _with_suffix(wanted)
    return _insert(user_id, attempt, title, private)


async def acreate_room(owner: Any, *, title: str, slug: str | None = None, private: bool = False) -> Room:
    """`create_room` from asynchronous code."""
    return await run(create_room, owner, title=title, slug=slug, private=private)


def check_slug(slug: str) -> str:
    """Returns the slug. Raises INVALID_MESSAGE for a bad or reserved one."""
    if not is_slug(slug):
        raise Refused(ErrorCode.INVALID_MESSAGE, Reason.BAD_ROOM_ID)
    if slug.startswith(DIRECT_PREFIX):
        raise Refused(ErrorCode.INVALID_MESSAGE, Reason.RESERVED_ROOM_ID)
    return slug


def _check_title(title: str | None) -> None:
    """Some databases would store what others refuse. A title that is missing is refused by all."""
    text = str(title or "")
    if len(text) > TITLE_CHARS:
        raise Refused(ErrorCode.INVALID_MESSAGE, Reason.TOO_LONG, field="title", n=TITLE_CHARS)
    if "\0" in text:
        raise Refused(ErrorCode.INVALID_MESSAGE, Reason.WRONG_VALUE, field="title", value=ascii(text))


def _with_suffix(slug: str) -> str:
    return f"{slug}-{secrets.token_hex(4)}".strip("-")


def _insert(user_id: Any, slug: str, title: str, private: bool) -> Room:
    try:
        with own_transaction():
            room = Room.objects.create(slug=slug, title=title, private=private, created_by_id=user_id)
            Membership.objects.create(room=room, user_id=user_id, role=OWNER, last_read_seq=last_seq(room))
    except IntegrityError:
        if Room.objects.filter(slug=slug).exists():
            raise Refused(ErrorCode.CONFLICT, Reason.ROOM_ID_TAKEN) from None
        if not all_users().filter(pk=user_id).exists():
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_USER) from None
        raise
    return room


def update(user_id: Any, slug: str, **changes: Any) -> None:
    """Change `title` or `private`; open sockets get it by the signals of `save`. Raises NOT_FOUND, FORBIDDEN."""
    if not changes:
        require_owner(user_id, slug)
        return
    with own_transaction():
        room = _lock_owned(user_id, slug)
        for name, value in changes.items():
            setattr(room, name, value)
        room.save(update_fields=list(changes))


def delete(user_id: Any, slug: str) -> None:
    """Delete the room with its messages. Raises NOT_FOUND, FORBIDDEN."""
    _total, counts = require_owner(user_id, slug).delete()
    if Room._meta.label not in counts:  # deleted meanwhile
        raise not_found()


def list_members(user_id: Any, slug: str) -> QuerySet[Membership]:
    """The memberships with their users, in the order of joining. For members only. Raises NOT_FOUND, FORBIDDEN."""
    room = require_member(user_id, slug).room
    return Membership.objects.filter(room=room).select_related("user").order_by("pk")


def get_member(slug: str, user_id: Any) -> Membership:
    """The membership with its user. Raises NOT_FOUND."""
    found = Membership.objects.select_related("user").filter(room__slug=slug, user_id=user_id).first()
    if found is None:  # removed meanwhile
        raise not_found()
    return found


def add_member(owner_id: Any, slug: str, user_id: Any, role: str | None = None) -> tuple[Membership, bool]:
    """Give `user_id` the role. Without one, a member keeps theirs, and somebody new becomes a member like most.

    Returns the membership, and whether it is new. Raises NOT_FOUND, FORBIDDEN, CONFLICT.

    A new member counts as invited until they open the room: otherwise an owner could read the name of every user.
    """
    with own_transaction():
        room = _lock_owned(owner_id, slug)
        if not is_active(user_id):
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_USER)
        if role not in (None, OWNER):
            _require_other_owner(room, user_id)
        given = {} if role is None else {"role": role}
        fresh = {"role": MEMBER, **given, "invited": True, "last_read_seq": last_seq(room)}
        return Membership.objects.update_or_create(room=room, user_id=user_id, defaults=given, create_defaults=fresh)


def remove_member(actor_id: Any, slug: str, user_id: Any) -> None:
    """Owners may remove any member; every member may leave. Raises NOT_FOUND, FORBIDDEN, CONFLICT.

    The last owner cannot leave, even as the only member: a room without an owner could be neither changed nor deleted.
    They delete the room, or make another member an owner first.
    """
    with own_transaction():
        room = _lock_own(actor_id, slug) if actor_id == user_id else _lock_owned(actor_id, slug)
        _require_other_owner(room, user_id)
        gone, _models = Membership.objects.filter(room=room, user_id=user_id).delete()
    if not gone:
        raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_MEMBER)


def last_seq(room: Room) -> int:
    """The position of the room's stream. A new member starts there, so older messages do not count as unread.

    In a new room it need not be 0: an earlier room may have had the slug, and a `seq` never means two events.
    """
    return numbering.positions([room.stream])[room.stream]


def is_one_too_many(subscriptions: Subscriptions, slug: str) -> bool:
    """Whether joining this room would exceed the socket's limit of joined rooms."""
    is_new = room_stream(slug) not in subscriptions
    return is_new and subscriptions.room_count >= settings().max_rooms_per_connection


def too_many() -> Refused:
    return Refused(ErrorCode.CONFLICT, Reason.TOO_MANY_ROOMS)


def not_found() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ROOM)


def _membership(user_id: Any, slug: str) -> Membership | None:
    mine = Membership.objects.filter(user_id=user_id, room__slug=slug, room__direct=False)
    return mine.select_related("room").first()


def _owned(user_id: Any, slug: str) -> QuerySet[Room]:
    owners = Membership.objects.filter(room=OuterRef("pk"), user_id=user_id, role=OWNER)
    return Room.objects.filter(Exists(owners), slug=slug, direct=False)


def _not_owned(user_id: Any, slug: str) -> Refused:
    require_visible(user_id, slug)
    return Refused(ErrorCode.FORBIDDEN, Reason.NOT_AN_OWNER)


def _lock_owned(user_id: Any, slug: str) -> Room:
    """The room, locked. Every change of owners takes this lock, so that the last two owners cannot leave together."""
    room = _owned(user_id, slug).select_for_update().first()
    if room is None:
        raise _not_owned(user_id, slug)
    return room


def _lock_own(user_id: Any, slug: str) -> Room:
    membership = require_member(user_id, slug)
    room = Room.objects.select_for_update().filter(pk=membership.room_id).first()
    if room is None:  # deleted meanwhile
        raise not_found()
    return room


def _require_other_owner(room: Room, user_id: Any) -> None:
    """Raises CONFLICT when `user_id` is the room's only owner."""
    owners = Membership.objects.filter(room=room, role=OWNER).values_list("user_id", flat=True)
    if set(owners) == {user_id}:
        raise Refused(ErrorCode.CONFLICT, Reason.LAST_OWNER)
