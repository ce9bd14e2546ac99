"""The project's settings as the tests want them: no environment needed, fast passwords, short waits.

DATABASE_URL and REDIS_URL are honoured. Every process of a run has names of its own there, so that the workers of
pytest-xdist, and several runs on one server, neither hear nor delete each other.
"""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DEBUG", "1")
os.environ["DEMO"] = "0"  # a test of the demo turns it on
from project.settings import *  # noqa: F403
from project.settings import CACHES, CHANNEL_LAYERS, DATABASES, INSTALLED_APPS, REALTIME
from tests.patience import PATIENCE_SECONDS

RUN = secrets.token_hex(4)

DEBUG = False
INSTALLED_APPS = [*INSTALLED_APPS, "tests.shop"]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
database: Any = DATABASES["default"]
if database["ENGINE"].endswith("sqlite3"):
    # Threads need a file: an in-memory database belongs to one connection.
    database["TEST"] = {"NAME": str(Path(tempfile.gettempdir()) / f"realtime-test-{RUN}.sqlite3")}
    database["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"  # nothing here has to survive a power cut
else:
    database["TEST"] = {"NAME": f"test_realtime_{RUN}"}
    database["OPTIONS"]["options"] = "-c synchronous_commit=off"
    database["OPTIONS"].pop("pool", None)  # a pool keeps connections, and the database could not be dropped
changes: Any = {
    "KEY_PREFIX": f"test-{RUN}",
    "PRESENCE_GRACE_SECONDS": 0.2,
    # What makes up for a loss comes too late for a test that does not ask for it: it would hide the loss.
    # Heartbeats are spread over their period in 600 slots, so the first sockets get one after 600 seconds.
    "HEARTBEAT_SECONDS": 600 * 600,
    "SWEEP_SECONDS": 600,
    # Limits that a test does not ask for never end in the middle of it.
    "AUTH_TIMEOUT_SECONDS": 600,
    "BAD_FRAMES_SECONDS": 600,
    "REQUEST_HEAD_SECONDS": 600,
    "TICKET_SECONDS": 600,
    "TOPIC_LEASE_SECONDS": 600,
    "PRESENCE_LEASE_SECONDS": 600,
    "TYPING_SECONDS": 600,
    # Announcements about other users come at any time, also between a command and its answer. Tests that are about
    # them ask for them: the fixture `announcements`.
    "PRESENCE_AUDIENCE": "nobody",
}
REALTIME = {**REALTIME, **changes}
# A test runs the jobs that it is about.
NOTIFICATIONS = {"JOBS_SECONDS": 0}
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
CACHES["default"]["KEY_PREFIX"] = f"test-{RUN}"
layer: Any = CHANNEL_LAYERS["default"]
if "CONFIG" in layer:
    layer["CONFIG"]["prefix"] = f"test-{RUN}"
    layer["CONFIG"]["hosts"][0].update(socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS)
    CACHES["default"]["OPTIONS"] = {"socket_timeout": PATIENCE_SECONDS, "socket_connect_timeout": PATIENCE_SECONDS}
