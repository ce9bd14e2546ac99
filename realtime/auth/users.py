"""The users who may do something, and how a later look-up sees that their password has changed.

Called wherever a right depends on the user being there. Synchronous.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet, Value

from realtime.storage.routed import exact

# 60 bits: the largest number that Python keeps in 32 bytes. Each open socket has one.
MARK_BITS = (1 << 60) - 1
UNKNOWN = 0  # the mark of a socket whose user's password was not looked up
# Of a name whose column has no limit. Django's page for logging in takes no longer one either.
MAX_NAME_CHARS = 254


def all_users() -> "QuerySet[Any]":
    """The users as the site's default manager finds them."""
    return exact(get_user_model()._default_manager)


class ExactUsers:
    """Stands in for the user model where simplejwt looks for a user."""

    def __init__(self) -> None:
        model: Any = get_user_model()
        self.objects = exact(model.objects)
        self.DoesNotExist = model.DoesNotExist


def active_users(pks: Iterable[Any]) -> "QuerySet[Any]":
    """Those of the users with these primary keys who are not disabled.

    In a user model, `is_active` need not be a column. Then the users are loaded and asked.
    """
    users = all_users().filter(pk__in=list(pks))
    if has_column("is_active"):
        return users.filter(is_active=True)
    return users.filter(pk__in=[user.pk for user in users if getattr(user, "is_active", True)])


def is_active(pk: Any) -> bool:
    """Whether there is such a user, who is not disabled."""
    return active_users([pk]).exists()


def find_passwords(pks: Iterable[Any]) -> dict[Any, str]:
    """The password hashes of those users who are not disabled, by primary key; "" where they are not in a column."""
    stored: Any = "password" if has_column("password") else Value("")
    return dict(active_users(pks).values_list("pk", stored))


@cache
def has_column(name: str) -> bool:
    return name in {field.name for field in get_user_model()._meta.concrete_fields}


def normalize_name(given: str) -> str:
    """The name with which somebody logs in, in the form in which names are stored.

    One that is too long for the column belongs to nobody, and is returned as it is: the time that Unicode's
    normalization takes grows with the square of the length, and no other thread runs meanwhile.
    """
    model: Any = get_user_model()
    limit = model._meta.get_field(model.USERNAME_FIELD).max_length or MAX_NAME_CHARS
    return unicodedata.normalize("NFKC", given) if len(given) <= limit else given


def mark_password(stored: str | None) -> int:
    """A number that stands for the stored password hash, in this process alone; never UNKNOWN.

    Python's hash of a text has a random key in each process, so nobody can choose two passwords with the same mark.
    """
    return (hash(stored) & MARK_BITS) or 1
