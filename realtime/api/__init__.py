"""The REST API, one module for each resource. Routed by `realtime.urls`.

Its OpenAPI document needs drf-spectacular (the extra `docs`). Where that is missing, `openapi` is None.
"""

try:
    from realtime.api import openapi
except ModuleNotFoundError as error:
    if error.name != "drf_spectacular":
        raise
    openapi = None  # type: ignore[assignment]

__all__ = ["openapi"]
