"""User ids as clients see them: the primary key as a JSON number if it is an integer, else as a string.

Called wherever an id comes from a client or goes to one, and wherever site code names a user.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

# Beyond it, JavaScript and others read another number.
MAX_NUMBER = 2**53 - 1


def wire_id(pk: Any) -> int | str:
    """The primary key as in JSON: a number, if all clients can read it, else a text."""
    return pk if isinstance(pk, int) and -MAX_NUMBER <= pk <= MAX_NUMBER else str(pk)


def read_id(given: object) -> Any | None:
    """The primary key that a client sent as `given`, or None if it cannot be one.

    Only the canonical form is accepted: `int()` would also accept `1_0`, ` 1` and `true`.
    """
    if not isinstance(given, int | str) or (isinstance(given, str) and not _can_be_stored(given)):
        return None
    try:
        pk = _key_field().clean(given, None)
    except ValidationError:
        return None
    return None if isinstance(pk, int) and str(pk) != str(given) else pk


def _can_be_stored(text: str) -> bool:
    """PostgreSQL has no NUL, and no database has a half of a surrogate pair, as JSON may escape it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def read_user(user: object) -> Any:
    """The primary key of the user that site code named: a saved user, or a primary key, also as text.

    Raises TypeError for everything else: None, an anonymous user, an unsaved one, an object of another model.
    """
    model = get_user_model()
    pk: Any = None
    if isinstance(user, model):  # also true for `request.user`, which is lazy
        pk = _read_own(user, model._meta.pk)
    elif isinstance(user, int | str) and not isinstance(user, bool):
        pk = read_id(user)
    elif user is not None and _is_key(user):
        pk = user
    if pk is None or pk == "":
        raise TypeError(f"A user or a primary key of {model._meta.label} is needed, not {user!r}.")
    return pk


def is_user(found: Any) -> bool:
    """Whether what a request came from is a saved user, and its `pk` the user's key."""
    try:
        return isinstance(found, get_user_model()) and bool(read_user(found) == found.pk)
    except TypeError:
        return False


def _read_own(user: Any, key: Any) -> Any | None:
    """The user's key in the key's own type: one that was made as `User(pk="5")` has a text."""
    try:
        # Not `user.pk`: a model that builds on the user model may have another key.
        return key.to_python(getattr(user, key.attname))
    except ValidationError:
        return None


def _is_key(value: object) -> bool:
    """Whether the user model's key has values like this one, for example UUIDs."""
    try:
        return type(_key_field().to_python(value)) is type(value)
    except (ValidationError, TypeError, ValueError):
        return False


def _key_field() -> Any:
    """The field with the values of the key. A user model may borrow it from another model, by a one-to-one relation."""
    field: Any = get_user_model()._meta.pk
    while field.remote_field is not None:
        field = field.target_field
    return field
