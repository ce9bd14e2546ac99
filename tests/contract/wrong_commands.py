"""Wrong frames, for tests of how the server refuses them: tables of frames that are not commands, and every field of
every command with every wrong type, made from the protocol's structs."""

import types
from collections.abc import Iterator
from typing import Any, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT

from realtime.protocol.commands import Command
from realtime.sockets.handlers import HANDLERS

VALID: dict[str, dict[str, Any]] = {
    "ping": {"timestamp": 1},
    "pong": {"timestamp": 1},
    "auth": {"token": "x"},
    "typing": {"data": {"is_typing": True, "context": "general"}},
    "presence": {"status": "away", "data": {"device": "mobile"}},
    "message": {"message": "Hello!", "room_id": "general", "kind": "text", "timestamp": 1},
    "join": {"room_id": "general"},
    "leave": {"room_id": "general"},
    "subscribe": {"topic": "metrics"},
    "unsubscribe": {"topic": "metrics"},
    "read": {"room_id": "general", "seq": 1},
    "resume": {"streams": {"room.general": 1}},
}
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**63,
    10**30,
    "",
    "words",
    "A room",
    "x" * 65,
    "y" * 9000,
    [],
    [1],
    ["general"],
    {},
    {"a": 1},
    {"is_typing": True},
]
NOT_JSON = {
    "nothing": "",
    "blank": " \n",
    "open": "{",
    "word": "nope",
    "single quotes": "{'type':'ping'}",
    "comma too many": '{"type":"ping",}',
    "two frames": '{"type":"ping"}{"type":"ping"}',
    "text after it": '{"type":"ping"} ping',
    "comment": '{"type":"ping"} // now',
    "byte order mark": '\ufeff{"type":"ping"}',
    "NaN": '{"type":"ping","timestamp":NaN}',
    "Infinity": '{"type":"ping","timestamp":-Infinity}',
    "1e999": '{"type":"ping","timestamp":1e999}',
    "1e999 in free data": '{"type":"presence","status":"away","data":{"x":1e999}}',
    "hexadecimal": '{"type":"ping","timestamp":0x10}',
    "leading zero": '{"type":"ping","timestamp":01}',
    "raw NUL": '{"type":"ping\0"}',
    "raw newline": '{"type":"ping","timestamp":"\n"}',
    "lone high surrogate": r'{"type":"message","room_id":"general","message":"\ud800"}',
    "lone low surrogate": r'{"type":"message","room_id":"general","message":"\udc00x"}',
    "lone surrogate in free data": r'{"type":"presence","status":"away","data":{"\ud800":1}}',
    "lone surrogate in a type": r'{"type":"\ud83d"}',
    "bad escape": r'{"type":"\x41"}',
    "deep lists": "[" * 60_000,
    "deep and closed": "[" * 30_000 + "]" * 30_000,
    # Python 3.13 reads 9,999 levels, 3.11 reads 997.
    "deep objects": '{"a":' * 10_500 + "1" + "}" * 10_500,
    "deep free data": '{"type":"presence","status":"away","data":' + '{"a":' * 10_500 + "1" + "}" * 10_501,
    "deep and unknown": '{"type":"ping","more":' + "[" * 30_000 + "]" * 30_000 + "}",
}
NO_COMMAND = {
    "null": "null",
    "true": "true",
    "number": "-1.5e3",
    "string": '"ping"',
    "list": '[{"type":"ping"}]',
    "empty": "{}",
    "no type": '{"id":"c-1"}',
    "type null": '{"type":null}',
    "type number": '{"type":1}',
    "type list": '{"type":["ping"]}',
    "type object": '{"type":{"type":"ping"}}',
    "binary": b'{"type":"ping"}',
    "binary nothing": b"",
    "binary bytes": b"\xff\0\xfe",
}
NO_SUCH_TYPE = ("nope", "", "PING", "ping ", "connected", "ack", "__class__", "\0", "p\u0131ng", "多", "x" * 60_000)


class Wrong(NamedTuple):
    """One wrong command and the `id` that its error must carry."""

    what: str
    command: dict[str, Any]
    id: str | None = "c-1"


def wrong_commands() -> Iterator[Wrong]:
    for struct in HANDLERS:
        name = str(struct.__struct_config__.tag)
        command = {"type": name, "id": "c-1", **VALID.get(name, {})}
        for path, value in _wrong_values(struct):
            id = None if path == ("id",) and value is not None else "c-1"
            yield Wrong(f"{name}: {'.'.join(path)} = {str(value)[:20]!r}", _put(command, path, value), id)
        for path in _required(struct):
            yield Wrong(f"{name}: no {'.'.join(path)}", _put(command, path))


def _wrong_values(struct: type[msgspec.Struct]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for field in msgspec.structs.fields(struct):
        for value in VALUES:
            if not _fits(value, field.type):
                yield (field.name,), value
        for inner in _structs_in(field.type):
            for path, value in _wrong_values(inner):
                yield (field.name, *path), value


def _required(struct: type[msgspec.Struct]) -> Iterator[tuple[str, ...]]:
    for field in msgspec.structs.fields(struct):
        if field.default is NODEFAULT and field.default_factory is NODEFAULT:
            yield (field.name,)
        for inner in _structs_in(field.type):
            for path in _required(inner):
                yield (field.name, *path)


def _structs_in(type_: Any) -> list[type[msgspec.Struct]]:
    parts = get_args(type_) if get_origin(type_) in (Union, types.UnionType) else (type_,)
    return [part for part in parts if isinstance(part, type) and issubclass(part, msgspec.Struct)]


def _fits(value: Any, type_: Any) -> bool:
    try:
        msgspec.json.decode(msgspec.json.encode(value) if value != 10**30 else b"1" + b"0" * 30, type=type_)
    except msgspec.ValidationError:
        return False
    return True


def _put(command: dict[str, Any], path: tuple[str, ...], *value: Any) -> dict[str, Any]:
    """The command with another value at `path`, or without one."""
    name, *rest = path
    if rest:
        return {**command, name: _put(command[name], tuple(rest), *value)}
    changed = {key: given for key, given in command.items() if key != name}
    return {**changed, name: value[0]} if value else changed


def names() -> set[str]:
    return {str(struct.__struct_config__.tag) for struct in HANDLERS if issubclass(struct, Command)}
