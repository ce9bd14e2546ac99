"""User ids as the wire spells them: the primary key as a JSON number when it is one, else as a string.

Called by the verbs and the REST edge.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError


def wire_id(pk: Any) -> int | str:
    """The primary key as JSON has it."""
    return pk if isinstance(pk, int) else str(pk)


def read_id(given: object) -> Any | None:
    """The primary key that a client spelled as `given`, or None when it cannot be one.

    Only the canonical spelling counts: `int()` would also take `1_0`, ` 1` and `true`.
    """
    if not isinstance(given, int | str) or (isinstance(given, str) and "\0" in given):
        return None
    field: Any = get_user_model()._meta.pk
    try:
        pk = field.clean(given, None)
    except ValidationError:
        return None
    return None if isinstance(pk, int) and str(pk) != str(given) else pk
