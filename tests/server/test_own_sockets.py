"""Sockets of the site's own consumers on our own server: it says nothing there that their clients do not know."""

import asyncio
from typing import Any

import pytest

from realtime.sockets.node import get_node
from tests.clients.raw_peer import CLOSE, PING, PONG, TEXT, RawPeer, connect_raw, frame, open_tcp
from tests.clients.socket import until
from tests.patience import PATIENCE_SECONDS
from tests.sites.in_process import TcpServer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("site", [TcpServer], indirect=True, ids=["direct"]),
]
RESTARTING = b"\x03\xf4RESTARTING"


class Echo:
    """A site's own consumer."""

    end: dict[str, Any] | None = None  # the message that ended it

    def __init__(self) -> None:
        self.is_done = asyncio.Event()  # when it has done its work

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message["text"] == "work":
                await self.is_done.wait()
            elif message["text"] == "leave":
                await send({"type": "websocket.close", "code": 4000})
                return
            await send({"type": "websocket.send", "text": message["text"]})
        self.end = message
        await send({"type": "websocket.send", "text": "too late"})


class AnyText:
    """What its frames have to be."""

    def check(self, text: str) -> None:
        pass


@pytest.fixture
def echo(site, monkeypatch):
    echo = Echo()

    async def start(**config: Any) -> RawPeer:
        await site.start()
        for name, value in {"loaded_app": echo, **config}.items():
            monkeypatch.setattr(site._server.config, name, value)
        peer = await open_tcp(site)
        peer.contract = AnyText()
        await peer.shake_hands(None, "/ws/echo")
        return peer

    echo.start = start
    return echo


async def end_of(peer: RawPeer) -> bytes:
    return await asyncio.wait_for(peer.reader.read(), PATIENCE_SECONDS)


async def test_a_stop_sends_no_frame_of_ours(site, echo, caplog):
    """Clients of some protocols never come back after a frame that they do not know. The answer is waited for."""
    peer = await echo.start()
    peer.send(frame(b"hello"))
    assert await peer.receive() == (TEXT, b"hello")
    (socket,) = site._server.server_state.connections
    socket.shutdown()
    peer.send(frame(b"meanwhile"))
    assert await peer.receive() == (CLOSE, RESTARTING)
    await until(lambda: echo.end)
    assert echo.end == {"type": "websocket.disconnect", "code": 1012}
    await until(lambda: not site._server.server_state.tasks)
    assert not socket.transport.is_closing()
    peer.send(frame(RESTARTING, CLOSE))
    assert await end_of(peer) == b""
    assert caplog.records == []


async def test_a_peer_that_answers_and_reads_nothing_does_not_keep_the_connection(site, echo, monkeypatch):
    monkeypatch.setattr("realtime.server.peer.CLOSE_SECONDS", 0.2)
    site.limit_sending()
    peer = await echo.start()
    peer.writer.transport.pause_reading()
    (socket,) = site._server.server_state.connections
    socket.transport.write(b"x" * 8_000_000)
    socket.shutdown()
    peer.send(frame(RESTARTING, CLOSE))
    await until(lambda: not site._server.server_state.connections)


async def test_one_that_the_site_closes_ends_also_if_its_peer_reads_nothing(site, echo, monkeypatch):
    monkeypatch.setattr("realtime.server.peer.CLOSE_SECONDS", 0.2)
    site.limit_sending()
    peer = await echo.start()
    (socket,) = site._server.server_state.connections
    peer.send(frame(b"leave"))
    await until(lambda: socket.close_sent)
    peer.writer.transport.pause_reading()
    socket.transport.write(b"x" * 8_000_000)
    await until(lambda: not site._server.server_state.connections)


async def test_what_is_too_large_is_answered_with_a_close_alone(site, echo):
    peer = await echo.start()
    peer.send(frame(b"x" * 70_000))
    opcode, payload = await peer.receive()
    assert (opcode, payload[:2]) == (CLOSE, b"\x03\xf1")


async def test_they_get_pings_and_end_without_an_answer(site, echo, monkeypatch):
    """Proxies close what is silent for a minute, and a client that has gone without a word is noticed."""
    monkeypatch.setattr("realtime.server.peer.CLOSE_SECONDS", 0.2)
    peer = await echo.start(ws_ping_interval=0.05, ws_ping_timeout=PATIENCE_SECONDS)
    for _ in range(2):
        opcode, payload = await peer.receive()
        assert opcode == PING
        peer.send(frame(payload, PONG))
    (socket,) = site._server.server_state.connections
    peer.writer.transport.pause_reading()
    socket.transport.write(b"x" * 8_000_000)
    socket.keepalive_timeout()
    await until(lambda: not site._server.server_state.connections)


async def test_a_busy_consumer_may_leave_an_answer_unread(site, echo):
    """Reading pauses while messages wait for it: whether the client has answered is not known."""
    peer = await echo.start(ws_ping_interval=600.0)
    (socket,) = site._server.server_state.connections
    peer.send(frame(b"work") + frame(b"next"))
    await until(lambda: socket.read_paused)
    socket.keepalive_timeout()
    assert (socket.close_sent, socket.ping_timer is not None) == (False, True)
    echo.is_done.set()
    assert await peer.receive() == (TEXT, b"work")
    assert await peer.receive() == (TEXT, b"next")
    socket.keepalive_timeout()
    assert (await peer.receive())[0] == CLOSE


async def test_our_own_get_none(site, alice):
    """They have heartbeats."""
    await connect_raw(site, alice)
    (socket,) = site._server.server_state.connections
    assert get_node().hub.connections
    assert (site._server.config.ws_ping_interval, socket.ping_timer) == (20.0, None)
