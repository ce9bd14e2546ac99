"""Describes the API to drf-spectacular: its operations, answers, ids and tokens. Called by `schema`.

That package is optional. The package `realtime.api` imports this module where it is installed.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework.serializers import Serializer

from realtime.api.serializers import PREFIX, REF, UserIdField

View = TypeVar("View", bound=Callable[..., Any])
Field = TypeVar("Field", bound=type[Any])

extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string"}]})(UserIdField)


class TokenScheme(SimpleJWTScheme):  # type: ignore[no-untyped-call]
    """Describes the tokens. drf-spectacular finds this class once it is imported."""

    target_class = "realtime.api.authentication.TokenAuthentication"
    name = "accessToken"


class StructExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Describes answers that are structs, and the structs inside them, each under its own name."""

    target_class = "msgspec.Struct"
    match_subclasses = True

    def get_name(self, auto_schema: Any, direction: str) -> str:
        name: str = PREFIX + self.target.__name__
        # A struct inside another one is registered by its name only. drf-spectacular would warn that two different
        # structs have this name.
        set_override(self.target, "suppress_collision_warning", True)
        return name

    def map_serializer(self, auto_schema: Any, direction: str) -> Any:
        _, shapes = msgspec.json.schema_components([self.target], ref_template=REF)
        for name, shape in shapes.items():
            if name != self.target.__name__:
                auto_schema.registry.register_on_missing(_component(PREFIX + name, as_openapi(shape)))
        return as_openapi(shapes[self.target.__name__])


def _component(name: str, schema: Any) -> ResolvedComponent:
    return ResolvedComponent(name, ResolvedComponent.SCHEMA, schema, object=name)  # type: ignore[no-untyped-call]


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


def describe_field(schema: dict[str, Any]) -> Callable[[Field], Field]:
    decorate: Callable[[Field], Field] = extend_schema_field(schema)
    return decorate


def describe(
    answers: Mapping[int, Any], failures: Mapping[int, tuple[type[Serializer[Any]], Any]], **options: Any
) -> Callable[[View], View]:
    """Describe a view's method, with its docstring as the description.

    `answers` are by HTTP status, and so are `failures`: the shape of each, and when it is given.
    """
    refused = {status: OpenApiResponse(shape, text) for status, (shape, text) in failures.items()}
    decorate: Callable[[View], View] = extend_schema(responses={**answers, **refused}, **options)
    return decorate
