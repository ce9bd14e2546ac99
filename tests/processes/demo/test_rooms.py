"""The rooms of the demo in a real browser: many of them, and one that cannot be seen any more."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.clients.browser import DESK, PHONE, open_page
from tests.clients.people import People
from tests.processes.demo.barriers import expect_no_barriers
from tests.processes.demo.windows import Windows, lines, say, talk
from tests.sites.processes import SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

# More than a page of the list has, and more than a socket can join.
MANY = 210
LONG = "What we want to talk about before the next planning"
NOTE_FRAMES = """() => {
    const { send } = WebSocket.prototype;
    window.sent = [];
    WebSocket.prototype.send = function (frame) {
        sent.push(frame);
        send.call(this, frame);
    };
}"""
FOUND = """
from django.contrib.auth.models import User
from realtime import create_room
alice = User.objects.get(username="alice")
for number in range({many}):
    create_room(alice.pk, title=f"Room {{number:03}}", slug=f"room-{{number}}")
"""


@pytest.fixture(scope="module")
def many(process: SiteProcess) -> None:
    process.site.run(FOUND.format(many=MANY))


@pytest.mark.usefixtures("many")
async def test_all_rooms_are_listed_and_each_can_be_shown(windows: Windows) -> None:
    """Those that are not joined are counted when the list is loaded, and live while they are shown."""
    bob = await windows.open("bob")
    await expect(bob.locator("#rooms li")).to_have_count(MANY + 2)
    await bob.click(f"#rooms button >> text=Room {MANY - 1}")
    await say(bob, "Down here")
    await expect(bob.locator(".message.mine .tick")).to_have_attribute("aria-label", "Stored")
    alice = await windows.open("alice")
    last = alice.locator("#rooms li", has_text=f"Room {MANY - 1}")
    await expect(last.locator(".badge")).to_have_text("1")
    await expect(alice.locator("#rooms-unread")).to_have_text("1")
    await last.locator("button").click()
    await expect(alice.locator("#room-title")).to_have_text(f"Room {MANY - 1}")
    await expect(alice.locator(".message .text")).to_have_text(["Down here"])
    await expect(last.locator(".badge")).to_be_empty()
    await say(bob, "And now")
    await expect(alice.locator(".message .text")).to_have_text(["Down here", "And now"])
    await alice.click("#rooms button >> text=General")
    await expect(alice.locator("#unloaded")).to_be_hidden()


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("view", [PHONE, DESK], ids=["phone", "desk"])
async def test_many_rooms_push_nothing_out_of_reach(windows: Windows, view: Any) -> None:
    """They are scrolled for themselves. Nothing else at the side moves."""
    alice = await windows.open("alice", viewport=view)
    await alice.evaluate("document.body.dataset.pane = 'side'")
    await expect(alice.locator("#rooms li")).to_have_count(MANY + 2)
    rest = [alice.locator("#people li").first, alice.locator("#sign-out"), alice.locator("#side .languages button")]
    for one in rest:
        await expect(one).to_be_in_viewport(ratio=1)
    last = alice.locator("#rooms li").last
    await last.scroll_into_view_if_needed()
    await expect(last).to_be_in_viewport(ratio=0.9)
    for one in rest:
        await expect(one).to_be_in_viewport(ratio=1)


async def test_whoever_is_removed_from_a_room_reads_so_and_finds_it_after_the_return(
    windows: Windows, process: SiteProcess
) -> None:
    bob, alice = await windows.open("bob"), await windows.open("alice")
    user, token = [json.loads(await page.evaluate("sessionStorage.login")) for page in (bob, alice)]
    team = bob.locator("#rooms li", has_text="Team")
    await team.locator("button").click()
    await alice.click("#rooms button >> text=Team")
    await expect(bob.locator("#gone")).to_be_hidden()
    process.rest("DELETE", f"/rooms/team/members/{user['user_id']}", token["access"])
    await expect(bob.locator("#gone")).to_have_text("You cannot see this room any more.")
    await expect(team).to_be_hidden()
    await expect_no_barriers(bob)
    process.rest("POST", "/rooms/team/members", token["access"], user_id=user["user_id"])
    await bob.check("#cut")
    await bob.uncheck("#cut")
    await expect(team).to_be_visible()
    await expect(bob.locator("#gone")).to_be_hidden()
    await say(alice, "Welcome back")
    await expect(bob.locator(".message .text").last).to_have_text("Welcome back")


async def test_whoever_goes_to_another_room_is_not_typing_in_the_one_before(windows: Windows) -> None:
    """Else the server ends it ten seconds later, when it has heard nothing more."""
    alice, bob = await windows.open("alice"), await windows.open("bob")
    await bob.fill("#text", "Not yet")
    await expect(alice.locator("#typing")).to_have_text("bob is typing…")
    await bob.evaluate(NOTE_FRAMES)
    await bob.click("#rooms button >> text=Team")
    said = [frame["data"] for frame in map(json.loads, await bob.evaluate("sent")) if frame["type"] == "typing"]
    assert said == [{"is_typing": False, "context": "general"}]
    await expect(alice.locator("#typing")).to_have_text("")


async def test_another_language_keeps_the_room(windows: Windows) -> None:
    """What is typed next is for the room that was shown."""
    alice = await windows.open("alice")
    await alice.click("#rooms button >> text=Team")
    await alice.click("#side .languages button")
    await expect(alice.locator("html")).to_have_attribute("lang", "zh-hans")
    await expect(alice.locator("#room-title")).to_have_text("Team")
    await expect(alice).to_have_url(re.compile("/#team$"))


async def test_another_language_of_the_first_page_keeps_the_room_of_its_address(
    browser: Browser, process: SiteProcess
) -> None:
    async with open_page(browser) as page:
        await page.goto(f"http://{process.address}/#team")
        await page.click("#welcome .languages button")
        await expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
        await page.click("#sign-in button[value=alice]")
        await expect(page.locator("#room-title")).to_have_text("Team")


async def test_the_address_of_a_room_that_is_not_there_becomes_that_of_the_one_that_is_shown(
    windows: Windows, browser: Browser, process: SiteProcess
) -> None:
    alice = await windows.open("alice")
    await alice.click("#rooms button >> text=Team")
    await alice.evaluate("location.hash = 'nowhere'")
    await expect(alice.locator("#room-title")).to_have_text("General")
    await expect(alice).to_have_url(re.compile("/#general$"))
    async with open_page(browser) as page:
        await page.goto(f"http://{process.address}/?as=carol#team")
        await expect(page.locator("#room-title")).to_have_text("General")
        await expect(page).to_have_url(re.compile("/#general$"))


async def test_a_phone_says_how_much_is_new_in_all_rooms(windows: Windows, process: SiteProcess) -> None:
    """What is behind its button for the rooms is not shown."""
    alice, bob = await windows.open("alice", viewport=PHONE), await windows.open("bob")
    tab = alice.locator("#panes [data-pane=side]")
    await say(bob, "Do you read it?")
    await expect(alice.locator(".message .text").last).to_have_text("Do you read it?")
    await expect(tab).to_have_text(re.compile(r"^Rooms\s*$"))
    await alice.evaluate("location.hash = 'team'")
    await expect(alice.locator("#room-title")).to_have_text("Team")
    await say(bob, "And now?")
    await expect(tab).to_have_text("Rooms 1")
    await tab.locator(".badge").click()
    general = alice.locator("#rooms li", has_text="General")
    await expect(general.locator(".badge")).to_have_text("1")
    async with People() as people:
        await talk(people, process, lines("more", 99))
    await expect(general.locator(".badge")).to_have_text("99+")
    await expect(tab).to_have_text("Rooms 99+")
    await general.locator("button").click()
    await expect(tab).to_have_text(re.compile(r"^Rooms\s*$"))


async def test_what_one_has_said_oneself_is_not_new_in_the_room_that_one_has_left(windows: Windows) -> None:
    """It is stored when another room is shown."""
    alice, bob = await windows.open("alice"), await windows.open("bob")
    await alice.check("#cut")
    await say(alice, "On its way")
    await alice.click("#rooms button >> text=Team")
    await alice.uncheck("#cut")
    await expect(bob.locator(".message .text").last).to_have_text("On its way")
    await say(bob, "I have read it")
    await bob.click("#rooms button >> text=Team")
    await say(bob, "Here I am")
    await expect(alice.locator(".message .text").last).to_have_text("Here I am")
    badge = alice.locator("#rooms li", has_text="General").locator(".badge")
    await expect(badge).to_have_text("1")
    await expect(alice.locator("#rooms-unread")).to_have_text("1")


async def test_the_line_of_what_is_new_follows_whoever_stops_reading_again(windows: Windows) -> None:
    alice, bob = await windows.open("alice"), await windows.open("bob")
    await alice.evaluate("Object.assign(document, { hasFocus: () => window.looks })")
    badge = alice.locator("#rooms li", has_text="General").locator(".badge")
    for text in ("The first absence", "The second absence"):
        await alice.evaluate("looks = false")
        await say(bob, text)
        await expect(badge).to_have_text("1")
        await expect(alice.locator(".message.first-new .text")).to_have_text(text)
        await alice.evaluate("{ looks = true; dispatchEvent(new Event('focus')); }")
        await expect(badge).to_be_empty()
        await expect(alice.locator(".message.first-new .text")).to_have_text(text)


async def test_a_name_that_is_cut_off_is_read_in_full_under_the_pointer(windows: Windows, process: SiteProcess) -> None:
    alice = await windows.open("alice")
    login = json.loads(await alice.evaluate("sessionStorage.login"))
    title = alice.locator("#rooms [data-key=team] .title")
    await title.click()
    await expect(alice.locator("#room-title")).to_have_text("Team")
    await expect(title).not_to_have_attribute("title", re.compile("."))
    process.rest("PATCH", "/rooms/team", login["access"], title=LONG)
    try:
        await expect(title).to_have_text(LONG)
        await alice.hover("#text")
        await title.hover()
        await expect(title).to_have_attribute("title", LONG)
        await alice.set_viewport_size(PHONE)
        await alice.locator("#room-title").hover()
        await expect(alice.locator("#room-title")).to_have_attribute("title", LONG)
    finally:
        process.rest("PATCH", "/rooms/team", login["access"], title="Team")
