"""`python -m docs.screenshots`: serves a temporary demo and takes the pictures of README and docs in docs/images.

Run by `make screenshots`. Needs Chromium. The server and its database are deleted afterwards.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PORT = 8765
SITE = f"http://127.0.0.1:{PORT}"
START_SECONDS = 20
DESK: Any = {"width": 1280, "height": 760}
PHONE: Any = {"width": 390, "height": 760}
VALUES = 12  # of the chart, which gets one every two seconds
CHART_HAS = "(count) => document.querySelector('#chart .line').getAttribute('d')?.split('L').length > count"
# Path, width, height, and what must be on the page before the picture is taken.
ADMIN_SHOTS = {
    "api": ("/api/docs", 1100, 860, ".opblock"),
    "rooms": ("/admin/realtime/room/", 1480, 620, "#result_list"),
    "notifications": ("/admin/notifications/notification/", 1480, 620, "#result_list"),
    "admin-phone": ("/admin/notifications/typeswitch/mention/change/", 390, 760, "#content"),
}


def main() -> None:
    directory = Path(tempfile.mkdtemp(prefix="screenshots-"))
    try:
        with serve(directory):
            take_all()
    finally:
        shutil.rmtree(directory)


@contextmanager
def serve(directory: Path) -> Iterator[None]:
    """The demo on a new SQLite database."""
    (directory / "shots_settings.py").write_text(
        "from project.settings import *\n"
        "from project.settings import DATABASES\n"
        f"DATABASES['default']['NAME'] = {str(directory / 'db.sqlite3')!r}\n"
    )
    paths = os.pathsep.join([str(ROOT), str(directory)])
    environment = {**os.environ, "DEBUG": "1", "PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "shots_settings"}
    left_out = ("DATABASE_URL", "REDIS_URL", "DEMO", "DEMO_TRAFFIC")
    environment = {name: value for name, value in environment.items() if name not in left_out}
    manage = [sys.executable, str(ROOT / "manage.py")]
    for arguments in (["migrate", "-v0"], ["load_demo"]):
        subprocess.run([*manage, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    serve = [*manage, "serve", "--no-access-log", "--port", str(PORT)]
    server = subprocess.Popen(serve, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until_up()
        yield
    finally:
        server.terminate()
        server.wait(30)


def wait_until_up() -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(SITE, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def take_all() -> None:
    IMAGES.mkdir(exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take_space(browser)
        take_admin(browser)
        browser.close()


def take_space(browser: Browser) -> None:
    """Two windows of people who talk to each other, on a desk and on a phone, in daylight and at night."""
    bob = open_window(browser, "bob", viewport=DESK, color_scheme="dark")
    alice = open_window(browser, "alice", viewport=DESK, color_scheme="light")
    say(bob, "The release notes look good. Shall we ship?")
    say(alice, "Yes! I tell everybody.")
    bob.wait_for_selector("text=I tell everybody")
    bob.type("#text", "Then I ")
    alice.wait_for_selector("#typing:has-text('Bob')")
    alice.wait_for_function(CHART_HAS, arg=VALUES)
    take(alice, "demo-light")
    take_return(bob, alice)
    bob.click("#bell")
    bob.wait_for_selector("#items > li")
    take(bob, "demo-dark")
    for scheme in ("light", "dark"):
        phone = open_window(browser, "carol", viewport=PHONE, color_scheme=scheme)
        if scheme == "dark":
            phone.click("[data-pane=live]")
            phone.wait_for_selector("#chart .line[d*=L]", state="attached")
        take(phone, f"demo-phone-{scheme}")


def take_return(page: Page, other: Page) -> None:
    """A network that was cut, and what somebody else has said meanwhile."""
    page.check("#cut")
    page.fill("#text", "Written without a network")
    page.press("#text", "Enter")
    page.wait_for_selector("#pill[data-status=waiting]")
    take(page, "demo-cut")
    say(other, "Everybody knows.")
    page.uncheck("#cut")
    page.wait_for_selector("#missed:not([hidden])")


def open_window(browser: Browser, name: str, **view: Any) -> Page:
    page = browser.new_context(**view).new_page()
    page.goto(f"{SITE}/?as={name}")
    page.wait_for_selector("#pill[data-status=online]")
    page.wait_for_selector("#messages .message")
    page.wait_for_selector("#people [data-username=nour][data-status=online]", state="attached")
    return page


def say(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")
    page.wait_for_selector(f".message[data-status=stored] >> text={text}")


def take(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


def take_admin(browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{SITE}/admin/login/?next=/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "demo")
    page.click("[type=submit]")
    for name, (path, width, height, content) in ADMIN_SHOTS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.goto(SITE + path, wait_until="networkidle")
        page.wait_for_selector(content)
        page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
