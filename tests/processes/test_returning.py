"""Clients that come back to a real server: one that spoils it for the others, and one whose connection breaks."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from websockets.asyncio.client import connect

from tests.clients.people import People, ProcessSocket, open_socket
from tests.sites.cluster import hanging
from tests.sites.processes import Site, SiteProcess

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]

ROOMS = 100
SOCKETS = 16
ABORTED = 20
# Bob alone is in 100 rooms, each with 100 events.
MANY_ROOMS = f"""
from django.contrib.auth import get_user_model
from realtime.models import Event, Membership, Room, Stream
bob = get_user_model().objects.get(username="bob")
rooms = Room.objects.bulk_create(Room(slug=f"r{{n}}", title="R", created_by=bob) for n in range({ROOMS}))
Membership.objects.bulk_create(Membership(room=room, user=bob) for room in rooms)
Stream.objects.bulk_create(Stream(name=f"room.r{{n}}", last_seq=100) for n in range({ROOMS}))
body = '{{"type":"note","data":{{"text":"' + 100 * "x" + '"}}}}'
Event.objects.bulk_create(
    Event(stream=f"room.r{{n}}", seq=seq, body=body) for n in range({ROOMS}) for seq in range(1, 101)
)
"""
RESUME = json.dumps({"type": "resume", "streams": {f"room.r{n}": 0 for n in range(ROOMS)}, "id": "r"})


@pytest.fixture(scope="module")
def process(new_database: Callable[[], str]) -> Iterator[SiteProcess]:
    site = Site(SQLITE_PATH=new_database())
    site.configure(RESUMES_AT_ONCE=1, HEARTBEAT_SECONDS=600 * 600, COMMANDS_BURST=100_000)
    site.run(MANY_ROOMS)
    with site.process() as running:
        yield running


def open_url(process: SiteProcess, token: str, path: str = "/api/v1/ws") -> connect:
    return connect(f"ws://{process.address}{path}?token={token}", ping_interval=None, proxy=None, max_queue=None)


async def abort_resumes(process: SiteProcess, token: str, count: int) -> None:
    """Open a socket, resume, and break the connection, again and again."""
    for _ in range(count):
        async with contextlib.AsyncExitStack() as stack:
            attacker = await stack.enter_async_context(open_url(process, token))
            await attacker.recv()
            await attacker.send(RESUME)
            attacker.transport.abort()


@contextlib.asynccontextmanager
async def resume_together(process: SiteProcess, token: str, victim: ProcessSocket) -> AsyncIterator[list[str]]:
    """Sockets that all resume, and then the victim, before any of them is answered. Notes `resumed` for each that has.

    The victim resumes three times.
    """
    done: list[str] = []

    async def read(attacker) -> None:
        with contextlib.suppress(Exception):
            async for text in attacker:
                if text.startswith('{"type":"resumed"'):
                    done.append("resumed")

    async with contextlib.AsyncExitStack() as stack:
        attackers = [await stack.enter_async_context(open_url(process, token)) for _ in range(SOCKETS)]
        reading = [asyncio.create_task(read(attacker)) for attacker in attackers]
        async with hanging(process):
            for attacker in attackers:
                await attacker.send(RESUME)
            for number in range(3):
                await victim.send({"type": "resume", "id": f"v{number}", "streams": {f"user.{victim.user_id}": 0}})
        try:
            yield done
        finally:
            for attacker in attackers:
                attacker.transport.abort()
            await asyncio.gather(*reading)


async def test_one_user_does_not_stop_those_who_resume(process):
    """There is one turn for all: the victim waits for a part of it, and not until all others have had theirs."""
    async with People() as people:
        victim = await people.connect(process, "alice")
        token = (await asyncio.to_thread(process.log_in, "bob"))["access"]
        await abort_resumes(process, token, ABORTED)
        async with resume_together(process, token, victim) as done:
            for number in range(3):
                assert (await victim.answer(f"v{number}"))["type"] == "resumed"
            assert len(done) < SOCKETS


def cut(process: SiteProcess, path: str, token: str, milliseconds: int) -> None:
    """Ask for a socket, and reset the connection after a while, whatever has come until then."""
    host, port = process.address.split(":")
    request = (
        f"GET {path}?token={token} HTTP/1.1\r\nHost: {process.address}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as client:
        client.sendall(request.encode())
        if milliseconds:
            client.settimeout(milliseconds / 1000)
            with contextlib.suppress(TimeoutError):
                while client.recv(4096):
                    pass
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_a_session_survives_connections_that_break_while_it_is_taken_up(process):
    async with People() as people:
        first = await people.connect(process, "alice", "general")
        token = people.tokens["alice"]
        path = f"/api/v1/ws/reconnect/{first.greeting['session_id']}"
        await first.close()
        for milliseconds in (0, 0, 1, 5, 10, 20, 50):
            await asyncio.to_thread(cut, process, path, token, milliseconds)
        async with open_socket(process, f"?token={token}", path=path) as back:
            back.contract.takes_up_session = True
            back.greeting = (await back.expect("connected"))["data"]
            assert "room.general" in (await back.expect("resumed"))["streams"]
