"""Following and muting objects of the site. Called by site code, by `sending` and by the REST API."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from notifications import clock
from notifications.models import Follow
from notifications.models.target import Target, about, target_of
from notifications.preferences.changing import reconsider
from realtime.integration import all_users, own_transaction, read_user, retry_conflicts, run


def follow(user: Any, thing: models.Model) -> None:
    """`user` follows an object: `notify(followers(thing), …)` reaches them. Harmless if they do already.

    `user` is a user or a primary key; TypeError for anything else, and for an object that is not saved.
    """
    _set(user, thing, follows=True)


def unfollow(user: Any, thing: models.Model) -> None:
    clear(user, _require_target(thing), follows=False)


def mute(user: Any, thing: models.Model, until: datetime | None = None) -> None:
    """What is about this object no longer disturbs the user, until a moment or for ever: it is stored and counted only.

    Raises ValueError for a moment without a time zone, unless the site has none, and TypeError for what is no moment.
    One on the last day of the calendar is no end.
    """
    if until is not None and not isinstance(until, datetime):
        raise TypeError(f"A mute ends at a datetime, not {until!r}.")
    until = until or clock.FOREVER
    if timezone.is_naive(until) and timezone.is_aware(clock.now()):
        raise ValueError("A mute ends at a moment with a time zone.")
    _set(user, thing, muted_until=clock.nearest_as_stored(until))


def unmute(user: Any, thing: models.Model) -> None:
    clear(user, _require_target(thing), muted_until=None)


def followers(thing: models.Model) -> "models.QuerySet[Any]":
    """The users who follow an object, for `notify`."""
    users: Any = all_users()
    followed = Follow.objects.filter(user=models.OuterRef("pk"), follows=True, **about(target_of(thing)))
    found: models.QuerySet[Any] = users.filter(models.Exists(followed))
    return found


async def afollow(user: Any, thing: models.Model) -> None:
    await run(follow, user, thing)


async def aunfollow(user: Any, thing: models.Model) -> None:
    await run(unfollow, user, thing)


async def amute(user: Any, thing: models.Model, until: datetime | None = None) -> None:
    await run(mute, user, thing, until)


async def aunmute(user: Any, thing: models.Model) -> None:
    await run(unmute, user, thing)


@retry_conflicts
def clear(user: Any, target: Target, **values: Any) -> None:
    """Take back a wish of the user. A row that says nothing any more is deleted, and what waits is decided again."""
    pk = read_user(user)
    own = Follow.objects.filter(user_id=pk, **about(target))
    with own_transaction():
        own.update(**values)
        own.filter(Q(muted_until=None) | Q(muted_until__lte=clock.now()), follows=False).delete()
        if "muted_until" in values:
            reconsider(pk, has_unmuted=True)


@retry_conflicts
def _set(user: Any, thing: models.Model, **values: Any) -> None:
    pk = read_user(user)
    target = about(_require_target(thing))
    with own_transaction():
        Follow.objects.update_or_create(user_id=pk, **target, defaults=values)
        if "muted_until" in values:  # it may be shorter than the mute before
            reconsider(pk, has_unmuted=True)


def _require_target(thing: models.Model) -> Target:
    target = target_of(thing)
    if target.type_id is None:
        raise TypeError("An object is needed, not None.")
    return target
