"""Clients that break the rules below JSON: bytes, silence and sudden ends. Whoever sits beside them notices nothing."""

import asyncio
import json
import struct
import time

import pytest

from realtime.chat import rooms
from realtime.protocol.errors import CloseCode, Closed
from realtime.sockets.node import get_node
from realtime.storage.database import run
from tests.clients.raw_peer import BINARY, CLOSE, PING, PONG, TEXT, connect_raw, frame, open_tcp
from tests.clients.socket import texts, until
from tests.patience import PATIENCE_SECONDS
from tests.sites.in_process import AsgiServer, TcpServer

pytestmark = pytest.mark.django_db(transaction=True)
only_direct = pytest.mark.parametrize("site", [TcpServer], indirect=True, ids=["direct"])
only_queue = pytest.mark.parametrize("site", [AsgiServer], indirect=True, ids=["queue"])

PING_FRAME = json.dumps({"type": "ping", "timestamp": "whole"}).encode()
BROKEN = {
    "unmasked": frame(PING_FRAME, masked=False),
    "reserved bit": frame(PING_FRAME, first=0xC1),
    "reserved opcode": frame(PING_FRAME, opcode=3),
    "reserved control": frame(b"", opcode=11),
    "continues nothing": frame(PING_FRAME, opcode=0),
    "begins twice": frame(PING_FRAME, first=0x01) + frame(PING_FRAME, first=0x01),
    "long ping": frame(b"x" * 126, PING),
    "fragmented ping": frame(b"x", first=PING),
    "close of one byte": frame(b"\3", CLOSE),
    "close with a reserved code": frame(struct.pack("!H", 1005), CLOSE),
    "close with bad words": frame(struct.pack("!H", 1000) + b"\xff", CLOSE),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP": b"GET / HTTP/1.1\r\nHost: testserver\r\n\r\n",
}
LONG = b'{"type":"ping","timestamp":"' + b"x" * 40_000


@only_direct
async def test_it_ends_sockets_that_break_the_rules(site, alice, bob):
    other = await site.connect(bob)
    for what, data in BROKEN.items():
        peer = await connect_raw(site, alice)
        peer.send(data)
        code, reason = await peer.ending()
        assert (code in (1002, 1007), reason) == (True, ""), (what, code)
        await other.settle()


@only_direct
async def test_it_ends_sockets_that_break_the_rules_before_the_greeting(site, alice, bob):
    other = await site.connect(bob)
    for what, data in {**BROKEN, "too large": frame(b"x" * 70_000), "not UTF-8": frame(b"\xff")}.items():
        for user in (alice, None):
            peer = await open_tcp(site)
            await peer.shake_hands(user)
            peer.send(data)  # a stranger, or somebody whose credential is being looked at
            assert (await peer.ending()).code in (1002, 1007, 1009), what
        await other.settle()
    await until(lambda: len(get_node().hub.connections) == 1)


@only_direct
async def test_it_puts_fragments_together(site, alice, bob):
    other, peer = await site.connect(bob), await connect_raw(site, alice)
    half = len(PING_FRAME) // 2
    peer.send(frame(PING_FRAME[:half], first=TEXT) + frame(b"now", PING) + frame(PING_FRAME[half:], first=0x80))
    assert await peer.find(PONG) == b"now"
    assert json.loads(await peer.find(TEXT)) == {"type": "pong", "timestamp": "whole"}
    for byte in frame(PING_FRAME):
        peer.send(bytes([byte]))
        await asyncio.sleep(0)
    assert json.loads(await peer.find(TEXT))["timestamp"] == "whole"
    await other.settle()


@only_direct
async def test_it_measures_fragments_together(site, alice, bob):
    other = await site.connect(bob)
    for opcode in (TEXT, BINARY):
        peer = await connect_raw(site, alice)
        peer.send(frame(LONG, first=opcode) + frame(LONG, first=0x80))
        assert await peer.ending() == (1009, "FRAME_TOO_LARGE")
    await other.settle()


@only_direct
@pytest.mark.parametrize("payload", [struct.pack("!H", 1001) + b"bye", b""], ids=["with a code", "without"])
async def test_it_answers_a_close_between_fragments(site, alice, payload):
    """RFC 6455 §5.4 allows it, but it was answered as a violation, and the frame before it was dropped."""
    peer = await connect_raw(site, alice)
    peer.send(frame(PING_FRAME) + frame(PING_FRAME, first=TEXT) + frame(payload, CLOSE))
    assert json.loads(await peer.find(TEXT))["timestamp"] == "whole"
    assert await peer.find(CLOSE) == payload
    assert await asyncio.wait_for(peer.reader.read(), PATIENCE_SECONDS) == b""
    await until(lambda: not get_node().hub.connections)


@only_direct
async def test_it_takes_the_answer_to_its_close_between_fragments(site, alice, monkeypatch):
    monkeypatch.setattr("realtime.server.peer.CLOSE_SECONDS", 600.0)
    peer = await connect_raw(site, alice)
    (connection,) = get_node().hub.connections.values()
    peer.send(frame(PING_FRAME, first=TEXT))
    connection.close(Closed(CloseCode.SERVER_ERROR, "SERVER_ERROR"))
    assert await peer.ending() == (1011, "SERVER_ERROR")


@only_direct
async def test_a_stop_waits_for_the_answer_to_a_close(site, alice, monkeypatch):
    """What the client sends meanwhile would reset a connection that is closed, and the goodbye might be lost."""
    monkeypatch.setattr("realtime.server.peer.CLOSE_SECONDS", 600.0)
    peer = await connect_raw(site, alice)
    (connection,) = get_node().hub.connections.values()
    (socket,) = site._server.server_state.connections
    connection.close(Closed(CloseCode.RESTARTING, "RESTARTING"))
    socket.shutdown()
    assert not socket.transport.is_closing()
    peer.send(frame(b"late"))
    assert await peer.ending() == (1012, "RESTARTING")


@only_direct
@pytest.mark.parametrize("end", [frame(b"", opcode=3), frame(b"", CLOSE)], ids=["a violation", "a close"])
async def test_it_ends_a_stranger_once_when_there_are_two_reasons_at_once(site, caplog, end):
    peer = await open_tcp(site)
    await peer.shake_hands(None)
    peer.send(frame(b"\xff") * 2 + end)
    await peer.find(CLOSE)
    assert await asyncio.wait_for(peer.reader.read(), PATIENCE_SECONDS) == b""
    assert caplog.records == []


@only_direct
@pytest.mark.parametrize("end", [frame(b"", opcode=3), frame(b"", CLOSE)], ids=["a violation", "a close"])
async def test_it_ends_a_socket_once_when_there_are_two_reasons_at_once(site, alice, caplog, end):
    peer = await connect_raw(site, alice)
    peer.send(frame(b"{") * 30 + end)
    await peer.find(CLOSE)
    await until(lambda: not get_node().hub.connections)
    assert caplog.records == []


@only_direct
async def test_it_believes_no_announced_length(site, alice, bob):
    other = await site.connect(bob)
    for length in (65_537, 2**31, 2**63 - 1, 2**64 - 1):
        peer = await connect_raw(site, alice)
        peer.send(b"\x81\xff" + struct.pack("!Q", length) + b"\1\2\3\4 and then")
        assert (await peer.ending()).code in (1009, 1002)
    await other.settle()


@pytest.mark.usefixtures("announcements")
@only_direct
async def test_it_notices_an_end_in_the_middle_of_a_frame(site, alice, bob, shared):
    other = await site.connect(bob)
    await other.ask("join", room_id="general")
    join = frame(b'{"type":"join","room_id":"general"}')
    for data in (
        b"\x81",
        frame(LONG)[:-1],
        join + frame(LONG)[:5000],
        frame(b"part", first=TEXT),
        b"\x89",
    ):
        peer = await connect_raw(site, alice)
        peer.send(data)
        await peer.writer.drain()
        await peer.close()
        await until(lambda: len(get_node().hub.connections) == 1)
    await other.find("user_status", user_id=alice.pk, status="offline")
    await other.settle()


async def test_it_notices_an_end_in_the_middle_of_a_command(site, alice, bob, shared):
    other = await site.connect(bob)
    await other.ask("join", room_id="general")
    for number in range(10):
        leaver = await site.connect(alice)
        await leaver.send({"type": "message", "room_id": "general", "message": str(number)})
        await leaver.send({"type": "join", "room_id": "general"})
        await leaver.send({"type": "typing", "data": {"is_typing": True, "context": "general"}})
        await leaver.close()
    # What has begun is finished. Each socket's own commands have an order, those of several sockets have none.
    assert sorted(texts([await other.find("chat") for _ in range(10)])) == [str(number) for number in range(10)]
    await until(lambda: len(get_node().hub.connections) == 1)
    page = await run(lambda: list(rooms.get_visible(alice.pk, "general").messages.values_list("text", flat=True)))
    assert sorted(page) == [str(number) for number in range(10)]
    await other.settle()


async def test_it_ends_a_silent_socket(site, alice, bob, configure):
    configure(HEARTBEAT_SECONDS=0.1, HEARTBEAT_MISSES=6_000)
    silent, other = await site.connect(alice), await site.connect(bob)
    for user, passed in ((alice, 601), (bob, 300)):  # seconds, as it were
        (connection,) = get_node().hub.users[str(user.pk)]
        connection.heard_at -= passed
    assert await silent.ending() == (4408, "HEARTBEAT_TIMEOUT")
    await other.find("heartbeat")
    await other.send({"type": "pong"})
    await until(lambda: time.monotonic() - connection.heard_at < 300)
    await other.settle()


@only_direct
async def test_it_ends_a_socket_that_never_reads(site, alice, bob, carol, shared, configure):
    configure(MAX_QUEUED_BYTES=200_000, COMMANDS_BURST=10_000)
    site.limit_sending()
    slow = await connect_raw(site, bob, receive_bytes=4096)
    slow.send(frame(b'{"type":"join","room_id":"general"}'))
    slow.writer.transport.pause_reading()
    writer, reader = await site.connect(alice), await site.connect(bob)
    for socket in (writer, reader):
        await socket.ask("join", room_id="general")
    connections = get_node().hub.connections
    sent = []
    while len(connections) == 3 and not any(connection.closing for connection in connections.values()):
        sent.append(str(len(sent)))
        assert (await writer.ask("message", room_id="general", message=sent[-1].ljust(9000)))["type"] == "ack"
        assert len(sent) < 200
    assert [text.strip() for text in texts([await reader.find("chat") for _ in sent])] == sent
    slow.writer.transport.resume_reading()
    assert await slow.ending() == (4413, "SLOW_CONSUMER")
    await until(lambda: len(connections) == 2)
    await reader.settle()


@only_direct
@pytest.mark.parametrize("seconds", [0.5, 600], ids=["until it is given up", "that others do not wait for"])
async def test_it_resumes_others_while_one_reads_nothing(site, alice, bob, shared, configure, seconds):
    configure(COMMANDS_BURST=10_000, HEARTBEAT_SECONDS=seconds, HEARTBEAT_MISSES=1_000, RESUMES_AT_ONCE=1)
    site.limit_sending()
    writer, reader = await site.connect(alice), await site.connect(bob)
    for _ in range(201):
        assert (await writer.ask("message", room_id="general", message="x" * 9000))["type"] == "ack"
    slow = await connect_raw(site, bob, receive_bytes=4096)
    slow.send(frame(b'{"type":"resume","streams":{"room.general":0}}'))
    slow.writer.transport.pause_reading()
    bobs = get_node().hub.users[str(bob.pk)]
    await until(lambda: any(c.sink.queued_bytes() for c in bobs))
    if seconds > 1:
        answer = await reader.ask("resume", streams={"site": 0})
        assert answer["type"] == "resumed"
        return
    slow_one = next(c for c in bobs if c.sink.queued_bytes())
    await until(lambda: slow_one.closing)
    slow.writer.transport.resume_reading()
    assert await slow.ending() == (4413, "SLOW_CONSUMER")


@only_direct
async def test_it_ends_a_socket_that_reads_nothing_after_it_took_up_a_session(site, alice, bob, shared, configure):
    configure(MAX_QUEUED_BYTES=200_000, COMMANDS_BURST=10_000)
    site.limit_sending()
    first, writer = await site.connect(bob), await site.connect(alice)
    await first.ask("join", room_id="general")
    await first.close()
    for _ in range(5):  # one portion of a replay, which waits for room before the next
        assert (await writer.ask("message", room_id="general", message="x" * 9000))["type"] == "ack"
    path = f"/api/v1/ws/reconnect/{first.greeting['session_id']}"
    slow = await open_tcp(site, receive_bytes=4096)
    await slow.shake_hands(bob, path=path)
    slow.writer.transport.pause_reading()
    connections, feeds = get_node().hub.connections, get_node().hub.feeds
    await until(lambda: "room.general" in feeds and feeds["room.general"].fanout.connections)  # the replay is through
    for _ in range(60):
        assert (await writer.ask("message", room_id="general", message="x" * 9000))["type"] == "ack"
    await until(lambda: len(connections) == 1 or any(connection.closing for connection in connections.values()))


@only_direct
async def test_it_keeps_a_client_that_is_alive_while_its_command_waits(site, alice, configure):
    configure(RESUMES_AT_ONCE=1)
    socket = await site.connect(alice)
    (connection,) = get_node().hub.connections.values()
    async with get_node().resumer._turns.turn("somebody else"):
        await socket.send({"type": "resume", "streams": {}, "id": "r"})
        for _ in range(3):
            connection.heard_at = 0.0
            await socket.send({"type": "pong"})
            await until(lambda: connection.heard_at)
    await socket.find("resumed", id="r")


@only_direct
async def test_it_forgets_a_socket_that_does_not_even_hear_that_it_is_over(site, alice, bob, configure, monkeypatch):
    monkeypatch.setattr("realtime.server.peer.CLOSE_SECONDS", 0.2)
    configure(HEARTBEAT_SECONDS=0.1)
    deaf = await connect_raw(site, alice)
    deaf.writer.transport.pause_reading()
    await until(lambda: not get_node().hub.connections)
    assert deaf.contract.goodbye is None


@only_direct
async def test_it_forgets_a_socket_that_sends_its_end_and_reads_nothing(site, alice, monkeypatch):
    """A transport that closes waits without a limit until the rest has been read."""
    monkeypatch.setattr("realtime.server.peer.CLOSE_SECONDS", 0.2)
    site.limit_sending()
    deaf = await connect_raw(site, alice, receive_bytes=4096)
    deaf.writer.transport.pause_reading()
    (connection,) = get_node().hub.connections.values()
    for _ in range(100):
        connection.send(b'{"type":"note","data":"' + b"x" * 9000 + b'"}')
    await until(connection.sink.queued_bytes)
    deaf.writer.write_eof()
    await until(lambda: not get_node().hub.connections)


@only_queue
async def test_it_forgets_a_socket_whose_server_takes_no_more(site, alice, bob, shared, configure, monkeypatch):
    """Under a server without our extension, whose `send` waits for a peer that reads nothing."""
    monkeypatch.setattr("realtime.delivery.sinks.CLOSE_SECONDS", 0.2)
    configure(MAX_QUEUED_BYTES=50_000, COMMANDS_BURST=10_000)
    slow, writer = await site.connect(bob), await site.connect(alice)
    await slow.ask("join", room_id="general")
    monkeypatch.setattr(slow.communicator.output_queue, "_maxsize", 1)  # from now on `send` waits
    for _ in range(20):
        assert (await writer.ask("message", room_id="general", message="x" * 9000))["type"] == "ack"
    await until(lambda: len(get_node().hub.connections) == 1)
    await slow.communicator.wait(PATIENCE_SECONDS)


@only_queue
async def test_it_forgets_a_socket_whose_application_is_cancelled(site, alice):
    socket = await site.connect(alice)
    socket.communicator.future.cancel()
    assert await socket.ending() == (1012, "RESTARTING")
    await until(lambda: not get_node().hub.connections)
