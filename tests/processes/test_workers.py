"""How several workers stop when not all goes by the book: signals at bad moments, and a parent that is killed."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM

import pytest

from tests.clients.people import People
from tests.sites.processes import Redis, Site, health, wait_until

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]
WINDOW_SECONDS = 6.0


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    with Redis() as redis:
        site = Site(redis_url=redis.url, SQLITE_PATH=str(tmp_path_factory.mktemp("site") / "db.sqlite3"))
        site.configure(RESTART_WINDOW_SECONDS=WINDOW_SECONDS)
        yield site.prepare()


def workers_of(process) -> list[int]:
    """Their process ids, without what watches over the resources that they share."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_workers_end_when_their_parent_is_killed(site):
    """Else they would keep the port from the successor, and nobody would know of them."""
    with site.process("serve", "--workers", "2") as process:
        wait_until(lambda: health(process) == 200)
        workers = workers_of(process)
        assert len(workers) == 2
        async with People() as people:
            client = await people.connect(process, "alice")
            os.kill(process.pid, SIGKILL)
            try:
                await client.expect("disconnect", timeout=10, reason="RESTARTING")
                await asyncio.to_thread(wait_until, lambda: not process.is_ready())
                await asyncio.to_thread(wait_until, lambda: not any(map(runs, workers)))
            finally:
                for worker in filter(runs, workers):
                    os.kill(worker, SIGKILL)


async def test_nobody_listens_when_the_last_sockets_have_been_told(site):
    """Whoever comes while a socket does not answer its close is refused, and not left without an answer."""
    with site.process("serve", "--workers", "2") as process:
        wait_until(lambda: health(process) == 200)
        async with People() as people:
            client = await people.connect(process, "alice")
            client.connection.transport.pause_reading()
            workers = workers_of(process)
            process.signal(SIGTERM)
            wait_until(lambda: not process.is_ready())
            assert any(map(runs, workers))


async def test_a_signal_to_the_whole_group_stops_them_as_one_to_the_parent(site):
    with site.process("serve", "--workers", "2") as process, site.process():
        wait_until(lambda: health(process) == 200)
        async with People() as people:
            for _ in range(8):
                await people.connect(process, "alice")
            os.killpg(process.pid, SIGTERM)
            wait_until(lambda: health(process) != 200, 3)
            assert {await asyncio.to_thread(health, process) for _ in range(50)} == {503}
            assert await asyncio.to_thread(process.wait) == 0


async def test_a_stop_does_not_wait_until_all_have_been_replaced(site):
    with site.process("serve", "--workers", "3") as process:
        wait_until(lambda: health(process) == 200)
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(12)]
            process.signal(SIGHUP)
            told = [asyncio.ensure_future(client.expect("disconnect", timeout=60)) for client in clients]
            await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
            process.signal(SIGTERM)
            started = time.monotonic()
            assert await asyncio.to_thread(process.wait, 90) == 0
            assert time.monotonic() - started < 2 * WINDOW_SECONDS
            await asyncio.gather(*told)


async def test_a_hangup_stops_a_process_that_has_no_workers(site):
    with site.process() as process:
        async with People() as people:
            client = await people.connect(process, "alice")
            process.signal(SIGHUP)
            await client.expect("disconnect", reason="RESTARTING")
            assert await asyncio.to_thread(process.wait) == 0
