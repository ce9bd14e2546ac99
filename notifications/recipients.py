"""Who gets a notification: turns what site code names into primary keys of users. Called by `sending`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.utils.functional import Promise

from realtime.integration import all_users, exact, read_user

KEYS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Recipients:
    """`keys` are primary keys of users, each once and in order; `known` has those users that are loaded already."""

    keys: list[Any]
    known: dict[Any, Any]


def find_recipients(given: Any) -> Recipients:
    """The users that `given` names: a user or a primary key, a queryset or a manager of users, a group, or any iterable
    of users and keys.

    Keys of users who do not exist are left out, but of one user alone. Raises TypeError for what names no users, and
    the model's DoesNotExist.
    """
    users = get_user_model()
    if is_one(given):
        pk = read_user(given)
        user = given if isinstance(given, users) else exact(users._base_manager).get(pk=pk)
        return Recipients([pk], {pk: user})
    if isinstance(given, Group):
        given = all_users().filter(groups=given)
    if hasattr(given, "get_queryset"):
        given = given.get_queryset()
    if not isinstance(given, QuerySet):
        return _existing(given)
    if not issubclass(given.model, users):
        raise TypeError(f"A queryset of {users._meta.label} is needed, not of {given.model._meta.label}.")
    # Who is in a slice, or the first of each kind, depends on the order.
    query = given.query
    chosen = given if query.is_sliced or query.distinct_fields else given.order_by()
    # Not `pk`: a model that builds on the user model may have another key.
    return Recipients(sorted(set(chosen.values_list(users._meta.pk.attname, flat=True))), {})


def is_one(given: Any) -> bool:
    """Whether site code has named one user, not several. `request.user` is lazy, so its type says nothing."""
    if isinstance(given, get_user_model()):
        return True
    # Lazy objects have all special methods, and say what they stand for by `__class__` only.
    is_several = issubclass(given.__class__, Iterable) and not isinstance(given, str | bytes | Promise)
    return not (is_several or isinstance(given, Group) or hasattr(given, "get_queryset"))


def _existing(given: Iterable[Any]) -> Recipients:
    users = get_user_model()
    known: dict[Any, Any] = {}
    named: set[Any] = set()
    for user in given:
        pk = read_user(user)
        if isinstance(user, users):
            known[pk] = user
        else:
            named.add(pk)
    return Recipients(sorted({*known, *find_keys(list(named - known.keys()))}), known)


def find_keys(keys: Sequence[Any]) -> set[Any]:
    """Those of these primary keys of users that there are."""
    found: set[Any] = set()
    for start in range(0, len(keys), KEYS_AT_ONCE):
        chunk = keys[start : start + KEYS_AT_ONCE]
        found.update(exact(get_user_model()._base_manager).filter(pk__in=chunk).values_list("pk", flat=True))
    return found
