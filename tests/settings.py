"""The project's settings as the tests want them: no `.env` needed, fast passwords, short waits."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("DEBUG", "1")
from project.settings import *  # noqa: E402, F403
from project.settings import DATABASES, REALTIME  # noqa: E402

DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Threads need a file: an in-memory database belongs to one connection.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(tempfile.gettempdir()) / f"realtime-test-{os.getpid()}.sqlite3")}
REALTIME = {**REALTIME, "PRESENCE_GRACE_SECONDS": 0.2}
