"""The admin in a real browser, on a real server, under a strict policy: staff announce, send, and switch a type off."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from notifications.mailing import messages
from notifications.models import Notification
from tests.clients.browser import DESK, PHONE, open_page, prepare_mention
from tests.processes.demo.barriers import find_pale
from tests.sites.processes import Site, SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

POLICY = "default-src 'self'"
# One of each object, so that lists and pages show something.
FILL = """
from django.contrib.auth import get_user_model
from django.utils import timezone
from notifications import announce, notify
from notifications.models import Announcement, Delivery, Dispatch, JobRun, Preference, Reader
from realtime.models import Message, Room
WORD = "W" * 200  # as long as an address may be
alice = get_user_model().objects.get(username="alice")
room = Room.objects.get(slug="general")
Room.objects.update(title=WORD[:128])
row = notify(alice, "mention", title=WORD, message="Lunch?", link="/lunch")
Dispatch.objects.create(type="mention", title=WORD, message="", audience="everyone", form_key="key", state="sent")
Delivery.objects.create(notification=row, user=alice, state="failed", due_at=timezone.now())
JobRun.objects.create(name="mails", due_at=timezone.now())
Reader.objects.create(user=alice)
Preference.objects.create(user=alice, scope="type", key="mention", channel="mail", enabled=False)
Message.objects.create(room=room, sender=alice, text="Hello", seq=1)
announce({"en": WORD}, {"en": "Tonight."})
Announcement.objects.create().texts.create(language="en", title=WORD)
for level in ("success", "warning", "error"):
    announce({"en": level}, {"en": "All day."}, level=level, link="/status")
"""
COUNT_LINES = """(cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return new Set([...range.getClientRects()].map((line) => Math.round(line.bottom))).size;
}"""
OURS = ("/admin/notifications/", "/admin/realtime/")
FIND_LINKS = "() => [...document.querySelectorAll('a[href], iframe[src]')].map((link) => link.href || link.src)"
# Other objects of a list look the same, and so do two pages of Django for the objects of any list.
OBJECT = re.compile(r"/[^/]+/(?=(change|publish|cancel|mail|switch)/)")
# Pages of Django that have no style sheet of ours, so they do not break long words.
NOT_OURS = re.compile("/admin/auth/|/history/")
OF_DJANGO = re.compile(r"[^/]+/[^/]+/[^/]+/(?=(delete|history)/)")


@pytest.fixture(scope="module")
def process(new_database: Callable[[], str]) -> Iterator[SiteProcess]:
    site = Site(SQLITE_PATH=new_database(), CONTENT_POLICY=POLICY)
    site.run(FILL)
    with site.process() as process:
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def login(browser: Browser, process: SiteProcess) -> Any:
    """The cookies of the user `admin`, who has logged in by the form."""
    async with open_page(browser, base_url=f"http://{process.address}") as page:
        await page.goto("/admin/login/?next=/admin/")
        await page.get_by_label("Username").fill("admin")
        await page.get_by_label("Password").fill("demo")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("link", name="Types of notifications")).to_be_visible()
        return await page.context.storage_state()


@pytest_asyncio.fixture(loop_scope="session")
async def staff(browser: Browser, process: SiteProcess, login: Any) -> AsyncIterator[Page]:
    """A page of somebody who may do everything. Fails if the browser reports an error, or stops something."""
    async with open_page(browser, base_url=f"http://{process.address}", storage_state=login, locale="en") as page:
        errors: list[str] = []
        note_errors(page, errors)
        yield page
    assert errors == []


def note_errors(page: Page, errors: list[str]) -> None:
    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{page.url}: {message.text}")

    page.on("console", note)


async def find_pages(page: Page, seen: set[str]) -> list[str]:
    """The addresses on this page that lead to pages of our admin of a kind that was not seen yet."""
    found = []
    for address in await page.evaluate(FIND_LINKS):
        path = "/" + address.partition("//")[2].partition("/")[2].partition("#")[0]
        kind = OF_DJANGO.sub("notifications/any/1/", OBJECT.sub("/1/", path.partition("?")[0]))
        if kind.startswith(OURS) and kind not in seen:
            seen.add(kind)
            found.append(path)
    return found


async def find_overflows(page: Page) -> list[str]:
    """The widths, of a phone and of a desk, at which this page is wider than its window."""
    found = []
    for size in (PHONE, DESK):
        await page.set_viewport_size(size)
        width = await page.evaluate("document.documentElement.scrollWidth")
        if width > size["width"]:
            found.append(f"{page.url}: {width} of {size['width']}")
    return found


async def test_every_page_obeys_a_strict_policy_and_fits_its_window(staff: Page) -> None:
    seen: set[str] = set()
    overflows: list[str] = []
    waiting = [*OURS, "/admin/notifications/announcement/1/cancel/", "/admin/notifications/announcement/2/publish/"]
    while waiting:
        answer = await staff.goto(waiting.pop())
        assert answer is not None
        assert answer.status == 200, answer.url
        overflows += [] if NOT_OURS.search(answer.url) else await find_overflows(staff)
        waiting += await find_pages(staff, seen)
    assert overflows == []
    models = {kind.split("/")[3] for kind in seen}
    assert {"announcement", "delivery", "jobrun", "live", "message", "notification", "reader", "room"} <= models
    assert {"/admin/realtime/room/1/change/", "/admin/notifications/typeswitch/1/mail/"} <= seen


@pytest.mark.parametrize(
    ("address", "cell"),
    [
        ("notifications/notification/", "#result_list td.field-type_label"),
        ("realtime/membership/", "#result_list td.field-role"),
        ("notifications/notification/1/change/", ".note-table th, .note-table td:nth-child(2)"),
    ],
)
async def test_a_chinese_word_of_a_table_stays_in_one_line_on_a_phone(
    browser: Browser, process: SiteProcess, login: Any, address: str, cell: str
) -> None:
    context = {"base_url": f"http://{process.address}", "storage_state": login, "locale": "zh-CN", "viewport": PHONE}
    async with open_page(browser, **context) as page:
        await page.goto(f"/admin/{address}")
        cells = page.locator(cell)
        assert {await cell.evaluate(COUNT_LINES) for cell in await cells.all()} == {1}


async def test_a_mail_fits_its_window_whatever_it_says(browser: Browser) -> None:
    """Such as a long address, which has no place where a line could end."""
    address = "https://example.com/" + "a" * 150
    rows = [Notification(pk=1, type="mention", title=address, message=f"See {address}"[:200], link="/lunch")]
    rows.append(Notification(pk=2, type="mention", title="W" * 150, message="Lunch?"))
    words = messages.write(rows, more=1, user=None, language="en", unsubscribe_url="https://example.com/unsubscribe")
    async with open_page(browser) as page:
        await page.set_content(words.html)
        assert await find_overflows(page) == []
        assert await page.locator(".card").first.evaluate("(card) => card.offsetWidth") == 560  # on a desk


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_previews_of_all_levels_can_be_read(staff: Page, scheme: Any) -> None:
    await staff.emulate_media(color_scheme=scheme)
    levels = {}
    for number in (1, 3, 4, 5):
        await staff.goto(f"/admin/notifications/announcement/{number}/cancel/")
        preview = staff.locator(".note-preview")
        levels[await preview.get_attribute("class")] = await find_pale(staff, ".note-preview")
    assert levels == {f"note-preview note-{level}": [] for level in ("info", "success", "warning", "error")}


async def test_the_browser_would_report_what_the_policy_stops(browser: Browser, process: SiteProcess) -> None:
    errors: list[str] = []
    async with open_page(browser, base_url=f"http://{process.address}") as page:
        note_errors(page, errors)
        await page.goto("/admin/login/")
        async with page.expect_event("console"):
            await page.evaluate("document.body.setAttribute('style', 'color: red')")
    assert [POLICY in error for error in errors] == [True]


async def test_staff_announce(staff: Page, process: SiteProcess) -> None:
    await staff.goto("/admin/notifications/announcement/add/")
    await staff.locator("#id_texts-0-title").fill("A picnic")
    await staff.get_by_role("button", name="Save and publish").click()
    await expect(staff.get_by_text("A picnic").last).to_be_visible()
    await staff.get_by_role("button", name="Publish now").click()
    await expect(staff.get_by_text("Published.")).to_be_visible()
    token = process.log_in("alice")["access"]
    listed = process.rest("GET", "/announcements", token)["announcements"]
    assert "A picnic" in [announcement["title"] for announcement in listed]


async def test_the_way_back_to_a_form_that_was_sent_leads_to_what_it_has_made(staff: Page) -> None:
    """The browser loads the form again, by the address that the script has given the page, or has kept the page."""
    await staff.goto("/admin/notifications/announcement/add/")
    await staff.locator("#id_texts-0-title").fill("Once")
    await staff.get_by_role("button", name="Save", exact=True).click()
    await expect(staff.get_by_text("was added successfully")).to_be_visible()
    await staff.go_back()
    await expect(staff).to_have_url(re.compile(r"/add/\?form_key=|/change/$"))
    if "/add/" in staff.url:
        await staff.get_by_role("button", name="Save", exact=True).click()
    await expect(staff.get_by_text("This form was sent before")).to_be_visible()
    await expect(staff).to_have_url(re.compile(r"/announcement/\d+/change/$"))
    await expect(staff.locator("#id_texts-0-title")).to_have_value("Once")


async def test_staff_switch_a_type_off_and_on(staff: Page) -> None:
    await staff.goto("/admin/notifications/typeswitch/")
    row = staff.get_by_role("row").filter(has_text="New mention")
    await expect(row).to_contain_text("push, mail")
    await row.get_by_role("link").click()
    await staff.get_by_text("mail: New mention").click()
    mail = staff.frame_locator("iframe[title*=English]")
    await expect(mail.get_by_text("Bob mentioned you")).to_be_visible()
    await expect(mail.locator(".card").first).to_have_css("border-radius", "8px")  # its styles are allowed
    await staff.get_by_role("button", name="Switch off").click()
    await expect(staff.get_by_text("nothing of this type is stored or sent.")).to_be_visible()
    await staff.goto("/admin/notifications/typeswitch/")
    await expect(row).to_contain_text("switched off")
    await row.get_by_role("link").click()
    await staff.get_by_role("button", name="Switch on").click()
    await expect(staff.get_by_role("button", name="Switch off")).to_be_visible()
    await staff.get_by_role("link", name="History").click()
    await expect(staff.locator("#change-history")).to_contain_text("Switched on.")


async def test_staff_send_a_notification(staff: Page, process: SiteProcess) -> None:
    await staff.goto("/admin/notifications/notification/")
    await staff.get_by_role("link", name="Send a notification").click()
    await prepare_mention(staff, "bob")
    await expect(staff.get_by_text("admin mentioned you")).to_be_visible()
    await staff.get_by_role("button", name="Send it to 1 person").click()
    await expect(staff.get_by_text("Sent to 1 person.").first).to_be_visible()
    token = process.log_in("bob")["access"]
    assert [row["message"] for row in process.rest("GET", "/notifications", token)["notifications"]] == [
        "admin mentioned you"
    ]
