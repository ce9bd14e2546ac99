"""User ids as clients see them: the primary key as a JSON number if it is an integer, else as a string.

Called wherever an id comes from a client or goes to one.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError


def wire_id(pk: Any) -> int | str:
    """The primary key as in JSON."""
    return pk if isinstance(pk, int) else str(pk)


def read_id(given: object) -> Any | None:
    """The primary key that a client sent as `given`, or None if it cannot be one.

    Only the canonical form is accepted: `int()` would also accept `1_0`, ` 1` and `true`.
    """
    if not isinstance(given, int | str) or (isinstance(given, str) and "\0" in given):
        return None
    field: Any = get_user_model()._meta.pk
    try:
        pk = field.clean(given, None)
    except ValidationError:
        return None
    return None if isinstance(pk, int) and str(pk) != str(given) else pk
