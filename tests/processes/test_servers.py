"""The same conversation under each ASGI server, what their logs keep, and how ours stops."""

import asyncio
import contextlib
import functools
import json
import re
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGTERM

import pytest
from httpx import HTTPStatusError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.clients.people import People, ProcessSocket, open_socket
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import Site, SiteProcess, wait_until

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]

SERVERS = ["serve", "uvicorn", "runserver"]
LEVELS = ["INFO", "DEBUG"]
ESTABLISHED = "01"  # in /proc/net/tcp


@pytest.fixture(scope="module")
def logged_in(new_database) -> tuple[Path, str]:
    """A database, and the cookie of a user who is logged in there."""
    path = new_database()
    log_in = "client = Client(); client.force_login(User.objects.get(username='carol'))"
    cookie = "print(client.cookies['sessionid'].value)"
    return Path(path), Site(SQLITE_PATH=path).run(f"from django.test import Client; {log_in}; {cookie}")


@pytest.fixture(scope="module")
def start(logged_in, tmp_path_factory) -> Iterator[Callable[[str, str], SiteProcess]]:
    """Starts one of the servers at a log level, with a database of its own; it runs until the last test has ended."""

    @functools.cache
    def start_once(server: str, level: str) -> SiteProcess:
        database = shutil.copy(logged_in[0], tmp_path_factory.mktemp("site") / "db.sqlite3")
        return stack.enter_context(Site(SQLITE_PATH=str(database), log_level=level).process(server))

    with contextlib.ExitStack() as stack:
        yield start_once


@pytest.mark.parametrize("server", SERVERS)
async def test_it_holds_a_conversation(start, server):
    process = start(server, "INFO")
    async with People() as people:
        alice = await people.connect(process, "alice", "general")
        bob = await people.connect(process, "bob", "general")
        await alice.expect("user_status", status="online", user_id=bob.user_id)
        await write_to_the_room(alice, bob)
        await write_directly(alice, bob)
        await alice.send({"type": "presence", "status": "away", "data": {"device": "mobile"}})
        await bob.expect("presence", status="away", user_id=alice.user_id)
        await alice.send({"type": "typing", "data": {"is_typing": True, "context": "general"}})
        await bob.expect("typing", is_typing=True, user_id=alice.user_id)
        await alice.send({"type": "ping", "timestamp": 7})
        await alice.expect("pong", timestamp=7)
        await alice.expect("heartbeat")
        await bob.close()
        await alice.expect("user_status", status="offline", user_id=bob.user_id)


async def write_to_the_room(alice: ProcessSocket, bob: ProcessSocket) -> None:
    await alice.send({"type": "message", "room_id": "general", "message": "你好", "id": "room"})
    ack = await alice.expect("ack", id="room")
    for client in (alice, bob):
        chat = await client.expect("chat", room_id="general", message="你好")
        assert (chat["stream"], chat["seq"], chat["data"]["message_id"]) == (
            "room.general",
            ack["seq"],
            ack["message_id"],
        )


async def write_directly(alice: ProcessSocket, bob: ProcessSocket) -> None:
    await alice.send({"type": "message", "to_user_id": bob.user_id, "message": "Hello!", "id": "direct"})
    await alice.expect("ack", id="direct")
    assert (await alice.expect("chat", message="Hello!"))["stream"] == f"user.{alice.user_id}"
    assert (await bob.expect("chat", message="Hello!"))["stream"] == f"user.{bob.user_id}"


@pytest.mark.parametrize(
    ("server", "level"),
    [pytest.param(server, level) for server in SERVERS for level in LEVELS],
)
async def test_it_takes_every_credential_and_logs_none(start, logged_in, server, level):
    process, cookie = start(server, level), logged_in[1]
    tokens = [process.log_in("carol")["access"] for _ in range(4)]
    tickets = [process.rest("POST", "/ws/ticket", tokens[0])["ticket"] for _ in range(2)]
    await show_credentials(process, tokens, tickets[0], cookie)
    await be_refused(process, used=tickets[0], unused=tickets[1])
    log = process.log.read_text()
    assert [secret for secret in (*tokens, *tickets, cookie, "wrong-token") if secret in log] == []
    assert "without completing handshake" not in log or server == "uvicorn"  # which says so of every refusal


async def show_credentials(process: SiteProcess, tokens: list[str], ticket: str, cookie: str) -> None:
    """Open a socket with each carrier."""
    await greet(process, f"?token={tokens[0]}")
    await greet(process, f"?ticket={ticket}")
    await greet(process, headers={"Authorization": f"Bearer {tokens[1]}"})
    await greet(process, headers={"Cookie": f"sessionid={cookie}"}, origin=f"http://{process.address}")
    assert await greet(process, subprotocols=("realtime.v1", f"bearer.{tokens[2]}")) == "realtime.v1"
    async with open_socket(process) as client:
        await client.send({"type": "auth", "token": tokens[3], "id": "a"})
        await client.expect("ack", id="a")


async def greet(process: SiteProcess, query: str = "", headers=None, **options) -> str | None:
    async with open_socket(process, query, additional_headers=headers, **options) as client:
        await client.expect("connected")
        return client.subprotocol


async def be_refused(process: SiteProcess, *, used: str, unused: str) -> None:
    """Fail with credentials, and show a good one at a wrong door."""
    for query in ("?token=wrong-token", f"?ticket={used}"):
        async with open_socket(process, query) as client:
            await client.expect("disconnect", code=4401)
            assert (await client.ending()).code == 4401
    for path, origin in (("/api/v1/nowhere", None), ("/api/v1/ws", "https://evil.example")):
        with pytest.raises(InvalidStatus):
            await greet(process, f"?ticket={unused}", path=path, origin=origin)
    with pytest.raises(HTTPStatusError, match="426"):
        process.rest("GET", f"/ws?ticket={unused}")


@pytest.mark.parametrize("server", SERVERS)
async def test_it_refuses_an_unknown_path_and_another_origin(start, server):
    process = start(server, "INFO")
    assert await refusal(process, path="/nowhere") == (403 if server == "runserver" else 404)
    assert await refusal(process, origin="https://evil.example") == 403


async def refusal(process: SiteProcess, **options) -> int:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(process, **options):
            pass
    return refused.value.response.status_code


@pytest.mark.parametrize("server", SERVERS)
async def test_it_closes_a_socket_that_sends_too_much(start, server):
    """daphne refuses this code, and the socket stayed open, uncounted."""
    process = start(server, "INFO")
    async with People() as people:
        client = await people.connect(process, "alice")
        await client.connection.send("x" * 70_000)
        await client.expect("disconnect", code=1009, reason="FRAME_TOO_LARGE", reconnect=False)
        assert (await client.ending()).code == 1009


@pytest.mark.parametrize("server", ["uvicorn", "runserver"])
async def test_it_asks_its_sockets_to_come_back_before_another_server_stops(new_database, server):
    with Site(SQLITE_PATH=new_database()).process(server) as process:
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(5)]
            process.signal(SIGTERM)
            for client in clients:
                await client.expect("disconnect", code=1012, reason="RESTARTING", reconnect=True)
                assert (await client.ending()).code == 1012
        assert await asyncio.to_thread(process.wait) in (0, -SIGTERM)  # uvicorn raises the signal again


async def test_it_ends_a_reader_that_reads_nothing_under_daphne(new_database):
    """daphne's `send` does not wait for the transport, so everything gathered there."""
    site = Site(SQLITE_PATH=new_database()).varied({"realtime.delivery.sinks.CLOSE_SECONDS": 0.5})
    with site.process("runserver") as process:
        token = (await asyncio.to_thread(process.log_in, "alice"))["access"]
        with socket.socket() as tcp:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await asyncio.to_thread(tcp.connect, ("127.0.0.1", process.port))
            async with connect(f"ws://{process.address}/api/v1/ws?token={token}", sock=tcp, max_size=None) as client:
                before = peak_bytes(process)
                client.transport.pause_reading()
                # Each gets an answer of the same size: more than the system buffers, within the limit for commands.
                ping = json.dumps({"type": "ping", "timestamp": "x" * 60_000})
                with contextlib.suppress(ConnectionClosed):
                    for _ in range(190):
                        await client.send(ping)
                await asyncio.to_thread(wait_until, lambda: count_connections(process) == 0)
                assert peak_bytes(process) - before < 5_000_000
                client.transport.abort()


def peak_bytes(process: SiteProcess) -> int:
    """The most memory that the process has had."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    return int(line) * 1024


def count_connections(process: SiteProcess) -> int:
    """Established TCP connections of the process."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{process.port:04X}") and line[3] == ESTABLISHED for line in lines)


async def test_it_stops_with_grace(new_database):
    """What is being stored when the signal comes is stored, and each socket hears when to come back."""
    database = new_database()
    with Site(SQLITE_PATH=database).process() as process, locked(database) as lock:
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(5)]
            lock.execute("BEGIN IMMEDIATE")
            await clients[0].send({"type": "message", "room_id": "general", "message": "last words", "id": "last"})
            await clients[0].send({"type": "ping", "timestamp": "taken"})
            await clients[0].expect("pong", timestamp="taken")
            process.signal(SIGTERM)
            partings = [await client.expect("disconnect", code=1012, reason="RESTARTING") for client in clients]
            assert {(await client.ending()).code for client in clients} == {1012}
            lock.rollback()
        assert await asyncio.to_thread(process.wait) == 0
        stored = lock.execute("SELECT count(*) FROM realtime_message WHERE text = 'last words'").fetchone()
    assert stored == (1,)
    delays = [parting["retry_after_ms"] for parting in partings]
    assert all(0 <= delay <= 10_000 for delay in delays)
    assert len(set(delays)) > 1


@contextlib.contextmanager
def locked(path: str) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_SECONDS)) as connection:
        yield connection
