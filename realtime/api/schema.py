"""Reads requests by their shape and describes answers for the OpenAPI document. Called by all views of the API."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import Serializer

from realtime.api import openapi
from realtime.api.serializers import REF, ErrorShape, InvalidShape

View = TypeVar("View", bound=Callable[..., Any])
Field = TypeVar("Field", bound=type[Any])
Shape = type[Serializer[Any]]
Answer = Shape | type[msgspec.Struct] | dict[str, Any] | None

# One line for each operation, shown in lists of operations.
SUMMARIES = {
    "auth_login": _("Log in"),
    "auth_refresh": _("Renew an access token"),
    "auth_logout": _("Log out"),
    "auth_ticket": _("Get a ticket that opens a socket"),
    "members_list": _("List the members of a room"),
    "members_add": _("Join a room, or add a member"),
    "members_leave": _("Leave a room"),
    "members_remove": _("Remove a member"),
    "messages_of_room": _("Read a room's messages"),
    "messages_direct": _("Read direct messages"),
    "presence_list": _("List the users who are online"),
    "presence_count": _("Count the users who are online"),
    "presence_read": _("Read the status of a user"),
    "presence_read_many": _("Read the status of several users"),
    "rooms_list": _("List rooms"),
    "rooms_create": _("Create a room"),
    "rooms_read": _("Read a room"),
    "rooms_change": _("Change a room"),
    "rooms_delete": _("Delete a room"),
}

REFUSALS = {
    400: _("The request is not valid; `errors` has the reasons by field."),
    401: _("The login is not valid: the password is wrong, or the token is missing, has expired or was revoked."),
    403: _("You are not allowed to do this."),
    404: _("It does not exist, or you cannot see it."),
    409: _("It does not fit what is stored; `detail` says why."),
    413: _("The request is too large."),
    415: _("The body is of a content type that is not read here."),
    429: _("Too many requests. Try again after as many seconds as `Retry-After` says."),
    503: _("The database or Redis is not available. Try again later."),
}
OF_BODIES = (400, 413, 415)
# Of requests that change something: Django refuses those that another site could have made with the visitor's cookie.
FORGED = _("The CSRF token is missing or wrong, which requests with a session cookie need.")


def list_of(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """An answer that is a list of `shape`. Another operation must answer with `shape` alone: that describes it."""
    return {"type": "array", "items": {"$ref": REF.format(name=shape.__name__)}}


def shown_as(schema: dict[str, Any]) -> Callable[[Field], Field]:
    """Describe a class of fields in the OpenAPI document. Without drf-spectacular there is none."""
    return (lambda field: field) if openapi is None else openapi.describe_field(schema)


def validated(shape: Shape, data: Any, **options: Any) -> Any:
    """The valid values in `data`. Raises ValidationError."""
    reader = shape(data=data, **options)
    reader.is_valid(raise_exception=True)
    return reader.validated_data


def documented(
    operation: str,
    answers: dict[int, Answer],
    *,
    refusals: tuple[int, ...] = (),
    query: Shape | None = None,
    body: Shape | None = None,
    anybody: bool = False,
    summary: str | Promise = "",
) -> Callable[[View], View]:
    """Describe a view's method in the OpenAPI document, with its docstring as the description.

    `operation` is `<tag>_<verb>`. `answers` and `refusals` are by HTTP status; 401 and 503 are always included, those
    of a `body` where there is one, and for requests that change something also 403 and 429, unless `anybody` may make
    them, without a login. Other apps pass the `summary` of their operations. Without drf-spectacular there is no
    document, and this does nothing.
    """
    if openapi is None:
        return lambda view: view
    describe = openapi.describe

    def decorate(view: View) -> View:
        texts = {status: [REFUSALS[status]] for status in (*refusals, 401, 503, *(OF_BODIES if body else ()))}
        if not anybody and view.__name__.upper() not in SAFE_METHODS:
            texts.setdefault(403, []).append(FORGED)
            texts.setdefault(429, [REFUSALS[429]])
        return describe(
            answers,
            _as_failures(texts),
            operation_id=operation,
            summary=summary or SUMMARIES[operation],
            tags=[operation.split("_")[0]],
            request=body,
            parameters=[query] if query else None,
        )(view)

    return decorate


def _as_failures(texts: Mapping[int, list[Any]]) -> dict[int, tuple[Shape, Any]]:
    """The shape of each refusal, and its texts as one, which is translated when it is shown."""
    return {
        status: (InvalidShape if status == 400 else ErrorShape, format_lazy(" ".join(["{}"] * len(found)), *found))
        for status, found in sorted(texts.items())
    }
