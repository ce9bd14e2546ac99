"""A real browser for tests: Chromium, driven by Playwright."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any

from playwright.async_api import Browser, Page, Route, ViewportSize, async_playwright, expect

from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import find_binary

expect.set_options(timeout=1000 * PATIENCE_SECONDS)
PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 800}
# The library takes a worker that has said nothing for four seconds for none. A busy machine may start one later.
WAIT_FOR_WORKERS = f"""{{
    const plan = window.setTimeout;
    window.setTimeout = (run, ms, ...rest) => plan(run, ms === 4000 ? {1000 * PATIENCE_SECONDS} : ms, ...rest);
}}"""
# What a test waits for in a page.
FIND_FRAME = """([type, fields]) => frames.find((frame) => frame.type === type
    && Object.entries(fields).every(([name, value]) => (frame.data?.[name] ?? frame[name]) === value))"""


@contextlib.asynccontextmanager
async def open_browser(*, whole: bool = False) -> AsyncIterator[Browser]:
    """Chromium. With `whole`, it keeps pages for the way back, and shows notifications of pages.

    Else it is Chromium's "headless shell" if that is installed: the same pages cost it a third of the time.
    """
    path = None if whole else shutil.which("chromium-headless-shell")
    without = ["--disable-back-forward-cache"] if whole else []  # Playwright turns it off
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path or find_binary("chromium"), args=["--no-sandbox"], ignore_default_args=without
        )
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def open_page(browser: Browser, **options: Any) -> AsyncIterator[Page]:
    """An empty page of a visitor without cookies. Fails if a script of the page raises.

    `options` are Playwright's for a context.
    """
    context = await browser.new_context(**options)
    context.set_default_timeout(1000 * PATIENCE_SECONDS)
    page = await context.new_page()
    errors: list[str] = []

    def note(error: Any) -> None:
        errors.append(str(error))

    page.on("pageerror", note)
    yield page
    await context.close()
    assert errors == []


async def add_script(page: Page, address: str, code: str, **modules: str) -> None:
    """Run a script on the start page of the site. It finds `modules` beside it: `name` is `./name.js`.

    Only the site itself can send the page: Chromium lets no page from elsewhere open a socket to this machine.
    """

    async def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2].removesuffix(".js")
        await route.fulfill(body=modules[name], content_type="text/javascript; charset=utf-8")

    for name in modules:
        await page.route(f"http://{address}/{name}.js", answer)
    await page.goto(f"http://{address}/")
    await page.add_script_tag(content=code, type="module")


async def expect_frame(page: Page, type: str, **fields: Any) -> dict[str, Any]:
    """Wait until the page has such a frame in its list `frames`."""
    handle = await page.wait_for_function(FIND_FRAME, arg=[type, fields])
    frame: dict[str, Any] = await handle.json_value()
    return frame


async def prepare_mention(admin: Page, name: str) -> None:
    """In the admin's form for a notification, choose a mention of this user, up to the page that asks once more."""
    await admin.locator("select[name=type]").select_option("mention")
    await admin.get_by_role("button", name="Continue").click()
    await admin.locator(".field-people .select2-selection").click()
    await admin.keyboard.type(name[:-1])
    await admin.get_by_role("option", name=name).click()
    await admin.get_by_role("button", name="Check it").click()
