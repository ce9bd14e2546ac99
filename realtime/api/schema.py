"""Reads requests by their shape and describes answers for the OpenAPI document. Called by all views of the API."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from django.utils.translation import gettext_lazy as _
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.serializers import Serializer

from realtime.api.serializers import ErrorShape, InvalidShape

View = TypeVar("View", bound=Callable[..., Any])
Shape = type[Serializer[Any]]
Answer = Shape | type[msgspec.Struct] | dict[str, Any] | None
REF = "#/components/schemas/{name}"

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
    409: _("It does not fit what is stored: an id that is taken, or a room that would lose its last owner."),
    429: _("Too many requests. Try again after as many seconds as `Retry-After` says."),
    503: _("The database or Redis is not available. Try again later."),
}


class StructExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Describes answers that are structs, and the structs inside them, each under its own name."""

    target_class = "msgspec.Struct"
    match_subclasses = True

    def get_name(self, auto_schema: Any, direction: str) -> str:
        name: str = self.target.__name__
        # A struct inside another one is registered by its name only. drf-spectacular would warn that two different
        # structs have this name.
        set_override(self.target, "suppress_collision_warning", True)
        return name

    def map_serializer(self, auto_schema: Any, direction: str) -> Any:
        _, shapes = msgspec.json.schema_components([self.target], ref_template=REF)
        for name, shape in shapes.items():
            if name != self.target.__name__:
                auto_schema.registry.register_on_missing(_component(name, as_openapi(shape)))
        return as_openapi(shapes[self.target.__name__])


def _component(name: str, schema: Any) -> ResolvedComponent:
    return ResolvedComponent(name, ResolvedComponent.SCHEMA, schema, object=name)  # type: ignore[no-untyped-call]


def list_of(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """An answer that is a list of `shape`. Another operation must answer with `shape` alone: that describes it."""
    return {"type": "array", "items": {"$ref": REF.format(name=shape.__name__)}}


def as_openapi(schema: Any) -> Any:
    """A JSON schema as OpenAPI 3.0 has it: with `nullable` instead of the type `null`.

    Patterns are JavaScript's, where `$` means what Python writes as `\\Z`.
    """
    if isinstance(schema, list):
        return [as_openapi(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: as_openapi(value) for key, value in schema.items()}
    if all(isinstance(value, str) for value in schema.get("enum", [0])):
        schema["type"] = "string"
    if "pattern" in schema:
        schema["pattern"] = schema["pattern"].replace(r"\Z", "$")
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == len(schema.get("anyOf", [])):
        return schema
    return {**kinds[0], "nullable": True} if len(kinds) == 1 else {**schema, "anyOf": kinds, "nullable": True}


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
) -> Callable[[View], View]:
    """Describe a view's method in the OpenAPI document, with its docstring as the description.

    `operation` is `<tag>_<verb>`. `answers` and `refusals` are by HTTP status; 401 and 503 are always included.
    """
    failures = {
        status: OpenApiResponse(InvalidShape if status == 400 else ErrorShape, REFUSALS[status])
        for status in sorted({*refusals, 401, 503})
    }
    decorate: Callable[[View], View] = extend_schema(
        operation_id=operation,
        summary=SUMMARIES[operation],
        tags=[operation.split("_")[0]],
        request=body,
        parameters=[query] if query else None,
        responses={**answers, **failures},
    )
    return decorate
