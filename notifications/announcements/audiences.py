"""Audiences: which users an announcement is for. The site's own are registered in a module `notification_types`.

A dictionary that is filled while apps are loaded. `reading` asks it for one user, `publishing` and the admin for all.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from notifications.models import Announcement
from notifications.models.announcement import EVERYONE, GROUPS, ONLINE
from notifications.types import KEY_CHARS, Text
from realtime.integration import exact, online_page

logger = logging.getLogger(__name__)

BUILT_IN: dict[str, Text] = {
    EVERYONE: _("Everyone"),
    GROUPS: _("Members of groups"),
    ONLINE: _("Those who are online"),
}
ONLINE_AT_ONCE = 1_000
# Pages overlap by so many users. If fewer than that leave between two pages, nobody is left out.
ONLINE_OVERLAP = 100

Users = Callable[[], "QuerySet[Any]"]


@dataclass(frozen=True, slots=True)
class Audience:
    """`users` returns a queryset of the users who belong to it."""

    key: str
    label: Text
    users: Users


_audiences: dict[str, Audience] = {}


def register_audience(key: str, label: Text, users: Users) -> None:
    """Add an audience that staff and `announce` can choose. Call this in a module `notification_types` of an app.

    `users` is a function without arguments that returns a queryset of users. It is filtered for one reader whenever a
    client asks for announcements, so that has to be cheap; it cannot be a slice or a union, nor have `distinct` with
    fields. The last registration of a key wins. Raises ValueError for a key that is wrong or that of an audience which
    every site has, and TypeError for what is no function.
    """
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_CHARS or key in BUILT_IN:
        raise ValueError(f"The key of an audience must be a new text of 1 to {KEY_CHARS} characters: {key!r}")
    if not callable(users):
        raise TypeError(f"An audience is a function that returns users, not {users!r}.")
    _audiences[key] = Audience(key, label, users)


def choices() -> list[tuple[str, Text]]:
    """Keys and labels of all audiences, for forms. Groups are left out where users have none."""
    built_in = [pair for pair in BUILT_IN.items() if pair[0] != GROUPS or has_groups()]
    return [*built_in, *((audience.key, audience.label) for audience in _audiences.values())]


def label_of(key: str) -> Text:
    """The key itself if the audience is no longer registered."""
    return BUILT_IN.get(key) or (_audiences[key].label if key in _audiences else key)


def require_audience(key: str) -> None:
    """Raises ValueError for an audience that does not exist, or cannot be asked for one reader."""
    if key in BUILT_IN:
        return
    if key not in _audiences:
        known = ", ".join(sorted([*BUILT_IN, *_audiences]))
        raise ValueError(f"There is no audience {key!r}. Audiences: {known}")
    _ask(_audiences[key])


def _ask(audience: Audience) -> "QuerySet[Any]":
    """The users of a site's audience. Raises ValueError if its function fails, or returns what cannot be filtered."""
    key = audience.key
    try:
        users = audience.users()
    except DatabaseError:
        raise
    except Exception as error:
        raise ValueError(f"The function of the audience {key!r} has failed: {error!r}") from error
    if not isinstance(users, QuerySet) or not issubclass(users.model, get_user_model()):
        raise ValueError(f"The function of the audience {key!r} must return a queryset of users, not {users!r}.")
    if users.query.is_sliced or users.query.combinator or users.query.distinct_fields:
        kinds = "a slice, a union or distinct by fields"
        raise ValueError(f"The audience {key!r} cannot be {kinds}: it is filtered for each reader.")
    return users


def includes(key: str, reader: Any) -> bool:
    """Whether the site's audience includes a user.

    Nobody belongs to an audience that is no longer registered, or whose function fails.
    """
    if key not in _audiences:
        return False
    try:
        return _ask(_audiences[key]).filter(pk=reader.pk).exists()
    except ValueError:
        logger.exception("The announcements for %r are shown to nobody", key)
        return False


def users_of(announcement: Announcement) -> "QuerySet[Any]":
    """All active users in the audience of an announcement. Raises ValueError if the site's function fails."""
    if announcement.audience == EVERYONE:
        return everybody()
    if announcement.audience == GROUPS:
        return members(announcement.groups.all()) if has_groups() else everybody().none()
    audience = _audiences.get(announcement.audience)
    return everybody().filter(pk__in=_ask(audience).values("pk")) if audience else everybody().none()


def count(announcement: Announcement) -> int:
    """How many users an announcement is for: those who are online now, for that audience before it goes live."""
    if announcement.audience == ONLINE:
        return len(announcement.online if announcement.live_at else find_online())
    return users_of(announcement).count()


def find_online() -> dict[str, int]:
    """Who is online, as `Announcement.online`. Users who appear offline are left out. Raises StoreUnavailable."""
    found: dict[str, int] = {}
    offset = 0
    while True:
        entries = online_page(offset, ONLINE_AT_ONCE).entries
        found.update((entry.user_id, 1) for entry in entries if entry.online)
        if len(entries) < ONLINE_AT_ONCE:
            return found
        offset += ONLINE_AT_ONCE - ONLINE_OVERLAP


def members(groups: "Iterable[Group]") -> "QuerySet[Any]":
    """All active users in any of these groups, each once. The user model has groups."""
    found = exact(get_user_model()._base_manager).filter(groups__in=groups)
    return everybody().filter(pk__in=found.values("pk"))


def everybody() -> "QuerySet[Any]":
    users = get_user_model()
    has_column = any(field.name == "is_active" for field in users._meta.concrete_fields)
    found = exact(users._base_manager)
    return found.filter(is_active=True) if has_column else found


def has_groups() -> bool:
    """Whether the user model has Django's groups."""
    fields = get_user_model()._meta.many_to_many
    return any(field.name == "groups" and field.related_model is Group for field in fields)
