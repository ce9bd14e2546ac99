"""The demo in a real browser for those who use keys, a screen reader, a small screen, or a strict browser."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.clients.browser import PHONE, open_page
from tests.processes.demo.barriers import expect_no_barriers
from tests.processes.demo.windows import Windows
from tests.sites.processes import SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

# As browsers that block cookies for a site do.
NO_STORAGE = """Object.defineProperty(window, "sessionStorage", {
    get() {
        throw new DOMException("Access is denied for this document.", "SecurityError");
    },
});"""


@pytest.mark.parametrize("pane", ["conversation", "side"])
async def test_the_link_that_skips_leaves_the_room_as_it_is(windows: Windows, pane: str) -> None:
    """What is typed next is for the room that was shown."""
    alice = await windows.open("alice", viewport=PHONE)
    await choose_pane(alice, "side")
    await alice.click("#rooms button >> text=Team")
    await expect(alice.locator("#room-title")).to_have_text("Team")
    await choose_pane(alice, pane)
    await alice.locator(".skip").focus()
    await alice.keyboard.press("Enter")
    await expect(alice.locator("#text")).to_be_focused()
    await expect(alice).to_have_url(re.compile("#team$"))
    await expect(alice.locator("#room-title")).to_have_text("Team")


async def choose_pane(page: Page, name: str) -> None:
    await page.click(f"#panes [data-pane={name}]")


@pytest.mark.parametrize("address", ["/", "/?as=alice"])
async def test_a_browser_that_blocks_cookies_is_told_so(browser: Browser, process: SiteProcess, address: str) -> None:
    async with open_page(browser) as page:
        await page.add_init_script(NO_STORAGE)
        await page.goto(f"http://{process.address}{address}")
        await expect(page.locator("#sign-in-error")).to_have_text("The demo needs cookies. Allow them for this site.")
        await expect(page.locator("#sign-in")).to_be_visible()
        await expect_no_barriers(page)
