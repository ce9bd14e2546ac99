"""Windows of the demo's visitors in a real browser, and what a test does and sees in them."""

import asyncio
from secrets import token_hex
from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from tests.clients.people import People
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import SiteProcess

# `looks` says whether somebody sees the page. A page's policy forbids Playwright to wait for a condition.
WATCH_NEWS = """() => {
    Object.assign(window, { looks: "visible", seen: [] });
    Object.defineProperty(document, "visibilityState", { get: () => looks });
    const note = (toast) => seen.push(["toast", toast.querySelector("b").textContent]);
    const read = (changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach(note));
    new MutationObserver(read).observe(document.querySelector("#toasts"), { childList: true });
    window.Notification = class extends Notification {
        constructor(title, options) {
            super(title, options);
            seen.push(["desktop", title]);
        }
    };
}"""
# Before its scripts run, the page is one that has not been asked yet. What it answers is what the browser does.
LET_ASK = """{
    const answer = Notification.permission;
    let asked = false;
    Object.defineProperty(Notification, "permission", { get: () => (asked ? answer : "default") });
    Notification.requestPermission = async () => ((asked = true), answer);
}"""
# The server gets a character that it refuses, once for each message with this text.
SPOIL = """(text) => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (frame) {
        if (!frame.includes(text)) return send.call(this, frame);
        WebSocket.prototype.send = send;
        send.call(this, frame.replace(text, "\\\\u0000"));
    };
}"""
# A toast goes after six seconds. A busy machine may look for it later.
KEEP_TOASTS = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(".toast { animation-duration: 160ms, 3600s; }");
    document.adoptedStyleSheets.push(sheet);
}"""
LOADED = "#messages .message, #nothing:not([hidden])"
READ_NEWS = """(count) => new Promise((resolve) => {
    const look = () => (seen.length >= count ? resolve(seen) : setTimeout(look, 20));
    look();
})"""

expect.set_options(timeout=1000 * PATIENCE_SECONDS)


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
        self.watch(page)
        await page.goto(f"http://{address or self.address}/?as={name}")
        await expect_entered(page, name)
        return page

    async def follow(self, link: Locator, name: str) -> Page:
        """The window of this person that a link of another window opens."""
        async with link.page.expect_popup() as opening:
            await link.click()
        page = await opening.value
        self.watch(page)
        await expect_entered(page, name)
        return page

    def watch(self, page: Page) -> None:
        """What scripts of this page raise fails the test."""
        page.on("pageerror", lambda error: self._errors.append(str(error)))
        page.on("console", lambda line: self._errors.append(line.text) if "Content Security" in line.text else None)

    async def close(self) -> None:
        for context in self._browser.contexts:
            await context.close()
        assert self._errors == []


async def expect_entered(page: Page, name: str) -> None:
    await expect(page.locator("#my-name")).to_have_text(name)
    await expect(page.locator("#pill")).to_have_attribute("data-status", "online")
    await expect(page.locator("#rooms button").first).to_be_attached()
    await expect(page.locator(LOADED)).not_to_have_count(0)


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


async def say_what_is_refused(page: Page, text: str) -> None:
    """The server refuses this message. The next try of it goes to the server unchanged."""
    await page.evaluate(SPOIL, text)
    await say(page, text)
    await expect(page.locator(".message[data-status=failed] .text")).to_have_text(text)


async def scroll_up(page: Page) -> None:
    """Turn the wheel over the messages, until they have moved."""
    await page.hover("#scroller")
    await page.evaluate("void (window.moved = new Promise((resolve) => scroller.addEventListener('scroll', resolve)))")
    await page.mouse.wheel(0, -300)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await page.evaluate("moved.then(() => true)")


def status(page: Page, name: str) -> Any:
    return page.locator(f"#people [data-username={name}]")


async def talk(people: People, process: SiteProcess, lines: list[str], room: str = "general") -> None:
    """Bob, who has no browser, says these lines in the room."""
    bob = await people.connect(process, "bob")
    for line in lines:
        answer = await bob.ask("message", id=token_hex(8), room_id=room, message=line)
        assert answer["type"] == "ack", answer


def lines(word: str, count: int) -> list[str]:
    return [f"{word} {number}" for number in range(count)]


async def keep_toasts(page: Page) -> None:
    await page.evaluate(KEEP_TOASTS)


async def watch_news(page: Page) -> None:
    """Collect the titles of toasts and of the browser's own notifications from now on."""
    await page.evaluate(WATCH_NEWS)


async def read_news(page: Page, count: int) -> list[list[str]]:
    """Wait until so many have come. Each is its kind, `toast` or `desktop`, and its title."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        found: list[list[str]] = await page.evaluate(READ_NEWS, count)
    return found
