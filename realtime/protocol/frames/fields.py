"""The types of fields, and the bases of frames (pure). Used by all modules of the package, and by `notifications`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

VERSION: Literal[1] = 1

UserId = int | str  # the primary key, as in JSON
Time = Annotated[
    str,
    Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", extra_json_schema={"format": "date-time"}),
]
Position = Annotated[int, Meta(ge=0)]  # the `seq` of a stream's last event; 0 where it has none
Seq = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[int, Meta(ge=1)]
Text = Annotated[str, Meta(min_length=1)]
StreamName = Annotated[str, Meta(pattern=r"^(site$|user\..|room\..|topic\..)")]
Fetch = Annotated[str, Meta(pattern=r"^/")]  # the address of a history
Context = Annotated[str, Meta(min_length=1, max_length=100)]
Role = Literal["owner", "member"]
NotificationIds = Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1)]


def key_of(map: str) -> Meta:
    """Notes for documents that a field is a key of `map`, which sites fill: `value_of` is the field that it decides."""
    return Meta(extra_json_schema={"x-key-of": map})


def value_of(map: str) -> Meta:
    return Meta(extra_json_schema={"x-value-of": map})


# No frame refers to itself, so the garbage collector need not track frames (`gc=False`). Keys are sent in the order of
# the fields; a field that is UNSET is left out.


class Data(msgspec.Struct, frozen=True, gc=False):
    """An object inside a frame."""


class ServerFrame(msgspec.Struct, tag_field="type", frozen=True, gc=False):
    """Base of all frames: adds the `type`."""
