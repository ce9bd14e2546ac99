"""The users who may do something, and how a later look-up sees that their password has changed.

Called wherever a right depends on the user being there. Synchronous.
"""

from functools import cache
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

# 60 bits: the largest number that Python keeps in 32 bytes. Each open socket has one.
MARK_BITS = (1 << 60) - 1
UNKNOWN = 0  # the mark of a socket whose user's password was not looked up


def active_users() -> "QuerySet[Any]":
    """The users who are not disabled. A user model without the column `is_active` disables nobody."""
    users = get_user_model()._default_manager.all()
    return users.filter(is_active=True) if has_column("is_active") else users


@cache
def has_column(name: str) -> bool:
    return name in {field.name for field in get_user_model()._meta.concrete_fields}


def mark_password(stored: str | None) -> int:
    """A number that stands for the stored password hash, in this process alone; never UNKNOWN.

    Python's hash of a text has a random key in each process, so nobody can choose two passwords with the same mark.
    """
    return (hash(stored) & MARK_BITS) or 1
