"""README, followed word by word by somebody who has a Django site: its settings, our apps, and a page with a socket."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Route
from websockets.exceptions import InvalidStatus

from bench.readme import README
from tests.clients.browser import open_browser, open_page
from tests.clients.people import open_socket
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import ROOT, Program, free_port, wait_until, web

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]

PAGE = ROOT / "docs" / "page.md"
ACCOUNTS = """
from django.contrib.auth.models import User
import realtime
root = User.objects.create_superuser("root", password="secret")
realtime.create_room(root, title="General")
"""
# What README leaves to the site.
OWN = """
LOGIN_URL = "admin:login"
INSTALLED_APPS += ["chat"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""


def example(name: str, page: Path = README) -> str:
    """The code that follows a marker."""
    (code,) = re.findall(rf"<!-- (?:example:)?{re.escape(name)} -->\n```\w+\n(.*?)```", page.read_text(), re.S)
    return str(code)


class ReadmeSite(Program):
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ours = {"DEBUG", "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
        outer = {name: value for name, value in os.environ.items() if name not in ours}
        self.environment = {**outer, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
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
        for name in ("chat/views.py", "chat/templates/chat/room.html"):
            self.write(name, example(name, PAGE))
        self.write("chat/static/chat/realtime.js", example("client"))


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
    lines = re.findall(r"```json\n(\{.*?)```", README.read_text(), re.S)[0]
    said = TypedFrames(site, lines)
    assert [frame["type"] for frame in said.frames] == ["connected", "joined", "chat", "ack"]
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


@pytest.mark.browser
async def test_the_page_talks_with_the_session_of_its_visitor(site: ReadmeSite) -> None:
    async with open_browser() as browser, open_page(browser) as page:
        await page.goto(f"http://{site.address}/room")
        for field, value in {"username": "root", "password": "secret"}.items():
            await page.fill(f"#id_{field}", value)
        script = asyncio.Event()

        async def hold(route: Route) -> None:
            await script.wait()
            await route.continue_()

        await page.route("**/realtime.js", hold)
        await page.click("[type=submit]")
        await page.fill("#text", "<b>Hello!</b>")
        await page.press("#text", "Enter")  # too early: nobody listens to the form yet
        script.set()
        await page.click("button")
        await page.wait_for_selector("li >> text='root: <b>Hello!</b>'")
        await page.reload()
        await page.wait_for_selector("li >> text='root: <b>Hello!</b>'")
        await page.context.clear_cookies()
        await page.goto(f"http://{site.address}/room")
        assert page.url.endswith("/admin/login/?next=/room")
