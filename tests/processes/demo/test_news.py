"""Notifications that arrive in the demo, in a real browser: who gets a toast, and who one of the browser's own."""

import pytest
from playwright.async_api import expect

from tests.processes.demo.windows import LET_ASK, Windows, keep_toasts, read_news, watch_news

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

# As in Chrome on Android, where only a service worker can show one.
NO_CONSTRUCTOR = """window.Notification = class {
    static permission = "%s";
    constructor() {
        throw new TypeError("Illegal constructor.");
    }
}"""


@pytest.mark.parametrize("permissions", [["notifications"], []], ids=["granted", "denied"])
async def test_the_browser_notifies_whoever_does_not_look(whole_windows: Windows, permissions: list[str]) -> None:
    """A hidden page with the permission gets one of the browser's own. Every other page gets a toast."""
    tab = await whole_windows.open("alice", permissions=permissions)
    await tab.context.add_init_script(LET_ASK)
    alice = await whole_windows.open("alice", beside=tab)
    await alice.click("#bell")
    await keep_toasts(alice)
    await alice.click("#desktop")
    await expect(alice.locator("#desktop")).to_be_hidden()
    await expect(alice.locator("#close-inbox")).to_be_focused()
    await expect(alice.locator(".toast")).to_have_count(0 if permissions else 1)
    assert await alice.evaluate("Notification.permission") == ("granted" if permissions else "denied")
    await watch_news(alice)
    await tab.locator("#orders button").first.click()
    assert await read_news(alice, 1) == [["toast", "Order A-17"]]
    await alice.evaluate("looks = 'hidden'")
    await tab.locator("#orders button").last.click()
    kind = "desktop" if permissions else "toast"
    assert await read_news(alice, 2) == [["toast", "Order A-17"], [kind, "Order A-18"]]


async def test_a_browser_that_cannot_notify_is_not_asked(windows: Windows) -> None:
    alice = await windows.open("alice", permissions=["notifications"])
    await alice.context.add_init_script(NO_CONSTRUCTOR % "default")
    tab = await windows.open("alice", beside=alice)
    await tab.click("#bell")
    await expect(tab.locator("#inbox")).to_be_visible()
    await expect(tab.locator("#desktop")).to_be_hidden()


async def test_a_browser_that_cannot_notify_shows_a_toast(windows: Windows) -> None:
    tab = await windows.open("bob")
    await tab.context.add_init_script(NO_CONSTRUCTOR % "granted")
    bob = await windows.open("bob", beside=tab)
    await keep_toasts(bob)
    await bob.evaluate("Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' })")
    await tab.locator("#orders button").first.click()
    await expect(bob.locator(".toast")).to_have_count(1)
