"""The demo in a real browser for those who use keys, a screen reader, a small screen, or a strict browser."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.clients.browser import DESK, PHONE, open_page
from tests.processes.demo.barriers import expect_no_barriers, expect_to_fit
from tests.processes.demo.windows import Windows, keep_toasts, lines, say, say_what_is_refused, scroll_up
from tests.sites.processes import SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

# Where what is in an element begins.
TEXT_EDGE = """(element) => {
    const { left } = element.getBoundingClientRect();
    return left + (element.matches(".hint") ? parseFloat(getComputedStyle(element).paddingLeft) : 0);
}"""
# The header has two rows there.
ON_ITS_SIDE = {"width": 740, "height": 360}
# As browsers that block cookies for a site do.
NO_STORAGE = """Object.defineProperty(window, "sessionStorage", {
    get() {
        throw new DOMException("Access is denied for this document.", "SecurityError");
    },
});"""


def announce(process: SiteProcess, title: str, message: str = "", closing: str = "dismiss") -> None:
    process.site.run(
        f"from notifications import announce; announce({title!r}, {message!r}, for_newer=True, closing={closing!r})"
    )


@pytest.fixture
def cleared(process: SiteProcess) -> Any:
    """What a test has announced is gone after it."""
    yield
    process.site.run(
        "from notifications import cancel_announcement; from notifications.models import Announcement;"
        "[cancel_announcement(one) for one in Announcement.objects.all()]"
    )


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


@pytest.mark.usefixtures("cleared")
@pytest.mark.parametrize("view", [PHONE, ON_ITS_SIDE, {"width": 640, "height": 360}], ids=["phone", "side", "zoom"])
async def test_long_announcements_leave_room_for_the_conversation(
    windows: Windows, process: SiteProcess, view: Any
) -> None:
    announce(process, "Maintenance", "First line\n" + "The servers rest tonight. " * 120, closing="stay")
    alice = await windows.open("alice", viewport=view)
    announcement = alice.locator(".announcement")
    await expect(announcement).to_have_count(1)
    assert await height(alice.locator("#scroller")) > view["height"] / 8
    await expect(alice.locator("#second-window a:visible")).to_be_in_viewport(ratio=1)
    link = await alice.locator("#second-window").bounding_box()
    announcements = await alice.locator("#announcements").bounding_box()
    assert link
    assert announcements
    assert link["y"] + link["height"] <= announcements["y"]
    assert announcements["height"] > view["height"] / 8
    composer = await alice.locator("#composer").bounding_box()
    panes = await alice.locator("#panes").bounding_box()
    assert composer
    assert panes
    assert composer["y"] + composer["height"] <= panes["y"]
    # It is read on with the keys.
    await alice.locator("#announcements").focus()
    await alice.keyboard.press("End")
    await expect(announcement.locator("span")).to_have_css("white-space", "pre-line")
    await expect_no_barriers(alice)


async def height(locator: Locator) -> float:
    box = await locator.bounding_box()
    return box["height"] if box else 0


@pytest.mark.usefixtures("cleared")
async def test_on_a_phone_the_text_of_an_announcement_has_the_whole_width(
    windows: Windows, process: SiteProcess
) -> None:
    """If it is longer than a line: its button stands below it then."""
    announce(process, "Maintenance", "The servers rest tonight. " * 5, closing="confirm")
    announce(process, "Cake", "In the kitchen")
    alice = await windows.open("alice", viewport=PHONE)
    for name, is_below in (("Maintenance", True), ("Cake", False)):
        announcement = alice.locator(".announcement", has_text=name)
        text = await announcement.locator("p").bounding_box()
        button = await announcement.locator("button").bounding_box()
        assert text
        assert button
        assert (button["y"] >= text["y"] + text["height"]) is is_below
        assert (text["width"] > 0.9 * PHONE["width"]) is is_below


@pytest.mark.usefixtures("cleared")
@pytest.mark.parametrize("view", [PHONE, DESK], ids=["phone", "desk"])
async def test_all_of_a_conversation_begins_at_one_edge(windows: Windows, process: SiteProcess, view: Any) -> None:
    announce(process, "Cake")
    alice = await windows.open("alice", viewport=view)
    await say(alice, "Here I am")
    await expect(alice.locator("#beginning")).to_be_visible()
    parts = "#room-title", "#second-window a:visible", ".announcement p", "#beginning", ".message .avatar", "#text"
    if view is DESK:
        parts = tuple(part for part in parts if "window" not in part)  # it is beside the title there
    edges = {part: await alice.locator(part).first.evaluate(TEXT_EDGE) for part in parts}
    assert len(set(edges.values())) == 1, edges


@pytest.mark.usefixtures("cleared")
async def test_an_announcement_is_told_and_its_end_keeps_the_focus(windows: Windows, process: SiteProcess) -> None:
    announce(process, "One")
    announce(process, "Two")
    alice = await windows.open("alice")
    announcements = alice.locator("#announcements")
    await expect(announcements).to_have_attribute("aria-live", "polite")
    buttons = announcements.get_by_role("button", name="Dismiss")
    await expect(buttons).to_have_count(2)
    await buttons.first.focus()
    await alice.keyboard.press("Enter")
    await expect(buttons).to_have_count(1)
    await expect(buttons).to_be_focused()
    await alice.keyboard.press("Enter")
    await expect(buttons).to_have_count(0)
    await expect(alice.locator("#scroller")).to_be_focused()


async def test_a_button_that_goes_with_its_message_or_toast_leaves_the_focus_beside_it(windows: Windows) -> None:
    alice = await windows.open("alice")
    await say_what_is_refused(alice, "Nobody wants this")
    await alice.locator(".discard:visible").focus()
    await alice.keyboard.press("Enter")
    await expect(alice.get_by_text("Nobody wants this")).to_have_count(0)
    await expect(alice.locator("#scroller")).to_be_focused()
    await alice.click("#bell")
    await alice.keyboard.press("z")
    await alice.get_by_text("There is nothing to undo").wait_for()
    await alice.locator(".toast .close").focus()
    await alice.keyboard.press("Enter")
    await expect(alice.locator(".toast")).to_have_count(0)
    await expect(alice.locator("#close-inbox")).to_be_focused()


async def test_the_switch_is_seen_in_the_colours_of_the_system(windows: Windows) -> None:
    alice = await windows.open("alice", forced_colors="active")
    off = await colours_of_the_switch(alice)
    assert len(set(off)) == 2
    await alice.check("#cut")
    on = await colours_of_the_switch(alice)
    assert len(set(on)) == 2
    assert on != off


async def colours_of_the_switch(page: Page) -> list[str]:
    """Of its ground and of its knob, when they do not change any more."""
    await page.emulate_media(reduced_motion="reduce")
    found: list[str] = await page.eval_on_selector(
        "#cut", "(cut) => ['', '::after'].map((part) => getComputedStyle(cut, part).backgroundColor)"
    )
    return found


@pytest.mark.parametrize("view", [PHONE, DESK], ids=["phone", "desk"])
async def test_a_long_name_pushes_nothing_out_of_the_page(windows: Windows, process: SiteProcess, view: Any) -> None:
    rename = "from django.contrib.auth.models import User; User.objects.filter(username='bob').update(first_name={!r})"
    process.site.run(rename.format("B" * 150))
    try:
        alice = await windows.open("alice", viewport=view)
        bell = await alice.locator("#bell").bounding_box()
        assert bell
        assert bell["x"] + bell["width"] <= view["width"]
        link = await alice.locator("#second-window").bounding_box()
        assert link
        assert link["x"] + link["width"] <= view["width"]
        await alice.goto(f"http://{windows.address}/?")
        await expect_to_fit(alice)
    finally:
        process.site.run(rename.format(""))


async def test_several_who_type_are_named_in_the_words_of_the_language(windows: Windows) -> None:
    alice = await windows.open("alice", locale="zh-CN")
    names = await alice.evaluate(
        "import('/static/project/texts.js').then((texts) => texts.listNames(['bob', 'carol']))"
    )
    assert names == "bob和carol"


@pytest.mark.parametrize("view", [PHONE, DESK], ids=["phone", "desk"])
async def test_in_a_low_window_parts_of_the_page_scroll_and_not_the_page(windows: Windows, view: Any) -> None:
    alice = await windows.open("alice", viewport={**view, "height": 320})
    for pane in ("side", "conversation", "live"):
        await alice.evaluate("(pane) => void (document.body.dataset.pane = pane)", pane)
        assert await alice.evaluate("document.documentElement.scrollHeight") == 320


@pytest.mark.parametrize("view", [PHONE, DESK], ids=["phone", "desk"])
async def test_toasts_that_say_much_can_be_closed(windows: Windows, view: Any) -> None:
    alice = await windows.open("alice", viewport=view)
    await keep_toasts(alice)
    await alice.evaluate(
        """(text) => import("/static/project/toasts.js").then(({ showToast }) => {
            for (let count = 0; count < 4; count++) showToast(text.slice(0, 200), text);
        })""",
        "word " * 400,
    )
    for number in range(4):
        await expect(alice.locator(".toast .close").nth(number)).to_be_in_viewport(ratio=1)


async def test_notifications_keep_their_lines_and_begin_at_one_edge(windows: Windows, process: SiteProcess) -> None:
    process.site.run(
        "from django.contrib.auth import get_user_model; from notifications import notify;"
        "notify(get_user_model().objects.get(username='bob'), 'mention', message='\u0645\u0631\\n\u0645')"
    )
    bob = await windows.open("bob")
    await bob.click("#bell")
    edges = await bob.locator("#items > li").first.evaluate(
        """(item) => [".title b", ".text"].map((name) => {
            const range = document.createRange();
            range.selectNodeContents(item.querySelector(name));
            return [...range.getClientRects()].map(({ left }) => Math.round(left));
        })"""
    )
    title, text = edges
    assert len(text) > 1  # lines
    assert text[0] == title[0]


# Where the text of an element begins and ends, from the left.
SPAN = """(element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const all = [...range.getClientRects()];
    return [Math.min(...all.map(({ left }) => left)), Math.max(...all.map(({ right }) => right))].map(Math.round);
}"""
FROM_THE_RIGHT = "عبد الرحمن بن محمد الأندلسي الطويل"


async def find_span(locator: Locator) -> tuple[int, int]:
    left, right = await locator.evaluate(SPAN)
    return left, right


async def test_a_toast_from_the_right_begins_at_the_edge_of_its_title(windows: Windows) -> None:
    alice = await windows.open("alice")
    await keep_toasts(alice)
    await alice.evaluate(
        "(text) => import('/static/project/toasts.js').then(({ showToast }) => showToast('New', text))", FROM_THE_RIGHT
    )
    title, text = [await find_span(alice.locator(f".toast p {name}")) for name in ("b", "span")]
    assert text[0] == title[0]


@pytest.mark.usefixtures("cleared")
async def test_an_announcement_from_the_right_has_its_title_there(windows: Windows, process: SiteProcess) -> None:
    announce(process, "צוות יקר", "שלום לכולם")
    alice = await windows.open("alice")
    announcement = alice.locator(".announcement p")
    title, message = [await find_span(announcement.locator(name)) for name in ("b", "span")]
    edge = await announcement.bounding_box()
    assert edge
    assert edge["x"] <= message[0] < edge["x"] + 40
    assert message[1] + 2 < title[0]


async def test_a_name_from_the_right_is_seen_from_its_beginning(
    windows: Windows, browser: Browser, process: SiteProcess
) -> None:
    """Also if it is too long; and it begins where the role below it does."""
    rename = "from django.contrib.auth.models import User; User.objects.filter(username='bob').update(first_name={!r})"
    process.site.run(rename.format(FROM_THE_RIGHT))
    try:
        async with open_page(browser, viewport=PHONE) as page:
            await page.goto(f"http://{process.address}/")
            card = page.locator("#sign-in button[value=bob]")
            name, role = [await find_span(card.locator(part)) for part in ("b", "small")]
            assert name[0] == role[0]
            await page.goto(f"http://{process.address}/?as=bob")
            await expect(page.locator("#my-name")).to_have_text(FROM_THE_RIGHT)
            await page.evaluate("document.querySelector('#my-name').style.width = '90px'")
            await choose_pane(page, "side")
            shown = await page.locator("#my-name").bounding_box()
            assert shown
            assert (await find_span(page.locator("#my-name")))[1] <= shown["x"] + shown["width"] + 1
    finally:
        process.site.run(rename.format(""))


async def test_what_a_phone_does_not_show_is_not_read(windows: Windows) -> None:
    """It shows one pane, or the inbox. What was read up to then stays where it was."""
    alice, bob = await windows.open("alice", viewport=PHONE), await windows.open("bob")
    for page in (bob, alice):
        await page.evaluate("location.hash = 'team'")
        await expect(page.locator("#room-title")).to_have_text("Team")
    badge = alice.locator("#rooms li", has_text="Team").locator(".badge")
    await expect(alice.locator("#nothing")).to_be_visible()
    await choose_pane(alice, "side")
    await say(bob, "Behind the rooms")
    await expect(badge).to_have_text("1")
    await choose_pane(alice, "conversation")
    await expect(badge).to_be_empty()
    await expect(alice.locator(".message.first-new .text")).to_have_text("Behind the rooms")
    await alice.click("#bell")
    await say(bob, "Behind the inbox")
    await expect(badge).to_have_text("1")
    await alice.click("#close-inbox")
    await expect(alice.locator("#bell")).to_be_focused()
    await expect(badge).to_be_empty()
    await say(bob, "\n".join(lines("Long", 90)))
    await expect(alice.get_by_text("Long 0")).to_have_count(1)
    await scroll_up(alice)
    place = await alice.evaluate("scroller.scrollTop")
    await choose_pane(alice, "side")
    await say(bob, "Below")
    await expect(badge).to_have_text("1")
    await choose_pane(alice, "conversation")
    await expect(alice.locator("#newer")).to_be_visible()
    assert await alice.evaluate("scroller.scrollTop") == place
    await bob.click("#rooms button >> text=General")
    await say(bob, "\n".join(lines("General", 90)))
    await say(bob, "At the end")
    await choose_pane(alice, "side")
    await alice.click("#rooms button >> text=General")
    await expect(alice.get_by_text("At the end")).to_be_in_viewport()


async def test_the_focus_does_not_go_behind_the_inbox_of_a_phone(windows: Windows) -> None:
    alice = await windows.open("alice", viewport=PHONE)
    await alice.click("#bell")
    await alice.locator("#read-all").focus()
    await alice.keyboard.press("Shift+Tab")
    assert await alice.evaluate("document.activeElement.closest('#space') === null")


async def test_the_inbox_of_a_desk_goes_where_the_focus_would_be_behind_it(windows: Windows) -> None:
    """It stays where a part of what has the focus is beside it: one writes while one looks at it."""
    alice = await windows.open("alice", viewport=DESK)
    inbox, bell = alice.locator("#inbox"), alice.locator("#bell")
    await bell.click()
    await alice.locator("#text").focus()
    await alice.locator("#read-all").focus()
    await expect(inbox).to_be_visible()
    await alice.keyboard.press("Shift+Tab")
    await expect(alice.get_by_role("button", name="Open the admin")).to_be_focused()
    await expect(inbox).to_be_hidden()
    await expect(bell).to_have_attribute("aria-expanded", "false")
    await bell.click()
    await expect(inbox).to_be_visible()


async def test_the_focus_in_the_inbox_is_seen_in_the_colours_of_the_system(
    windows: Windows, process: SiteProcess
) -> None:
    process.site.run(
        "from django.contrib.auth import get_user_model; from notifications import notify;"
        "notify(get_user_model().objects.get(username='carol'), 'mention', message='Lunch?')"
    )
    carol = await windows.open("carol", forced_colors="active")
    await carol.click("#bell")
    await carol.keyboard.press("j")
    await expect(carol.locator("#items > li:focus")).to_have_css("outline-style", "solid")


async def test_with_the_keys_one_stays_where_one_was(windows: Windows) -> None:
    """On the button of an order, whose next step can be asked for at once; on a phone, in the room one has chosen."""
    alice = await windows.open("alice", viewport=PHONE)
    await choose_pane(alice, "live")
    order = alice.locator("#orders li", has_text="A-18")
    await order.locator("button").focus()
    for state in ("paid", "sent", "delivered"):
        await alice.keyboard.press("Enter")
        await expect(order.locator(".state")).to_have_text(state)
        await expect(order.locator("button")).to_be_focused()
    await choose_pane(alice, "side")
    await alice.locator("#rooms button", has_text="Team").focus()
    await alice.keyboard.press("Enter")
    await expect(alice.locator("#room-title")).to_have_text("Team")
    await expect(alice.locator("#scroller")).to_be_focused()


async def test_a_sign_in_that_has_failed_leaves_the_focus_on_its_button(browser: Browser, process: SiteProcess) -> None:
    async with open_page(browser) as page:
        await page.route("**/demo/sign-in", lambda route: route.fulfill(status=503))
        await page.goto(f"http://{process.address}/")
        bob = page.locator("#sign-in button[value=bob]")
        await bob.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#sign-in-error")).to_have_text("That did not work")
        await expect(bob).to_be_focused()
