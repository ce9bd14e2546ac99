"""`python -m docs.screenshots`: fills a temporary demo with data and takes the pictures of README in docs/images.

Run by `make screenshots`. Needs Chromium. The server and its database are deleted afterwards.
"""

import json
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

from playwright.sync_api import Page, sync_playwright
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PORT = 8765
SITE = f"http://127.0.0.1:{PORT}"
START_SECONDS = 20
# Path, width, height, and what must be on the page before the picture is taken.
SHOTS = {
    "landing": ("/", 900, 560, "h1"),
    "api": ("/api/docs", 1100, 860, ".opblock"),
    "rooms": ("/admin/realtime/room/", 1480, 620, "#result_list"),
    "notifications": ("/admin/notifications/notification/", 1480, 620, "#result_list"),
}
PEOPLE = """
from django.contrib.auth import get_user_model
from notifications import notify
from notifications.models import Notification
from realtime.chat import rooms
user = {u.username: u for u in get_user_model().objects.all()}
for name, first, last in [("alice", "Alice", "Meyer"), ("bob", "Bob", "Okafor"), ("carol", "Carol", "Lindqvist")]:
    get_user_model().objects.filter(username=name).update(first_name=first, last_name=last)
    user[name].refresh_from_db()
alice, bob, carol, admin = (user[name] for name in ("alice", "bob", "carol", "admin"))
for title, private in [("Releases", False), ("Support", False), ("Design", True)]:
    rooms.create_room(carol.pk, title=title, private=private)
for slug in ("releases", "support"):
    rooms.join(alice.pk, slug)
    rooms.join(bob.pk, slug)
notify(alice, "new_follower", actor=bob, link=f"/users/{bob.pk}")
notify(alice, "new_comment", actor=carol, data={"post_id": 17}, link="/posts/17")
notify(bob, "mention", actor=alice, link="/posts/17#c4")
notify(carol, "new_like", actor=alice, data={"post_id": 21}, link="/posts/21")
notify(carol, "comment_reply", actor=bob, link="/posts/21#c2")
notify(admin, "new_follower", actor=carol, link=f"/users/{carol.pk}")
Notification.objects.filter(recipient=alice, type="new_follower").mark_read()
notify(bob, "new_like", actor=carol, data={"post_id": 9}, link="/posts/9")
"""
TALK = [
    ("alice", "general", "Good morning! The build is green again."),
    ("bob", "general", "Then I tag 2.4 after lunch."),
    ("alice", "general", "I will write the notes."),
    ("bob", "support", "Two customers asked about the export."),
    ("alice", "releases", "2.4 is out."),
]


def main() -> None:
    directory = Path(tempfile.mkdtemp(prefix="screenshots-"))
    try:
        with serve(directory):
            talk()
            take_all()
    finally:
        shutil.rmtree(directory)


@contextmanager
def serve(directory: Path) -> Iterator[None]:
    """The demo on a new SQLite database, filled with people and notifications."""
    (directory / "shots_settings.py").write_text(
        "from project.settings import *\n"
        "from project.settings import DATABASES\n"
        f"DATABASES['default']['NAME'] = {str(directory / 'db.sqlite3')!r}\n"
    )
    paths = os.pathsep.join([str(ROOT), str(directory)])
    environment = {**os.environ, "DEBUG": "1", "PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "shots_settings"}
    environment = {name: value for name, value in environment.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    manage = [sys.executable, str(ROOT / "manage.py")]
    for arguments in (["migrate", "-v0"], ["load_demo"], ["shell", "-v0", "-c", PEOPLE]):
        subprocess.run([*manage, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    server = subprocess.Popen([*manage, "serve", "--port", str(PORT)], env=environment, stdout=subprocess.DEVNULL)
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


def talk() -> None:
    for number, (name, room, text) in enumerate(TALK):
        command = {"type": "message", "room_id": room, "message": text, "id": str(number)}
        with connect(f"ws://127.0.0.1:{PORT}/api/v1/ws?token={log_in(name)}") as socket:
            socket.send(json.dumps(command))
            while json.loads(socket.recv(timeout=5)).get("id") != str(number):
                pass


def log_in(name: str) -> str:
    """An access token."""
    body = json.dumps({"username": name, "password": "demo"}).encode()
    request = urllib.request.Request(f"{SITE}/api/v1/auth/token", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return str(json.load(answer)["access"])


def take_all() -> None:
    IMAGES.mkdir(exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        open_admin(page)
        for name, (path, width, height, content) in SHOTS.items():
            page.set_viewport_size({"width": width, "height": height})
            page.goto(SITE + path, wait_until="networkidle")
            page.wait_for_selector(content)
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


def open_admin(page: Page) -> None:
    page.goto(f"{SITE}/admin/login/?next=/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "demo")
    page.click("[type=submit]")


if __name__ == "__main__":
    main()
