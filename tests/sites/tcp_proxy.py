"""A TCP proxy that can fail silently, as a network does: connections stay open, but no bytes pass."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self

from tests.sites.processes import free_port


class Proxy:
    """Passes bytes to and from a local port. Entered again, it comes back on the same port."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._target = port
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._passes = asyncio.Event()
        self._passes.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.fall_silent()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def fall_silent(self) -> None:
        """Stop passing bytes on the present connections. New connections work."""
        pumps, self._pumps = self._pumps, set()
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def silent(self) -> AsyncIterator[None]:
        """Fall silent. New connections work when the body has run, and wait until then."""
        self._passes.clear()
        await self.fall_silent()
        try:
            yield
        finally:
            self._passes.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passes.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        for pump in (pass_on(reader, far_writer), pass_on(far_reader, writer)):
            self._pumps.add(asyncio.create_task(pump))


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
