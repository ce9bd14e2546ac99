"""How the server stops: its sockets leave one after the other, nothing is lost, and nobody seems to have gone."""

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from realtime.sockets.drain import START_MS
from realtime.storage.tasks import end_tasks
from tests.clients.people import People, open_socket
from tests.sites.processes import Redis, Site, free_port, health, wait_until

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]
WINDOW_SECONDS = 2.0


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    return stopping_slowly(Site(SQLITE_PATH=str(tmp_path_factory.mktemp("site") / "db.sqlite3"))).prepare()


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory) -> Iterator[Site]:
    """One whose processes know of each other."""
    with Redis() as redis:
        database = tmp_path_factory.mktemp("shared") / "db.sqlite3"
        yield stopping_slowly(Site(redis_url=redis.url, SQLITE_PATH=str(database))).prepare()


def stopping_slowly(site: Site) -> Site:
    site.configure(RESTART_WINDOW_SECONDS=WINDOW_SECONDS, PRESENCE_GRACE_SECONDS=WINDOW_SECONDS / 4)
    return site


async def test_it_spreads_the_return_of_its_sockets_when_nobody_else_goes_on(site):
    with site.process() as process:
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(8)]
            process.signal(SIGTERM)
            started = time.monotonic()
            told = [await client.expect("disconnect", reason="RESTARTING", reconnect=True) for client in clients]
            assert time.monotonic() - started < WINDOW_SECONDS * 0.7
            assert await asyncio.to_thread(process.wait) == 0
    delays = [frame["retry_after_ms"] for frame in told]
    assert all(START_MS <= delay < 1_000 * WINDOW_SECONDS for delay in delays)
    assert len(set(delays)) > 1


async def test_workers_that_stop_together_know_that_nobody_goes_on(shared_site):
    with shared_site.process("serve", "--workers", "2") as process:
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(8)]
            process.signal(SIGTERM)
            told = [await client.expect("disconnect", reason="RESTARTING") for client in clients]
            assert await asyncio.to_thread(process.wait) == 0
    assert all(frame["retry_after_ms"] >= START_MS for frame in told)


async def test_it_lets_its_sockets_go_one_after_the_other_when_others_go_on(shared_site):
    with shared_site.process("serve", "--workers", "2") as leaving, shared_site.process():
        wait_until(lambda: (health(leaving), health(leaving, "live")) == (200, 200))
        async with People() as people:
            clients = [await people.connect(leaving, "alice", "general") for _ in range(8)]
            leaving.signal(SIGTERM)
            started = time.monotonic()
            writing = asyncio.create_task(write_until_told(clients[0]))
            partings = [asyncio.create_task(part(client)) for client in clients]
            await asyncio.wait(partings, return_when=asyncio.FIRST_COMPLETED)
            assert {health(leaving) for _ in range(5)} == {503}
            assert health(leaving, "live") == 200
            assert leaving.rest("GET", "/online/count", people.tokens["alice"])
            async with open_socket(leaving, f"?token={people.tokens['alice']}") as late:
                await late.expect("disconnect", code=1012, reason="RESTARTING", reconnect=True)
            times, delays = zip(*sorted(await asyncio.gather(*partings)), strict=True)
            last = await writing
        assert await asyncio.to_thread(leaving.wait) == 0
    gaps = [after - before for before, after in pairwise(times)]
    assert WINDOW_SECONDS * 0.7 < times[-1] - started < WINDOW_SECONDS * 1.5
    assert max(gaps) < WINDOW_SECONDS / 2
    assert all(0 <= delay < 2_000 for delay in delays)
    assert len(set(delays)) > 1
    stored = "from realtime.models import Message as M; print(M.objects.filter(room__slug='general').count())"
    assert int(shared_site.run(stored)) >= last


async def part(client) -> tuple[float, int]:
    """When the socket was closed, and how long it is to stay away in ms."""
    frame = await client.expect("disconnect", timeout=10, code=1012, reason="RESTARTING", reconnect=True)
    left_at = time.monotonic()
    assert (await client.ending()).code == 1012
    return left_at, frame["retry_after_ms"]


async def write_until_told(client) -> int:
    """Write and wait for acks until the socket is told to go: they are work until then. Returns how many were acked."""
    acked = 0
    while not client.has("disconnect") and client.is_open:
        await client.send({"type": "message", "room_id": "general", "message": f"m{acked}", "id": f"m{acked}"})
        await client.until(lambda: client.has("disconnect") or client.has("ack", id=f"m{acked}"), 5)  # noqa: B023
        acked += client.has("ack", id=f"m{acked}")
    return acked


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_stops_at_once_at_the_second_signal(site, workers):
    with site.process("serve", "--workers", workers) as process:
        wait_until(lambda: health(process) == 200)
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(8)]
            process.signal(SIGTERM)
            told = [asyncio.ensure_future(client.expect("disconnect")) for client in clients]
            await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
            started = time.monotonic()
            process.signal(SIGINT)
            assert await asyncio.to_thread(process.wait) == 128 + SIGINT
            assert time.monotonic() - started < WINDOW_SECONDS / 2
            await end_tasks(told)


async def test_it_wants_time_for_the_window(site):
    code = "from django.core.management import call_command as c; c('serve', graceful_timeout=2.0)"
    with pytest.raises(AssertionError, match="--graceful-timeout must be more than RESTART_WINDOW_SECONDS"):
        site.run(code)


async def test_its_workers_stop_with_it(site):
    with site.process("serve", "--workers", "2") as process:
        wait_until(lambda: health(process) == 200)
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(4)]
            process.signal(SIGTERM)
            assert {(await client.ending()).code for client in clients} == {1012}
            assert all(client.has("disconnect", reason="RESTARTING") for client in clients)
            assert await asyncio.to_thread(process.wait) == 0


async def test_a_worker_that_is_replaced_leaves_the_listener_to_the_others(site):
    with site.process("serve", "--workers", "2") as process:
        wait_until(lambda: health(process) == 200)
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(4)]
            process.signal(SIGHUP)
            await asyncio.gather(*(client.expect("disconnect", reason="RESTARTING") for client in clients))
            assert {health(process) for _ in range(10)} == {200}
            assert await people.connect(process, "alice")


async def test_its_users_stay_online_while_it_stops(shared_site):
    """Another process watches. Whoever is told first would be offline before the last one is told."""
    with shared_site.process() as leaving, shared_site.process() as staying:
        wait_until(lambda: health(leaving) == 200 and health(staying) == 200)
        async with People() as people:
            watcher = await people.connect(staying, "carol")
            clients = [await people.connect(leaving, name) for name in ("alice", "bob", "admin")]
            await watcher.expect("user_status", status="online", user_id=clients[-1].user_id)
            leaving.signal(SIGTERM)
            assert {(await client.ending()).code for client in clients} == {1012}
            assert not watcher.has("user_status", status="offline")
            assert await asyncio.to_thread(leaving.wait) == 0
            for client in clients:
                await watcher.expect("user_status", timeout=20, status="offline", user_id=client.user_id)


WITH_A_THREAD_THAT_HANGS = """
import os, signal, threading, time
from django.core.management import call_command
threading.Thread(target=time.sleep, args=[60]).start()
threading.Timer(2, os.kill, [os.getpid(), signal.SIGTERM]).start()
call_command("serve", port={port})
"""


async def test_a_thread_that_hangs_does_not_keep_the_process(site):
    """As one does that waits for a database which does not answer."""
    code = WITH_A_THREAD_THAT_HANGS.format(port=free_port())
    assert "Serving on" in await asyncio.wait_for(asyncio.to_thread(site.run, code), 30)
