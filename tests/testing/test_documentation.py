"""The examples of docs/testing.md, run as the tests of a small site: with pytest, and with `manage.py test`."""

import os
import re
import subprocess
import sys

import pytest
from django.conf import settings

from bench.servers import ROOT

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
if os.environ.get("DATABASE_URL"):
    DATABASES["default"]["TEST"]["NAME"] = os.environ["TEST_NAME"]
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


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "count"),
    [
        (["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"], "12 passed"),
        (["-W", "error", "-m", "django", "test", "tests"], "Ran 2 tests"),
    ],
    ids=["pytest", "django"],
)
def test_the_examples_run(tmp_path, command, count):
    for name, text in {**SITE, **EXAMPLES}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    own = {
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "TEST_NAME": f"{settings.DATABASES['default']['TEST']['NAME']}_site",
    }
    left_out = {"PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    run = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env={**environment, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    output = run.stdout + run.stderr
    assert run.returncode == 0, output
    assert count in output
    assert "being accessed by other users" not in output
    assert "LOGGED" not in output
