"""The examples of docs/testing.md, run as the tests of a small site: with pytest, and with `manage.py test`."""

import os
import re
import subprocess
import sys

import pytest

from bench.servers import ROOT
from tests.sites.processes import Postgres

PAGE = (ROOT / "docs" / "testing.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", PAGE, re.S))
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


@pytest.fixture
def site(tmp_path):
    """Runs a command in the directory of the site, and returns what it has written."""
    for name, text in {**SITE, **EXAMPLES}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run(*command, database_url=""):
        own = {
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", *command],
            cwd=tmp_path,
            env={**environment, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.mark.process
def test_the_examples_run_with_pytest_on_sqlite(site):
    assert "12 passed" in site("pytest", "-q", "-p", "no:cacheprovider")


@pytest.mark.process
def test_the_examples_run_with_django_on_postgresql(site):
    """Which can drop the test's database only if no connection is left."""
    with Postgres() as postgres:
        output = site("django", "test", "tests", database_url=postgres.url)
    assert "Ran 2 tests" in output
    assert "LOGGED" not in output
