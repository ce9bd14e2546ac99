"""The client of README in a real browser, on a real server: it comes back, renews its token, and loses nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from bench.readme import README
from tests.clients.browser import add_script, expect_frame, open_browser, open_page
from tests.clients.people import People
from tests.sites.processes import Site, SiteProcess
from tests.sites.tcp_proxy import Proxy

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="module"),
]

HEARTBEAT_SECONDS = 600  # so that no heartbeat comes in the middle of a test
EXPIRING_SECONDS = 1_000  # less than the 30 minutes for which the project's tokens last


def example(name: str) -> str:
    return README.read_text().split(f"<!-- example:{name} -->\n```js\n")[1].split("```")[0]


CLIENT = example("client")
HARNESS = """
import { connect } from "./realtime.js";
window.frames = [];
window.start = (options) => { window.client = connect((frame) => frames.push(frame), options); };
"""
PAGE = f"""
const login = await new Promise((resolve) => {{ window.start = resolve; }});
{example("page")}
window.client = client;
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with open_page(browser) as page:
        yield page


@pytest.fixture(scope="module")
def process(new_database) -> Iterator[SiteProcess]:
    site = Site(SQLITE_PATH=new_database())
    site.configure(HEARTBEAT_SECONDS=HEARTBEAT_SECONDS, AUTH_EXPIRING_SECONDS=EXPIRING_SECONDS)
    with site.process() as process:
        yield process


async def open_client(page: Page, address: str, code: str = HARNESS) -> None:
    await add_script(page, address, code, realtime=CLIENT)
    await page.wait_for_function("() => Boolean(window.start)")


async def start(page: Page, address: str, login: dict[str, str] | None = None) -> dict[str, Any]:
    """Open the client's socket. Returns the greeting."""
    await open_client(page, address)
    await page.evaluate("(options) => start(options)", {"login": login} if login else {})
    return await expect_frame(page, "connected")


async def send(page: Page, **command: Any) -> str:
    return str(await page.evaluate("(command) => client.send(command)", command))


async def join(page: Page) -> None:
    await send(page, type="join", room_id="general")
    await expect_frame(page, "joined")


async def say(page: Page, text: str) -> None:
    await send(page, type="message", room_id="general", message=text)


async def heard(page: Page) -> list[str]:
    """The messages that the page has got, in their order."""
    texts: list[str] = await page.evaluate(
        "frames.filter(({ type }) => type === 'chat').map(({ data }) => data.message)"
    )
    return texts


async def wait_for_answers(page: Page) -> None:
    await page.wait_for_function("client.waiting.size === 0")


def said(process: SiteProcess, token: str, count: int) -> list[str]:
    """The last messages of the room, as they are stored."""
    page = process.rest("GET", f"/rooms/general/messages?limit={count}", token)
    return [message["message"] for message in reversed(page["messages"])]


def ending_in(process: SiteProcess, token: str, seconds: float) -> str:
    """The same access token, with another end."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**claims, "exp": int(time.time() + seconds)}, process.site.env["SECRET_KEY"], "HS256")


async def test_the_page_of_readme_talks(page, process):
    await open_client(page, process.address, PAGE)
    async with page.expect_console_message(lambda message: message.text == "alice: Hello!"):
        await page.evaluate("(login) => start(login)", process.log_in("alice"))
    await page.wait_for_function("window.client?.waiting.size === 0")


async def test_it_renews_its_token_before_that_expires(page, process):
    login = process.log_in("alice")
    greeting = await start(page, process.address, {**login, "access": ending_in(process, login["access"], 900)})
    await page.wait_for_function("frames.some(({ type, expires_at }) => type === 'ack' && expires_at)")
    (renewed,) = await page.evaluate("frames.filter(({ expires_at }) => expires_at)")
    assert renewed["expires_at"] > greeting["data"]["expires_at"]
    await join(page)


async def test_it_renews_a_token_that_has_expired(page, process):
    login = process.log_in("alice")
    await start(page, process.address, {**login, "access": ending_in(process, login["access"], -60)})
    await join(page)


async def test_it_says_when_the_login_has_ended(page, process):
    """And not before: a socket that ends with its token comes back with another one."""
    login = process.log_in("alice")
    await start(page, process.address, login)
    process.rest("POST", "/auth/logout", refresh=login["refresh"])
    assert (await expect_frame(page, "disconnect"))["code"] == 4401


async def test_what_is_written_while_the_server_is_away_is_stored_once(page, process):
    await page.clock.install()
    login = process.log_in("alice")
    await start(page, process.address, login)
    await join(page)
    await say(page, "before")
    await expect_frame(page, "chat", message="before")
    process.kill()
    for text in ("one", "two", "three"):
        await say(page, text)
    assert await page.evaluate("client.waiting.size") == 3
    process.start()
    process.wait_ready()
    await come_back(page)
    await wait_for_answers(page)
    token = process.log_in("alice")["access"]
    assert said(process, token, 4) == ["before", "one", "two", "three"]
    await expect_frame(page, "chat", message="three")
    assert (await heard(page))[-4:] == ["before", "one", "two", "three"]


async def come_back(page: Page) -> None:
    """Let the time pass until the next attempts, which are up to ten seconds apart."""
    count = "frames.filter(({ type }) => type === 'connected').length"
    before = await page.evaluate(count)
    while await page.evaluate(count) == before:
        await page.clock.run_for(1_000)
        await asyncio.sleep(0.05)


async def test_it_notices_a_connection_that_is_dead(page, process):
    """Nobody closes it, nothing arrives on it; both sides write meanwhile."""
    await page.clock.install()
    await page.goto(f"http://{process.address}/admin/login/")
    for field, value in {"username": "admin", "password": "demo"}.items():
        await page.fill(f"#id_{field}", value)
    await page.click("[type=submit]")
    async with Proxy(process.port) as proxy, People() as people:
        await start(page, f"127.0.0.1:{proxy.port}")  # with the session's cookie
        await join(page)
        await proxy.fall_silent()
        bob = await people.connect(process, "bob", "general")
        await bob.send({"type": "message", "room_id": "general", "message": "Are you there?", "id": "1"})
        await bob.expect("ack")
        await say(page, "Can you hear me?")
        await page.clock.fast_forward(1000 * (2 * HEARTBEAT_SECONDS + 1))
        await come_back(page)
        await wait_for_answers(page)
        await expect_frame(page, "chat", message="Can you hear me?")
        assert (await heard(page))[-2:] == ["Are you there?", "Can you hear me?"]
        await bob.expect("chat", message="Can you hear me?")


async def test_it_stays_closed_when_the_page_closes_it(page, process):
    await page.clock.install()
    await start(page, process.address, process.log_in("alice"))
    await page.evaluate("client.close()")
    await expect_frame(page, "disconnect", code=1000)
    await page.clock.run_for(60_000)
    assert await page.evaluate("frames.filter(({ type }) => type === 'connected').length") == 1
