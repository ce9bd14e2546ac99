"""The OpenAPI document as a judge: each answer of the REST API must have a status and a body that are in it."""

import functools
from collections.abc import Callable
from typing import Any

import fastjsonschema
import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

import notifications.urls
import realtime.urls

# What any operation answers to a wrong method, to an `Accept` without JSON, to a body that it does not read, and when
# the server has a fault.
ANYWHERE = {"405", "406", "413", "415", "500"}


@functools.cache
def read_document() -> Any:
    patterns = [*realtime.urls.urlpatterns, *notifications.urls.urlpatterns]
    return SchemaGenerator(patterns=patterns).get_schema(request=None, public=True)


def judge_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, each answer to a client of a test is judged."""
    request = APIClient.request

    def judged(client: APIClient, **environ: Any) -> Any:
        response = request(client, **environ)
        require_described(environ["REQUEST_METHOD"], response)
        return response

    monkeypatch.setattr(APIClient, "request", judged)


def require_described(method: str, response: Any) -> None:
    """Fail if the document does not have this answer. Ignores what is no address of the document."""
    match = getattr(response, "resolver_match", None)
    operations = read_document()["paths"].get(find_path(match)) if match is not None else None
    operation = (operations or {}).get(method.lower())
    if operation is None:
        return  # no address of ours, or another method
    status = str(response.status_code)
    if status in ANYWHERE:
        return
    where = f"{method} {match.route}"
    assert status in operation["responses"], f"{where}: the document has no {status}: {response.content[:200]!r}"
    kinds = operation["responses"][status].get("content", {})
    if not kinds:
        assert response.content == b"", f"{where}: the document has no body"
    elif response["Content-Type"] == "application/json":  # `open` also answers with a page
        compile_judge(find_path(match), method.lower(), status)(response.json())


def find_path(match: Any) -> str:
    """The path of the document that belongs to a route of `urls`."""
    route = match.route
    for kind in ("path", "slug", "str"):
        route = route.replace(f"<{kind}:", "{")
    return "/" + route.replace(">", "}")


@functools.cache
def compile_judge(path: str, method: str, status: str) -> Callable[[Any], Any]:
    document = read_document()
    schema = document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    whole = as_json_schema({**schema, "components": document["components"]})
    judge: Callable[[Any], Any] = fastjsonschema.compile(whole, use_default=False)
    return judge


def as_json_schema(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 for an answer, as JSON Schema.

    `nullable` becomes the type `null`. Objects have no keys but those of the document, and none that are `writeOnly`.
    """
    if isinstance(schema, list):
        return [as_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: as_json_schema(value) for key, value in schema.items() if key != "nullable"}
    if found.get("type") == "object" and "properties" in found:
        written = {name for name, value in found["properties"].items() if value.get("writeOnly")}
        found["properties"] = {name: value for name, value in found["properties"].items() if name not in written}
        found["required"] = [name for name in found.get("required", ()) if name not in written]
        found.setdefault("additionalProperties", False)
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found
