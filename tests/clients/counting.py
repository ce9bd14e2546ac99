"""What a client that was written after the guide shows: how many users are online."""

from collections.abc import Iterable

from tests.clients.socket import Frame, Socket


def count_online(frames: Iterable[Frame]) -> int:
    """The count of `connected`, one more or less at each `user_status`, and anew at each `online_count`."""
    count = 0
    for frame in frames:
        match frame:
            case {"type": "connected" | "online_count", "data": {"online_count": given}}:
                count = given
            case {"type": "user_status", "data": {"status": status}}:
                count += 1 if status == "online" else -1
    return count


async def until_count(socket: Socket, expected: int) -> None:
    """Wait until the client shows this number."""
    await socket.until(lambda: count_online(socket.frames) == expected, f"a count of {expected}")


async def require_count(sockets: Iterable[Socket], expected: int, *marks: Socket) -> None:
    """Each client shows this number when it has heard of the users of the `marks`, who came after everything else.

    If a process stood still for seconds, a count may have to follow.
    """
    for socket in sockets:
        for mark in marks:
            await socket.expect("user_status", user_id=mark.user_id, status="online")
        await until_count(socket, expected)
