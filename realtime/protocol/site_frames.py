"""Frames that a site declares (pure): their structs describe to clients what site code publishes.

Site code declares them on import, in a module `topics.py` of any app. When a frame is published, nothing but reserved
names is checked.
"""

from typing import TypeVar, get_args

import msgspec

from realtime.protocol.frames import AnyFrame
from realtime.protocol.frames.encoding import RESERVED_KEYS, RESERVED_TYPES

F = TypeVar("F", bound=type[msgspec.Struct])

_OURS = {str(struct.__struct_config__.tag) for struct in get_args(AnyFrame)}
_frames: dict[str, type[msgspec.Struct]] = {}


def frame(struct: F) -> F:
    """Declare a frame that site code publishes: a decorator for a struct that has the frame's type as its tag.

    `class Sale(msgspec.Struct, tag_field="type", tag="sale")`. Its fields, its docstring and the constraints of
    `msgspec.Meta` become part of the description of the sockets, and of the types for TypeScript.
    Raises ValueError for a struct without such a tag, for a type that is taken, and for a field that is reserved.
    """
    config = struct.__struct_config__
    if config.tag_field != "type" or not isinstance(config.tag, str):
        raise ValueError(f'{struct.__name__} needs tag_field="type" and a tag that is a string: the type of the frame.')
    if reserved := set(RESERVED_KEYS) & set(struct.__struct_encode_fields__):
        raise ValueError(f"{struct.__name__} has fields whose names are reserved: {', '.join(sorted(reserved))}.")
    known = _frames.get(config.tag)
    if config.tag in _OURS or config.tag in RESERVED_TYPES or (known is not None and _path(known) != _path(struct)):
        raise ValueError(f"There is a frame with the type {config.tag!r} already.")
    _frames[config.tag] = struct
    return struct


def declared() -> list[type[msgspec.Struct]]:
    return list(_frames.values())


def _path(struct: type[msgspec.Struct]) -> tuple[str, str]:
    """What stays the same when a module is loaded again."""
    return struct.__module__, struct.__qualname__
