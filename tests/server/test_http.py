"""Requests to our own server, seen from inside: when the time for a head runs, and what a stop does to a connection.

What a client sees of it: tests/processes/test_slow_peers.py.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.server import http
from tests.clients.raw_peer import handshake
from tests.clients.socket import until
from tests.patience import PATIENCE_SECONDS
from tests.sites.in_process import TcpServer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("site", [TcpServer], indirect=True, ids=["direct"]),
]
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: testserver\r\n\r\n"


class Visitor:
    """One connection, from both sides."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Any) -> None:
        self.reader, self.writer, self.connection = reader, writer, connection

    async def ask(self, data: bytes = REQUEST) -> bytes:
        """The head of the answer, which is read to its end."""
        self.writer.write(data)
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            await self.reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        return head

    async def end(self) -> bytes:
        """What still comes before the server closes."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE_SECONDS)

    @property
    def is_hurried(self) -> bool:
        return self.connection.head_timer is not None


@contextlib.asynccontextmanager
async def visiting(site: Any) -> AsyncIterator[Visitor]:
    await site.start()
    connections = site._server.server_state.connections
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    await until(lambda: connections)
    yield Visitor(reader, writer, next(iter(connections)))
    writer.transport.abort()


async def test_it_takes_a_head_that_is_slow_but_in_time(site):
    async with visiting(site) as visitor:
        visitor.writer.write(REQUEST[:10])
        assert visitor.is_hurried
        assert b" 200 " in await visitor.ask(REQUEST[10:])


async def test_it_leaves_the_pause_between_requests_to_uvicorn(site):
    async with visiting(site) as visitor:
        for _ in range(2):
            assert b" 200 " in await visitor.ask()
            assert not visitor.is_hurried
        visitor.writer.write(REQUEST[:10])
        await until(lambda: visitor.is_hurried)
        assert b" 200 " in await visitor.ask(REQUEST[10:])


async def test_it_lets_a_body_and_an_answer_take_their_time(site):
    """And the bytes of a next request that come meanwhile are no head that is late."""
    body = b'{"username": "alice", "password": "wrong"}'
    head = b"POST /api/v1/auth/token HTTP/1.1\r\nHost: testserver\r\nContent-Type: application/json\r\n"
    async with visiting(site) as visitor:
        visitor.writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body))
        await until(lambda: visitor.connection.in_request)
        for part in (body[:10], body[10:-1]):
            assert not visitor.is_hurried
            visitor.writer.write(part)
        visitor.writer.write(body[-1:] + REQUEST[:10])
        await until(lambda: not visitor.connection.in_request)
        assert not visitor.is_hurried
        assert b" 401 " in await visitor.ask(b"")
        assert b" 200 " in await visitor.ask(REQUEST[10:])


async def test_it_has_no_limit_for_a_socket(site, alice):
    async with visiting(site) as visitor:
        visitor.writer.write(handshake(alice))
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert b" 101 " in await visitor.reader.readuntil(b"\r\n\r\n")
        assert not visitor.is_hurried


async def test_it_answers_a_first_request_that_comes_while_it_stops(site):
    """The connection was closed, and a client that had come in time was left without an answer."""
    async with visiting(site) as visitor:
        visitor.connection.shutdown()
        head = await visitor.ask()
        assert b" 200 " in head
        assert b"connection: close" in head
        assert await visitor.end() == b""


async def test_it_does_not_wait_long_for_a_first_request_when_it_stops(site, monkeypatch):
    monkeypatch.setattr(http, "LAST_HEAD_SECONDS", 0.01)
    async with visiting(site) as visitor:
        visitor.writer.write(REQUEST[:10])
        visitor.connection.shutdown()
        assert await visitor.end() == b""


async def test_it_closes_a_connection_in_its_pause_when_it_stops(site):
    async with visiting(site) as visitor:
        assert b" 200 " in await visitor.ask()
        visitor.connection.shutdown()
        assert await visitor.end() == b""
