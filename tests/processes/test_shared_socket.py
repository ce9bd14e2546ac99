"""One socket for all tabs of a real browser, on a real server: in a SharedWorker, or in a tab that leads the others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from tests.clients.browser import WAIT_FOR_WORKERS
from tests.clients.people import People
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import Site, SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

TABS = 5
WORKER = "/static/realtime/realtime.worker.js"
# What each tab runs. A pause is short, so that nobody waits for it when the server is back.
CODE = """async ([worker, share]) => {
  const { createRealtime } = await import("/static/realtime/realtime.js");
  window.client = createRealtime({
    share, ...(worker && { worker }), limits: { firstPauseMs: 100, longestPauseMs: 100, graceMs: 600_000 },
  });
  window.heard = [];
  client.on("chat", ({ data }) => heard.push(data.message));
  window.room = client.room("general");
  window.leave = room.join();
  client.connect();
}"""


@pytest.fixture(scope="module")
def process(new_database) -> Iterator[SiteProcess]:
    site = Site(SQLITE_PATH=new_database())
    site.configure(HEARTBEAT_SECONDS=600 * 600)
    site.env["DEBUG"] = "1"  # static files as they are, without collecting them
    with site.process() as process:
        yield process


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, process: SiteProcess) -> AsyncIterator[BrowserContext]:
    async with log_in(browser, process) as context:
        yield context


@pytest_asyncio.fixture(loop_scope="session")
async def whole_context(whole_browser: Browser, process: SiteProcess) -> AsyncIterator[BrowserContext]:
    async with log_in(whole_browser, process) as context:
        yield context


@contextlib.asynccontextmanager
async def log_in(browser: Browser, process: SiteProcess) -> AsyncIterator[BrowserContext]:
    """A browser in which the admin is logged in."""
    context = await browser.new_context(bypass_csp=True)  # Playwright waits with `eval`
    context.set_default_timeout(1000 * PATIENCE_SECONDS)
    await context.add_init_script(WAIT_FOR_WORKERS)
    page = await context.new_page()
    await page.goto(f"http://{process.address}/admin/login/")
    for field, value in {"username": "admin", "password": "demo"}.items():
        await page.fill(f"#id_{field}", value)
    await page.click("[type=submit]")
    yield context
    await context.close()


async def open_tab(context: BrowserContext, process: SiteProcess, worker: str, share: bool = True) -> Page:
    page = await context.new_page()
    await page.goto(f"http://{process.address}/")
    await page.evaluate(CODE, [worker, share])
    return page


async def wait_joined(page: Page) -> None:
    await page.wait_for_function("client.state.status === 'online' && room.getSnapshot().status === 'joined'")


async def send(page: Page, text: str) -> None:
    await page.evaluate("async (text) => { await room.send(text); }", text)


async def wait_for(page: Page, text: str) -> None:
    await page.wait_for_function("(text) => room.messages.some((one) => one.text === text && one.id)", arg=text)


def sockets_of(process: SiteProcess, token: str, user: int) -> int:
    count: int = process.rest("GET", f"/status/{user}", token)["connections_count"]
    return count


async def wait_for_sockets(process: SiteProcess, token: str, user: int, count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sockets_of(process, token, user) != count:  # noqa: ASYNC110 - the server has no event for this
            await asyncio.sleep(0.05)


async def restart(process: SiteProcess, tabs: list[Page], text: str) -> None:
    """Kill the server, write something, and start it again. All of these tabs get it."""
    process.kill()
    await tabs[0].evaluate("(text) => void room.send(text)", text)
    process.start()
    process.wait_ready()
    for tab in tabs:
        await wait_for(tab, text)


@pytest.mark.parametrize(("worker", "transport"), [(WORKER, "worker"), ("", "leader")], ids=["worker", "leader"])
async def test_five_tabs_are_one_socket(context, process, worker, transport):
    """They chat, tabs die, the server is killed: each tab has everything, once."""
    token = process.log_in("bob")["access"]
    tabs = [await open_tab(context, process, worker) for _ in range(TABS)]
    for tab in tabs:
        await wait_joined(tab)
        assert await tab.evaluate("client.state.transport") == transport
    admin: int = await tabs[0].evaluate("client.user")
    assert sockets_of(process, token, admin) == 1

    await send(tabs[1], f"{transport}: from a tab")
    for tab in tabs:
        await wait_for(tab, f"{transport}: from a tab")
    assert await tabs[1].evaluate("room.messages.at(-1).mine") is True
    await tabs[2].evaluate("room.markRead()")
    await tabs[3].wait_for_function("room.unread === 0")

    # One tab leaves the room, and another one dies with the socket, if it has it. The others go on.
    await tabs[4].evaluate("leave()")
    await tabs.pop(0).close()
    await tabs[0].wait_for_function("client.state.status === 'online'")
    async with People() as people:
        bob = await people.connect(process, "bob", "general")
        await bob.send({"type": "message", "room_id": "general", "message": f"{transport}: after a death"})
        for tab in tabs[:3]:
            await wait_for(tab, f"{transport}: after a death")
    await wait_for_sockets(process, token, admin, 1)

    await restart(process, tabs[:3], f"{transport}: while it was away")
    for tab in tabs[:3]:
        heard = await tab.evaluate("heard")
        assert heard == [f"{transport}: {words}" for words in ("from a tab", "after a death", "while it was away")]
    assert sockets_of(process, token, admin) == 1

    # Logging out in one tab ends all.
    await context.request.post(f"http://{process.address}/api/v1/auth/logout", headers=await csrf(context))
    for tab in tabs:
        await tab.wait_for_function("client.state.status === 'signedOut'")
        assert await tab.evaluate("[client.user ?? null, room.messages.length]") == [None, 0]


@pytest.mark.parametrize(
    ("worker", "transport"), [(WORKER, "worker"), ("", "leader"), ("", "websocket")], ids=["worker", "leader", "own"]
)
async def test_a_page_on_the_way_back_goes_on_where_it_was(whole_context, process, worker, transport):
    page = await open_tab(whole_context, process, worker, share=transport != "websocket")
    await wait_joined(page)
    assert await page.evaluate("client.state.transport") == transport
    admin: int = await page.evaluate("client.user")
    await page.goto(f"http://{process.address}/admin/")
    await wait_for_sockets(process, process.log_in("bob")["access"], admin, 0)
    async with People() as people:
        bob = await people.connect(process, "bob", "general")
        await bob.send({"type": "message", "room_id": "general", "message": f"{transport}: meanwhile", "id": transport})
        await bob.expect("ack")
    await page.evaluate("setTimeout(() => history.back(), 0)")
    await page.wait_for_function("window.client?.state.status === 'online'")
    await wait_for(page, f"{transport}: meanwhile")
    assert await page.evaluate("heard.at(-1)") == f"{transport}: meanwhile"


async def csrf(context: BrowserContext) -> dict[str, Any]:
    (token,) = [cookie["value"] for cookie in await context.cookies() if cookie["name"] == "csrftoken"]
    return {"X-CSRFToken": token}
