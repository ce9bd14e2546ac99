"""What tests of coming back do over and over."""

from typing import Any

from tests.clients.socket import Socket


async def write(socket: Socket, count: int, start: int = 1, slug: str = "general") -> None:
    """Write `m1`, `m2`, … to a room."""
    for number in range(start, start + count):
        assert (await socket.ask("message", room_id=slug, message=f"m{number}"))["type"] == "ack"


async def resume_with(socket: Socket, streams: dict[str, int]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The frames before `resumed`, and what it says."""
    await socket.send({"type": "resume", "id": "r", "streams": streams})
    frames = []
    while (frame := await socket.receive())["type"] != "resumed":
        frames.append(frame)
    assert frame["id"] == "r"
    return frames, frame["streams"]
