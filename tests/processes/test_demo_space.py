"""The demo in a real browser, on a real server: windows that chat, and networks, servers and logins that end."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from secrets import token_hex
from typing import Any

import jwt
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.clients.browser import open_page
from tests.clients.people import People
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import ROOT, Site, SiteProcess, find_binary
from tests.sites.tcp_proxy import Proxy

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="module"),
]
expect.set_options(timeout=1000 * PATIENCE_SECONDS)

FIRST_VIEW_BYTES = 100 * 1024
AXE = ROOT / "client/node_modules/axe-core/axe.min.js"
# Less than for what the page renews a token before it opens a socket.
EXPIRING_SECONDS = 115
# Playwright switches it off by default.
BACK_FORWARD_CACHE = "--disable-back-forward-cache"
HOSTILE = "<img src=x onerror=alert(1)> javascript:alert(1) https://example.com/?q=<b>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = find_binary("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], ignore_default_args=[BACK_FORWARD_CACHE]
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def process(new_database) -> Iterator[SiteProcess]:
    site = Site(SQLITE_PATH=new_database(), DEBUG="1", DEMO="1", DEMO_TRAFFIC="0")
    site.configure(AUTH_EXPIRING_SECONDS=EXPIRING_SECONDS)
    with site.process() as process:
        yield process


class Windows:
    """Windows of visitors, each in a browser of its own or `beside` another one. What scripts raise fails the test."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self.address = address
        self._errors: list[str] = []

    async def open(
        self, name: str, *, address: str = "", beside: Page | None = None, locale: str = "en", **view: Any
    ) -> Page:
        """A window of this person whose socket is open and whose messages are there."""
        context = beside.context if beside else await self._browser.new_context(locale=locale, **view)
        context.set_default_timeout(1000 * PATIENCE_SECONDS)
        page = await context.new_page()
        page.on("pageerror", lambda error: self._errors.append(str(error)))
        page.on("console", lambda line: self._errors.append(line.text) if "Content Security" in line.text else None)
        await page.goto(f"http://{address or self.address}/?as={name}")
        await expect(page.locator("#my-name")).to_have_text(name)
        await expect(page.locator("#pill")).to_have_attribute("data-status", "online")
        await expect(page.locator("#rooms button").first).to_be_attached()
        return page

    async def close(self) -> None:
        for context in self._browser.contexts:
            await context.close()
        assert self._errors == []


@pytest_asyncio.fixture(loop_scope="module")
async def windows(browser: Browser, process: SiteProcess) -> AsyncIterator[Windows]:
    windows = Windows(browser, process.address)
    yield windows
    await windows.close()


async def say(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.press("#text", "Enter")


async def texts(page: Page, count: int) -> list[str]:
    """The newest messages of the room that is shown, and of those that are mine only if they are stored."""
    found = await page.eval_on_selector_all(
        ".message:is(:not(.mine), [data-status=stored]) .text", "(all) => all.map((one) => one.textContent)"
    )
    return found[-count:]


async def expect_texts(page: Page, wanted: list[str]) -> None:
    """Wait until these are the newest messages, each once and in this order."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await expect(page.locator(".message .text", has_text=wanted[-1])).to_be_visible()
    assert await texts(page, len(wanted)) == wanted


def status(page: Page, name: str) -> Any:
    return page.locator(f"#people [data-username={name}]")


async def talk(people: People, process: SiteProcess, lines: list[str]) -> None:
    """Bob, who has no browser, says these lines in the room."""
    bob = await people.connect(process, "bob")
    for line in lines:
        answer = await bob.ask("message", id=token_hex(8), room_id="general", message=line)
        assert answer["type"] == "ack", answer


def lines(word: str, count: int) -> list[str]:
    return [f"{word} {number}" for number in range(count)]


async def test_two_people_meet(windows: Windows) -> None:
    """They come, are seen typing, talk, and go."""
    alice = await windows.open("alice")
    await expect(status(alice, "bob")).to_have_attribute("data-status", "offline")
    bob = await windows.open("bob")
    await expect(status(alice, "bob")).to_have_attribute("data-status", "online")
    await expect(alice.locator("#online-count")).to_have_text("2 online")
    await bob.fill("#text", "Hel")
    await expect(alice.locator("#typing")).to_have_text("bob is typing…")
    await say(bob, "Hello, alice!")
    await expect(alice.locator(".message .text").last).to_have_text("Hello, alice!")
    await expect(alice.locator("#typing")).to_have_text("")
    await say(alice, "Hello, bob!")
    await expect(alice.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Stored")
    await bob.click("#rooms button >> text=Team")
    await say(bob, "Only for us.")
    await expect(alice.locator("#rooms li", has_text="Team").locator(".badge")).to_have_text("1")
    await alice.click("#rooms button >> text=Team")
    await expect(alice.locator("#rooms li", has_text="Team").locator(".badge")).to_be_empty()
    await bob.close()
    await expect(status(alice, "bob")).to_have_attribute("data-status", "offline")


async def test_two_tabs_are_one_person(windows: Windows) -> None:
    alice = await windows.open("alice")
    bob = await windows.open("bob")
    tab = await windows.open("bob", beside=bob)
    await expect(alice.locator("#online-count")).to_have_text("2 online")
    await say(tab, "From the other tab")
    await expect(bob.locator(".message.mine .text").last).to_have_text("From the other tab")
    await bob.close()
    await say(tab, "Still here")
    await expect(alice.locator(".message .text").last).to_have_text("Still here")
    await expect(status(alice, "bob")).to_have_attribute("data-status", "online")


@contextlib.asynccontextmanager
async def switch(page: Page, proxy: Proxy) -> AsyncIterator[None]:
    await page.check("#cut")
    yield
    await page.uncheck("#cut")


@contextlib.asynccontextmanager
async def silence(page: Page, proxy: Proxy) -> AsyncIterator[None]:
    await proxy.fall_silent()
    yield


@contextlib.asynccontextmanager
async def offline(page: Page, proxy: Proxy) -> AsyncIterator[None]:
    await page.context.set_offline(True)
    await proxy.fall_silent()
    await expect(page.locator("#pill")).to_have_text("No network")
    yield
    await page.context.set_offline(False)


@pytest.mark.parametrize("cut", [switch, silence, offline])
async def test_nothing_is_missing_after_the_network_was_cut(windows: Windows, process: SiteProcess, cut: Any) -> None:
    async with Proxy(process.port) as proxy, People() as people:
        alice = await windows.open("alice", address=f"127.0.0.1:{proxy.port}")
        await talk(people, process, [f"{cut.__name__} before"])
        await expect(alice.locator(".message .text").last).to_have_text(f"{cut.__name__} before")
        async with cut(alice, proxy):
            await talk(people, process, lines(cut.__name__, 37))
            await say(alice, f"{cut.__name__} mine")
            await expect(alice.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Sending")
        if cut is not silence:
            await expect(alice.locator("#missed")).to_have_text("While you were away: 37 messages")
        await expect(alice.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Stored")
        wanted = [f"{cut.__name__} before", *lines(cut.__name__, 37), f"{cut.__name__} mine"]
        await expect_texts(alice, wanted)


async def test_nothing_is_missing_after_the_server_was_killed(windows: Windows, process: SiteProcess) -> None:
    alice, bob = await windows.open("alice"), await windows.open("bob")
    process.kill()
    await say(alice, "one")
    await say(alice, "two")
    await expect(alice.locator("#pill")).to_have_attribute("data-status", "waiting")
    await expect(alice.locator("#pill")).to_contain_text("again in")
    process.start()
    process.wait_ready()
    await alice.click("#pill")
    await bob.click("#pill")
    await say(bob, "three")
    for page in (alice, bob):
        for text in ("one", "two", "three"):
            await expect(page.get_by_text(text, exact=True)).to_be_visible()
        await expect(page.locator(".message[data-status=sending]")).to_have_count(0)
    assert sorted(await texts(alice, 3)) == ["one", "three", "two"]
    assert await texts(alice, 3) == await texts(bob, 3)


async def test_the_admin_in_a_third_window_reaches_both(windows: Windows) -> None:
    alice, bob = await windows.open("alice"), await windows.open("bob")
    async with alice.context.expect_page() as opening:
        await alice.click("#live button >> text=Open the admin")
    admin = await opening.value
    await expect(admin).to_have_title("Site administration | Django site admin")
    await admin.goto(f"http://{windows.address}/admin/orders/order/")
    row = admin.locator("tr", has_text="A-18")
    await row.locator("select").select_option("sent")
    await admin.click("[name=_save]")
    toast = alice.locator(".toast")
    await expect(toast).to_contain_text("The order is now: sent")
    await toast.hover()
    await expect(toast).to_have_css("animation-play-state", "paused")
    await expect(alice.locator("#orders li", has_text="A-18").locator(".state")).to_have_text("sent")
    await expect(alice).to_have_title("(1) Realtime")
    await expect(bob.locator("#unread")).to_be_empty()
    # The window is still alice's, though the browser has the admin's cookie.
    await say(alice, "It has been sent")
    await expect(bob.locator(".message .author").last).to_have_text("alice")


async def test_the_inbox_by_its_keys(windows: Windows) -> None:
    carol = await windows.open("carol")
    for step in ("paid", "sent", "delivered"):
        await carol.locator("#orders button").first.click()
        await expect(carol.locator("#orders .state").first).to_have_text(step)
    await carol.click("#bell")
    items = carol.locator("#items > li")
    await expect(items).to_have_count(3)
    await carol.keyboard.press("j")
    await carol.keyboard.press("e")
    await expect(items).to_have_count(2)
    await carol.keyboard.press("z")
    await expect(items).to_have_count(3)
    await carol.keyboard.press("u")
    await expect(carol.locator("#unread")).to_have_text("2")
    await carol.keyboard.press("h")
    await expect(items).to_have_count(2)
    await carol.locator("#inbox .tabs span", has_text="Snoozed").click()
    await expect(items).to_have_count(1)
    await items.locator("[data-act=why]").click()
    await expect(items.locator(".why")).to_contain_text("Here: ")
    await carol.keyboard.press("?")
    await expect(carol.locator("#keys")).to_be_visible()
    await carol.keyboard.press("Escape")
    await carol.keyboard.press("Escape")
    await expect(carol.locator("#inbox")).to_be_hidden()


def ending_in(process: SiteProcess, token: str, seconds: float) -> str:
    """The same access token, with another end."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**claims, "exp": int(time.time() + seconds)}, process.site.env["SECRET_KEY"], "HS256")


async def test_a_login_outlives_its_tokens(windows: Windows, process: SiteProcess) -> None:
    """A token that has expired is renewed before a socket is opened, and one that expires soon on the open socket."""
    alice = await windows.open("alice")
    login = json.loads(await alice.evaluate("sessionStorage.login"))
    for seconds in (-60, EXPIRING_SECONDS + 8):
        token = ending_in(process, login["access"], seconds)
        await alice.evaluate("(text) => sessionStorage.setItem('login', text)", json.dumps({**login, "access": token}))
        await alice.reload()
        await alice.wait_for_function("(token) => JSON.parse(sessionStorage.login).access !== token", arg=token)
        await expect(alice.locator("#rooms button").first).to_be_attached()
        await say(alice, f"Renewed after {seconds}")
        await expect(alice.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Stored")


async def test_the_way_back_shows_what_was_said_meanwhile_and_a_new_window_loads_it_on_scrolling(
    windows: Windows, process: SiteProcess
) -> None:
    alice = await windows.open("alice")
    await alice.evaluate("addEventListener('pageshow', ({ persisted }) => { window.wasKept = persisted; })")
    await alice.goto(f"http://{windows.address}/health/live")
    async with People() as people:
        await talk(people, process, lines("meanwhile", 60))
    await alice.evaluate("history.back()")
    await expect(alice.locator("#pill")).to_have_attribute("data-status", "online")
    await expect_texts(alice, lines("meanwhile", 60))
    assert await alice.evaluate("window.wasKept") is True
    carol = await windows.open("carol")
    await expect(carol.get_by_text("meanwhile 59", exact=True)).to_be_visible()
    await expect(carol.get_by_text("meanwhile 0", exact=True)).to_have_count(0)
    await carol.evaluate("document.getElementById('scroller').scrollTop = 0")
    await expect(carol.get_by_text("meanwhile 0", exact=True)).to_have_count(1)


async def test_hostile_texts_stay_texts(windows: Windows, process: SiteProcess) -> None:
    process.site.run(
        "from django.contrib.auth.models import User; from notifications import notify;"
        "from notifications.models import Notification; alice = User.objects.get(username='alice');"
        "notify(alice, 'mention', data={}, actor=User.objects.get(username='bob'), dedupe_key='x');"
        "Notification.objects.filter(recipient=alice).update(link='javascript:alert(1)')"
    )
    alice, bob = await windows.open("alice"), await windows.open("bob")
    for page in (alice, bob):
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    await say(bob, HOSTILE)
    message = alice.locator(".message .text").last
    await expect(message).to_have_text(HOSTILE)
    links = message.locator("a")
    await expect(links).to_have_count(1)
    assert await links.get_attribute("href") == "https://example.com/?q="
    assert await alice.locator("#messages img").count() == 0
    await alice.click("#bell")
    await expect(alice.locator("#items > li").first).to_be_visible()
    await expect(alice.locator("[data-act=open]:not([hidden])")).to_have_count(0)


async def test_the_first_view_is_small(browser: Browser, process: SiteProcess) -> None:
    async with open_page(browser) as page:
        await page.goto(f"http://{process.address}/", wait_until="networkidle")
        await expect(page.locator("#sign-in button").first).to_be_enabled()
        sizes = await page.evaluate(
            "Object.fromEntries([...performance.getEntriesByType('navigation'),"
            " ...performance.getEntriesByType('resource')].map((entry) => [entry.name, entry.transferSize]))"
        )
    assert sizes
    assert sum(sizes.values()) < FIRST_VIEW_BYTES, sizes


def read_axe() -> str:
    """The script that looks for barriers. `make client` installs it."""
    if not AXE.exists():
        pytest.fail(f"{AXE} is missing") if os.environ.get("CI") == "true" else pytest.skip("axe-core is not installed")
    return AXE.read_text()


@pytest.mark.parametrize("view", [{"width": 1280, "height": 800}, {"width": 390, "height": 844}], ids=["desk", "phone"])
async def test_it_is_still_and_accessible(windows: Windows, view: Any) -> None:
    """Nothing moves while the page is made, and axe finds nothing serious."""
    page = await windows.open("alice", viewport=view, color_scheme="dark", locale="zh-CN")
    moved = await page.evaluate(
        """new Promise((resolve) => new PerformanceObserver((list) => resolve(
            list.getEntries().reduce((sum, entry) => sum + entry.value, 0)
        )).observe({ type: "layout-shift", buffered: true }) || setTimeout(() => resolve(0)))"""
    )
    assert moved < 0.02
    await page.click("#bell")
    await expect(page.locator("#inbox")).to_be_visible()
    await page.evaluate(read_axe())
    report = await page.evaluate("axe.run()")
    serious = [one for one in report["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious, [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious]
