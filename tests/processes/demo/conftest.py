"""The demo under a real server, without the people who talk by themselves, shared by the tests of a file."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.processes.demo.windows import Windows
from tests.sites.processes import Site, SiteProcess

# Less than for what the page renews a token before it opens a socket.
EXPIRING_SECONDS = 115
# Nobody is taken for dead because the machine is busy. A file whose tests wait for that has its own.
HEARTBEAT_SECONDS = 600


@pytest.fixture(scope="module")
def process(request: pytest.FixtureRequest, new_database: Callable[[], str]) -> Iterator[SiteProcess]:
    heartbeat = getattr(request.module, "HEARTBEAT_SECONDS", HEARTBEAT_SECONDS)
    site = Site(SQLITE_PATH=new_database(), DEBUG="1", DEMO="1", DEMO_TRAFFIC="0")
    site.configure(AUTH_EXPIRING_SECONDS=EXPIRING_SECONDS, HEARTBEAT_SECONDS=heartbeat)
    with site.process() as process:
        yield process


@pytest_asyncio.fixture(loop_scope="session")
async def windows(browser: Browser, process: SiteProcess) -> AsyncIterator[Windows]:
    windows = Windows(browser, process.address)
    yield windows
    await windows.close()


@pytest_asyncio.fixture(loop_scope="session")
async def whole_windows(whole_browser: Browser, process: SiteProcess) -> AsyncIterator[Windows]:
    windows = Windows(whole_browser, process.address)
    yield windows
    await windows.close()
