"""The page "Live" of the admin on a site of two workers with Redis: by its topics, and in a real browser."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page

from realtime.presence import live
from tests.clients.browser import open_page
from tests.clients.people import People
from tests.sites.processes import Redis, Site, SiteProcess, health, wait_until
from tests.sites.tcp_proxy import Proxy
from tests.sites.workers import connect_to_each_worker, connections_of, wait_for_leases, workers_of

pytestmark = [
    pytest.mark.process,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

PAGE = "/admin/realtime/live/"


@pytest.fixture(scope="module")
def process(new_database) -> Iterator[SiteProcess]:
    with Redis() as redis:
        site = Site(redis_url=redis.url, SQLITE_PATH=new_database(), CONTENT_POLICY="default-src 'self'")
        with site.process("serve", "--workers", "2") as process:
            wait_for_leases(site, 2)
            wait_until(lambda: health(process) == 200)
            yield process


async def test_it_adds_up_what_is_in_all_processes(process):
    async with People() as people:
        sockets = await connect_to_each_worker(people, process)
        for socket in sockets:
            assert (await socket.ask("join", room_id="general"))["type"] == "joined"
        admin = await people.connect(process, "admin")
        for topic in (live.USERS, live.PROCESSES, live.ROOMS):
            assert (await admin.ask("subscribe", topic=topic))["type"] == "subscribed"
        held = {pid: count for pid, count in connections_of(process).items() if pid in workers_of(process)}

        def newest(topic: str):
            values = [frame["data"] for frame in admin.frames if frame.get("topic") == topic and "data" in frame]
            return values[-1] if values else None

        def is_complete() -> bool:
            users, processes, rooms = newest(live.USERS), newest(live.PROCESSES), newest(live.ROOMS)
            if not (users and processes and rooms):
                return False
            by_name = {user["username"]: user["sockets"] for user in users["users"]}
            by_pid = {one["pid"]: one["sockets"] for one in processes["processes"]}
            by_room = {room["room_id"]: room["sockets"] for room in rooms["rooms"]}
            return (by_name, by_pid, by_room) == (
                {"admin": 1, "alice": len(sockets)},
                held,
                {"general": len(sockets)},
            )

        await admin.until(is_complete)
        assert newest(live.PROCESSES)["sockets"] == len(sockets) + 1


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page. Fails if what it shows breaks the site's strict policy of what may be loaded."""
    broken: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text and "image/svg" not in message.text:  # the demo's icon
            broken.append(message.text)

    async with open_page(browser) as page:
        page.on("console", note)
        yield page
    assert broken == []


async def log_in(page: Page, port: int) -> None:
    await page.goto(f"http://127.0.0.1:{port}/admin/login/?next={PAGE}")
    await page.fill("#id_username", "admin")
    await page.fill("#id_password", "demo")
    await page.click("[type=submit]")


@pytest.mark.browser
async def test_it_shows_who_comes_and_goes_and_disconnects_them(process, page):
    is_live = page.locator("[role=status]", has_text="This page updates itself.")
    row, room = page.locator("tr[data-key]", has_text="bob"), page.locator("tr[data-key=general]")
    network = Proxy(process.port)
    async with network, People() as people:
        await log_in(page, network.port)
        await is_live.wait_for()
        assert await row.count() == 0
        bob = await people.connect(process, "bob", "general")
        await row.get_by_text("online").wait_for()
        await room.wait_for()
        await bob.close()
        await row.wait_for(state="detached")
        await room.wait_for(state="detached")
        bob = await people.connect(process, "bob")
        await row.get_by_text("Disconnect…").click()
        await page.get_by_role("button", name="Disconnect").click()
        await page.get_by_text("All sockets of bob were closed.").wait_for()
        assert await bob.ending() == (4403, "KICKED")
        await is_live.wait_for()
        await row.wait_for(state="detached")
    # It says when it is not connected, and comes back at once when the network does.
    await page.locator(".live-old").get_by_text("Not connected").wait_for()
    async with network:
        await page.evaluate("dispatchEvent(new Event('online'))")
        await is_live.wait_for()
        assert await page.locator(".live-old").count() == 0
