"""To which address a user gets mails, and what is noted about readers. Called by this package and by preferences."""

import logging
from collections.abc import Sequence
from email.utils import parseaddr
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from notifications import conf
from notifications.models import Reader
from notifications.models.preference import ADDRESS_CHARS
from realtime.integration import exact, own_transaction, retry_conflicts

logger = logging.getLogger(__name__)


def load_users(keys: Sequence[Any]) -> dict[Any, Any]:
    """Those of the users, by primary key, who are not disabled."""
    return {user.pk: user for user in _find_users(keys) if getattr(user, "is_active", True)}


def _find_users(keys: Sequence[Any]) -> "QuerySet[Any]":
    return exact(get_user_model()._base_manager).filter(pk__in=keys)


@retry_conflicts
def note(readers: Sequence[Reader], field: str) -> None:
    """Store this field of readers, who are in the order of their keys. Those who have been deleted are left out."""
    try:
        with own_transaction(savepoint=False):  # as `bulk_create` does
            Reader.objects.bulk_create(readers, update_conflicts=True, unique_fields=["user"], update_fields=[field])
    except IntegrityError:  # one of them has just been deleted
        there = set(_find_users([reader.user_id for reader in readers]).values_list("pk", flat=True))
        left = [reader for reader in readers if reader.user_id in there]
        if len(left) == len(readers):
            raise
        note(left, field)


def address_of(user: Any) -> str:
    """The result of the site's function, if one is set; else the e-mail field of the user model. Empty for none."""
    if path := conf.settings().mail_address:
        return str(import_string(path)(user) or "")
    name = getattr(user, "get_email_field_name", lambda: "email")()
    return str(getattr(user, name, "") or "")


def find_address(user: Any) -> str:
    """`address_of`, but empty if the site's own function fails."""
    try:
        return address_of(user)
    except Exception:
        logger.exception("The address of the user %s could not be found out", user.pk)
        return ""


def bare(address: str) -> str:
    """Without the name before it, and as much of it as its column takes."""
    return (parseaddr(address)[1] or address)[:ADDRESS_CHARS]


def is_same_address(one: str, other: str) -> bool:
    """Mail services report it as they please: with a name or without, and in other letters."""
    return bare(one).lower() == bare(other).lower()
