"""Frames as tests describe and read them (pure)."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from realtime.protocol.streams import room_stream, topic_stream

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


def note_positions(positions: dict[str, int], frame: Frame) -> None:
    """Note how far the client is in each stream, as docs/protocol.md asks of clients."""
    stream, seq = frame.get("stream"), frame.get("seq")
    match frame:
        case {"type": "connected", "data": {"streams": streams}}:
            positions.update(streams)
        case {"type": "joined", "room_id": room}:
            positions.setdefault(room_stream(room), seq or 0)
        case {"type": "subscribed", "topic": topic}:
            positions.setdefault(topic_stream(topic), seq or 0)
        case {"type": "left", "room_id": room}:
            positions.pop(room_stream(room), None)
        case {"type": "unsubscribed", "topic": topic}:
            positions.pop(topic_stream(topic), None)
        case {"type": "resumed", "streams": streams}:
            positions.update({name: end["seq"] for name, end in streams.items() if not end["recovered"]})
    # Events come in order and without gaps; during a replay, live events may come too early, and again in their place.
    if isinstance(stream, str) and seq == positions.get(stream, 0) + 1:
        positions[stream] = seq
