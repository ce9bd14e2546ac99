"""What screen readers find in the demo, and what they read aloud, in a real browser."""

import pytest
from playwright.async_api import expect

from tests.clients.browser import PHONE
from tests.processes.demo.windows import Windows

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
