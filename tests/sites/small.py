"""A small site in a directory, with settings of its own, for what depends on how a site is made."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.servers import ROOT

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
import dj_database_url, os
SECRET_KEY = "a key that is long enough for a signature by HMAC"
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "rest_framework",
    "rest_framework_simplejwt.token_blacklist", "realtime", "notifications",
]
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": dj_database_url.parse(os.environ.get("DATABASE_URL") or "sqlite:///db.sqlite3")}
DATABASES["default"]["TEST"] = {"MIGRATE": False}
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


class SmallSite:
    def __init__(self, directory: Path, files: Mapping[str, str]) -> None:
        """`files` are added to those of the site, or replace them."""
        self._directory = directory
        for name, text in {**SITE, **files}.items():
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def run(self, *command: str, database_url: str = "") -> str:
        """Run `python -m …`, which must succeed, and return what it has written."""
        own = {
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "PYTHONPATH": f"{self._directory}{os.pathsep}{ROOT}",
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", *command],
            cwd=self._directory,
            env={**environment, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout
