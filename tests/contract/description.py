"""The description of the sockets (`docs/asyncapi.json`) as a judge: whatever is sent must fit it."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastjsonschema
import msgspec

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.json"
ANYTHING: dict[str, Any] = {}


@functools.cache
def read_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return document


@functools.cache
def compile_judge(name: str) -> Callable[[Any], Any]:
    """Raises fastjsonschema.JsonSchemaValueException for what does not fit the schema of this name."""
    components = read_document()["components"]
    schema = components["schemas"][name]
    if name == "Batch":  # what is in it is judged alone, because a site may send frames that are not described
        messages = {**schema["properties"]["messages"], "items": ANYTHING}
        schema = {**schema, "properties": {**schema["properties"], "messages": messages}}
    judge: Callable[[Any], Any] = fastjsonschema.compile({**schema, "components": components}, use_default=False)
    return judge


def require_described(frame: Any, value: Any) -> None:
    """`value` is the frame as JSON. A frame of the site is not in the document, and is no struct."""
    if isinstance(frame, msgspec.Struct):
        compile_judge(type(frame).__name__)(value)
