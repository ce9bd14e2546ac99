"""Two servers for tests of sockets. Each test runs on both, because they must behave the same.

`AsgiServer` runs the application under a communicator, so frames leave through ASGI's `send`; `TcpServer` runs the
product's own server, with its ASGI extension, on the test's event loop, and has a real client.
"""

import asyncio
import contextlib
import socket as network
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import uvicorn
from channels.testing import WebsocketCommunicator
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import InvalidStatus

from project.asgi import application
from realtime.management.commands import serve
from realtime.sockets.node import stop_node
from tests.clients.socket import QueueSocket, Socket, TcpSocket, until
from tests.contract.rooms import find_contract
from tests.patience import PATIENCE_SECONDS
from tests.people import make_token

PATH = "/api/v1/ws"


class Refusal(Exception):
    """The handshake was refused with an HTTP status and a text."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(status)
        self.status, self.text = status, text


class InProcessServer:
    """A running server; `connect` and `knock` open sockets to it."""

    host = "testserver"

    def __init__(self) -> None:
        self.sockets: list[Any] = []  # to be closed at the end

    async def connect(self, who: Any = None, **how: Any) -> Socket:
        """A socket that has received `connected`. `who` is a user, a token or None."""
        socket = await self.knock(who, **how)
        frame = await socket.receive()
        assert frame["type"] == "connected", frame
        socket.greeting = frame["data"]
        return socket

    async def join(self, who: Any, slug: str = "general") -> Socket:
        """A socket that has joined a room."""
        socket = await self.connect(who)
        joined = await socket.ask("join", room_id=slug)
        assert joined["type"] == "joined", joined
        return socket

    async def knock(
        self,
        who: Any = None,
        *,
        path: str = PATH,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (),
    ) -> Socket:
        """A socket that is open and has not read anything yet. Raises Refusal."""
        query = dict(query or {})
        if who is not None:
            query["token"] = who if isinstance(who, str) else make_token(who)
        address = f"{path}?{urlencode(query)}" if query else path
        socket = await self._open(address, headers or {}, subprotocols)
        socket.contract = find_contract(path)
        socket.contract.takes_up_session = "/reconnect/" in path
        self.sockets.append(socket)
        return socket

    async def stop(self) -> None:
        await asyncio.gather(*(socket.close() for socket in self.sockets), return_exceptions=True)
        await stop_node()

    async def _open(self, address: str, headers: Mapping[str, str], subprotocols: Sequence[str]) -> Socket:
        raise NotImplementedError


class AsgiServer(InProcessServer):
    async def _open(self, address: str, headers: Mapping[str, str], subprotocols: Sequence[str]) -> Socket:
        given = {"host": self.host, **headers}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()]
        communicator = WebsocketCommunicator(application, address, raw, list(subprotocols))
        communicator.scope["extensions"] = {"websocket.http.response": {}}
        await communicator.send_input({"type": "websocket.connect"})
        answer = await asyncio.wait_for(communicator.output_queue.get(), PATIENCE_SECONDS)
        if answer["type"] != "websocket.accept":
            body = await communicator.receive_output(PATIENCE_SECONDS) if "status" in answer else {"body": b""}
            await communicator.wait(PATIENCE_SECONDS)
            raise Refusal(answer.get("status", 403), body["body"].decode())
        socket = QueueSocket(communicator)
        socket.subprotocol = answer["subprotocol"]
        return socket


class UvicornServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.over = asyncio.Event()

    async def main_loop(self) -> None:
        """Return at once when the test ends: uvicorn's loop checks only ten times a second."""
        await self.over.wait()

    async def startup(self, sockets: list[network.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[network.socket] | None = None) -> None:
        """Return as soon as everything has ended: uvicorn rests for a tenth of a second in any case."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await until(lambda: not self.server_state.connections and not self.server_state.tasks)
        await self.lifespan.shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the test's process keeps its own signal handlers."""
        yield


class TcpServer(InProcessServer):
    """Started by the first socket, so that a test can change settings first."""

    def __init__(self) -> None:
        super().__init__()
        # Names IPPROTO_TCP, because asyncio sets TCP_NODELAY only on sockets that name their protocol.
        self._listening = network.socket(network.AF_INET, network.SOCK_STREAM, network.IPPROTO_TCP)
        self._listening.bind(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self._server: UvicornServer | None = None
        self._running: asyncio.Task[None] | None = None

    def limit_sending(self) -> None:
        """Make the system's buffers small, so that a client that does not read soon fills them."""
        self._listening.setsockopt(network.SOL_SOCKET, network.SO_SNDBUF, 4096)

    async def start(self) -> None:
        if self._server is not None:
            await self._server.ready.wait()
            return
        options = {"host": "127.0.0.1", "port": self.port, "workers": 1, "graceful_timeout": 1}
        config = serve.make_config({**options, "access_log": False, "log_level": "warning"})
        config.timeout_keep_alive = round(PATIENCE_SECONDS)
        self._server = UvicornServer(config)
        self._running = asyncio.create_task(self._server.serve([self._listening]))
        await self._server.ready.wait()

    async def _open(self, address: str, headers: Mapping[str, str], subprotocols: Sequence[str]) -> Socket:
        await self.start()
        try:
            connection = await open_websocket(
                f"ws://127.0.0.1:{self.port}{address}",
                additional_headers=dict(headers),
                subprotocols=list(subprotocols) or None,  # type: ignore[arg-type]
                compression=None,
                ping_interval=None,
                max_size=None,
                max_queue=None,
                proxy=None,
                open_timeout=PATIENCE_SECONDS,
                close_timeout=1,
            )
        except InvalidStatus as refusal:
            raise Refusal(refusal.response.status_code, (refusal.response.body or b"").decode()) from None
        return TcpSocket(connection)

    async def stop(self) -> None:
        await asyncio.gather(*(socket.close() for socket in self.sockets), return_exceptions=True)
        if self._server is not None and self._running is not None:
            self._server.over.set()
            await self._running
        self._listening.close()
        await stop_node()
