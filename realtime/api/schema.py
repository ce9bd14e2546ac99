"""What the views have in common: reading a request by its shape, and documenting what can be answered."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework.serializers import Serializer

from realtime.api.serializers import ErrorShape, InvalidShape

View = TypeVar("View", bound=Callable[..., Any])
Shape = type[Serializer[Any]]

# In one line each, by `operation`: what lists of operations show.
SUMMARIES = {
    "auth_login": _("Log in"),
    "auth_refresh": _("Renew an access token"),
    "auth_logout": _("Log out"),
    "auth_ticket": _("Get a ticket for a socket"),
    "members_list": _("List the members of a room"),
    "members_add": _("Join a room, or add a member"),
    "members_leave": _("Leave a room"),
    "members_remove": _("Remove a member"),
    "messages_of_room": _("Read a room's messages"),
    "messages_direct": _("Read direct messages"),
    "presence_list": _("List who is online"),
    "presence_count": _("Count who is online"),
    "presence_read": _("Read the status of a user"),
    "presence_read_many": _("Read the status of several users"),
    "rooms_list": _("List rooms"),
    "rooms_create": _("Make a room"),
    "rooms_read": _("Read a room"),
    "rooms_change": _("Change a room"),
    "rooms_delete": _("Delete a room"),
}


def validated(shape: Shape, data: Any, **options: Any) -> Any:
    """What `data` says. Raises ValidationError."""
    reader = shape(data=data, **options)
    reader.is_valid(raise_exception=True)
    return reader.validated_data


def documented(
    operation: str,
    answers: dict[int, Shape | Serializer[Any] | None],
    *,
    refusals: tuple[int, ...] = (),
    query: Shape | None = None,
    body: Shape | None = None,
) -> Callable[[View], View]:
    """Describes a view's method, with its docstring as the description. `operation` is `<tag>_<verb>`."""
    failures = {status: InvalidShape if status == 400 else ErrorShape for status in (*refusals, 401, 503)}
    decorate: Callable[[View], View] = extend_schema(
        operation_id=operation,
        summary=SUMMARIES[operation],
        tags=[operation.split("_")[0]],
        request=body,
        parameters=[query] if query else None,
        responses={**answers, **failures},
    )
    return decorate
