"""How the server stops: its sockets leave one after the other, nothing is lost, and nobody seems to have gone."""

import asyncio
import contextlib
import socket
import sqlite3
import time
from collections.abc import Iterator
from signal import SIGHUP, SIGINT, SIGTERM
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from realtime.sockets.drain import START_MS
from realtime.storage.tasks import end_tasks
from tests.clients.people import People, open_socket
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import Redis, Site, free_port, health, wait_until
from tests.sites.workers import connect_to_each_worker, wait_for_leases

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]
WINDOW_SECONDS = 2.0
ENDLESS_SECONDS = 600.0  # a window in which nobody comes to the end of a test, however slow the machine is
# A busy machine signals processes one after the other: they take their time to see that all stop.
SLOW_TO_HEAR = {"realtime.sockets.drain.RETIRE_SECONDS": ENDLESS_SECONDS}
# A database that is slow to answer is not away.
PATIENT_HEALTH = {"realtime.health.PATIENCE_SECONDS": ENDLESS_SECONDS}


@pytest.fixture(scope="module")
def site(new_database) -> Site:
    return stopping_slowly(Site(SQLITE_PATH=new_database()))


@pytest.fixture(scope="module")
def site_with_redis(new_database) -> Iterator[Site]:
    with Redis() as redis:
        yield stopping_slowly(Site(redis_url=redis.url, SQLITE_PATH=new_database()))


@pytest.fixture
def shared_site(site_with_redis) -> Site:
    """One whose processes know of each other."""
    return among_themselves(site_with_redis)


def among_themselves(site: Site) -> Site:
    """The site for processes that know nothing of those of other tests. None is taken for dead because it is slow."""
    return site.varied(KEY_PREFIX=uuid4().hex, PRESENCE_LEASE_SECONDS=ENDLESS_SECONDS)


def stopping_slowly(site: Site) -> Site:
    site.configure(RESTART_WINDOW_SECONDS=WINDOW_SECONDS, PRESENCE_GRACE_SECONDS=WINDOW_SECONDS / 4)
    return site


async def test_it_spreads_the_return_of_its_sockets_when_nobody_else_goes_on(site):
    with site.varied(RESTART_WINDOW_SECONDS=ENDLESS_SECONDS).process() as process:
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(8)]
            process.signal(SIGTERM)
            goodbyes = [await client.expect("disconnect", reason="RESTARTING", reconnect=True) for client in clients]
            assert await asyncio.to_thread(process.wait) == 0
    delays = [frame["retry_after_ms"] for frame in goodbyes]
    assert all(START_MS <= delay < 1_000 * ENDLESS_SECONDS for delay in delays)
    assert len(set(delays)) > 1


async def test_workers_that_stop_together_know_that_nobody_goes_on(shared_site):
    with shared_site.varied(SLOW_TO_HEAR).process("serve", "--workers", "2") as process:
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(8)]
            process.signal(SIGTERM)
            goodbyes = [await client.expect("disconnect", reason="RESTARTING") for client in clients]
            assert await asyncio.to_thread(process.wait) == 0
    assert all(frame["retry_after_ms"] >= START_MS for frame in goodbyes)


async def test_it_serves_until_its_last_sockets_have_left(shared_site):
    site = shared_site.varied(RESTART_WINDOW_SECONDS=ENDLESS_SECONDS)
    with site.process("serve", "--workers", "2") as leaving, site.process():
        wait_for_leases(site, 3)
        wait_until(lambda: (health(leaving), health(leaving, "live")) == (200, 200))
        async with People() as people:
            clients = await connect_to_each_worker(people, leaving)
            leaving.signal(SIGTERM)
            partings = [asyncio.create_task(part(client)) for client in clients]
            await asyncio.wait(partings, return_when=asyncio.FIRST_COMPLETED)
            assert {await asyncio.to_thread(health, leaving) for _ in range(20)} == {503}
            assert await asyncio.to_thread(health, leaving, "live") == 200
            assert await asyncio.to_thread(leaving.rest, "GET", "/online/count", people.tokens["alice"])
            async with open_socket(leaving, f"?token={people.tokens['alice']}") as late:
                await late.expect("disconnect", code=1012, reason="RESTARTING", reconnect=True)
            assert not all(parting.done() for parting in partings)
            await end_tasks(partings)
        assert await asyncio.to_thread(leaving.wait) == 0


async def test_it_lets_its_sockets_go_one_after_the_other_when_others_go_on(shared_site):
    with shared_site.process("serve", "--workers", "2") as leaving, shared_site.process():
        wait_for_leases(shared_site, 3)
        async with People() as people:
            clients = [await people.connect(leaving, "alice", "general") for _ in range(8)]
            started = time.monotonic()
            leaving.signal(SIGTERM)
            writing = asyncio.create_task(write_until_closed(clients[0]))
            partings = [asyncio.create_task(part(client)) for client in clients]
            times, delays = zip(*sorted(await asyncio.gather(*partings)), strict=True)
            last = await writing
        assert await asyncio.to_thread(leaving.wait) == 0
    # Each worker spreads its own over the window, beginning with the first: never earlier, and a slow machine is later.
    assert all(moment - started >= WINDOW_SECONDS * (place - 1) / 8 for place, moment in enumerate(times))
    assert all(0 <= delay < 2_000 for delay in delays)
    assert len(set(delays)) > 1
    with contextlib.closing(sqlite3.connect(shared_site.env["SQLITE_PATH"])) as database:
        (stored,) = database.execute("SELECT count(*) FROM realtime_message WHERE text LIKE 'm%'").fetchone()
    assert stored >= last


async def part(client) -> tuple[float, int]:
    """When the socket was closed, and how long it is to stay away in ms."""
    frame = await client.expect("disconnect", code=1012, reason="RESTARTING", reconnect=True)
    left_at = time.monotonic()
    assert (await client.ending()).code == 1012
    return left_at, frame["retry_after_ms"]


async def write_until_closed(client) -> int:
    """Write and wait for acks until the socket is closed: they are work until then. Returns how many were acked."""
    acked = 0
    while not client.has("disconnect") and client.is_open:
        await client.send({"type": "message", "room_id": "general", "message": f"m{acked}", "id": f"m{acked}"})
        await client.until(lambda: client.has("disconnect") or client.has("ack", id=f"m{acked}"))  # noqa: B023
        acked += client.has("ack", id=f"m{acked}")
    return acked


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_stops_at_once_at_the_second_signal(shared_site, workers):
    site = shared_site.varied(RESTART_WINDOW_SECONDS=ENDLESS_SECONDS)
    with site.process("serve", "--workers", workers) as process, site.process():
        wait_for_leases(site, int(workers) + 1)
        async with People() as people:
            clients = await connect_to_each_worker(people, process)
            process.signal(SIGTERM)
            goodbyes = [asyncio.ensure_future(client.expect("disconnect")) for client in clients]
            await asyncio.wait(goodbyes, return_when=asyncio.FIRST_COMPLETED)
            process.signal(SIGINT)
            assert await asyncio.to_thread(process.wait) == 128 + SIGINT
            await end_tasks(goodbyes)


HANDSHAKE = b"GET /api/v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


def test_it_stops_whatever_handshakes_it_has_refused_or_waits_for(site):
    """Some were neither answered nor closed, and one of them made the stop fail."""
    refused = {
        HANDSHAKE + KEY + b"Cookie: " + b"x" * 33_000 + b"\r\n\r\n": b" 431 ",
        HANDSHAKE + KEY + b"X: 1\r\n" * 125 + b"\r\n": b" 431 ",
        HANDSHAKE + KEY + b"Content-Length: 3\r\n\r\nabc": b" 400 ",
        HANDSHAKE.replace(b"/ws", b"/" + b"x" * 17_000) + KEY + b"\r\n": b" 414 ",
    }
    unfinished = [b"", HANDSHAKE, HANDSHAKE + KEY + b"Cookie: " + b"x" * 9_000]
    with site.process() as process, contextlib.ExitStack() as stack:
        host, port = process.address.split(":")

        def send(data):
            peer = stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS))
            peer.sendall(data)
            return peer

        for data, status in refused.items():
            assert status in send(data).recv(1_000), data[-60:]
        for data in unfinished:
            send(data)
        # Accepted before the signal, because it is answered after them.
        assert health(process, "live") == 200
        process.signal(SIGTERM)
        assert process.wait() == 0
        assert "Traceback" not in process.log.read_text()


def test_it_wants_time_for_the_window(configure):
    configure(RESTART_WINDOW_SECONDS=WINDOW_SECONDS)
    with pytest.raises(CommandError, match="--graceful-timeout must be more than RESTART_WINDOW_SECONDS"):
        call_command("serve", graceful_timeout=WINDOW_SECONDS)


async def test_its_workers_stop_with_it(site):
    with site.varied(ISOLATED_WORKERS=True).process("serve", "--workers", "2") as process:
        wait_until(lambda: health(process) == 200)
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(4)]
            process.signal(SIGTERM)
            assert {(await client.ending()).code for client in clients} == {1012}
            assert all(client.has("disconnect", reason="RESTARTING") for client in clients)
            assert await asyncio.to_thread(process.wait) == 0


async def test_a_worker_that_is_replaced_leaves_the_listener_to_the_others(site):
    with site.varied(PATIENT_HEALTH, ISOLATED_WORKERS=True).process("serve", "--workers", "2") as process:
        wait_until(lambda: health(process) == 200)
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(4)]
            process.signal(SIGHUP)
            await asyncio.gather(*(client.expect("disconnect", reason="RESTARTING") for client in clients))
            assert {health(process) for _ in range(10)} == {200}
            assert await people.connect(process, "alice")


async def test_its_users_stay_online_while_it_stops(shared_site):
    """Another process watches. The user whose socket is closed first would be offline before the last one is closed.

    A request that does not come to its end keeps the process until that has been looked at.
    """
    options = ("serve", "--graceful-timeout", str(ENDLESS_SECONDS))
    with shared_site.process(*options) as leaving, shared_site.process() as staying:
        wait_for_leases(shared_site, 2)
        wait_until(lambda: health(leaving) == 200 and health(staying) == 200)
        async with People() as people:
            _reader, request = await asyncio.open_connection("127.0.0.1", leaving.port)
            request.write(b"POST /api/v1/auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n")
            watcher = await people.connect(staying, "carol")
            clients = [await people.connect(leaving, name) for name in ("alice", "bob", "admin")]
            await watcher.expect("user_status", status="online", user_id=clients[-1].user_id)
            leaving.signal(SIGTERM)
            assert {(await client.ending()).code for client in clients} == {1012}
            await watcher.send({"type": "ping", "timestamp": "all have been closed"})
            await watcher.expect("pong", timestamp="all have been closed")
            assert not watcher.has("user_status", status="offline")
            assert leaving.is_running
            request.close()
            assert await asyncio.to_thread(leaving.wait) == 0
            for client in clients:
                await watcher.expect("user_status", status="offline", user_id=client.user_id)


WITH_A_THREAD_THAT_HANGS = """
import os, signal, socket, threading, time
from django.core.management import call_command
from realtime.delivery.bridge import home_loop
def stop():
    while socket.socket().connect_ex(("127.0.0.1", {port})):
        time.sleep(0.05)
    {hang}
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=stop).start()
call_command("serve", port={port})
"""


@pytest.mark.parametrize(
    "hang",
    [
        "threading.Thread(target=time.sleep, args=[600]).start()",
        "home_loop().call_soon_threadsafe(home_loop().run_in_executor, None, time.sleep, 600)",
    ],
    ids=["of its own", "of asyncio's pool"],
)
async def test_a_thread_that_hangs_does_not_keep_the_process(site, hang):
    """As one does that waits for a database which does not answer, or for another site (`asyncio.to_thread`)."""
    code = WITH_A_THREAD_THAT_HANGS.format(port=free_port(), hang=hang)
    assert "Serving on" in await asyncio.wait_for(asyncio.to_thread(site.run, code), PATIENCE_SECONDS)
