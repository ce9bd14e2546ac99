"""The demo in a real browser for those who use keys, a screen reader, a small screen, or a strict browser."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.clients.browser import PHONE
from tests.processes.demo.windows import Windows

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]


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
