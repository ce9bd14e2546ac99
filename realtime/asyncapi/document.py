"""The AsyncAPI document: everything that is said on the sockets, made of the structs that say it.

Called by the command `asyncapi` and by the page. The same code and the same declarations give the same document.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from realtime.asyncapi import contributions, examples, own
from realtime.asyncapi.channels import CHANNELS, COMMANDS, name_of
from realtime.asyncapi.contributions import Contribution
from realtime.asyncapi.messages import Messages, find_fields
from realtime.asyncapi.operations import (
    SESSION_COOKIE,
    describe_channel,
    describe_operations,
    describe_security,
    describe_servers,
)
from realtime.asyncapi.schemas import Schema, Schemas, ref
from realtime.conf import CREDENTIALS, session_cookie_name, settings
from realtime.protocol.errors import RECONNECT_CODES
from realtime.protocol.frames import VERSION, Seq, StreamName
from realtime.protocol.meanings import CLOSES, ERRORS

Document = dict[str, Any]

ABOUT = """\
What a site and its clients say to each other on WebSockets.

A *frame* is a JSON object that the server sends, and a *command* is one from a client. An *event* is a frame that was \
stored: it has a `stream` and a `seq`. Keys may be added to frames, so ignore those that you do not know. A site may \
also send frames that it has not described.
"""
EVERY = "Every frame that a socket at `/api/v1/ws` gets."


def make_document(*, site: bool = True) -> Document:
    """The document. Without `site`, it leaves out what this site has declared: topics, frames, notification types."""
    parts = [own.describe_own(), *contributions.of_apps()]
    declared = [own.describe_site(), *contributions.of_site()] if site else []
    schemas = Schemas({name: alias for part in parts for name, alias in part.aliases.items()})
    messages = Messages(schemas)
    _add_commands(messages)
    frames = _add_frames(messages, parts)
    _add_others(messages, parts)
    sites = _add_site_frames(messages, frames, declared)
    also = frames[len(parts[0].frames) :] + sites
    values = _add_values(schemas, declared)
    carriers = settings().credentials if site else CREDENTIALS
    cookie = session_cookie_name() if site else SESSION_COOKIE
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Realtime sockets", "version": str(VERSION), "description": ABOUT},
        "defaultContentType": "application/json",
        "servers": describe_servers(carriers),
        "channels": {channel.key: describe_channel(channel, also) for channel in CHANNELS},
        "operations": describe_operations(also),
        "components": {
            "schemas": schemas.named,
            "messages": messages.found,
            "securitySchemes": describe_security(carriers, cookie),
        },
        **_list_codes(),
        "x-site-frames": sites,
        "x-values": values,
        **_merge_lists([*parts, *declared]),
    }


def write_document(document: Document) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _add_commands(messages: Messages) -> None:
    names = messages.add(COMMANDS, examples.COMMANDS)
    messages.add_union("AnyCommand", "Every command that a socket at `/api/v1/ws` accepts.", names)
    _fill_batch(messages.schemas, "BatchCommand", "AnyCommand")


def _add_frames(messages: Messages, parts: Sequence[Contribution]) -> list[str]:
    """Returns the names of the frames."""
    every: list[str] = []
    for part in parts:
        names = messages.add(part.frames, part.examples)
        messages.add_union(part.union, part.about, names)
        every += names
    messages.add_union("ServerFrame", EVERY, every)
    _fill_batch(messages.schemas, "Batch", "ServerFrame")
    return every


def _add_site_frames(messages: Messages, frames: Sequence[str], declared: Sequence[Contribution]) -> list[str]:
    """Add them after all others, which keep their names. Returns the names."""
    sites = [name for part in declared for name in messages.add(part.frames, part.examples)]
    for name in sites:
        _let_be_stored(messages.schemas, name)
    messages.add_union("ServerFrame", EVERY, [*frames, *sites])
    return sites


def _add_others(messages: Messages, parts: Sequence[Contribution]) -> None:
    """Add what only sockets for one purpose accept and send, and the shapes of the apps."""
    for part in parts:
        messages.schemas.add(part.shapes)
    for channel in CHANNELS:
        structs = [struct for struct in (*channel.commands, *channel.frames) if name_of(struct) not in messages.found]
        messages.add(structs, examples.ON_ONE_PURPOSE)
    # It is not required by the struct, so that a command that such a socket lacks is refused as that.
    messages.schemas.named["RoomInput"]["required"] = ["content"]


def _fill_batch(schemas: Schemas, batch: str, union: str) -> None:
    """A batch is decoded part by part, so its struct does not say what is in it."""
    schemas.named[batch]["properties"]["messages"]["items"] = ref(union)


def _let_be_stored(schemas: Schemas, name: str) -> None:
    """A frame of the site has a place if the site publishes it so that it is stored."""
    properties = schemas.named[name]["properties"]
    stream, seq = schemas.add([StreamName, Seq])
    properties.setdefault("stream", stream)
    properties.setdefault("seq", seq)


def _add_values(schemas: Schemas, declared: Sequence[Contribution]) -> dict[str, dict[str, Schema]]:
    """Add the types of values by a key of the site, and bind them to the frames that carry them.

    Returns their schemas.
    """
    values: dict[str, dict[str, Schema]] = {}
    for part in declared:
        for map, kinds in part.values.items():
            values.setdefault(map, {}).update(zip(kinds, schemas.add(kinds.values()), strict=True))
    values = {map: dict(sorted(found.items())) for map, found in sorted(values.items())}
    for schema in schemas.named.values():
        keys = find_fields(schema, "x-key-of")
        for map, field in find_fields(schema, "x-value-of").items():
            if found := values.get(map):
                schema["allOf"] = [_bind(keys[map], key, field, kind) for key, kind in found.items()]
    return values


def _bind(key_field: str, key: str, value_field: str, kind: Schema) -> Schema:
    """Where the one field has this key, the other one has this type."""
    return {"if": {"properties": {key_field: {"const": key}}}, "then": {"properties": {value_field: kind}}}


def _list_codes() -> Document:
    return {
        "x-error-codes": {code.value: text for code, text in ERRORS.items()},
        "x-close-codes": [
            {"code": code.value, "name": code.name, "reconnect": code in RECONNECT_CODES, "reasons": dict(reasons)}
            for code, reasons in CLOSES.items()
        ],
    }


def _merge_lists(parts: Sequence[Contribution]) -> Mapping[str, Any]:
    merged: Document = {}
    for part in parts:
        for name, entries in part.lists.items():
            merged.setdefault(name, {}).update(entries)
    return {name: dict(sorted(entries.items())) for name, entries in merged.items()}
