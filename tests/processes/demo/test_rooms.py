"""The list of rooms of the demo in a real browser: many of them."""

import pytest
from playwright.async_api import expect

from tests.processes.demo.windows import Windows, say
from tests.sites.processes import SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

# More than a page of the list has, and more than a socket can join.
MANY = 210
FOUND = """
from django.contrib.auth.models import User
from realtime import create_room
alice = User.objects.get(username="alice")
for number in range({many}):
    create_room(alice.pk, title=f"Room {{number:03}}", slug=f"room-{{number}}")
"""


async def test_all_rooms_are_listed_and_each_can_be_shown(windows: Windows, process: SiteProcess) -> None:
    """Those that are not joined are counted when the list is loaded, and live while they are shown."""
    process.site.run(FOUND.format(many=MANY))
    bob = await windows.open("bob")
    await expect(bob.locator("#rooms li")).to_have_count(MANY + 2)
    await bob.click(f"#rooms button >> text=Room {MANY - 1}")
    await say(bob, "Down here")
    await expect(bob.locator(".message.mine .tick")).to_have_attribute("aria-label", "Stored")
    alice = await windows.open("alice")
    last = alice.locator("#rooms li", has_text=f"Room {MANY - 1}")
    await expect(last.locator(".badge")).to_have_text("1")
    await last.locator("button").click()
    await expect(alice.locator("#room-title")).to_have_text(f"Room {MANY - 1}")
    await expect(alice.locator(".message .text")).to_have_text(["Down here"])
    await expect(last.locator(".badge")).to_be_empty()
    await say(bob, "And now")
    await expect(alice.locator(".message .text")).to_have_text(["Down here", "And now"])
    await alice.click("#rooms button >> text=General")
    await expect(alice.locator("#unloaded")).to_be_hidden()
