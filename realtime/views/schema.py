"""What the views have in common (L4): reading a request by its shape, and documenting what can be answered."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema
from rest_framework.serializers import Serializer

from realtime.serializers import ErrorShape, InvalidShape

View = TypeVar("View", bound=Callable[..., Any])
Shape = type[Serializer[Any]]


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
    """Describes a view's method; its docstring is the summary. `operation` is `<tag>_<verb>`."""
    failures = {status: InvalidShape if status == 400 else ErrorShape for status in (*refusals, 401, 503)}
    decorate: Callable[[View], View] = extend_schema(
        operation_id=operation,
        tags=[operation.split("_")[0]],
        request=body,
        parameters=[query] if query else None,
        responses={**answers, **failures},
    )
    return decorate
