"""A channel layer for several nodes in one event loop, with what the bus needs of one."""

import asyncio
from collections import defaultdict
from typing import Any


class MemoryLayer:
    """Delivers what is sent to a group to each of its channels, once and in order."""

    def __init__(self) -> None:
        self._channels: list[asyncio.Queue[dict[str, Any]]] = []
        self._groups: dict[str, list[int]] = defaultdict(list)

    async def new_channel(self) -> int:
        self._channels.append(asyncio.Queue())
        return len(self._channels) - 1

    async def group_add(self, group: str, channel: int) -> None:
        self._groups[group].append(channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        for channel in self._groups[group]:
            self._channels[channel].put_nowait(message)

    async def receive(self, channel: int) -> dict[str, Any]:
        return await self._channels[channel].get()
