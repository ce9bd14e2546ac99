"""The connection of a socket in the terminal, which answers heartbeats by itself. Called by `open_socket`.

It needs the package `websockets`, which is optional.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.cli import interactive_client
from websockets.typing import Data


def open_terminal(address: str) -> None:
    """Connect, and block until the user or the server ends it."""
    asyncio.run(interactive_client(address, create_connection=AnsweringConnection))


class AnsweringConnection(ClientConnection):
    """The connection of the terminal client of `websockets`, which shows what it iterates over."""

    async def __aiter__(self) -> AsyncIterator[Data]:
        """The frames that come. Heartbeats are answered and left out."""
        async for text in super().__aiter__():
            frame = json.loads(text)
            if has_heartbeat(frame):
                await self.send(json.dumps({"type": "pong"}))
            if frame.get("type") != "heartbeat":
                yield text


def has_heartbeat(frame: dict[str, Any]) -> bool:
    """Whether the frame is a heartbeat, or a batch that ends with one."""
    if frame.get("type") == "batch":
        return has_heartbeat(frame["messages"][-1])
    return frame.get("type") == "heartbeat"
