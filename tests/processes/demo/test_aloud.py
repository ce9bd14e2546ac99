"""What screen readers find in the demo, and what they read aloud, in a real browser."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.clients.browser import DESK, PHONE
from tests.clients.people import People
from tests.processes.demo.windows import Windows, lines, say, talk
from tests.sites.processes import SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_each_pane_of_a_phone_is_a_whole_page(windows: Windows) -> None:
    """It has its main part and its heading of the first level, also under the inbox. No part is in a wrong one."""
    alice = await windows.open("alice", viewport=PHONE)
    for pane in ("side", "live", "conversation", "#bell"):
        await alice.click(pane if pane == "#bell" else f"#panes [data-pane={pane}]")
        await expect(alice.get_by_role("main")).to_have_count(1)
        await expect(alice.get_by_role("heading", level=1)).to_have_text(["Realtime"])
        await expect(alice.get_by_role("banner")).to_have_count(0)
    await expect(alice.get_by_role("heading", level=2, name="Inbox")).to_have_count(1)
    assert await alice.locator("header footer").count() == 0


@pytest.mark.parametrize("view", [PHONE, DESK], ids=["phone", "desk"])
async def test_the_loss_of_the_connection_and_what_was_missed_are_read_aloud(
    windows: Windows, process: SiteProcess, view: Any
) -> None:
    """Also if the pane of the conversation is not shown. What the pill counts, and each attempt, is not."""
    alice = await windows.open("alice", viewport=view)
    spoken = alice.get_by_role("log").locator("> p")
    await expect(spoken).to_have_count(0)
    await alice.evaluate("document.body.dataset.pane = 'live'")
    await alice.check("#cut")
    await expect(spoken).to_have_text(["Connection lost"])
    await alice.evaluate("pill.click()")
    async with People() as people:
        await talk(people, process, lines("missed", 2))
    await expect(spoken).to_have_text(["Connection lost"])
    await alice.uncheck("#cut")
    await expect(spoken).to_have_text(["Connection lost", "Live", "While you were away: 2 messages"])


async def test_what_changes_all_the_time_is_not_read_aloud(windows: Windows) -> None:
    """The load of the server comes every two seconds."""
    alice = await windows.open("alice")
    await expect(alice.locator("#load")).not_to_be_empty()
    assert (await read_properties(alice, "#load")).get("live", "off") == "off"


async def test_of_the_news_only_the_last_is_read_aloud(windows: Windows) -> None:
    """Not again those before it that are still shown."""
    alice = await windows.open("alice")
    said = await read_properties(alice, "#toasts")
    assert (said["live"], said["atomic"]) == ("polite", False)


async def read_properties(page: Page, selector: str) -> dict[str, Any]:
    """What a screen reader is told of an element."""
    browser = await page.context.new_cdp_session(page)
    document = await browser.send("DOM.getDocument")
    found = await browser.send("DOM.querySelector", {"nodeId": document["root"]["nodeId"], "selector": selector})
    tree = await browser.send("Accessibility.queryAXTree", {"nodeId": found["nodeId"]})
    return {one["name"]: one["value"]["value"] for node in tree["nodes"] for one in node.get("properties", [])}


async def test_only_what_is_said_from_now_on_is_read_aloud(windows: Windows) -> None:
    """Not a page of the history, nor who is typing: in a busy room that would never end."""
    carol = await windows.open("carol")
    for number in range(60):
        await say(carol, f"History {number}")
    await expect(carol.locator(".message[data-status=stored] .text").last).to_have_text("History 59")
    alice = await windows.open("alice")
    messages = alice.locator("#messages")
    await expect(alice.locator(".message .text").last).to_have_text("History 59")
    await expect(messages).to_have_attribute("aria-live", "off")
    await say(carol, "Is anybody here?")
    await expect(messages).to_have_attribute("aria-live", "polite")
    await alice.evaluate("scroller.scrollTop = 0")
    await expect(alice.get_by_text("History 0", exact=True)).to_have_count(1)
    await expect(messages).to_have_attribute("aria-live", "off")
    assert await alice.locator("#typing").get_attribute("aria-live") is None
