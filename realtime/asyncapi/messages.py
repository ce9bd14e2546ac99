"""The messages of the document: each frame and command with its schema and examples. Called by `document`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from realtime.asyncapi import channels
from realtime.asyncapi.contributions import Example, Struct
from realtime.asyncapi.schemas import Schema, Schemas, name_of, ref
from realtime.protocol.commands import Command

Examples = Mapping[str, Sequence[Example]]


class Messages:
    """Frames and commands by name. A frame has the name of its struct."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self.found: dict[str, dict[str, Any]] = {}

    def add(self, structs: Iterable[Struct], examples: Examples) -> list[str]:
        """Returns the names of the messages."""
        return [self._add(struct, examples) for struct in structs]

    def add_union(self, name: str, text: str, names: Iterable[str]) -> None:
        options = [ref(option) for option in names]
        self.schemas.named[name] = {"title": name, "description": text, "oneOf": options, "discriminator": "type"}

    def _add(self, struct: Struct, examples: Examples) -> str:
        name = self._add_schema(struct)
        tag = struct.__struct_config__.tag
        type_ = tag if isinstance(tag, str) else name
        message: dict[str, Any] = {"name": type_, "title": name, "payload": ref(name)}
        if text := self.schemas.named[name].get("description"):
            message["summary"] = text
        if found := examples.get(name, examples.get(type_)):
            message["examples"] = [{"payload": example} for example in found]
        self.found[name] = message
        return name

    def _add_schema(self, struct: Struct) -> str:
        """A command has another name than its struct. So has a frame of the site whose name is taken."""
        if issubclass(struct, Command):
            self.schemas.add_as(channels.name_of(struct), struct)
            return channels.name_of(struct)
        return name_of(self.schemas.add([struct])[0])


def find_fields(schema: Schema, keyword: str) -> dict[str, str]:
    """The fields of a schema that have a keyword, by its value: {"TopicData": "topic"}."""
    fields = schema.get("properties", {})
    return {field[keyword]: name for name, field in fields.items() if keyword in field}
