"""The browser library in a real browser, on a real server: it comes back, renews its token, and loses nothing.

So do the examples of docs/frontend.md, and clients that somebody has written without the library.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.clients import hand_written
from tests.clients.browser import add_script, open_page
from tests.clients.bundles import BUILT, bundle
from tests.clients.people import People
from tests.sites.processes import ROOT, Site, SiteProcess
from tests.sites.tcp_proxy import Proxy

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

HEARTBEAT_SECONDS = 600  # so that nobody is taken for dead in the middle of a test
EXPIRING_SECONDS = 1_000  # less than the 30 minutes for which the project's tokens last
# A page with a client whose credentials are `tokens`, one after the other, or else the session.
HARNESS = """
import { createRealtime, Unauthorized } from "./realtime.js";
window.states = [];
window.greetings = [];
window.start = (tokens) => {
  const credential = () => {
    if (tokens.length === 0) throw new Unauthorized();
    return tokens.shift();
  };
  window.tokens = tokens;
  window.client = createRealtime(tokens ? { credential } : {});
  window.room = client.room("general");
  client.on("connected", (frame) => greetings.push(frame));
  client.onState((state) => states.push(state));
  client.connect();
};
window.say = (text) => void room.send(text).catch(() => {});
window.texts = (wanted = "stored") =>
  room.messages.filter(({ status }) => status === wanted).map(({ text }) => text);
"""

EXAMPLES = dict(re.findall(r"<!-- ([\w.]+) -->\n```\w+\n(.*?)```", (ROOT / "docs" / "frontend.md").read_text(), re.S))
# What the items of a list have said since.
NOTE_ITEMS = """() => {
    window.noted = new Set();
    const note = () => document.querySelectorAll("li").forEach((item) => noted.add(item.textContent.trim()));
    new MutationObserver(note).observe(document, { subtree: true, childList: true, characterData: true });
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    # The start page, to which the tests add scripts, allows none that are written in it.
    async with open_page(browser, bypass_csp=True) as page:
        yield page


@pytest.fixture(scope="module")
def process(new_database) -> Iterator[SiteProcess]:
    site = Site(SQLITE_PATH=new_database())
    site.configure(HEARTBEAT_SECONDS=HEARTBEAT_SECONDS, AUTH_EXPIRING_SECONDS=EXPIRING_SECONDS)
    with site.process() as process:
        yield process


async def start(page: Page, address: str, *tokens: str) -> None:
    """Open the page's client, with these tokens or with the session."""
    await add_script(page, address, HARNESS, realtime=(BUILT / "realtime.js").read_text())
    await page.wait_for_function("() => Boolean(window.start)")
    await page.evaluate("(tokens) => start(tokens)", list(tokens) or None)
    await wait_for_status(page, "online")


async def wait_for_status(page: Page, status: str) -> None:
    await page.wait_for_function("(status) => client.state.status === status", arg=status)


async def join(page: Page) -> None:
    await page.evaluate("void room.join()")
    await page.wait_for_function("room.getSnapshot().status === 'joined'")


async def say(page: Page, *texts: str) -> None:
    for text in texts:
        await page.evaluate("(text) => say(text)", text)


async def texts(page: Page, status: str = "stored") -> list[str]:
    """The messages that the page shows, in their order."""
    shown: list[str] = await page.evaluate("(status) => texts(status)", status)
    return shown


async def wait_for_text(page: Page, text: str) -> None:
    await page.wait_for_function("(text) => texts().includes(text)", arg=text)


def said(process: SiteProcess, count: int) -> list[str]:
    """The last messages of the room, as they are stored."""
    token = process.log_in("alice")["access"]
    history: dict[str, Any] = process.rest("GET", f"/rooms/general/messages?limit={count}", token)
    return [message["message"] for message in reversed(history["messages"])]


def token_for(process: SiteProcess, seconds: float) -> str:
    """An access token of alice that ends after this time."""
    claims = jwt.decode(process.log_in("alice")["access"], options={"verify_signature": False})
    return jwt.encode({**claims, "exp": int(time.time() + seconds)}, process.site.env["SECRET_KEY"], "HS256")


async def come_back(page: Page) -> None:
    """Let the time pass until the second socket is open. Attempts are up to ten seconds apart."""
    while await page.evaluate("greetings.length") < 2:
        await page.clock.run_for(1_000)
        await asyncio.sleep(0.05)


async def test_it_renews_its_token_before_that_expires(page, process):
    """Without another socket."""
    await start(page, process.address, token_for(process, 900), token_for(process, 1_500))
    await page.wait_for_function("tokens.length === 0")
    await join(page)
    await say(page, "I am still here.")
    await wait_for_text(page, "I am still here.")
    assert await page.evaluate("greetings.length") == 1


async def test_it_renews_a_token_that_has_expired(page, process):
    await start(page, process.address, token_for(process, -60), token_for(process, 1_500))
    await join(page)


async def test_it_says_when_the_login_has_ended(page, process):
    login = process.log_in("alice")
    await start(page, process.address, login["access"])
    process.rest("POST", "/auth/logout", refresh=login["refresh"])
    await wait_for_status(page, "signedOut")
    assert await page.evaluate("client.user") is None


async def test_what_is_written_while_the_server_is_away_is_stored_once(page, process):
    await page.clock.install()
    await start(page, process.address, *[token_for(process, 1_500) for _ in range(2)])
    await page.evaluate("while (tokens.length < 50) tokens.push(tokens[0])")  # one for each attempt
    await join(page)
    await say(page, "before")
    await wait_for_text(page, "before")
    process.kill()
    await say(page, "one", "two", "three")
    assert await texts(page, "sending") == ["one", "two", "three"]
    process.start()
    process.wait_ready()
    await come_back(page)
    await wait_for_text(page, "three")
    assert (await texts(page))[-4:] == said(process, 4) == ["before", "one", "two", "three"]


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
        await wait_for_text(page, "Can you hear me?")
        assert (await texts(page))[-2:] == ["Are you there?", "Can you hear me?"]
        await bob.expect("chat", message="Can you hear me?")


async def test_it_stays_closed_when_the_page_closes_it(page, process):
    await page.clock.install()
    await start(page, process.address, token_for(process, 1_500))
    await page.evaluate("client.close()")
    await page.clock.run_for(60_000)
    assert await page.evaluate("[client.state.status, greetings.length]") == ["closed", 1]


@pytest.mark.parametrize("entry", ["main.jsx", "main.js"], ids=["React", "Vue"])
async def test_the_examples_talk(page, process, tmp_path, entry):
    """Where effects run twice, too: one socket, and each message once."""
    code = 'document.body.innerHTML = `<div id="app"></div>`;' + bundle(tmp_path, entry, EXAMPLES)
    sockets: list[Any] = []

    def note(socket: Any) -> None:
        sockets.append(socket)

    page.on("websocket", note)
    await add_script(page, process.address, code)
    await page.wait_for_selector("[role=status] >> text=/^1 online, \\d+ unread$/")
    async with People() as people:
        bob = await people.connect(process, "bob", "general")
        await page.wait_for_selector("text=/^2 online/")
        await page.fill("input", f"Hello from {entry}!")
        await bob.expect("typing", is_typing=True)
        await page.evaluate(NOTE_ITEMS)
        await page.press("input", "Enter")
        await bob.expect("chat", message=f"Hello from {entry}!")
        await bob.send({"type": "typing", "data": {"is_typing": True, "context": "general"}})
        await page.wait_for_selector("text=Somebody is typing")
    shown = page.locator("li", has_text=f"You: Hello from {entry}!")
    await shown.and_(page.locator("[data-status=stored]")).wait_for()
    assert await shown.count() == len(sockets) == 1
    # Also before it was stored, it was somebody's.
    noted = await page.evaluate("(text) => [...noted].filter((one) => one.includes(text))", f"Hello from {entry}!")
    assert noted == [f"You: Hello from {entry}!"]


async def test_clients_without_the_library(page, process, tmp_path):
    """They connect, get a pong for their ping of every 30 seconds, and count people who come and go."""
    await page.clock.install()
    await add_script(page, process.address, bundle(tmp_path, "page.js", hand_written.FILES))
    await page.wait_for_function("() => Boolean(window.start)")
    await page.evaluate("(token) => start(token)", process.log_in("alice")["access"])
    await show_each(page, r"connected, 1 online, \d+ pongs")
    async with People() as people:
        await people.connect(process, "bob")
        await show_each(page, r"connected, 2 online, \d+ pongs")
        await page.clock.run_for(30_000)
        await show_each(page, r"connected, 2 online, [1-9]\d* pongs")
    await show_each(page, r"connected, 1 online, [1-9]\d* pongs")


async def show_each(page: Page, pattern: str) -> None:
    for name in ("plain", "react", "vue"):
        await page.wait_for_selector(f"#{name} >> text=/^{pattern}$/")
