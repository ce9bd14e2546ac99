"""Requests to our own server, seen from inside: limits of a head and of its time, and what a stop does to a connection.

What a client sees of it: tests/processes/test_slow_peers.py.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.server import http
from tests.clients.raw_peer import CLOSE, frame, handshake
from tests.clients.socket import until
from tests.patience import PATIENCE_SECONDS
from tests.sites.in_process import TcpServer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("site", [TcpServer], indirect=True, ids=["direct"]),
]
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: testserver\r\n\r\n"
UNREAD = b"x" * 8_000_000  # more than the system keeps for a client that does not read


@pytest.fixture(autouse=True)
def patience_with_the_refused(monkeypatch):
    monkeypatch.setattr(http, "REFUSAL_SECONDS", 600.0)


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


KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


def socket_request(*headers: str, start: str = "GET /api/v1/ws HTTP/1.1", key: str = KEY) -> bytes:
    """A handshake without a credential."""
    own = ["Host: testserver", "Upgrade: websocket", "Connection: Upgrade", key, "Sec-WebSocket-Version: 13"]
    return "\r\n".join([start, *own, *headers, "", ""]).encode("latin-1")


REFUSED = {
    "a header over the limit": (socket_request("X: " + "x" * 33_000), 431),
    "headers over the limit together": (socket_request(*[f"Cookie: {'x' * 3000}"] * 11), 431),
    "129 headers": (socket_request(*["X: 1"] * 124), 431),
    "an address over the limit": (socket_request(start=f"GET /{'x' * 16_400} HTTP/1.1"), 414),
    "an address over the limit without a socket": (f"GET /{'x' * 16_400} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 414),
    "a header without an end": (b"GET / HTTP/1.1\r\nX: " + b"x" * 500_000, 431),
    "a name without an end": (b"GET / HTTP/1.1\r\n" + b"x" * 500_000, 431),
    "an address without an end": (b"GET /" + b"x" * 500_000, 414),
    "nothing but empty lines": (b"\r\n" * 100_000, 431),
    "a body": (socket_request("Content-Length: 5") + b"hello", 400),
    "a body that does not come": (socket_request("Content-Length: 500000"), 400),
    "chunks": (socket_request("Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "chunks that do not come": (socket_request("Transfer-Encoding: chunked"), 400),
    "an old version of HTTP": (socket_request(start="GET /api/v1/ws HTTP/1.0"), 505),
    "a version that is newer": (socket_request(start="GET /api/v1/ws HTTP/2.0"), 505),
    "another method": (socket_request(start="POST /api/v1/ws HTTP/1.1"), 405),
    "another host to connect to": (socket_request(start="CONNECT a:443 HTTP/1.1"), 400),
    "no key": (socket_request(key="X: 1"), 400),
    "a key that is no key": (socket_request(key="Sec-WebSocket-Key: \xe9\xff"), 400),
    "two origins": (socket_request("Origin: http://a", "Origin: http://b"), 400),
    "subprotocols that are none": (socket_request("Sec-WebSocket-Protocol: ,\xe9"), 400),
    "NUL": (socket_request("X: a\0b"), 400),
    "an address that is not ASCII": (socket_request(start="GET /\xe9 HTTP/1.1"), 400),
    "a folded header": (socket_request("X: a", " b"), 400),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
}
ACCEPTED = {
    "cookies of an ordinary site": socket_request("Cookie: " + "; ".join(f"c{n}={'x' * 2700}" for n in range(3))),
    "headers just below the limit": socket_request("X: " + "x" * 32_000),
    "128 headers": socket_request(*["X: 1"] * 123),
    "a long token": socket_request(start=f"GET /api/v1/ws?x={'x' * 16_000} HTTP/1.1"),
    "a body of nothing": socket_request("Content-Length: 0"),
    "an address with a host": socket_request(start="GET http://testserver/api/v1/ws?x=1 HTTP/1.1"),
    "values that are not ASCII": socket_request("X: \xe9\xff"),
}


async def test_it_answers_and_closes_what_is_no_request_or_handshake(site):
    """A handshake that the second parser refused was neither answered nor closed, and kept the server from stopping."""
    for what, (data, status) in REFUSED.items():
        async with visiting(site) as visitor:
            visitor.writer.write(data)
            answer = await visitor.end()
            assert answer.startswith(b"HTTP/1.1 %d " % status), (what, answer)
            assert answer.count(b"HTTP/1.1") == 1, (what, answer)
        await until(lambda: not site._server.server_state.connections)


async def test_it_accepts_what_is_within_its_limits(site):
    for what, data in ACCEPTED.items():
        async with visiting(site) as visitor:
            visitor.writer.write(data)
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await visitor.reader.readuntil(b"\r\n\r\n")
            assert b" 101 " in answer, (what, answer)
        await until(lambda: not site._server.server_state.connections)


async def test_it_takes_a_handshake_byte_by_byte(site, alice):
    async with visiting(site) as visitor:
        for byte in handshake(alice):
            visitor.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert b" 101 " in await visitor.reader.readuntil(b"\r\n\r\n")
            await visitor.reader.readuntil(b'"connected"')


@pytest.mark.parametrize("parts", [1, 2], ids=["in one piece", "in two"])
async def test_it_keeps_frames_that_come_with_the_handshake(site, alice, parts):
    """They were dropped when they arrived in one piece with it."""
    ping = frame(b'{"type":"ping","timestamp":"early"}')
    async with visiting(site) as visitor:
        visitor.writer.write(handshake(alice) + ping[: len(ping) // parts])
        if parts == 2:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await visitor.reader.readuntil(b"\r\n\r\n")
            visitor.writer.write(ping[len(ping) // parts :])
        async with asyncio.timeout(PATIENCE_SECONDS):
            await visitor.reader.readuntil(b'{"type":"pong","timestamp":"early"}')


async def test_it_opens_no_socket_behind_a_request_that_is_not_answered(site):
    """The answer would have been written into the socket."""
    async with visiting(site) as visitor:
        visitor.writer.write(REQUEST.replace(b"live", b"ready") + socket_request())
        answer = await visitor.end()
        assert b'"status"' in answer
        assert answer.count(b"HTTP/1.1") == 1


async def test_it_answers_a_request_behind_an_upgrade_that_it_does_not_know(site):
    other = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    async with visiting(site) as visitor:
        assert b" 200 " in await visitor.ask(other * 1200 + REQUEST)
        for _ in range(1200):
            assert b" 200 " in await visitor.ask(b"")


async def test_it_ends_a_request_whose_body_breaks_off(site):
    """The application waits for a rest that cannot be read."""
    head = b"POST /api/v1/auth/token HTTP/1.1\r\nHost: testserver\r\nContent-Type: application/json\r\n"
    trailers = b"".join(b"T%d: x\r\n" % number for number in range(200))
    for body in (b"x\r\n", b"0\r\n" + trailers, b"0\r\nT: " + b"x" * 1_000_000):
        async with visiting(site) as visitor:
            visitor.writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n" + body)
            assert b" 4" in (await visitor.end()).splitlines()[0]
        await until(lambda: not site._server.server_state.tasks)


async def test_what_follows_a_body_is_no_header(site, monkeypatch):
    """A client could add to `X-Forwarded-For`, or to any other header that only a proxy may set."""

    async def show_headers(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        body = repr(scope["headers"]).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    await site.start()
    monkeypatch.setattr(site._server.config, "loaded_app", show_headers)
    head = b"POST / HTTP/1.1\r\nHost: testserver\r\nConnection: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"1\r\nx\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\nRemote-User: root\r\n\r\n"
    async with visiting(site) as visitor:
        visitor.writer.write(head % b"keep-alive" + body + head % b"close" + body)
        answer = await visitor.end()
    assert answer.count(b"(b'host', b'testserver')") == 2
    assert b"192.0.2.1" not in answer
    assert b"root" not in answer


async def test_it_keeps_few_requests_waiting_for_answers(site):
    """Each answer let it read on, and thousands more began to wait."""
    last = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answers, most = 0, 0
    async with visiting(site) as visitor:
        visitor.writer.write(REQUEST * 20_000 + last)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while answer := await visitor.reader.read(65_536):
                answers += answer.count(b"{")
                most = max(most, len(visitor.connection.pipeline))
    assert answers == 20_001
    assert most < 8_000  # as many as the system hands over at once


async def test_a_stream_ends_with_its_client_although_another_request_waits(site, monkeypatch):
    """Only the one that waits heard of it, and the stream went on for nobody."""

    async def stream(scope, receive, send):
        leaving = asyncio.ensure_future(wait_for_the_end(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"again", "more_body": True})
            await asyncio.sleep(0.01)

    async def wait_for_the_end(receive):
        while (await receive())["type"] != "http.disconnect":
            pass

    await site.start()
    monkeypatch.setattr(site._server.config, "loaded_app", stream)
    tasks = site._server.server_state.tasks
    async with visiting(site) as visitor:
        visitor.writer.write(REQUEST * 2)
        await asyncio.wait_for(visitor.reader.readuntil(b"again"), PATIENCE_SECONDS)
        assert len(visitor.connection.pipeline) == 1
        visitor.writer.transport.abort()
        await until(lambda: not tasks)


async def test_it_does_not_wait_long_until_a_refused_client_goes(site, monkeypatch):
    monkeypatch.setattr(http, "REFUSAL_SECONDS", 0.01)
    async with visiting(site) as visitor:
        visitor.writer.write(REFUSED["129 headers"][0])
        await until(lambda: not site._server.server_state.connections)


async def test_it_stops_while_refused_clients_do_not_go(site):
    async with visiting(site) as visitor:
        visitor.writer.write(REFUSED["129 headers"][0])
        assert b" 431 " in await visitor.reader.readuntil(b"\r\n\r\n")
        visitor.connection.shutdown()
        await until(lambda: not site._server.server_state.connections)


async def test_it_drains_a_socket_that_comes_while_it_stops(site, alice):
    """It was opened after the others had been told, and stayed open until the server was killed."""
    async with visiting(site) as visitor:
        visitor.connection.shutdown()
        visitor.writer.write(handshake(alice))
        answer = await visitor.reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in answer
        assert b"RESTARTING" in await asyncio.wait_for(visitor.reader.readuntil(b"RESTARTING"), PATIENCE_SECONDS)


async def test_it_stops_while_a_peer_reads_nothing_before_its_own_close(site, caplog):
    """The application does not have the socket yet, so the server would have closed it a second time."""
    site.limit_sending()
    async with visiting(site) as visitor:
        visitor.writer.write(socket_request())
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert b" 101 " in await visitor.reader.readuntil(b"\r\n\r\n")
        (socket,) = site._server.server_state.connections
        visitor.writer.transport.pause_reading()
        socket.transport.write(UNREAD)
        visitor.writer.write(frame(b"", CLOSE))
        await until(socket.transport.is_closing)
        assert socket.queued_bytes()
        socket.shutdown()
        assert not socket.close_timer.cancelled()
        socket.transport.abort()
    await until(lambda: not site._server.server_state.connections)
    assert caplog.records == []


async def test_it_answers_the_request_before_one_that_it_cannot_read(site):
    """The second one was answered with 400, and the first one not at all."""
    async with visiting(site) as visitor:
        second = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
        visitor.writer.write(REQUEST.replace(b"live", b"ready") + second)
        answer = await visitor.end()
        assert b'"status"' in answer
        assert answer.count(b"HTTP/1.1") == 1


async def test_it_opens_no_socket_for_a_client_that_does_not_read(site):
    site.limit_sending()
    async with visiting(site) as visitor:
        visitor.writer.transport.pause_reading()
        visitor.connection.transport.write(UNREAD)
        assert visitor.connection.flow.write_paused
        visitor.writer.write(socket_request())
        await until(lambda: visitor.connection.is_refused)
        visitor.writer.transport.resume_reading()
        assert (await visitor.end()).removeprefix(UNREAD).startswith(b"HTTP/1.1 400 ")


async def test_it_asks_those_in_their_handshake_to_come_back_at_times_of_their_own(site, monkeypatch):
    """All of them came back after half a second."""
    monkeypatch.setattr("secrets.randbelow", lambda below: below - 1)
    async with visiting(site) as visitor:
        visitor.writer.write(socket_request())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await visitor.reader.readuntil(b"\r\n\r\n")
        (socket,) = site._server.server_state.connections
        socket.shutdown()
        goodbye = await asyncio.wait_for(visitor.reader.readuntil(b"1999}"), PATIENCE_SECONDS)
        assert b'"RESTARTING","reconnect":true,"retry_after_ms":1999}' in goodbye
        assert not socket.transport.is_closing()  # else what the client sends now would reset the connection
        visitor.writer.write(frame(struct.pack("!H", 1012), CLOSE))
        await visitor.end()
