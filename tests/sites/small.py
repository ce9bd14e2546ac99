"""A small site in a directory, with settings of its own, for what depends on how a site is made."""

import os
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import django

from bench.servers import ROOT
from tests.sites.processes import python_path

PACKAGES = Path(django.__file__).parents[1]

SITE = {
    "mysite/__init__.py": "",
    "mysite/urls.py": """
from django.urls import include, path
urlpatterns = [path("", include("realtime.urls"))]
""",
    "mysite/asgi.py": """
from django.core.asgi import get_asgi_application
http = get_asgi_application()
from realtime.routing import asgi_application
application = asgi_application(http)
""",
    # Its Redis does not exist.
    "mysite/settings.py": """
import os
SECRET_KEY = "a key that is long enough for a signature by HMAC"
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "rest_framework",
    "rest_framework_simplejwt.token_blacklist", "realtime", "notifications",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
if os.environ["DATABASE_URL"]:
    import dj_database_url
    DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
DATABASES["default"]["TEST"] = {"MIGRATE": False}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    quick = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"  # no test cuts the power
    DATABASES["default"]["OPTIONS"] = {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": quick}
NOWHERE = {"address": "redis://127.0.0.1:1", "socket_timeout": 10}
LAYER = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [NOWHERE]}}
CHANNEL_LAYERS = {"default": LAYER}
REALTIME = {"REDIS_URL": NOWHERE["address"]}
LOGGING = {
    "version": 1,
    "formatters": {"line": {"format": "LOGGED %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
""",
}


# The settings for a site without Redis.
IN_MEMORY = """
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
REALTIME = {}
"""


def link_packages(directory: Path, without: Collection[str]) -> Path:
    """A folder with the installed packages but those in `without`, and what belongs to them (`psycopg_pool`)."""
    directory.mkdir(exist_ok=True)
    hidden = re.compile(rf"({'|'.join(without)})(_[^.-]*)?([.-]|\Z)", re.IGNORECASE)
    for entry in PACKAGES.iterdir():
        if not hidden.match(entry.name):
            (directory / entry.name).symlink_to(entry)
    return directory


NOWHERE = "redis://127.0.0.1:1"


def settings_with(*, redis_url: str = NOWHERE, more: str = "") -> dict[str, str]:
    """The settings of the site, with another Redis, and with more lines at the end."""
    name = "mysite/settings.py"
    return {name: SITE[name].replace(NOWHERE, redis_url) + more}


class SmallSite:
    def __init__(self, directory: Path, files: Mapping[str, str], without: Collection[str] = ()) -> None:
        """`files` are added to those of the site, or replace them. The packages in `without` are not installed."""
        self._directory = directory
        self._options, folders = ["-W", "error"], [directory, ROOT]
        if without:
            self._options.append("-S")  # Python's own folder of packages is not searched
            folders.append(link_packages(directory / "packages", without))
        own = {"DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": python_path(*folders)}
        outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        self.environment = {**outer, "DATABASE_URL": "", **own}
        for name, text in {**SITE, **files}.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, *command: str, database_url: str = "", fails: bool = False, code: int = 0) -> str:
        """Run `python -m …`, which must end with `code`, or `fails` with any; return what it has written."""
        done = subprocess.run(
            [sys.executable, *self._options, "-m", *command],
            cwd=self._directory,
            env={**self.environment, "DATABASE_URL": database_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert bool(done.returncode) if fails else done.returncode == code, done.stdout
        return done.stdout
