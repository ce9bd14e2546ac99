"""Frames as tests describe and read them (pure)."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

Frame = dict[str, Any]


def matches(frame: Frame, type: str | None, values: Mapping[str, Any]) -> bool:
    """Whether a frame has this type (None: any), and each of these values in its `data` or in itself."""
    data = frame.get("data")
    places = (data, frame) if isinstance(data, dict) else (frame,)
    return (type is None or frame.get("type") == type) and all(
        any(name in place and place[name] == value for place in places) for name, value in values.items()
    )


def describe(type: str | None, values: Mapping[str, Any]) -> str:
    wanted = [f"{name}={value!r}" for name, value in values.items()]
    return ", ".join([repr(type), *wanted] if type is not None else wanted) or "any frame"


def show(frames: Iterable[Frame]) -> str:
    """One frame a line."""
    lines = [f"\n  {json.dumps(frame, ensure_ascii=False)}" for frame in frames]
    return "".join(lines) or " nothing"
