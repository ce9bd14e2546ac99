"""The JSON of frames, and how times are written in it (pure)."""

from collections.abc import Container, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, overload

import msgspec
from msgspec import UNSET, UnsetType

T = TypeVar("T")

# What the server adds to frames, and what the browser library tells a page by itself: a site's frame with one of them
# would be taken for something else.
RESERVED_KEYS = ("id", "seq", "stream")
RESERVED_TYPES = ("gap", "user")


def _plain(value: object) -> str:
    """What msgspec does not know: a kind of text, such as Django's `SafeString`, is sent as text."""
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def encode(frame: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """A frame's JSON. Raises TypeError for a value that JSON cannot express."""
    return _encoder.encode(frame)


def is_frame(value: object) -> bool:
    """Whether its JSON is an object with a `type`: a mapping that has one, or a struct whose tag is one."""
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        return config.tag_field == "type" and isinstance(config.tag, str) and not config.array_like
    return isinstance(value, Mapping) and isinstance(value.get("type"), str)


def require_own(frame: Mapping[str, Any] | msgspec.Struct) -> None:
    """Raises ValueError for a frame of the site that has a key or a type that is reserved."""
    keys: Container[str]
    if isinstance(frame, msgspec.Struct):
        keys, kind = frame.__struct_encode_fields__, frame.__struct_config__.tag
    else:
        keys, kind = frame, frame["type"]
    if kind in RESERVED_TYPES:
        raise ValueError(f"The type {kind!r} is reserved.")
    for key in RESERVED_KEYS:
        if key in keys:
            raise ValueError(f"A frame has no {key!r} of its own: that key is reserved. Put it into `data`.")


def given(value: T | None) -> T | UnsetType:
    """The value of a key that is left out when the value is None."""
    return UNSET if value is None else value


def stamp(body: bytes, stream: str, seq: int) -> bytes:
    """The JSON of an event as it is sent: `body` with `stream` and `seq` added at the end."""
    return b'%b,"stream":"%b","seq":%d}' % (body[:-1], stream.encode(), seq)


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds: `2025-10-22T10:00:00.123456Z`. A naive one is in the process's zone."""
    try:
        in_utc = moment.astimezone(UTC)
    except ValueError:  # For a naive one, Python looks at the days beside it, which the calendar may not have.
        away = timedelta(days=7 if moment.year == 1 else -7)
        in_utc = (moment + away).astimezone(UTC) - away
    return in_utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@overload
def format_epoch(seconds: float) -> str: ...
@overload
def format_epoch(seconds: float | None) -> str | None: ...
def format_epoch(seconds: float | None) -> str | None:
    """A Unix time in the form of `format_time`; None stays None."""
    return None if seconds is None else format_time(datetime.fromtimestamp(seconds, UTC))


def utc_now() -> str:
    return format_time(datetime.now(UTC))
