"""The demo under a real server, without the people who talk by themselves, and a browser. Both are shared by a file."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.processes.demo.windows import Windows
from tests.sites.processes import Site, SiteProcess, find_binary

# Less than for what the page renews a token before it opens a socket.
EXPIRING_SECONDS = 115
# Playwright switches it off by default.
BACK_FORWARD_CACHE = "--disable-back-forward-cache"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = find_binary("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], ignore_default_args=[BACK_FORWARD_CACHE]
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def process(new_database: Callable[[], str]) -> Iterator[SiteProcess]:
    site = Site(SQLITE_PATH=new_database(), DEBUG="1", DEMO="1", DEMO_TRAFFIC="0")
    site.configure(AUTH_EXPIRING_SECONDS=EXPIRING_SECONDS)
    with site.process() as process:
        yield process


@pytest_asyncio.fixture(loop_scope="module")
async def windows(browser: Browser, process: SiteProcess) -> AsyncIterator[Windows]:
    windows = Windows(browser, process.address)
    yield windows
    await windows.close()
