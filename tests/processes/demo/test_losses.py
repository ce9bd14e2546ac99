"""The demo in a real browser, when networks, servers and logins end, and on the browser's way back."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import pytest
from playwright.async_api import Browser, Page, expect

from tests.clients.browser import PHONE, open_page
from tests.clients.people import People
from tests.patience import PATIENCE_SECONDS
from tests.processes.demo.barriers import expect_no_barriers
from tests.processes.demo.conftest import EXPIRING_SECONDS
from tests.processes.demo.windows import SPOIL, Windows, expect_texts, keep_toasts, lines, say, talk, texts
from tests.sites.processes import SiteProcess
from tests.sites.tcp_proxy import Proxy

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

# As `make run` does at each start.
LOAD = "from django.core.management import call_command; call_command('load_demo', bare=True, verbosity=0)"
HEARTBEAT_SECONDS = 2  # a page notices a network that is silent after twice this time
# What waits for five seconds waits for ever.
NO_GRACE = """{
    const plan = window.setTimeout;
    window.setTimeout = (run, ms, ...rest) => (ms === 5000 ? 0 : plan(run, ms, ...rest));
}"""
SLOW_CLOCK = "{ const { now } = Date; Date.now = () => now() - 3_600_000; }"
FAST_CLOCK = SLOW_CLOCK.replace("-", "+")
SNOOZED_SECONDS = "(item) => (Date.parse(item.item.snoozed_until) - new Date()) / 1000"
# Resolves when a page that waits for one attempt has fewer seconds left than before.
COUNT_DOWN = """() => new Promise((resolve) => {
    const pill = document.querySelector("#pill");
    let last = 0;
    const look = () => {
        const seconds = Number(pill.textContent.match(/\\d+/) ?? 0);
        if (seconds && seconds < last) resolve();
        last = seconds;
    };
    new MutationObserver(look).observe(pill, { childList: true });
})"""
SIGN_OUT = "import('/static/project/client.js').then(({ realtime }) => realtime.signOut())"
# The first socket of a page breaks at once.
BREAK_FIRST = """{
    const { WebSocket } = window;
    window.WebSocket = class {
        constructor() {
            window.WebSocket = WebSocket;
            setTimeout(() => this.onclose?.({ code: 1006, reason: "" }));
        }
        close() {}
    };
}"""


@contextlib.asynccontextmanager
async def switch(page: Page, proxy: Proxy) -> AsyncIterator[None]:
    await page.check("#cut")
    yield
    await page.uncheck("#cut")


@contextlib.asynccontextmanager
async def silence(page: Page, proxy: Proxy) -> AsyncIterator[None]:
    async with proxy.silent():  # the page may notice it before a busy machine has done the rest
        yield
        await expect(page.locator("#pill")).to_have_attribute("data-status", "connecting")


@contextlib.asynccontextmanager
async def offline(page: Page, proxy: Proxy) -> AsyncIterator[None]:
    await page.context.set_offline(True)
    await proxy.fall_silent()
    await expect(page.locator("#pill")).to_have_text("No network")
    yield
    await page.context.set_offline(False)


@pytest.mark.parametrize("cut", [switch, silence, offline])
async def test_nothing_is_missing_after_the_network_was_cut(windows: Windows, process: SiteProcess, cut: Any) -> None:
    async with Proxy(process.port) as proxy, People() as people:
        alice = await windows.open("alice", address=f"127.0.0.1:{proxy.port}")
        await talk(people, process, [f"{cut.__name__} before"])
        await expect(alice.locator(".message .text").last).to_have_text(f"{cut.__name__} before")
        async with cut(alice, proxy):
            await talk(people, process, lines(cut.__name__, 37))
            await say(alice, f"{cut.__name__} mine")
            await expect(alice.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Sending")
        await expect(alice.locator("#missed")).to_have_text("While you were away: 37 messages")
        await expect(alice.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Stored")
        wanted = [f"{cut.__name__} before", *lines(cut.__name__, 37), f"{cut.__name__} mine"]
        await expect_texts(alice, wanted)


async def test_a_network_that_is_cut_is_shown_at_once(windows: Windows) -> None:
    """By default, the library does not show a loss before five seconds have passed."""
    tab = await windows.open("alice")
    await tab.context.add_init_script(NO_GRACE)
    alice = await windows.open("alice", beside=tab)
    await alice.check("#cut")
    await expect(alice.locator("#pill")).to_have_attribute("data-status", "waiting")


async def test_an_absence_is_counted_also_if_the_first_socket_of_the_page_broke(
    windows: Windows, process: SiteProcess
) -> None:
    tab = await windows.open("alice")
    await tab.context.add_init_script(BREAK_FIRST)
    alice = await windows.open("alice", beside=tab)
    async with People() as people:
        await alice.check("#cut")
        await talk(people, process, lines("while the first is away", 3))
        await alice.uncheck("#cut")
    await expect(alice.locator("#missed")).to_have_text("While you were away: 3 messages")


async def test_what_was_missed_is_still_said_after_another_loss(windows: Windows, process: SiteProcess) -> None:
    """As long as nobody has looked: a network that is lost once is often lost again."""
    alice = await windows.open("alice")
    missed = alice.locator("#missed")
    for count, words in ((40, "40 messages"), (0, "40 messages"), (2, "42 messages")):
        await alice.check("#cut")
        async with People() as people:
            await talk(people, process, lines(f"missed before {words}", count))
        async with alice.expect_response("**/api/v1/rooms?*"):
            await alice.uncheck("#cut")
        await expect(missed).to_have_text(f"While you were away: {words}")
        await expect(missed).to_be_visible()
    await missed.click()
    await expect(alice.locator(".message.first-new .text")).to_have_text("missed before 40 messages 0")
    await alice.check("#cut")
    async with People() as people:
        await talk(people, process, ["missed at last"])
    await alice.uncheck("#cut")
    await expect(missed).to_have_text("While you were away: 1 message")


async def test_an_enter_that_sends_nothing_leaves_what_was_missed(windows: Windows, process: SiteProcess) -> None:
    alice = await windows.open("alice")
    await alice.check("#cut")
    async with People() as people:
        await talk(people, process, lines("missed before an empty line", 40))
    await alice.uncheck("#cut")
    missed = alice.locator("#missed")
    await expect(missed).to_be_visible()
    await alice.press("#text", "Enter")
    await expect(missed).to_be_visible()
    await say(alice, "Now I am here")
    await expect(missed).to_be_hidden()


async def test_what_was_missed_in_another_room_is_found_by_a_click(windows: Windows, process: SiteProcess) -> None:
    """In the room that is shown first, if something was missed there."""
    alice = await windows.open("alice")
    for room in ("team", "general"):
        await alice.click("#rooms button >> text=General")
        await alice.check("#cut")
        async with People() as people:
            await talk(people, process, lines("missed in the team", 3), room="team")
            await talk(people, process, lines("missed in general", 40 if room == "general" else 0))
        await alice.uncheck("#cut")
        await alice.click("#missed")
        await expect(alice.locator("#missed")).to_be_hidden()
        await expect(alice).to_have_url(re.compile(f"#{room}$"))
        first = alice.locator(".message.first-new")
        await expect(first.locator(".text")).to_have_text(re.compile(r"missed in (the team|general) 0"))
        await expect(first).to_be_in_viewport(ratio=1)


async def test_what_was_loaded_after_a_refused_resume_does_not_count_as_missed_later(
    windows: Windows, process: SiteProcess
) -> None:
    alice = await windows.open("alice")
    await alice.evaluate(SPOIL, "streams")
    await alice.check("#cut")
    async with alice.expect_response("**/rooms/general/messages?*"), People() as people:
        await alice.uncheck("#cut")
        await talk(people, process, lines("loaded", 3))
    await expect_texts(alice, lines("loaded", 3))
    async with People() as people:
        await alice.check("#cut")
        await talk(people, process, lines("missed", 2))
        await alice.uncheck("#cut")
    await expect(alice.locator("#missed")).to_have_text("While you were away: 2 messages")


async def test_nothing_is_missing_after_the_server_was_killed(windows: Windows, process: SiteProcess) -> None:
    """Alice's page counts the seconds, and comes back by itself. Bob clicks."""
    alice, bob = await windows.open("alice"), await windows.open("bob")
    process.kill()
    await say(alice, "one")
    await say(alice, "two")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await alice.evaluate(COUNT_DOWN)
    await expect(alice.locator("#pill")).to_contain_text("again in")
    process.site.run(LOAD)
    process.start()
    process.wait_ready()
    await bob.click("#pill")
    await say(bob, "three")
    for page in (alice, bob):
        for text in ("one", "two", "three"):
            await expect(page.get_by_text(text, exact=True)).to_be_visible()
        await expect(page.locator(".message[data-status=sending]")).to_have_count(0)
    assert sorted(await texts(alice, 3)) == ["one", "three", "two"]
    assert await texts(alice, 3) == await texts(bob, 3)


def ending_in(process: SiteProcess, token: str, seconds: float) -> str:
    """The same access token, with another end."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**claims, "exp": int(time.time() + seconds)}, process.site.env["SECRET_KEY"], "HS256")


async def test_a_login_outlives_its_tokens(windows: Windows, process: SiteProcess) -> None:
    """A token that has expired is renewed before a socket is opened, and one that expires soon on the open socket.

    When nothing can renew it, the window says so and leads to the first page.
    """
    alice = await windows.open("alice")
    login = json.loads(await alice.evaluate("sessionStorage.login"))
    for seconds in (-60, EXPIRING_SECONDS + 8):
        token = ending_in(process, login["access"], seconds)
        await alice.evaluate("(text) => sessionStorage.setItem('login', text)", json.dumps({**login, "access": token}))
        await alice.reload()
        await alice.wait_for_function("(token) => JSON.parse(sessionStorage.login).access !== token", arg=token)
        await expect(alice.locator("#rooms button").first).to_be_attached()
        await say(alice, f"Renewed after {seconds}")
        await expect(alice.locator(".message.mine .tick").last).to_have_attribute("aria-label", "Stored")
    ended = {**login, "access": ending_in(process, login["access"], -60), "refresh": "revoked"}
    await alice.evaluate("(text) => sessionStorage.setItem('login', text)", json.dumps(ended))
    await alice.reload()
    await expect(alice.locator("#pill")).to_have_text("Signed out")
    await expect_no_barriers(alice)
    await alice.click("#choose-again")
    await expect(alice.locator("#sign-in button").first).to_be_enabled()


@pytest.mark.parametrize("pane", ["side", "live", "inbox"])
async def test_each_pane_of_a_phone_says_that_one_is_signed_out(windows: Windows, pane: str) -> None:
    carol = await windows.open("carol", viewport=PHONE)
    await carol.click("#bell" if pane == "inbox" else f"#panes [data-pane={pane}]")
    await carol.evaluate(SIGN_OUT)
    await expect(carol.locator("#ended")).to_be_in_viewport(ratio=1)
    await expect_no_barriers(carol)
    await carol.click("#choose-again")
    await expect(carol.locator("#sign-in button").first).to_be_enabled()


async def test_a_login_outlives_its_tokens_also_where_the_clock_is_slow(windows: Windows, process: SiteProcess) -> None:
    tab = await windows.open("alice")
    await tab.context.add_init_script(SLOW_CLOCK)
    alice = await windows.open("alice", beside=tab)
    login = json.loads(await alice.evaluate("sessionStorage.login"))
    ended = {**login, "access": ending_in(process, login["access"], -60)}
    await alice.evaluate("(text) => sessionStorage.setItem('login', text)", json.dumps(ended))
    await alice.reload()
    await expect(alice.locator("#pill")).to_have_attribute("data-status", "online")


@pytest.mark.parametrize("clock", [SLOW_CLOCK, FAST_CLOCK], ids=["slow", "fast"])
async def test_a_minute_of_snoozing_is_one_also_where_the_clock_is_wrong(
    windows: Windows, process: SiteProcess, clock: str
) -> None:
    process.site.run(
        "from django.contrib.auth import get_user_model; from notifications import notify;"
        "notify(get_user_model().objects.get(username='carol'), 'mention', message='Lunch?')"
    )
    tab = await windows.open("carol")
    await tab.context.add_init_script(clock)
    carol = await windows.open("carol", beside=tab)
    await keep_toasts(carol)
    await expect(carol.locator("#items > li")).not_to_have_count(0)
    await carol.click("#bell")
    await carol.keyboard.press("h")
    await expect(carol.locator(".toast", has_text="Snoozed for a minute")).to_have_count(1)
    await carol.locator("#inbox .tabs span").get_by_text("Snoozed", exact=True).click()
    left = await carol.locator("#items > li").first.evaluate(SNOOZED_SECONDS)
    assert 0 < left <= 60


async def test_whoever_is_disabled_reads_so(windows: Windows, process: SiteProcess) -> None:
    carol = await windows.open("carol")
    await carol.check("#cut")
    with disabled(process, "carol"):
        await carol.uncheck("#cut")
        await expect(carol.locator("#pill")).to_have_text("Account disabled")
        await expect(carol.locator("#pill")).to_have_attribute("data-status", "signedOut")


@contextlib.contextmanager
def disabled(process: SiteProcess, name: str) -> Iterator[None]:
    users = f"from django.contrib.auth.models import User; User.objects.filter(username={name!r})"
    process.site.run(f"{users}.update(is_active=False)")
    try:
        yield
    finally:
        process.site.run(f"{users}.update(is_active=True)")


async def test_the_way_back_shows_what_was_said_meanwhile_and_a_new_window_loads_it_on_scrolling(
    whole_windows: Windows, process: SiteProcess
) -> None:
    alice = await whole_windows.open("alice")
    await alice.evaluate("addEventListener('pageshow', ({ persisted }) => { window.wasKept = persisted; })")
    await alice.goto(f"http://{whole_windows.address}/health/live")
    async with People() as people:
        await talk(people, process, lines("meanwhile", 60))
    await alice.evaluate("setTimeout(() => history.back(), 0)")
    await expect(alice.locator("#pill")).to_have_attribute("data-status", "online")
    await expect_texts(alice, lines("meanwhile", 60))
    assert await alice.evaluate("window.wasKept") is True
    carol = await whole_windows.open("carol")
    await expect(carol.get_by_text("meanwhile 59", exact=True)).to_be_visible()
    await expect(carol.get_by_text("meanwhile 0", exact=True)).to_have_count(0)
    await carol.evaluate("document.getElementById('scroller').scrollTop = 0")
    await expect(carol.get_by_text("meanwhile 0", exact=True)).to_have_count(1)


@pytest.mark.parametrize(("locale", "words"), [("en", "Connection lost"), ("zh-CN", "连接已断开")])
async def test_without_a_network_buttons_say_so_in_words(windows: Windows, locale: str, words: str) -> None:
    alice = await windows.open("alice", locale=locale)
    await keep_toasts(alice)
    await alice.context.set_offline(True)
    await alice.locator("#orders button").first.click()
    await expect(alice.locator("#toasts span").last).to_have_text(words)
    await expect(alice.locator("#orders button").first).to_be_enabled()


async def test_a_toast_under_the_pointer_stays_however_many_come(windows: Windows) -> None:
    alice = await windows.open("alice")
    await keep_toasts(alice)
    toasts, button = alice.locator(".toast"), alice.locator("#orders button").first
    await alice.check("#cut")
    for number in range(1, 7):
        await button.evaluate("(button) => button.click()")
        await expect(button).to_be_enabled()
        await expect(toasts).to_have_count(min(number, 4))
        if number == 4:
            await toasts.first.evaluate("(toast) => toast.id = 'read'")
            await toasts.first.hover()
    await expect(alice.locator("#read")).to_be_visible()


async def test_what_is_clicked_while_the_network_is_cut_does_not_reach_the_server(
    windows: Windows, process: SiteProcess
) -> None:
    alice = await windows.open("alice")
    await keep_toasts(alice)
    order = alice.locator("#orders li").first
    step = await order.locator("button").inner_text()
    login = json.loads(await alice.evaluate("sessionStorage.login"))
    before = process.rest("GET", "/orders", login["access"])
    await alice.check("#cut")
    await order.locator("button").click()
    await expect(alice.locator("#toasts span").last).to_have_text("Connection lost")
    assert process.rest("GET", "/orders", login["access"]) == before
    await alice.uncheck("#cut")
    await order.locator("button").click()
    await expect(order.locator("button")).not_to_have_text(step)


async def test_a_sign_in_that_fails_without_an_answer_of_the_site_says_so_in_words(
    browser: Browser, process: SiteProcess
) -> None:
    async with open_page(browser) as page:
        await page.goto(f"http://{process.address}/")
        await page.context.set_offline(True)
        await page.click("#sign-in button >> nth=0")
        await expect(page.locator("#sign-in-error")).to_have_text("Connection lost")
        await page.context.set_offline(False)
        await page.route("**/demo/sign-in", lambda route: route.fulfill(status=502, body="<html>"))
        await page.click("#sign-in button >> nth=0")
        await expect(page.locator("#sign-in-error")).to_have_text("That did not work")
        await page.unroute_all()
        await page.route("**/space*.js", lambda route: route.abort())
        await page.click("#sign-in button >> nth=0")
        await expect(page.locator("#sign-in-error")).to_have_text("Connection lost")
        await expect(page.locator("#sign-in button").first).to_be_enabled()
        await page.unroute_all()
        await page.click("#sign-in button >> nth=0")
        await expect(page.locator("#pill")).to_have_attribute("data-status", "online")
