"""A client that can violate the WebSocket protocol: it sends bytes over TCP, and reads the frames that come back."""

import asyncio
import socket as network
import struct
from typing import Any

from tests.clients.socket import Ending
from tests.contract.conversation import Contract
from tests.patience import PATIENCE_SECONDS
from tests.people import make_token
from tests.sites.in_process import PATH, TcpServer

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK = b"\1\2\3\4"


def frame(payload: bytes, opcode: int = TEXT, *, first: int | None = None, masked: bool = True) -> bytes:
    """A frame's bytes. `first` replaces its first byte, which has the flags and the opcode."""
    head = bytes([0x80 | opcode if first is None else first])
    flag = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    else:
        form, mark = ("!BH", 126) if len(payload) < 65_536 else ("!BQ", 127)
        head += struct.pack(form, flag | mark, len(payload))
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(payload))


def handshake(user: Any, path: str = PATH) -> bytes:
    query = f"?token={make_token(user)}" if user is not None else ""
    return (
        f"GET {path}{query} HTTP/1.1\r\nHost: testserver\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


class RawPeer:
    """One TCP connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.contract = Contract()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def shake_hands(self, user: Any, path: str = PATH) -> None:
        self.send(handshake(user, path))
        answer = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
        assert answer.startswith(b"HTTP/1.1 101"), answer

    async def receive(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload. Checks text against the protocol. Raises at the end of the stream."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            payload = await self.reader.readexactly(length)
        if first & 15 == TEXT:
            self.contract.check(payload.decode())
        return first & 15, payload

    async def find(self, *wanted: int) -> bytes:
        while True:
            opcode, payload = await self.receive()
            if opcode in wanted:
                return payload

    async def ending(self) -> Ending:
        """The close frame; nothing may follow it."""
        payload = await self.find(CLOSE)
        (code,) = struct.unpack("!H", payload[:2])
        self.contract.check_close(code)
        self.send(frame(payload, CLOSE))
        assert await asyncio.wait_for(self.reader.read(), PATIENCE_SECONDS) == b""
        return Ending(code, self.contract.goodbye.reason if self.contract.goodbye else "")

    async def close(self) -> None:
        self.writer.transport.abort()


async def open_tcp(server: TcpServer, receive_bytes: int | None = None) -> RawPeer:
    """A connection on which nothing has been sent. `receive_bytes` limits how much the system buffers."""
    await server.start()
    tcp = network.socket(network.AF_INET, network.SOCK_STREAM, network.IPPROTO_TCP)
    tcp.setblocking(False)
    if receive_bytes is not None:
        tcp.setsockopt(network.SOL_SOCKET, network.SO_RCVBUF, receive_bytes)
    await asyncio.get_running_loop().sock_connect(tcp, ("127.0.0.1", server.port))
    peer = RawPeer(*await asyncio.open_connection(sock=tcp, limit=1024 if receive_bytes else 2**20))
    server.sockets.append(peer)
    return peer


async def connect_raw(server: TcpServer, user: Any, receive_bytes: int | None = None) -> RawPeer:
    """A socket of the user that has received `connected`."""
    peer = await open_tcp(server, receive_bytes)
    await peer.shake_hands(user)
    assert b'"connected"' in await peer.find(TEXT)
    return peer
