"""The demo in a real browser: windows that meet, the admin, the inbox, hostile texts, size and barriers."""

import asyncio
import json
import re
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, Request, Route, expect

from tests.clients.browser import DESK, PHONE, open_page, prepare_mention
from tests.processes.demo.barriers import (
    expect_no_barriers,
    expect_no_shifts,
    expect_small,
    expect_to_fit,
    has_axe,
)
from tests.processes.demo.windows import (
    LOADED,
    Windows,
    expect_entered,
    keep_toasts,
    lines,
    say,
    say_what_is_refused,
    scroll_up,
    status,
)
from tests.sites.processes import SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

ANNOUNCING = "/admin/notifications/announcement/add/"
MOTIONS = "document.getAnimations().map((motion) => motion.animationName ?? motion.transitionProperty)"
# A reader has these notifications, and none of other tests.
FILL_INBOX = """
from django.contrib.auth import get_user_model
from notifications import notify
from notifications.models import Notification
carol = get_user_model().objects.get(username="carol")
Notification.objects.filter(recipient=carol).delete()
for number in range({count}):
    notify(carol, "mention", message=str(number))
"""
# What the database does when the account is deleted.
DELETE_SENDER = "from realtime.models import Message; Message.objects.filter(text={!r}).update(sender=None)"
# A browser that does not know `field-sizing`: it says so, and keeps the field as it is.
FIX_FIELDS = "CSS.supports = (name) => name !== 'field-sizing'"
FIX_COMPOSER = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("#text { field-sizing: fixed !important; }");
    document.adoptedStyleSheets.push(sheet);
    document.querySelector("#text").focus();
}"""
COMPOSER_HEIGHTS = "(({ clientHeight, scrollHeight }) => [clientHeight, scrollHeight])(document.querySelector('#text'))"
HOSTILE = "<img src=x onerror=alert(1)> javascript:alert(1) https://example.com/?q=<b>"


async def test_two_people_meet(windows: Windows) -> None:
    """They come, by the link to a second window, are seen typing, talk, and go."""
    alice = await windows.open("alice")
    await expect(status(alice, "bob")).to_have_attribute("data-status", "offline")
    bob = await windows.follow(alice.locator("#second-window a:visible"), "bob")
    await expect(status(alice, "bob")).to_have_attribute("data-status", "online")
    await expect(alice.locator("#online-count")).to_have_text("2 online")
    await bob.fill("#text", "Hel")
    await expect(alice.locator("#typing")).to_have_text("bob is typing…")
    await say(bob, "Hello, alice!")
    await expect(alice.locator(".message .text").last).to_have_text("Hello, alice!")
    await expect(alice.locator("#typing")).to_have_text("")
    await say(alice, "Hello, bob!")
    await expect(alice.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Stored")
    await bob.click("#rooms button >> text=Team")
    await say(bob, "Only for us.")
    await expect(alice.locator("#rooms li", has_text="Team").locator(".badge")).to_have_text("1")
    await alice.click("#rooms button >> text=Team")
    await expect(alice.locator("#rooms li", has_text="Team").locator(".badge")).to_be_empty()
    await expect(alice.locator(".message.first-new")).to_have_attribute("data-new", "New")
    await expect(alice.locator(".message.first-new .text")).to_have_text("Only for us.")
    await bob.close()
    await expect(status(alice, "bob")).to_have_attribute("data-status", "offline")


async def test_what_is_typed_right_after_a_room_is_chosen_is_for_it(windows: Windows) -> None:
    """The browser tells of a new hash later, when the next key may have been pressed."""
    alice = await windows.open("alice")
    await alice.fill("#text", "For General, not sent")
    await alice.evaluate(
        """() => {
            [...document.querySelectorAll("#rooms button")].find((one) => one.textContent.includes("Team")).click();
            const text = document.querySelector("#text");
            text.value += "For the team";
            text.form.requestSubmit();
        }"""
    )
    await expect(alice.locator("#room-title")).to_have_text("Team")
    await expect(alice.locator(".message.mine .text")).to_have_text("For the team")
    await expect(alice.locator(".message.mine .tick")).to_have_attribute("aria-label", "Stored")
    await alice.click("#rooms button >> text=General")
    await expect(alice.locator("#text")).to_have_value("For General, not sent")


async def test_the_key_that_ends_a_composition_sends_nothing(windows: Windows) -> None:
    """As Safari tells of it: after the composition, and with the code of its keys."""
    alice = await windows.open("alice")
    await alice.fill("#text", "你好")
    prevented = await alice.eval_on_selector(
        "#text",
        """(text) => !text.dispatchEvent(
            new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true })
        )""",
    )
    assert not prevented
    await expect(alice.locator("#text")).to_have_value("你好")


async def test_the_composer_grows_also_where_the_browser_does_not_let_it(windows: Windows) -> None:
    """As in Safari 26.0: all lines can be read while they are written."""
    tab = await windows.open("alice")
    await tab.context.add_init_script(FIX_FIELDS)
    alice = await windows.open("alice", beside=tab)
    await say(alice, "\n".join(lines("line", 60)))
    await alice.evaluate(FIX_COMPOSER)
    low = await alice.evaluate(COMPOSER_HEIGHTS)
    for line in lines("one more", 6):
        await alice.keyboard.type(line)
        await alice.keyboard.press("Shift+Enter")
    await alice.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")
    assert await alice.evaluate("scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight") < 1
    shown, needed = await alice.evaluate(COMPOSER_HEIGHTS)
    assert shown == needed > low[0]
    await alice.click("#rooms button >> text=Team")
    assert await alice.evaluate(COMPOSER_HEIGHTS) == low
    await alice.click("#rooms button >> text=General")
    assert await alice.evaluate(COMPOSER_HEIGHTS) == [shown, needed]
    await alice.press("#text", "Enter")
    assert await alice.evaluate(COMPOSER_HEIGHTS) == low


async def test_a_room_that_is_renamed_has_its_new_title_everywhere(windows: Windows, process: SiteProcess) -> None:
    alice = await windows.open("alice")
    login = json.loads(await alice.evaluate("sessionStorage.login"))
    await alice.click("#rooms button >> text=Team")
    process.rest("PATCH", "/rooms/team", login["access"], title="The team")
    try:
        await expect(alice.locator("#room-title")).to_have_text("The team")
        await alice.click("#rooms button >> text=General")
        await expect(alice.locator("#room-title")).to_have_text("General")
        await alice.click("#rooms button >> text=The team")
        await expect(alice.locator("#room-title")).to_have_text("The team")
    finally:
        process.rest("PATCH", "/rooms/team", login["access"], title="Team")


async def test_a_double_click_on_a_person_signs_in_once(browser: Browser, process: SiteProcess) -> None:
    async with open_page(browser) as page:
        asked: list[Route] = []
        released = asyncio.Event()

        async def refuse(route: Route) -> None:
            asked.append(route)
            await released.wait()
            await route.fulfill(status=503, json={"detail": "Later"})

        await page.route("**/demo/sign-in", refuse)
        await page.goto(f"http://{process.address}/")
        await page.dblclick("#sign-in button >> nth=0")
        await expect(page.locator("#sign-in button:disabled")).not_to_have_count(0)
        released.set()
        await expect(page.locator("#sign-in-error")).to_have_text("Later")
        assert len(asked) == 1
        await page.unroute_all()
        await page.click("#sign-in button >> nth=0")
        await expect(page.locator("#pill")).to_have_attribute("data-status", "online")


async def test_a_message_that_is_refused_is_tried_again_or_discarded(windows: Windows) -> None:
    alice = await windows.open("alice")
    await say_what_is_refused(alice, "Second try")
    failed = alice.locator(".message[data-status=failed]")
    await expect(failed.locator(".reason")).to_have_text("A message cannot contain NUL characters.")
    await expect_no_barriers(alice)
    await failed.locator(".retry").click()
    await expect(failed).to_have_count(0)
    await expect(alice.locator(".message[data-status=stored] .text").last).to_have_text("Second try")
    await say_what_is_refused(alice, "No try")
    await failed.locator(".discard").click()
    await expect(alice.get_by_text("No try")).to_have_count(0)


async def test_what_a_deleted_user_has_said_is_from_somebody(windows: Windows, process: SiteProcess) -> None:
    bob = await windows.open("bob")
    await say(bob, "My last words")
    await expect(bob.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Stored")
    process.site.run(DELETE_SENDER.format("My last words"))
    alice = await windows.open("alice")
    message = alice.locator(".message", has_text="My last words")
    await expect(message.locator(".author")).to_have_text("Somebody")
    await expect(message.locator(".avatar")).to_have_text("S")


async def test_two_tabs_are_one_person(windows: Windows) -> None:
    alice = await windows.open("alice")
    bob = await windows.open("bob")
    tab = await windows.open("bob", beside=bob)
    await expect(alice.locator("#online-count")).to_have_text("2 online")
    await say(tab, "From the other tab")
    await expect(bob.locator(".message.mine .text").last).to_have_text("From the other tab")
    await bob.close()
    await say(tab, "Still here")
    await expect(alice.locator(".message .text").last).to_have_text("Still here")
    await expect(status(alice, "bob")).to_have_attribute("data-status", "online")


async def test_the_admin_in_a_third_window_reaches_both(windows: Windows) -> None:
    alice, bob = await windows.open("alice"), await windows.open("bob")
    await keep_toasts(alice)
    admin = await open_admin(alice)
    await admin.goto(f"http://{windows.address}/admin/orders/order/")
    row = admin.locator("tr", has_text="A-18")
    await row.locator("select").select_option("sent")
    await admin.click("[name=_save]")
    toast = alice.locator(".toast")
    await expect(toast).to_contain_text("The order is now: sent")
    await toast.hover()
    await expect(toast).to_have_css("animation-play-state", "paused")
    await expect(alice.locator("#orders li", has_text="A-18").locator(".state")).to_have_text("sent")
    await expect(alice).to_have_title(re.compile(r"\(\d+\) Realtime"))
    await expect(bob.locator("#items > li", has_text="A-18")).to_have_count(0)
    await admin.goto(f"http://{windows.address}{ANNOUNCING}")
    await admin.fill("#id_texts-0-title", "Cake")
    await admin.fill("#id_texts-0-message", "In the kitchen")
    await publish(admin)
    # Bob may still have the announcement of another test.
    for page in (alice, bob):
        cake = page.locator(".announcement", has_text="Cake")
        await expect(cake.locator("p")).to_contain_text("Cake In the kitchen")
    await expect_no_barriers(alice)
    cake = alice.locator(".announcement", has_text="Cake")
    await cake.locator("button").click()
    await expect(cake).to_have_count(0)
    await expect(alice.locator("#chart .line")).to_have_attribute("d", re.compile("^M.+L"))
    # The window is still alice's, though the browser has the admin's cookie.
    await say(alice, "It has been sent")
    await expect(bob.locator(".message .author").last).to_have_text("alice")


async def test_a_notification_that_the_admin_sends_is_there_at_once(windows: Windows) -> None:
    alice, bob = await windows.open("alice"), await windows.open("bob")
    for page in (alice, bob):
        await keep_toasts(page)
    admin = await open_admin(alice)
    await admin.goto(f"http://{windows.address}/admin/notifications/notification/add/")
    await prepare_mention(admin, "alice")
    await admin.get_by_role("button", name="Send it to 1 person").click()
    toast = alice.locator(".toast", has_text="New mention")
    await expect(toast).to_contain_text("admin mentioned you")
    await expect(alice.locator("#items > li").first.locator(".text")).to_have_text("admin mentioned you")
    await expect(alice.locator("#unread")).not_to_be_empty()
    await expect(bob.locator(".toast", has_text="New mention")).to_have_count(0)


async def open_admin(page: Page) -> Page:
    async with page.context.expect_page() as opening:
        await page.click("#live button >> text=Open the admin")
    admin = await opening.value
    await expect(admin).to_have_title("Site administration | Django site admin")
    return admin


async def publish(admin: Page) -> None:
    await admin.get_by_role("button", name="Save and publish").click()
    await admin.get_by_role("button", name="Publish now").click()


def note_requests(page: Page) -> list[str]:
    """What the page asks about announcements from now on."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if found := re.search(r"/api/v1(/announcements.*)", request.url):
            asked.append(f"{request.method} {found[1]}")

    page.on("request", note)
    return asked


async def test_an_announcement_to_everyone_is_shown_without_another_request(windows: Windows) -> None:
    """All who are there would load the list at the same moment."""
    alice = await windows.open("alice")
    async with alice.expect_response(re.compile("/announcements$")) as loading:
        await alice.reload()
    await (await loading.value).finished()
    await expect_entered(alice, "alice")
    asked = note_requests(alice)
    admin = await open_admin(alice)
    await admin.goto(f"http://{windows.address}{ANNOUNCING}")
    await admin.fill("#id_texts-0-title", "Tea")
    await admin.fill("#id_link", "/api/docs")
    async with alice.expect_response(re.compile("/seen$")) as seen:
        await publish(admin)
    assert (await seen.value).ok
    tea = alice.locator(".announcement", has_text="Tea")
    async with alice.expect_response(re.compile("/read$")) as read, alice.expect_popup() as opening:
        await tea.locator(".more").click()
    assert (await read.value).ok
    await (await opening.value).wait_for_url("**/api/docs")
    assert [re.sub(r"\d+", "", one) for one in asked] == ["POST /announcements//seen", "POST /announcements//read"]
    async with alice.expect_response(re.compile("/dismiss$")):
        await tea.locator("button").click()
    await expect(tea).to_have_count(0)


async def test_staff_try_how_an_announcement_looks(windows: Windows, process: SiteProcess) -> None:
    process.site.run(
        "from django.contrib.auth.models import User;"
        "User.objects.filter(username='alice').update(is_staff=True, is_superuser=True)"
    )
    alice, bob = await windows.open("alice"), await windows.open("bob")
    chinese = await windows.open("alice", locale="zh-CN")
    asked = note_requests(alice)
    admin = await alice.context.new_page()
    await admin.goto(f"http://{windows.address}/admin/login/?next={ANNOUNCING}")
    await admin.fill("#id_username", "alice")
    await admin.fill("#id_password", "demo")
    await admin.click("[type=submit]")
    await admin.fill("#id_texts-0-title", "How is it?")
    await admin.fill("#id_texts-1-title", "怎么样？")
    await admin.get_by_role("button", name="Save and send a test to myself").click()
    tried = alice.locator(".announcement", has_text="How is it?")
    await expect(tried).to_have_count(1)
    await expect(chinese.locator(".announcement", has_text="怎么样？")).to_have_count(1)
    await say(alice, "Do you see it, bob?")
    await expect(bob.locator(".message .text").last).to_have_text("Do you see it, bob?")
    await expect(bob.locator(".announcement", has_text="How is it?")).to_have_count(0)
    await tried.locator("button").click()
    await expect(tried).to_have_count(0)
    key = re.search(r"/announcement/(\d+)/", admin.url)
    assert key
    assert not [one for one in asked if f"/{key[1]}/" in one]


async def test_the_buttons_of_open_windows_work_after_the_admin_was_opened(windows: Windows) -> None:
    """Each login gives the browser another CSRF token than the one with which these windows came."""
    alice = await windows.open("alice")
    bob = await windows.open("bob", beside=alice)
    newcomer = await alice.context.new_page()
    windows.watch(newcomer)
    await newcomer.goto(f"http://{windows.address}/")
    await open_admin(alice)
    await open_admin(alice)
    await newcomer.click("#sign-in button[value=carol]")
    await expect(newcomer.locator("#pill")).to_have_attribute("data-status", "online")
    await bob.click("#side .languages button")
    await expect(bob.locator("html")).to_have_attribute("lang", "zh-hans")
    await expect(bob.locator("#my-name")).to_have_text("bob")


async def move_along(order: Locator, *states: str) -> None:
    for state in states:
        await order.locator("button").click()
        await expect(order.locator(".state")).to_have_text(state)


async def choose_tab(page: Page, name: str) -> None:
    await page.locator("#inbox .tabs span").get_by_text(name, exact=True).click()


async def open_inbox(windows: Windows, process: SiteProcess, count: int) -> Page:
    """A window of carol, who has so many notifications."""
    process.site.run(FILL_INBOX.format(count=count))
    carol = await windows.open("carol")
    await expect(carol.locator("#items > li")).to_have_count(count)
    return carol


async def test_the_inbox_by_its_keys(windows: Windows, process: SiteProcess) -> None:
    carol = await open_inbox(windows, process, 0)
    await move_along(carol.locator("#orders li").first, "paid", "sent", "delivered")
    items = carol.locator("#items > li")
    # Then the bell gives the first of them the focus.
    await expect(items).to_have_count(3)
    await carol.click("#bell")
    await carol.keyboard.press("j")
    await expect(items.nth(1)).to_be_focused()
    await carol.keyboard.press("k")
    await expect(items.nth(0)).to_be_focused()
    await carol.keyboard.press("j")
    await expect_no_barriers(carol)
    await carol.keyboard.press("e")
    await expect(items).to_have_count(2)
    await choose_tab(carol, "Archived")
    await expect(items).to_have_count(1)
    await choose_tab(carol, "All")
    await expect(items).to_have_count(2)
    await items.nth(1).focus()
    await carol.keyboard.press("z")
    await expect(items).to_have_count(3)
    await carol.keyboard.press("u")
    await expect(carol.locator("#unread")).to_have_text("2")
    await choose_tab(carol, "Unread")
    await expect(items).to_have_count(2)
    await choose_tab(carol, "All")
    await expect(items).to_have_count(3)
    await items.nth(1).focus()
    await carol.keyboard.press("h")
    await expect(items).to_have_count(2)
    await choose_tab(carol, "Snoozed")
    await expect(items).to_have_count(1)
    await items.locator("[data-act=why]").click()
    await expect(items.locator(".why")).to_contain_text("Here: ")
    await carol.keyboard.press("?")
    await expect(carol.locator("#keys")).to_be_visible()
    await carol.keyboard.press("Escape")
    await carol.keyboard.press("Escape")
    await expect(carol.locator("#inbox")).to_be_hidden()


async def test_a_double_click_is_one_act(windows: Windows) -> None:
    """The first click lets the next notification slide under the pointer."""
    bob = await windows.open("bob")
    order = bob.locator("#orders li", has_text="A-20")
    await move_along(order, "paid", "sent")
    await bob.click("#bell")
    items = bob.locator("#items > li")
    await expect(items.nth(1)).to_be_visible()
    first, second = [await items.nth(place).get_attribute("data-key") for place in range(2)]
    await items.first.locator("[data-act=archive]").dblclick()
    await expect(bob.locator(f"#items > li[data-key='{first}']")).to_have_count(0)
    await expect(items.first).to_have_attribute("data-key", str(second))


async def test_a_key_that_is_held_acts_once(windows: Windows, process: SiteProcess) -> None:
    """The next notification has the focus then. Only the last act could be undone."""
    carol = await open_inbox(windows, process, 4)
    items = carol.locator("#items > li")
    await carol.click("#bell")
    await hold(carol, "e", 3)
    await expect(items).to_have_count(3)
    await hold(carol, "j", 3)
    await expect(items.nth(2)).to_be_focused()
    await hold(carol, "u", 2)
    await expect(items.nth(2)).not_to_have_class(re.compile("unread"))
    await items.nth(1).locator("[data-act=toggle]").focus()
    await hold(carol, "Enter", 2)
    await expect(items.nth(1)).not_to_have_class(re.compile("unread"))
    await expect(carol.locator("#unread")).to_have_text("1")
    await expect(items).to_have_count(3)


async def hold(page: Page, key: str, times: int) -> None:
    for _ in range(times):
        await page.keyboard.down(key)
    await page.keyboard.up(key)


async def test_only_the_last_act_offers_to_be_undone(windows: Windows, process: SiteProcess) -> None:
    carol = await open_inbox(windows, process, 3)
    await keep_toasts(carol)
    undo = carol.locator(".toast").get_by_role("button", name="Undo")
    await carol.click("#bell")
    for number in (1, 2):
        await carol.keyboard.press("e")
        await expect(carol.locator(".toast")).to_have_count(number)
    await expect(carol.locator(".toast").nth(0).locator(".act")).to_be_hidden()
    await expect(carol.locator(".toast").nth(1).locator(".act")).to_be_visible()
    await carol.keyboard.press("u")
    await expect(undo).to_have_count(0)
    await carol.keyboard.press("e")
    await expect(undo).to_have_count(1)


async def test_what_changes_nothing_offers_no_undo(windows: Windows, process: SiteProcess) -> None:
    """It would take back the act before, which has its own button."""
    carol = await open_inbox(windows, process, 2)
    await keep_toasts(carol)
    items, toasts = carol.locator("#items > li"), carol.locator(".toast")
    await carol.click("#bell")
    await carol.click("#read-all")
    await expect(toasts.filter(has_text="All are read").locator(".act")).to_be_visible()
    await expect(carol.locator("#unread")).to_be_empty()
    await items.nth(0).focus()
    await carol.keyboard.press("e")
    await expect(toasts.filter(has_text="Archived").locator(".act")).to_be_visible()
    await carol.click("#read-all")
    await expect(toasts.filter(has_text="All are read")).to_have_count(2)
    await expect(toasts.filter(has_text="All are read").locator(".act:visible")).to_have_count(0)
    await expect(toasts.filter(has_text="Archived").locator(".act")).to_be_visible()
    await carol.keyboard.press("z")
    await expect(toasts.filter(has_text="There is nothing to undo")).to_have_count(1)
    left = await items.count()
    await toasts.filter(has_text="Archived").locator(".act").click()
    await expect(items).to_have_count(left + 1)


async def test_an_act_that_has_failed_is_not_undone(windows: Windows, process: SiteProcess) -> None:
    """Nor is the act before. To undo that has failed can be tried again."""
    carol = await open_inbox(windows, process, 3)
    await keep_toasts(carol)
    items, toasts = carol.locator("#items > li"), carol.locator(".toast")
    await carol.click("#bell")
    await carol.keyboard.press("e")
    await expect(toasts.last).to_contain_text("Archived")
    left = await items.count()
    await carol.context.set_offline(True)
    await carol.keyboard.press("e")
    await carol.keyboard.press("z")
    await expect(toasts.filter(has_text="There is nothing to undo")).to_have_count(1)
    await expect(items).to_have_count(left)
    await carol.context.set_offline(False)
    await items.first.focus()
    await carol.keyboard.press("z")
    await expect(toasts.filter(has_text="There is nothing to undo")).to_have_count(2)
    await carol.keyboard.press("e")
    await expect(toasts.last).to_contain_text("Archived")
    await carol.context.set_offline(True)
    await carol.keyboard.press("z")
    await expect(toasts.last).to_contain_text("That did not work")
    await carol.context.set_offline(False)
    await carol.keyboard.press("z")
    await expect(items).to_have_count(left)


async def test_hostile_texts_stay_texts(windows: Windows, process: SiteProcess) -> None:
    process.site.run(
        "from django.contrib.auth.models import User; from notifications import notify;"
        "from notifications.models import Notification; alice = User.objects.get(username='alice');"
        "notify(alice, 'mention', data={}, actor=User.objects.get(username='bob'), dedupe_key='x');"
        "Notification.objects.filter(recipient=alice).update(link='javascript:alert(1)')"
    )
    alice, bob = await windows.open("alice"), await windows.open("bob")
    for page in (alice, bob):
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    await say(bob, HOSTILE)
    message = alice.locator(".message .text").last
    await expect(message).to_have_text(HOSTILE)
    links = message.locator("a")
    await expect(links).to_have_count(1)
    assert await links.get_attribute("href") == "https://example.com/?q="
    assert await alice.locator("#messages img").count() == 0
    await alice.click("#bell")
    await expect(alice.locator("#items > li").first).to_be_visible()
    await expect(alice.locator("[data-act=open]:not([hidden])")).to_have_count(0)


ADDRESSES = {
    "See https://example.com/wiki/Foo_(bar), please.": ["https://example.com/wiki/Foo_(bar)"],
    "(https://example.com/a(b)c) https://example.com/f(": ["https://example.com/a(b)c", "https://example.com/f"],
    "见https://example.com/实时。谢谢（https://example.com/a）！": [
        "https://example.com/实时",
        "https://example.com/a",
    ],
    "انظر https://example.com/a، شكرًا": ["https://example.com/a"],
    "https://example.com/?q=[1]. https:// <https://example.com/#x>": [
        "https://example.com/?q=[1",
        "https://example.com/#x",
    ],
}


async def test_a_link_is_the_whole_address_and_nothing_else(windows: Windows) -> None:
    alice = await windows.open("alice")
    found = await alice.evaluate(
        """(texts) => import("/static/project/dom.js").then(({ linked }) =>
            texts.map((text) => linked(text).filter((one) => one.href).map((one) => one.textContent)))""",
        list(ADDRESSES),
    )
    assert dict(zip(ADDRESSES, found, strict=True)) == ADDRESSES


async def test_the_first_view_is_small(browser: Browser, process: SiteProcess) -> None:
    """Compressed as the server sends it: the first page, and the space of somebody who comes by the link."""
    async with open_page(browser) as page:
        await page.goto(f"http://{process.address}/", wait_until="networkidle")
        await expect(page.locator("#sign-in button").first).to_be_enabled()
        first = await expect_small(page)
        await expect_to_fit(page)
        await expect_no_barriers(page)
    async with open_page(browser) as page:
        await page.goto(f"http://{process.address}/?as=bob", wait_until="networkidle")
        await expect(page.locator(LOADED)).not_to_have_count(0)
        space = await expect_small(page)
    assert len(space) > len(first) > 0


async def test_a_page_that_is_half_read_shows_nothing_that_would_move(browser: Browser, process: SiteProcess) -> None:
    """The parser may let the browser draw at any place, such as within the foot of the side."""

    async def cut_off(route: Route) -> None:
        answer = await route.fetch()
        half, _, _ = (await answer.text()).partition('<label class="visually-hidden" for="my-status">')
        await route.fulfill(response=answer, body=half)

    async with open_page(browser) as page:
        await page.route("**/?as=bob", cut_off)
        await page.route("**/main.js", lambda route: route.abort())
        await page.goto(f"http://{process.address}/?as=bob")
        await expect(page.locator("#my-name")).to_have_count(1)
        await expect(page.locator("#people li").first).to_be_hidden()


@pytest.mark.parametrize("view", [DESK, PHONE], ids=["desk", "phone"])
async def test_it_is_still_and_accessible(windows: Windows, view: Any) -> None:
    """Nothing moves while the page is made, nor for those who want no motion, and axe finds nothing serious."""
    if not has_axe():
        pytest.skip("axe-core is not installed")
    page = await windows.open("alice", viewport=view, locale="zh-CN", reduced_motion="reduce")
    await expect_no_shifts(page)
    await page.click("#bell")
    await expect(page.locator("#inbox")).to_be_visible()
    assert await page.evaluate(MOTIONS) == []
    await expect_no_barriers(page)
    await page.click("#close-inbox")
    await say(page, "\n".join(lines("Quiet", 60)))
    await expect(page.locator(".message.mine .tick").last).to_have_attribute("aria-label", "已保存")
    assert await page.evaluate(MOTIONS) == []
    await scroll_up(page)
    await page.evaluate("document.querySelector('#cut').click()")
    await say(page, "Later")
    await expect(page.locator("#pill")).to_have_attribute("data-status", "waiting")
    await expect_no_barriers(page)
    await expect_to_fit(page)
