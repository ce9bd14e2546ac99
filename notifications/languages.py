"""The languages in which users get notifications. Called by `sending`, by the lists and by the mails."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.db import DatabaseError
from django.utils.module_loading import import_string
from django.utils.translation import get_supported_language_variant, to_language

from notifications import conf
from realtime.integration import exact

logger = logging.getLogger(__name__)

USERS_AT_ONCE = 1_000


def language_of(user: Any) -> str:
    """The first language of `user` that the site supports, else the site's default.

    The default also if the site's function fails for this user: that must not stop what others get.
    """
    try:
        return next(filter(None, map(find_supported, _wanted(user))), conf.default_language())
    except DatabaseError:  # the transaction may be broken by it
        raise
    except Exception:
        logger.exception("The language of the user %s could not be found out", getattr(user, "pk", ""))
        return conf.default_language()


def languages_of(keys: Sequence[Any], known: Mapping[Any, Any] | None = None) -> dict[Any, str]:
    """The language of each user, by primary key; `known` has users that are loaded already.

    One query for a thousand users. Without the setting LANGUAGE, and without a `language` or a `profile` of the users,
    all have the site's default and nothing is queried. Users who do not exist are left out.
    """
    found = {pk: language_of(user) for pk, user in (known or {}).items()}
    missing = [pk for pk in keys if pk not in found]
    if not _can_differ():
        return found | dict.fromkeys(missing, conf.default_language())
    users: Any = exact(get_user_model()._base_manager)
    if profile := _profile():
        users = users.select_related(profile)
    for start in range(0, len(missing), USERS_AT_ONCE):
        found |= {user.pk: language_of(user) for user in users.filter(pk__in=missing[start : start + USERS_AT_ONCE])}
    return found


def _can_differ() -> bool:
    users = get_user_model()
    return bool(conf.settings().language) or any(_has(users, name) for name in ("language", "profile"))


def _has(users: Any, name: str) -> bool:
    try:
        users._meta.get_field(name)
    except FieldDoesNotExist:
        return hasattr(users, name)
    return True


def _profile() -> str:
    """The profile, if it can be read with the user in one query."""
    users: Any = get_user_model()
    try:
        field = users._meta.get_field("profile")
    except FieldDoesNotExist:
        return ""
    return "profile" if field.one_to_one or field.many_to_one else ""


def _wanted(user: Any) -> Iterator[object]:
    """The result of the site's function, if one is set; else `user.language` and then `user.profile.language`."""
    path = conf.settings().language
    if path:
        yield import_string(path)(user)
        return
    yield getattr(user, "language", None)
    try:
        profile = getattr(user, "profile", None)
    except ObjectDoesNotExist:  # a relation or a property without a row
        profile = None
    yield getattr(profile, "language", None)


def find_supported(code: object) -> str | None:
    """The language of the site that matches `code` in any usual spelling (`zh_CN`, `zh-Hans`), or None."""
    if not code or not isinstance(code, str):
        return None
    try:
        return get_supported_language_variant(to_language(code))
    except LookupError:
        return None
