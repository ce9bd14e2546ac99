"""The demo's lists in a real browser, when requests are refused, fail or are answered late."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.clients.people import People
from tests.patience import PATIENCE_SECONDS
from tests.processes.demo.barriers import expect_no_barriers
from tests.processes.demo.windows import LOADED, Windows, expect_entered, keep_toasts, lines, say, status, talk
from tests.sites.processes import SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

LISTS = {"rooms", "orders", "announcements", "notifications", "status"}
LIST = re.compile(rf"/api/v1/({'|'.join(LISTS)})(\?.*)?$")
ORDERS = "**/api/v1/orders"
ANNOUNCE = """
from django.contrib.auth import get_user_model
from notifications import announce, notify
for closing in ("stay", "dismiss", "confirm"):
    announce(f"Cake: {closing}", "In the kitchen", for_newer=True, closing=closing)
notify(get_user_model().objects.get(username="alice"), "mention", message="Lunch?")
"""
# A wait of exactly this time ends at once, and the clock has moved on by it.
SKIP = """{
    const [plan, now] = [window.setTimeout, Date.now];
    window.skipped = 0;
    Date.now = () => now() + skipped;
    window.setTimeout = (run, ms, ...rest) =>
        ms === 70000 ? plan(() => ((skipped += ms), run())) : plan(run, ms, ...rest);
}"""
# Whatever is drawn of a message has a time, which is written anew each time.
COUNT_TIMES = """() => {
    const { prototype } = Intl.DateTimeFormat;
    const { get } = Object.getOwnPropertyDescriptor(prototype, "format");
    window.written = 0;
    Object.defineProperty(prototype, "format", { get() { return (written++, get.call(this)); } });
}"""

Answer = Callable[[Route], Awaitable[None]]


def refusal(status: int, **headers: str) -> Answer:
    """An answer as a proxy gives it, without the codes of the API."""

    async def refuse(route: Route) -> None:
        await route.fulfill(status=status, body="<h1>Later</h1>", headers=headers)

    return refuse


async def fail(route: Route) -> None:
    """As the site answers an error of its own (`project.views.server_error`)."""
    await route.fulfill(status=500, json={"detail": "It is our fault.", "code": "MESSAGE_PROCESSING_ERROR"})


async def break_off(route: Route) -> None:
    await route.abort()


class Once:
    """Answers the first request for each address in another way than the server, and counts the requests."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.counts: dict[str, int] = {}

    async def __call__(self, route: Route) -> None:
        name = route.request.url.partition("/api/v1/")[2].partition("?")[0]
        self.counts[name] = self.counts.get(name, 0) + 1
        if self.counts[name] == 1:
            await self.answer(route)
        else:
            await route.continue_()


class Held:
    """Holds answers, as the server has given them, until they are let go."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self, route: Route) -> None:
        answer = await route.fetch()
        self.came.set()
        await self.released.wait()
        await route.fulfill(response=answer)


@pytest.fixture(scope="module")
def announced(process: SiteProcess) -> None:
    """There are announcements that are closed in each way, and alice has a notification."""
    process.site.run(ANNOUNCE)


async def soon(waiting: Awaitable[Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await waiting


@pytest.mark.parametrize(
    "answer", [refusal(429, **{"Retry-After": "1"}), refusal(503), break_off], ids=["429", "503", "network"]
)
@pytest.mark.usefixtures("announced")
async def test_lists_that_were_refused_once_load_by_themselves(windows: Windows, answer: Answer) -> None:
    alice = await windows.open("alice")
    await windows.open("bob")
    once = Once(answer)
    await alice.context.route(LIST, once)
    page = await windows.open("alice", beside=alice)
    await expect(page.locator("#orders li")).not_to_have_count(0)
    await expect(page.locator(".announcement")).not_to_have_count(0)
    await expect(page.locator("#items > li")).not_to_have_count(0)
    await expect(status(page, "bob")).to_have_attribute("data-status", "online")
    assert once.counts.keys() == LISTS
    assert min(once.counts.values()) > 1


async def test_the_rooms_come_after_an_error_of_the_site(windows: Windows) -> None:
    alice = await windows.open("alice")
    once = Once(fail)
    await alice.context.route("**/api/v1/rooms?*", once)
    await windows.open("alice", beside=alice)
    assert once.counts["rooms"] > 1


async def test_a_list_waits_as_long_as_the_server_says(windows: Windows) -> None:
    alice = await windows.open("alice")
    await alice.context.add_init_script(SKIP)
    await alice.context.route(ORDERS, Once(refusal(429, **{"Retry-After": "70"})))
    page = await windows.open("alice", beside=alice)
    await expect(page.locator("#orders li")).not_to_have_count(0)
    assert await page.evaluate("skipped") == 70_000


async def test_an_older_answer_does_not_take_the_place_of_a_newer_frame(windows: Windows) -> None:
    carol = await windows.open("carol")
    tab = await windows.open("carol", beside=carol)
    state = tab.locator("#orders .state").first
    await expect(state).to_have_text("new")
    held = Held()
    await tab.route(ORDERS, held)
    await tab.check("#cut")
    await expect(tab.locator("#pill")).to_have_attribute("data-status", "waiting")
    await tab.uncheck("#cut")
    await soon(held.came.wait())
    await carol.locator("#orders button").first.click()
    await expect(state).to_have_text("paid")
    held.came.clear()
    held.released.set()
    await soon(held.came.wait())
    await expect(state).to_have_text("paid")


async def test_late_messages_of_a_room_stay_in_that_room(windows: Windows) -> None:
    tab = await open_without_team(windows, held := Held())
    await tab.click("#rooms button >> text=General")
    await say(tab, "To all")
    held.released.set()
    await expect(tab.locator("#rooms li", has_text="Team").locator(".badge")).not_to_be_empty()
    await expect(tab.get_by_text("To all", exact=True)).to_have_count(1)
    await expect(tab.get_by_text("To the team", exact=True)).to_have_count(0)


async def test_a_room_that_is_being_loaded_shows_nothing_of_the_room_before(windows: Windows) -> None:
    alice = await windows.open("alice")
    hints = alice.locator("#beginning:not([hidden]), #nothing:not([hidden])")
    await alice.route("**/api/v1/rooms/general/messages?*", held := Held())
    await alice.reload()
    await alice.click("#rooms button >> text=Team")
    await expect(hints).to_have_count(1)
    await alice.click("#rooms button >> text=General")
    await expect(alice.locator("#room-title")).to_have_text("General")
    assert await hints.count() == 0
    held.released.set()
    await expect(alice.locator(LOADED)).not_to_have_count(0)


async def test_a_page_may_scroll_before_a_room_is_shown(windows: Windows) -> None:
    """As a very low window does by itself."""
    tab = await windows.open("alice")
    await tab.context.route("**/api/v1/rooms?*", held := Held())
    alice = await tab.context.new_page()
    windows.watch(alice)
    await alice.goto(f"http://{windows.address}/?as=alice")
    await soon(held.came.wait())
    await alice.locator("#scroller").dispatch_event("scroll")
    held.released.set()
    await expect_entered(alice, "alice")


async def test_a_history_that_was_under_way_when_the_network_was_cut_does_not_count_as_missed(
    windows: Windows, process: SiteProcess
) -> None:
    tab = await open_without_team(windows, held := Held())
    await soon(held.came.wait())
    await tab.click("#rooms button >> text=General")
    await expect(tab.locator(LOADED)).not_to_have_count(0)
    await tab.check("#cut")
    held.released.set()
    await tab.unroute_all(behavior="wait")
    async with People() as people:
        await talk(people, process, lines("meanwhile", 3))
    await tab.uncheck("#cut")
    await expect(tab.locator("#missed")).to_have_text("While you were away: 3 messages")


async def test_messages_that_could_not_be_loaded_are_loaded_by_a_click(windows: Windows) -> None:
    tab = await open_without_team(windows, refusal(400))
    await expect(tab.locator("#unloaded")).to_contain_text("The messages could not be loaded.")
    await expect(tab.locator("#unloaded")).to_be_in_viewport(ratio=1)
    await expect(tab.locator("#nothing")).to_be_hidden()
    await expect_no_barriers(tab)
    await tab.unroute_all()
    await tab.click("#load-again")
    await expect(tab.get_by_text("To the team", exact=True)).not_to_have_count(0)
    await expect(tab.locator("#unloaded")).to_be_hidden()


async def test_a_tall_window_that_cannot_be_scrolled_loads_older_messages(
    windows: Windows, process: SiteProcess
) -> None:
    """Two pages of them: when a hint goes, a browser says once that it has scrolled."""
    async with People() as people:
        await talk(people, process, lines("tall", 120))
    alice = await windows.open("alice", viewport={"width": 1280, "height": 4000})
    await expect(alice.get_by_text("tall 0", exact=True)).to_have_count(1)


async def test_a_conversation_whose_beginning_is_loaded_is_shown_to_its_end(windows: Windows) -> None:
    """The hint about the beginning takes some place above the messages."""
    alice = await windows.open("alice")
    await alice.click("#rooms button >> text=Team")
    await say(alice, "\n".join(lines("team", 60)))
    await expect(alice.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Stored")
    await alice.reload()
    await expect(alice.get_by_text("team 59")).to_have_count(1)
    await expect(alice.locator("#beginning")).to_have_count(1)
    await expect(alice.locator("#beginning")).not_to_have_attribute("hidden", "")
    assert await alice.evaluate("scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight") < 1


async def test_older_messages_leave_in_sight_what_was_in_sight(windows: Windows, process: SiteProcess) -> None:
    """So does the hint that comes with the oldest of them."""
    token = process.log_in("alice")["access"]
    room = process.rest("POST", "/rooms", token, title="Long ago")["id"]
    async with People() as people:
        author = await people.connect(process, "alice")
        for line in lines("ago", 70):
            await author.ask("message", id=token_hex(8), room_id=room, message=line)
    alice = await windows.open("alice")
    await alice.click("#rooms button >> text=Long ago")
    known = alice.locator(".message", has_text="ago 20")
    await expect(known).to_be_attached()
    before = await known.evaluate("(one) => ((scroller.scrollTop = 60), one.getBoundingClientRect().bottom)")
    await expect(alice.get_by_text("ago 0", exact=True)).to_be_attached()
    await expect(alice.locator("#beginning")).not_to_have_attribute("hidden", "")
    assert await known.evaluate("(one) => one.getBoundingClientRect().bottom") == pytest.approx(before, abs=1)


async def test_a_message_that_comes_draws_no_other_again(windows: Windows, process: SiteProcess) -> None:
    """In a busy room with a long list, whoever types there would notice."""
    async with People() as people:
        await talk(people, process, lines("drawn", 49))
        alice = await windows.open("alice")
        await expect(alice.get_by_text("drawn 48", exact=True)).to_be_visible()
        await alice.evaluate(COUNT_TIMES)
        await talk(people, process, ["drawn 49"])
    await expect(alice.get_by_text("drawn 49", exact=True)).to_be_visible()
    assert 0 < await alice.evaluate("written") < 20


async def test_a_click_loads_the_newest_messages_before_older_ones(windows: Windows, process: SiteProcess) -> None:
    """Whichever of the two has failed, none is missing then."""
    async with People() as people:
        await talk(people, process, lines("page", 60))
    alice = await windows.open("alice")
    await expect(alice.get_by_text("page 59", exact=True)).to_be_visible()
    await alice.route("**/rooms/general/messages?*", refusal(400))
    await alice.evaluate("document.getElementById('scroller').scrollTop = 0")
    await expect(alice.locator("#unloaded")).to_be_visible()
    await alice.unroute_all()
    async with alice.expect_response(re.compile(r"/general/messages\?limit=\d+$")):
        await alice.click("#load-again")
    await expect(alice.get_by_text("page 0", exact=True)).to_have_count(1)
    await expect(alice.locator("#unloaded")).to_be_hidden()


async def test_notifications_that_could_not_be_loaded_are_loaded_by_a_click(
    windows: Windows, process: SiteProcess
) -> None:
    process.site.run(
        "from django.contrib.auth import get_user_model; from notifications import inbox, notify;"
        "bob = get_user_model().objects.get(username='bob');"
        "[notify(bob, 'mention', message=str(number)) for number in range(60)];"
        "inbox.act(bob, 'archive', ids=[notify(bob, 'mention', message='Old').pk])"
    )
    bob = await windows.open("bob")
    items, unloaded, nothing = bob.locator("#items > li"), bob.locator("#items-unloaded"), bob.locator("#no-items")
    await expect(items).to_have_count(50)
    await bob.click("#bell")
    await bob.route("**/api/v1/notifications?*", refusal(400))
    await bob.click("#more-items")
    await expect(unloaded).to_contain_text("The notifications could not be loaded.")
    await bob.unroute_all()
    await bob.click("#more-items")
    await expect(items).to_have_count(60)
    await expect(items.nth(50)).to_be_focused()
    await expect(unloaded).to_be_hidden()
    await bob.route("**/api/v1/notifications?*", refusal(400))
    await bob.locator("#inbox .tabs span").get_by_text("Archived", exact=True).click()
    await expect(unloaded).to_be_visible()
    await expect(nothing).to_be_hidden()
    await expect_no_barriers(bob)
    await bob.unroute_all()
    await bob.click("#load-items")
    await expect(items).to_have_count(1)
    await expect(unloaded).to_be_hidden()


async def open_without_team(windows: Windows, answer: Answer) -> Page:
    """Bob has said something to the team, in which alice is. Her window does not get it as the server answers it."""
    bob = await windows.open("bob")
    await bob.click("#rooms button >> text=Team")
    await say(bob, "To the team")
    await expect(bob.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Stored")
    alice = await windows.open("alice")
    await alice.route("**/api/v1/rooms/team/messages?*", answer)
    await alice.reload()
    await alice.click("#rooms button >> text=Team")
    return alice


@pytest.mark.parametrize("closing", ["dismiss", "confirm"])
@pytest.mark.usefixtures("announced")
async def test_an_announcement_comes_back_if_it_could_not_be_closed(windows: Windows, closing: str) -> None:
    page = await windows.open("bob")
    await keep_toasts(page)
    notice = page.locator(".announcement", has_text=f"Cake: {closing}")
    button = notice.get_by_role("button", name={"dismiss": "Dismiss", "confirm": "I have read it"}[closing])
    held = await hold_refusal(page, f"**/api/v1/announcements/*/{closing}")
    await button.click()
    await soon(held.came.wait())
    await expect(notice).to_have_count(0)
    held.released.set()
    await expect(page.locator(".toast", has_text="That did not work")).to_have_count(1)
    await expect(notice).to_have_count(1)
    await page.unroute_all()
    async with page.expect_response(f"**/api/v1/announcements/*/{closing}"):
        await button.click()
    await expect(notice).to_have_count(0)
    await page.reload()
    await expect(page.locator(".announcement", has_text="stay")).not_to_have_count(0)
    await expect(notice).to_have_count(0)


async def hold_refusal(page: Page, address: str) -> Held:
    """Refuse requests for this address when they are let go."""
    held = Held()

    async def refuse(route: Route) -> None:
        held.came.set()
        await held.released.wait()
        await route.fulfill(status=503)

    await page.route(address, refuse)
    return held
