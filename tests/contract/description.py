"""The description of the sockets (`docs/asyncapi.json`) as a judge: whatever is sent must fit it."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastjsonschema
import msgspec

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.json"
ANYTHING: dict[str, Any] = {}
REFERENCE = re.compile(r'"#/components/schemas/([^"/]+)"')


@functools.cache
def read_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return document


@functools.cache
def compile_judge(name: str) -> Callable[[Any], Any]:
    """Raises fastjsonschema.JsonSchemaValueException for what does not fit the schema of this name."""
    schemas = read_document()["components"]["schemas"]
    schema = schemas[name]
    if name == "Batch":  # what is in it is judged alone, because a site may send frames that are not described
        messages = {**schema["properties"]["messages"], "items": ANYTHING}
        schema = {**schema, "properties": {**schema["properties"], "messages": messages}}
    # fastjsonschema would compile all that it gets, each time.
    parts = {part: schemas[part] for part in find_parts(schema)}
    whole = {**schema, "components": {"schemas": parts}}
    judge: Callable[[Any], Any] = fastjsonschema.compile(whole, use_default=False)
    return judge


def find_parts(schema: dict[str, Any]) -> set[str]:
    """The names of the schemas that a schema refers to, and those that these refer to."""
    schemas, found = read_document()["components"]["schemas"], set[str]()
    waiting = [schema]
    while waiting:
        new = set(REFERENCE.findall(json.dumps(waiting.pop()))) - found
        found |= new
        waiting += [schemas[name] for name in new]
    return found


def require_described(frame: Any, value: Any) -> None:
    """`value` is the frame as JSON. A frame of the site is not in the document, and is no struct."""
    if isinstance(frame, msgspec.Struct):
        compile_judge(type(frame).__name__)(value)


@functools.cache
def frames_by_type() -> dict[str, str]:
    """The names of the frames of a socket at `/api/v1/ws`."""
    components = read_document()["components"]
    names = [option["$ref"].rpartition("/")[2] for option in components["schemas"]["ServerFrame"]["oneOf"]]
    return {components["messages"][name]["name"]: name for name in names}


def find_fault(frame: dict[str, Any]) -> str:
    """What is wrong with a frame of a socket at `/api/v1/ws` of a site that sends none of its own; else nothing."""
    name = frames_by_type().get(frame["type"])
    if name is None:
        return f"there is no frame {frame['type']!r}"
    try:
        compile_judge(name)(frame)
    except fastjsonschema.JsonSchemaValueException as fault:
        return f"{frame['type']}: {fault.message}"
    return ""
