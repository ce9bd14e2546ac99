"""How the page writes types: as words, with links to those that have a place of their own on it. Called by `page`."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from realtime.asyncapi.page_texts import say
from realtime.asyncapi.schemas import Schema, name_of

Anchors = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Link:
    """A word; `anchor` is empty if it leads nowhere."""

    text: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: list[Link]
    required: bool
    notes: list[str]


def list_fields(schema: Schema, anchors: Anchors) -> list[Field]:
    """The fields of an object; for any other type one field without a name."""
    if "properties" not in schema:
        return [Field("", write_type(schema, anchors), True, _list_notes(schema))]
    required = schema.get("required", ())
    return [
        Field(name, write_type(field, anchors), name in required, _list_notes(field))
        for name, field in schema["properties"].items()
    ]


def write_type(schema: Schema, anchors: Anchors) -> list[Link]:
    """The words of a type. Those of a union have a bar between them."""
    words: list[Link] = []
    for word in _list_words(schema, anchors):
        if word not in words:
            words.append(word)
    return words


def _list_words(schema: Schema, anchors: Anchors) -> Iterator[Link]:
    if "$ref" in schema:
        yield Link(name_of(schema), anchors[name_of(schema)])
    elif "const" in schema:
        yield Link(json.dumps(schema["const"]))
    elif "enum" in schema:
        yield from (Link(json.dumps(value)) for value in schema["enum"])
    elif options := schema.get("anyOf") or schema.get("oneOf") or ("default" in schema and schema.get("allOf")):
        yield from (word for option in options for word in _list_words(option, anchors))
    else:
        yield from _list_plain(schema, anchors)


def _list_plain(schema: Schema, anchors: Anchors) -> Iterable[Link]:
    kind = str(schema.get("type", "any"))
    inner = schema.get("items") if kind == "array" else schema.get("additionalProperties")
    if not isinstance(inner, dict) or not inner:
        return [Link(kind)]
    return [Link(f"{kind}: {word.text}", word.anchor) for word in _list_words(inner, anchors)]


def _list_notes(schema: Schema) -> list[str]:
    limits = [limit for option in [schema, *schema.get("anyOf", ())] for limit in _list_limits(option)]
    notes = [say(schema["description"])] if "description" in schema and "properties" not in schema else []
    if schema.get("default") not in (None, {}):
        notes.append(_("Default: %(value)s") % {"value": json.dumps(schema["default"])})
    return [*notes, *limits]


def _list_limits(schema: Mapping[str, Any]) -> Iterator[str]:
    """Limits that a client has to know; those of 64 bits and of what cannot be empty are none."""
    if "maxLength" in schema:
        yield _("At most %(n)s characters") % {"n": schema["maxLength"]}
    if "maxItems" in schema or "maxProperties" in schema:
        yield _("At most %(n)s entries") % {"n": schema.get("maxItems", schema.get("maxProperties"))}
    if schema.get("minimum", 0) > 0:
        yield _("At least %(n)s") % {"n": schema["minimum"]}
    if schema.get("maximum", 2**63) < 2**53:
        yield _("At most %(n)s") % {"n": schema["maximum"]}
