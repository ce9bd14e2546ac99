"""How several workers start and stop when not all goes by the book: a broken site, bad moments, a killed parent."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM

import pytest
from uvicorn.config import STARTUP_FAILURE

from realtime.storage.tasks import end_tasks
from tests.clients.people import People
from tests.processes.test_develop import SmallProcess
from tests.processes.test_stop import ENDLESS_SECONDS, among_themselves
from tests.sites.processes import Redis, Site, health, wait_until
from tests.sites.workers import connect_to_each_worker, wait_for_leases, workers_of

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]


@pytest.fixture(scope="module")
def site_with_redis(new_database) -> Iterator[Site]:
    with Redis() as redis:
        site = Site(redis_url=redis.url, SQLITE_PATH=new_database())
        site.configure(RESTART_WINDOW_SECONDS=ENDLESS_SECONDS)
        yield site


@pytest.fixture
def site(site_with_redis) -> Site:
    return among_themselves(site_with_redis)


def runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_workers_end_when_their_parent_is_killed(site):
    """Else they would keep the port from the successor, and nobody would know of them."""
    with site.process("serve", "--workers", "2") as process:
        wait_for_leases(site, 2)
        workers = workers_of(process)
        assert len(workers) == 2
        async with People() as people:
            client = await people.connect(process, "alice")
            os.kill(process.pid, SIGKILL)
            try:
                await client.expect("disconnect", reason="RESTARTING")
                await asyncio.to_thread(wait_until, lambda: not process.is_ready())
                await asyncio.to_thread(wait_until, lambda: not any(map(runs, workers)))
            finally:
                for worker in filter(runs, workers):
                    os.kill(worker, SIGKILL)


async def test_nobody_listens_when_the_last_sockets_have_been_closed(site):
    """Whoever comes while a socket does not answer its close is refused, and not left without an answer."""
    with site.varied({"realtime.server.peer.CLOSE_SECONDS": 600.0}).process("serve", "--workers", "2") as process:
        wait_until(lambda: health(process) == 200)
        async with People() as people:
            client = await people.connect(process, "alice")
            client.connection.transport.pause_reading()
            workers = workers_of(process)
            process.signal(SIGTERM)
            wait_until(lambda: not process.is_ready())
            wait_until(lambda: "Waiting for connections to close" in process.log.read_text())
            assert any(map(runs, workers))
            client.connection.transport.resume_reading()


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["one process", "workers"])
def test_a_site_that_cannot_be_loaded_ends(tmp_path, options):
    process = SmallProcess(tmp_path, *options)
    process.change("mysite/asgi.py", "http = ", "http = broken + ")
    process.start()
    assert process.wait() == STARTUP_FAILURE
    log = process.log.read_text()
    process.log.unlink()
    assert "The application cannot be loaded" in log
    assert "NameError: name 'broken' is not defined" in log


DJANGO_ALONE = """
from django.core.asgi import get_asgi_application
application = get_asgi_application()
"""
CHANNELS_ALONE = """
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
http = get_asgi_application()
from realtime.routing import websocket_urlpatterns
application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns)})
"""


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["one process", "workers"])
@pytest.mark.parametrize("code", [DJANGO_ALONE, CHANNELS_ALONE], ids=["Django's", "Channels'"])
def test_an_application_that_is_not_ours_is_named(tmp_path, code, options):
    """`asgi.py` was left as it was, or has the site's own router: the log had a traceback of uvicorn's."""
    process = SmallProcess(tmp_path, *options)
    (process.directory / "mysite/asgi.py").write_text(code)
    process.start()
    assert process.wait() == STARTUP_FAILURE
    log = process.log.read_text()
    process.log.unlink()
    assert "ASGI_APPLICATION (mysite.asgi:application) serves no sockets" in log
    assert "Traceback" not in log


def test_workers_that_serve_go_on_when_the_site_is_broken(tmp_path):
    """Its files are being replaced when one of the workers dies."""
    with SmallProcess(tmp_path, "--workers", "2", AGAIN_SECONDS=0.5) as process:
        process.wait_for("say", "first")
        wait_until(lambda: process.log.read_text().count("Application startup complete") == 2)
        other, dying = workers_of(process)
        process.change("mysite/asgi.py", "http = ", "http = broken + ")
        os.kill(dying, SIGKILL)
        process.wait_for_log("The application cannot be loaded")
        wait_until(lambda: process.log.read_text().count("It is tried again every 0.5 s") >= 2)
        assert process.text("say") == "first"
        process.change("mysite/asgi.py", "http = broken + ", "http = ")
        wait_until(lambda: process.log.read_text().count("Application startup complete") == 3)
        assert other in workers_of(process)
        assert process.stop() == 0


async def test_a_signal_to_the_whole_group_stops_them_as_one_to_the_parent(site):
    """Each worker knows of it from then on: none takes anybody in any more, and the sockets go in their turn."""
    with site.process("serve", "--workers", "2") as process, site.process():
        wait_for_leases(site, 3)
        async with People() as people:
            await connect_to_each_worker(people, process)
            os.killpg(process.pid, SIGTERM)
            assert {await asyncio.to_thread(health, process) for _ in range(50)} == {503}
        assert await asyncio.to_thread(process.wait) == 0


async def test_a_stop_does_not_wait_until_all_have_been_replaced(site):
    """The first one to be replaced has closed one of its sockets, and would close the last one long afterwards."""
    with site.process("serve", "--workers", "3") as process:
        wait_for_leases(site, 3)
        async with People() as people:
            clients = await connect_to_each_worker(people, process)
            process.signal(SIGHUP)
            goodbyes = [asyncio.ensure_future(client.expect("disconnect")) for client in clients]
            await asyncio.wait(goodbyes, return_when=asyncio.FIRST_COMPLETED)
            process.signal(SIGTERM)
            await end_tasks(goodbyes)
        assert await asyncio.to_thread(process.wait) == 0
        assert process.log.read_text().count("Started server process") == 3 + 1


async def test_a_hangup_stops_a_process_that_has_no_workers(site):
    with site.process() as process:
        async with People() as people:
            client = await people.connect(process, "alice")
            process.signal(SIGHUP)
            await client.expect("disconnect", reason="RESTARTING")
            assert await asyncio.to_thread(process.wait) == 0
