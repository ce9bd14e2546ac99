"""Clients of real servers. Each reads all the time, so it answers heartbeats whatever its test is waiting for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Protocol, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.clients.socket import Ended, TcpSocket
from tests.contract.rooms import find_contract
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import SiteProcess


class HasAddress(Protocol):
    """A process that serves a site."""

    address: str


class ProcessSocket(TcpSocket):
    def __init__(self, connection: ClientConnection) -> None:
        super().__init__(connection)
        self._arrival = asyncio.Event()  # set and replaced at each frame and at the end
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @property
    def is_open(self) -> bool:
        return not self._reader.done()

    async def close(self) -> None:
        """Raises AssertionError if a frame that no method has waited for violates the contract."""
        await super().close()
        with contextlib.suppress(Ended):
            await self._reader

    async def _arrive(self) -> None:
        arrival = self._arrival
        if self._reader.done():
            self._reader.result()
        await arrival.wait()

    async def _read(self) -> None:
        """Read until the socket ends. Raises Ended then."""
        while True:
            try:
                await super()._arrive()
            finally:
                arrival, self._arrival = self._arrival, asyncio.Event()
                arrival.set()
            if self.frames[-1]["type"] == "heartbeat":
                await self.send({"type": "pong"})


@contextlib.asynccontextmanager
async def open_socket(
    process: HasAddress,
    query: str = "",
    *,
    path: str = "/api/v1/ws",
    subprotocols: tuple[str, ...] = (),
    **options: Any,
) -> AsyncIterator[ProcessSocket]:
    """A socket with the credential that the arguments contain, if any. Raises InvalidStatus if it is refused."""
    offered = [Subprotocol(name) for name in subprotocols] or None
    address = f"ws://{process.address}{path}{query}"
    options = {"open_timeout": PATIENCE_SECONDS, "ping_interval": None, "proxy": None, **options}
    async with connect(address, subprotocols=offered, **options) as connection:
        socket = ProcessSocket(connection)
        socket.contract = find_contract(path)
        socket.contract.may_break = True
        try:
            yield socket
        finally:
            await socket.close()


class People:
    """Users with sockets, which all close together at the end of a test."""

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self.tokens: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.__aexit__(*error)

    async def connect(self, process: SiteProcess, name: str, room: str | None = None) -> ProcessSocket:
        """A socket of the user that has received `connected` and has joined the room, if one is given."""
        if name not in self.tokens:
            self.tokens[name] = (await asyncio.to_thread(process.log_in, name))["access"]
        socket = await self._stack.enter_async_context(open_socket(process, f"?token={self.tokens[name]}"))
        socket.greeting = (await socket.expect("connected"))["data"]
        if room is not None:
            joined = await socket.ask("join", room_id=room)
            assert joined["type"] == "joined", joined
        return socket
