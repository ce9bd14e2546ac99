"""What tests of batches do over and over: commands and how they travel together."""

from collections.abc import Iterable
from typing import Any

from tests.clients.socket import Socket


def say(message: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "room_id": "general", "message": message, **fields}


def ping(mark: Any) -> dict[str, Any]:
    return {"type": "ping", "timestamp": mark}


async def send_batch(socket: Socket, *commands: dict[str, Any], **fields: Any) -> None:
    await socket.send({"type": "batch", "messages": commands, **fields})


def marks(frames: Iterable[dict[str, Any]]) -> list[Any]:
    """Those of the pings that were answered."""
    return [frame["timestamp"] for frame in frames if frame["type"] == "pong"]
