"""The demo in a real browser as `make run` shows it: with a past, long names, and people who talk by themselves."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.async_api import Browser, ViewportSize, expect

from project.demo.script import SCENES
from tests.clients.browser import DESK, open_page
from tests.processes.demo.barriers import expect_no_barriers, expect_no_shifts, expect_small, expect_to_fit
from tests.processes.demo.conftest import HEARTBEAT_SECONDS
from tests.processes.demo.windows import LOADED
from tests.sites.processes import Site, SiteProcess

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.usefixtures("logs"),
    pytest.mark.asyncio(loop_scope="session"),
]

LOAD = "from django.core.management import call_command; call_command('load_demo', verbosity=0)"
SPOKEN = re.compile("|".join(re.escape(line.text) for line in SCENES if line.room == "general"))
NARROW: ViewportSize = {"width": 360, "height": 760}


@pytest.fixture(scope="module")
def process(new_database: Callable[[], str]) -> Iterator[SiteProcess]:
    site = Site(SQLITE_PATH=new_database(), DEBUG="1", DEMO="1", DEMO_TRAFFIC="1")
    site = site.varied({"project.demo.performance.LINE_SECONDS": 0.3}, HEARTBEAT_SECONDS=HEARTBEAT_SECONDS)
    site.run(LOAD)
    with site.process() as process:
        yield process


async def test_a_single_visitor_finds_company(browser: Browser, process: SiteProcess) -> None:
    """Somebody says a line, and nothing moves. The page is small, has no barriers, and fits every window."""
    async with open_page(browser, viewport=DESK, locale="en", reduced_motion="reduce") as page:
        await page.goto(f"http://{process.address}/?as=alice", wait_until="networkidle")
        await expect(page.locator("#my-name")).to_have_text("Alice Meyer")
        await expect(page.locator(LOADED)).not_to_have_count(0)
        await expect_small(page)
        await expect(page.locator(".message .text").filter(has_text=SPOKEN)).not_to_have_count(0)
        await expect_no_shifts(page)
        await expect_no_barriers(page)
        for pane in ("side", "live", "conversation"):
            await page.set_viewport_size(NARROW)
            await page.click(f"#panes [data-pane={pane}]")
            await expect_to_fit(page)
