"""JSON Schemas of structs (pure): as msgspec makes them, with names for what is used in several places.

Called by `document`. A schema is JSON: dictionaries that are not changed once they are made.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

REF = "#/components/schemas/{name}"
NULL = {"type": "null"}

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": REF.format(name=name)}


def name_of(schema: Mapping[str, Any]) -> str:
    """The name of the type to which a reference leads."""
    return str(schema["$ref"]).rpartition("/")[2]


class Schemas:
    """The named schemas of one document. Equal types are added once."""

    def __init__(self, aliases: Mapping[str, tuple[Any, str]]) -> None:
        self.named: dict[str, Schema] = {}
        self._aliases: list[tuple[Schema, str]] = []
        for name, (kind, text) in aliases.items():
            schema = self._clean(msgspec.json.schema(kind))
            self._aliases.append((schema, name))
            self.named[name] = {"title": name, "description": text, **schema}

    def add(self, kinds: Iterable[Any]) -> list[Schema]:
        """Add types with all that they refer to. Returns a reference to each, or its schema if it has no name.

        A name that another type has already gets `Site` in front.
        """
        schemas, found = msgspec.json.schema_components(list(kinds), ref_template=REF)
        cleaned = {name: self._clean(schema) for name, schema in found.items()}
        taken = {name for name, schema in cleaned.items() if self.named.get(name, schema) != schema}
        names = {ref(name)["$ref"]: ref(f"Site{name}")["$ref"] for name in taken}
        for name, schema in cleaned.items():
            self.named[f"Site{name}" if name in taken else name] = _rename(schema, names)
        return [_rename(self._clean(schema), names) for schema in schemas]

    def add_as(self, name: str, struct: type[msgspec.Struct]) -> None:
        """Add a struct under another name than its own. Nothing refers to it."""
        (schema,), found = msgspec.json.schema_components([struct], ref_template=REF)
        own = found.pop(name_of(schema))
        self.named[name] = {**self._clean(own), "title": name}
        self.named |= {other: self._clean(schema) for other, schema in found.items()}

    def _clean(self, schema: Any) -> Any:
        if isinstance(schema, list):
            return [self._clean(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if name := self._find_alias({key: value for key, value in schema.items() if key != "default"}):
            return {"allOf": [ref(name)], "default": schema["default"]} if "default" in schema else ref(name)
        kinds = [kind for kind in schema.get("anyOf", []) if kind != NULL]
        if len(kinds) < len(schema.get("anyOf", [])) and (name := self._find_alias({"anyOf": kinds})):
            return {**schema, "anyOf": [ref(name), NULL]}
        return _adapt({key: self._clean(value) for key, value in schema.items()})

    def _find_alias(self, schema: Schema) -> str | None:
        adapted = _adapt(schema)
        return next((name for alias, name in self._aliases if alias == adapted), None)


def _adapt(schema: Schema) -> Schema:
    """What msgspec writes for a later version of JSON Schema, or for Python, as AsyncAPI has it (draft 07).

    In patterns, `$` means what Python writes as `\\Z`.
    """
    changed = dict(schema)
    if "prefixItems" in schema:
        changed["items"] = changed.pop("prefixItems")
    if isinstance(pattern := schema.get("pattern"), str):
        changed["pattern"] = pattern.replace(r"\Z", "$")
    if isinstance(text := schema.get("description"), str):
        changed["description"] = inspect.cleandoc(text)
    if isinstance(options := schema.get("enum"), list) and len(options) == 1:
        changed["const"] = changed.pop("enum")[0]
    return changed


def _rename(schema: Any, names: Mapping[str, str]) -> Any:
    if isinstance(schema, list):
        return [_rename(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: names.get(value, value) if key == "$ref" else _rename(value, names) for key, value in schema.items()}
