"""What other servers leave out, on stand-ins for them. With the servers themselves: tests/processes/test_servers.py."""

import asyncio
from functools import partial

import pytest

from realtime.server import foreign
from realtime.server.foreign import HIGH_WATER, MAX_WAITING, adapt
from tests.clients.socket import until


class DaphneTransport:
    def __init__(self) -> None:
        self.dataBuffer = b""
        self._tempDataLen = 0
        self.is_reading, self.is_aborted = True, False

    def pauseProducing(self) -> None:
        self.is_reading = False

    def resumeProducing(self) -> None:
        self.is_reading = True

    def abortConnection(self) -> None:
        self.is_aborted = True


class DaphneProtocol:
    STATE_OPEN, STATE_CLOSED = 3, 0

    def __init__(self) -> None:
        self.transport = DaphneTransport()
        self.state = self.STATE_OPEN
        self.closes: list[tuple[int, bytes]] = []

    def sendCloseFrame(self, code: int, reason: bytes) -> None:
        self.closes.append((code, reason))


class Tls:
    """The transport in front of one that buffers."""

    def __init__(self, transport: DaphneTransport) -> None:
        self.transport = transport
        self.abortConnection = transport.abortConnection


class Daphne:
    """One socket under daphne, and what the application gets of it."""

    def __init__(self, protocol: DaphneProtocol) -> None:
        self.protocol, self.sent, self.queue = protocol, [], asyncio.Queue()
        self.receive, self.send = adapt(self.queue.get, partial(self.handle_reply, protocol))

    async def handle_reply(self, protocol, message) -> None:
        self.sent.append(message)


FRAME = {"type": "websocket.send", "text": "{}"}
CLOSE = {"type": "websocket.close", "code": 1012, "reason": "RESTARTING"}


@pytest.fixture(params=["plain", "TLS"])
async def daphne(request):
    protocol = DaphneProtocol()
    transport = protocol.transport
    if request.param == "TLS":
        protocol.transport = Tls(transport)
    daphne = Daphne(protocol)
    daphne.transport = transport
    return daphne


async def test_daphne_waits_while_much_is_to_be_written(daphne, monkeypatch):
    monkeypatch.setattr(foreign, "POLL_SECONDS", 0.001)
    daphne.transport.dataBuffer, daphne.transport._tempDataLen = b"x" * HIGH_WATER, 1
    sending = asyncio.create_task(daphne.send(FRAME))
    for _ in range(10):
        await asyncio.sleep(0.001)
        assert daphne.sent == []
    daphne.transport._tempDataLen = 0
    await sending
    assert daphne.sent == [FRAME]


async def test_daphne_does_not_wait_for_a_peer_that_has_gone(daphne):
    daphne.transport.dataBuffer = b"x" * 100_000
    daphne.protocol.state = DaphneProtocol.STATE_CLOSED
    await daphne.send(FRAME)


async def test_daphne_closes_with_every_code(daphne, monkeypatch):
    monkeypatch.setattr(foreign, "CLOSE_SECONDS", 0.001)
    await daphne.send(CLOSE)
    assert daphne.protocol.closes == [(1012, b"RESTARTING")]
    assert daphne.sent == []
    await until(lambda: daphne.transport.is_aborted)


async def test_daphne_refuses_a_handshake_as_before(daphne):
    daphne.protocol.state = 1
    await daphne.send({"type": "websocket.close"})
    assert daphne.sent == [{"type": "websocket.close"}]


async def test_nobody_waits_for_a_peer_that_reads_nothing(daphne):
    """The application has given up, and daphne would keep the connection."""
    daphne.transport.dataBuffer = b"x" * 100_000
    sending = asyncio.create_task(daphne.send(FRAME))
    await asyncio.sleep(0)
    sending.cancel()
    await until(lambda: daphne.transport.is_aborted)


async def test_daphne_reads_no_further_than_the_application(daphne):
    if isinstance(daphne.protocol.transport, Tls):
        pytest.skip("its transport has these methods as well")
    for number in range(MAX_WAITING):
        assert daphne.transport.is_reading
        daphne.queue.put_nowait({"number": number})
    assert not daphne.transport.is_reading
    received = []
    while not daphne.transport.is_reading:
        received.append((await daphne.receive())["number"])
    assert received == list(range(MAX_WAITING // 2))


async def test_it_ends_a_socket_of_uvicorn_whose_peer_reads_nothing(monkeypatch):
    monkeypatch.setattr(foreign, "CLOSE_SECONDS", 0.001)

    class Transport:
        is_aborted = False

        def abort(self) -> None:
            self.is_aborted = True

    class Uvicorn:
        transport = Transport()

        async def send(self, message) -> None:
            """Writes it."""

    server = Uvicorn()
    _, send = adapt(asyncio.Queue().get, server.send)
    await send(FRAME)
    await send(CLOSE)
    await until(lambda: server.transport.is_aborted)


async def test_it_leaves_an_unknown_server_alone():
    async def send(message) -> None:
        """Writes it."""

    receive = asyncio.Queue().get
    assert adapt(receive, send) == (receive, send)
