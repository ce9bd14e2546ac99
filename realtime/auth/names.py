"""The name under which a user appears to others: in messages, lists and notifications. Synchronous.

The setting DISPLAY_NAME is a function of the site that gives it. Called at the handshake, for pages of history and of
members, and by `notifications`.
"""

import logging
import re
from collections.abc import Iterable
from hashlib import blake2s
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import EmailField, QuerySet
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from realtime.auth.users import all_users
from realtime.conf import settings

logger = logging.getLogger(__name__)

MAX_CHARS = 150  # of a name, as of Django's usernames
# Control characters, which PostgreSQL does not take in a text, those that turn the direction of the text around a name,
# and halves of characters, which UTF-8 does not have.
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
ADDRESS = re.compile(r"\S@\S")


def display_name(user: Any) -> str:
    """The name of a user for others, never empty. If the site's function fails, that is logged."""
    path = settings().display_name
    return (ask_site(path, user) if path else "") or default_name(user)


def name_all(users: Iterable[Any]) -> dict[Any, str]:
    """The names of users, by primary key.

    If the site has a function, it gets the users as the site loads them: one query brings them all.
    """
    loaded = {user.pk: user for user in users}
    if settings().display_name and loaded:
        # Those whom the site's manager leaves out stay as they are.
        users = all_users().filter(pk__in=list(loaded))
        loaded |= {user.pk: user for user in with_relations(users)}
    return {pk: display_name(user) for pk, user in loaded.items()}


def with_relations(users: "QuerySet[Any]") -> "QuerySet[Any]":
    """The users, with the relations that the site's function needs: it names them in its attribute `select_related`."""
    path = settings().display_name
    relations = getattr(import_string(path), "select_related", ()) if path else ()
    return users.select_related(*relations) if relations else users


def ask_site(path: str, user: Any) -> str:
    """What the site's function returns; "" if that is no name."""
    try:
        given = import_string(path)(user)
        name = clean(str(given)) if isinstance(given, str | Promise) else ""
    except Exception:
        logger.exception("DISPLAY_NAME failed for user %s", user.pk)
        return ""
    if not name:
        logger.warning("DISPLAY_NAME gave user %s no name: %.100r", user.pk, given)
    return name


def default_name(user: Any) -> str:
    """The username. If that is an email address, the full or the short name, else `user-7`: nobody is to read it."""
    username = clean(str(user.get_username() or ""))
    if username and not is_address(username):
        return username
    for method in ("get_full_name", "get_short_name"):
        name = ask_model(user, method)
        # Many models return the address here, too.
        if name and name != username and not ADDRESS.search(name):
            return name
    # The key is in every frame, but it may be the address itself, or a long one.
    key = user.pk if isinstance(user.pk, int) else blake2s(str(user.pk).encode(), digest_size=4).hexdigest()
    return f"user-{key}"


def ask_model(user: Any, method: str) -> str:
    try:
        return clean(str(getattr(user, method, str)() or ""))
    except Exception:
        logger.exception("%s() failed for user %s", method, user.pk)
        return ""


def is_address(username: str) -> bool:
    """Whether a username is an email address: of any kind, if users log in with their addresses."""
    model: Any = get_user_model()
    field = model._meta.get_field(model.USERNAME_FIELD)
    if isinstance(field, EmailField) or field.name == getattr(model, "get_email_field_name", str)():
        return True
    try:
        validate_email(username)
    except ValidationError:
        return False
    return True


def clean(name: str) -> str:
    name = UNWRITABLE.sub(" ", name).strip()
    return name if len(name) <= MAX_CHARS else name[: MAX_CHARS - 1] + "…"
