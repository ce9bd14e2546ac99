"""README, followed word by word by somebody who has a Django site: its settings, our apps, and pages with a socket."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Route
from websockets.exceptions import InvalidStatus

from bench.readme import README
from tests.clients.browser import WAIT_FOR_WORKERS, open_page
from tests.clients.bundles import find_packages
from tests.clients.people import open_socket
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import ROOT, Program, free_port, python_path, wait_until, web

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]

PAGE = ROOT / "docs" / "page.md"
ACCOUNTS = """
from django.contrib.auth.models import User
import realtime
root = User.objects.create_superuser("root", password="secret")
User.objects.create_superuser("second", password="secret")
User.objects.create_user("guest", password="secret")
realtime.create_room(root, title="General")
"""
# What README leaves to the site.
OWN = """
MIDDLEWARE += ["mysite.policy.StrictPolicy"]
LOGIN_URL = "admin:login"
INSTALLED_APPS += ["chat"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""
# No page of the site may run a script inside of it, or load anything from elsewhere. The static files of a page with
# `?elsewhere` are on another host: for a browser, `localhost` is one.
POLICY = """
class StrictPolicy:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        static = f"http://localhost:{request.get_port()}/static/" if "elsewhere" in request.GET else "'self'"
        response["Content-Security-Policy"] = f"default-src 'self'; script-src {static}"
        if "elsewhere" in request.GET:
            response.content = response.content.replace(b'"/static/', f'"{static}'.encode())
        return response
"""


def example(name: str, page: Path = README) -> str:
    """The code that follows a marker."""
    (code,) = re.findall(rf"<!-- (?:example:)?{re.escape(name)} -->\n```\w+\n(.*?)```", page.read_text(), re.S)
    return str(code)


ONE_SOCKET = "realtime.rest('GET', `/status/${realtime.user}`).then((status) => status.connections_count === 1)"


class ReadmeSite(Program):
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ours = {"DEBUG", "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
        outer = {name: value for name, value in os.environ.items() if name not in ours}
        self.environment = {**outer, "PYTHONPATH": python_path(ROOT), "PYTHONUNBUFFERED": "1"}
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        command = [sys.executable, "manage.py", "serve", "--port", str(port)]
        super().__init__("readme", command, port=port, cwd=directory, env=self.environment)

    def run(self, *command: str, typed: str | None = None) -> str:
        """Run `python …` in the site's directory. Returns what it says."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.directory,
            env=self.environment,
            input=typed,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def add(self, name: str, *texts: str) -> None:
        path = self.directory / name
        path.write_text("\n".join([path.read_text(), *texts]))

    def make(self) -> None:
        self.run("-m", "django", "startproject", "mysite", ".")
        settings = [example(name) for name in ("settings", "sqlite", "whitenoise")]
        self.add("mysite/settings.py", *settings, OWN)
        self.add("mysite/urls.py", example("urls"), example("urls", PAGE))
        self.write("mysite/asgi.py", example("asgi"))
        self.run("-m", "django", "startapp", "chat")
        for name in re.findall(r"<!-- (chat/\S+) -->", PAGE.read_text()):
            self.write(name, example(name, PAGE))
        self.write("mysite/policy.py", POLICY)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadmeSite]:
    site = ReadmeSite(tmp_path_factory.mktemp("readme"))
    site.make()
    assert "no issues" in site.run("manage.py", "check")
    site.run("manage.py", "migrate")
    site.run("manage.py", "shell", "-v0", "-c", ACCOUNTS)
    with site:
        wait_until(lambda: web.get(f"http://{site.address}/health/ready").status_code == 200)
        yield site


def test_the_terminal_has_a_socket(site: ReadmeSite) -> None:
    lines = re.findall(r"```json\n(\{.*?)```", (ROOT / "docs" / "demo.md").read_text(), re.S)[0]
    said = TypedFrames(site, lines)
    # A visitor of another test may come or go now.
    types = [frame["type"] for frame in said.frames if frame["type"] != "user_status"]
    assert types == ["connected", "joined", "chat", "ack"]
    assert said.frames[0]["data"]["expires_at"] is None


class TypedFrames:
    """What `open_socket` shows to somebody who types these lines, and waits for the answer to the last one."""

    def __init__(self, site: ReadmeSite, lines: str) -> None:
        self.frames: list[dict[str, Any]] = []
        command = [sys.executable, "manage.py", "open_socket", "root", "--url", f"ws://{site.address}/api/v1/ws"]
        with subprocess.Popen(
            command,
            cwd=site.directory,
            env=site.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as terminal:
            assert terminal.stdin is not None
            assert terminal.stdout is not None
            terminal.stdin.write(lines)
            terminal.stdin.flush()
            for line in terminal.stdout:
                if found := re.search(r"< (\{.*\})", line):
                    self.frames.append(json.loads(found[1]))
                    if self.frames[-1]["type"] == "ack":
                        break
            terminal.stdin.close()
            terminal.wait(PATIENCE_SECONDS)


def test_an_address_without_its_slash_leads_to_the_admin(site: ReadmeSite) -> None:
    answer = web.get(f"http://{site.address}/admin", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/admin/login/")


def test_a_developer_sees_each_request(site: ReadmeSite) -> None:
    web.get(f"http://{site.address}/room?next=secret")
    wait_until(lambda: '"GET /room HTTP/1.1" 302' in site.log.read_text())
    assert "secret" not in site.log.read_text()


async def test_a_developer_sees_why_a_handshake_is_refused(site: ReadmeSite) -> None:
    """As from Vite's port, while the site does not allow that origin."""
    with pytest.raises(InvalidStatus):
        async with open_socket(site, origin="http://localhost:5173"):
            pass
    wait_until(lambda: "from 'http://localhost:5173' was refused (403): ORIGIN_NOT_ALLOWED" in site.log.read_text())


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, site: ReadmeSite) -> AsyncIterator[Page]:
    """A page of a visitor who has logged in. Whatever the policy forbids fails the test."""
    async with open_page(browser) as page:
        forbidden: list[str] = []

        def note(message: ConsoleMessage) -> None:
            if "Content Security Policy" in message.text:
                forbidden.append(message.text)

        page.context.on("console", note)
        await page.context.add_init_script(WAIT_FOR_WORKERS)
        await page.goto(f"http://{site.address}/room")
        await log_in(page, "root")
        yield page
        assert forbidden == []


async def log_in(page: Page, name: str) -> None:
    for field, value in {"username": name, "password": "secret"}.items():
        await page.fill(f"#id_{field}", value)
    await page.click("[type=submit]")
    await wait_for_client(page)


async def wait_for(page: Page, condition: str) -> None:
    """Wait until this is so in the page. Playwright's own way to wait for it is forbidden by the policy."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if await page.evaluate(condition):
                return
            await asyncio.sleep(0.02)


async def wait_for_client(page: Page) -> None:
    await wait_for(page, "window.realtime?.state.status === 'online'")


async def say(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.click("text=Send")


def item(page: Page, text: str) -> Locator:
    return page.locator("li[data-status=stored]", has_text=text)


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_talks_with_the_session_of_its_visitor(page: Page, site: ReadmeSite) -> None:
    script = asyncio.Event()

    async def hold(route: Route) -> None:
        await script.wait()
        await route.continue_()

    await page.route("**/room.js", hold)
    await page.goto(f"http://{site.address}/room", wait_until="commit")
    await page.fill("#text", "<b>Hello!</b>")
    await page.press("#text", "Enter")  # too early: nobody listens to the form yet
    script.set()
    await page.click("text=Send")
    await item(page, "You: <b>Hello!</b>").wait_for()
    await page.reload()
    await item(page, "You: <b>Hello!</b>").wait_for()
    assert (await page.evaluate("realtime.rest('POST', '/rooms', { title: 'Tea' })"))["id"] == "tea"
    await page.context.clear_cookies()
    await page.goto(f"http://{site.address}/room")
    assert page.url.endswith("/admin/login/?next=/room")


# As htmx's boost does it. A script runs only if it was made by a script.
REPLACE = """async () => {
  const found = new DOMParser().parseFromString(await (await fetch("/room")).text(), "text/html");
  const script = document.createElement("script");
  const { attributes } = found.querySelector("script[data-realtime]");
  for (const { name, value } of attributes) script.setAttribute(name, value);
  document.body.replaceChildren(script);
}"""


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_that_replaces_its_content_goes_on_for_another_visitor(page: Page, site: ReadmeSite) -> None:
    await page.evaluate("window.first = [realtime, realtime.user]")
    other = await page.context.new_page()
    await page.context.clear_cookies()
    await other.goto(f"http://{site.address}/room")
    await log_in(other, "second")
    await page.evaluate(REPLACE)
    await wait_for(page, "realtime.state.status === 'online' && realtime.user > first[1]")
    assert await page.evaluate("realtime === first[0]")
    # The token of the page is that of the login before.
    assert (await page.evaluate("realtime.rest('POST', '/rooms', { title: 'Cake' })"))["id"] == "cake"


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("query", "transport"), [("", "worker"), ("?elsewhere", "leader")])
async def test_the_tabs_of_a_browser_are_one_socket(page: Page, site: ReadmeSite, query: str, transport: str) -> None:
    """Also where the static files are on another host, from which no worker can be started."""
    tabs = [page, *[await page.context.new_page() for _ in range(2)]]
    for tab in tabs:
        await tab.goto(f"http://{site.address}/room{query}")
        await wait_for_client(tab)
    assert {await tab.evaluate("realtime.state.transport") for tab in tabs} == {transport}
    await wait_for(page, ONE_SOCKET)  # that of the page before may not have ended yet
    await say(tabs[-1], f"To all tabs, by {transport}")
    for tab in tabs:
        await item(tab, f"To all tabs, by {transport}").wait_for()
        assert await item(tab, f"To all tabs, by {transport}").count() == 1


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_htmx_loads_a_part_again_when_something_has_happened(page: Page, site: ReadmeSite) -> None:
    htmx = find_packages() / "htmx.org" / "dist" / "htmx.min.js"
    site.write("chat/static/chat/htmx.min.js", htmx.read_text())
    await page.goto(f"http://{site.address}/visitors")
    await page.wait_for_selector("text='Online: 1'")
    login = web.post(
        f"http://{site.address}/api/v1/auth/token", json={"username": "guest", "password": "secret"}
    ).json()
    async with open_socket(site, f"?token={login['access']}"):
        await page.wait_for_selector("text='Online: 2'")
