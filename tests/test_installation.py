"""What a site has installed beside the apps: packages of the extras, and other packages with the names of ours."""

import shutil
import tomllib
from importlib import metadata
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from packaging.requirements import Requirement

from bench.servers import ROOT
from realtime import installation
from realtime.routing import asgi_application
from tests.sites.small import IN_MEMORY, SITE, SmallSite

PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
REDIS = "redis://127.0.0.1:6379/0"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Every package that an extra installs, and what only those need.
OPTIONAL = [
    *("channels_redis", "hiredis", "redis", "daphne", "twisted", "autobahn", "dj_database_url", "drf_spectacular"),
    *("h11", "httptools", "psycopg", "psycopg2", "uvicorn", "uvloop", "websockets", "whitenoise"),
]
# The modules that need one. All others have to be importable without, except `admin`, which needs Django's.
NEED_ONE = [
    *(f"realtime.server.{name}" for name in ("http", "peer", "process", "reloader", "supervisor", "terminal")),
    "realtime.server.websocket",
    *(f"realtime.{name}.redis" for name in ("presence", "presence.attendance", "recovery.sessions", "storage.leases")),
    *("realtime.storage.redis_client", "realtime.api.openapi"),
]
TESTS = f"""
import importlib, pkgutil
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client, TestCase
from rest_framework_simplejwt.tokens import AccessToken

import notifications, realtime
from notifications import anotify
from realtime.testing import connect


class Alone(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice, cls.bob = [get_user_model().objects.create_user(name) for name in ("alice", "bob")]

    def test_every_module_is_importable(self):
        for app in (realtime, notifications):
            may_fail = lambda name: self.assertIn(".admin", name)
            for module in pkgutil.walk_packages(app.__path__, app.__name__ + ".", onerror=may_fail):
                if ".admin" in module.name:
                    continue
                if module.name in {NEED_ONE!r}:
                    self.assertRaises(ModuleNotFoundError, importlib.import_module, module.name)
                else:
                    importlib.import_module(module.name)

    def test_the_checks_pass(self):
        call_command("check")

    def test_serve_says_what_it_needs(self):
        words = "pip install 'django-realtime-hub[server]'"
        with self.assertRaisesMessage(CommandError, words):
            call_command("serve")

    def test_requests_and_sockets_are_served(self):
        client = Client(headers={{"authorization": f"Bearer {{AccessToken.for_user(self.alice)}}"}})
        made = client.post("/api/v1/rooms", {{"title": "General"}}, content_type="application/json")
        self.assertEqual((made.status_code, client.get("/api/v1/rooms").json()["count"]), (201, 1))
        self.assertEqual(Client().get("/api/v1/rooms").status_code, 401)

    async def test_sockets_are_served(self):
        async with connect(self.alice) as socket:
            await socket.send({{"type": "message", "to_user_id": self.bob.pk, "message": "Hello!", "id": "c"}})
            await socket.expect("ack", id="c")
            await realtime.apublish("site", {{"type": "maintenance"}})
            await socket.expect("maintenance")
            await anotify(self.alice, "new_follower", actor=self.bob)
            await socket.expect("notification")
"""


@pytest.mark.process
def test_the_apps_work_without_any_optional_package(tmp_path):
    files = {"mysite/settings.py": SITE["mysite/settings.py"] + IN_MEMORY, "tests.py": TESTS}
    site = SmallSite(tmp_path, files, without=OPTIONAL)
    assert "Ran 5 tests" in site.run("django", "test", "tests")


@pytest.mark.process
def test_serve_does_without_uvloop(tmp_path):
    code = """
import django, json, sys
django.setup()
from django.core.management import load_command_class
from realtime.management.commands.serve import make_config
command = load_command_class("realtime", "serve")
options = vars(command.create_parser("manage.py", "serve").parse_args([]))
loop = make_config({**options, "graceful_timeout": 1}).get_loop_factory()()
print("LOOP", type(loop).__module__)
loop.close()
"""
    files = {"mysite/settings.py": SITE["mysite/settings.py"] + IN_MEMORY, "show.py": code}
    assert "LOOP asyncio." in SmallSite(tmp_path, files, without=["uvloop"]).run("show")


@pytest.fixture
def installed(monkeypatch):
    """Sets which packages are installed, by module, each with its version: None is a package without metadata."""

    def change(**versions):
        def find_version(name):
            if (found := versions.get(name.replace("-", "_"))) is None:
                raise metadata.PackageNotFoundError(name)
            return found

        monkeypatch.setattr(installation, "find_spec", lambda name: name if name in versions else None)
        monkeypatch.setattr(installation.metadata, "version", find_version)

    return change


@pytest.mark.parametrize(
    ("versions", "missing"),
    [
        ({"uvicorn": "0.52.1", "httptools": "0.6.4", "websockets": "17"}, []),
        ({"uvicorn": "1.0", "httptools": None, "websockets": "17.4.dev1"}, []),
        ({"uvicorn": "0.6", "httptools": "0.10", "websockets": "9.1"}, ["uvicorn>=0.52.1", "websockets>=17"]),
        ({}, ["httptools>=0.6.4", "uvicorn>=0.52.1", "websockets>=17"]),
    ],
)
def test_it_finds_what_is_missing_or_too_old(installed, versions, missing):
    installed(**versions)
    assert installation.find_missing("server") == missing
    if missing:
        with pytest.raises(CommandError, match=rf"{missing[0]}.*django-realtime-hub\[server\]"):
            call_command("serve")


@pytest.mark.parametrize("extra", installation.EXTRAS)
def test_it_asks_for_the_versions_that_the_extra_installs(extra):
    declared = {found.name: found.specifier for found in map(Requirement, EXTRAS[extra])}
    for name, oldest in installation.EXTRAS[extra].items():
        assert f">={oldest}" in str(declared[name]).split(",")
    assert set(declared) - set(installation.EXTRAS[extra]) <= {"uvloop"}


@pytest.mark.parametrize(
    ("redis_url", "backend", "found", "missing"),
    [
        ("", "channels.layers.InMemoryChannelLayer", {}, None),
        (REDIS, PUBSUB, {"redis": "8.1.0", "channels_redis": "4.3.0"}, None),
        (REDIS, PUBSUB, {"redis": "8.1.0"}, "channels-redis>=4.3."),
        (REDIS, PUBSUB, {"redis": "5.0", "channels_redis": "4.3.0"}, "redis>=6."),
        (REDIS, "site.layers.OwnLayer", {"redis": "8.1.0"}, None),
        (REDIS, "site.layers.OwnLayer", {}, "redis>=6."),
        ("", PUBSUB, {}, "channels-redis>=4.3."),
    ],
)
def test_it_misses_the_packages_of_redis(settings, installed, redis_url, backend, found, missing):
    settings.REALTIME = {"REDIS_URL": redis_url}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend}}
    installed(**found)
    messages = installation.check_redis_packages(None)
    assert [(error.id, error.msg.rpartition(" ")[2]) for error in messages] == (
        [("realtime.E007", missing)] if missing else []
    )
    if missing:
        with pytest.raises(ImproperlyConfigured, match=r"pip install 'django-realtime-hub\[redis\]'"):
            asgi_application(None)


def test_it_says_to_whom_another_package_belongs(monkeypatch):
    """Which has overwritten ours: the folder is the same."""
    folder = apps.get_app_config("notifications").path
    other = SimpleNamespace(name="notifications", path=folder)
    located = SimpleNamespace(locate_file=lambda name: folder)
    owners = {"notifications": ["django-notifications-hq", installation.DISTRIBUTION]}
    monkeypatch.setattr(installation.metadata, "packages_distributions", lambda: owners)
    monkeypatch.setattr(installation.metadata, "distribution", lambda name: located)
    monkeypatch.setattr(apps, "get_app_configs", lambda: [other])
    [warning] = installation.check_namesakes(None)
    assert (warning.id, f"in {folder}, of django-notifications-hq." in warning.msg) == ("realtime.W012", True)


def test_it_knows_its_own():
    assert installation.check_namesakes(None) == []


OWN_FOLDER = {"notifications/__init__.py": "", "notifications/models.py": ""}


@pytest.mark.process
def test_a_folder_of_the_site_that_hides_ours_is_named(tmp_path):
    site = SmallSite(tmp_path, {**OWN_FOLDER, "mysite/settings.py": SITE["mysite/settings.py"] + IN_MEMORY})
    output = site.run("django", "check")
    assert f"(realtime.W012) The app `notifications` is another package, in {tmp_path}/notifications." in output


@pytest.mark.process
def test_a_folder_of_the_site_that_hides_realtime_is_named(tmp_path):
    output = SmallSite(tmp_path, {"realtime/__init__.py": ""}).run("django", "check", fails=True)
    assert f"is another package, in {tmp_path}/realtime. Rename that" in output


LIVE = {
    "mysite/realtime/__init__.py": "",
    "mysite/settings.py": SITE["mysite/settings.py"].replace('"realtime",', '"mysite.realtime", "realtime",'),
}


@pytest.mark.process
def test_another_app_with_the_label_is_named(tmp_path):
    output = SmallSite(tmp_path, LIVE).run("django", "check", fails=True)
    assert "The app 'mysite.realtime' has the label 'realtime', which the app 'realtime' needs." in output


@pytest.mark.process
def test_files_that_another_package_has_left_are_named(tmp_path):
    """pip has installed both into one folder; ours came last, and migrations of the other are still there."""
    shutil.copytree(ROOT / "notifications", tmp_path / "notifications")
    left = {
        "notifications/migrations/0002_auto_20150224_1134.py": """
from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial")]
""",
        "notifications/migrations/0003_notification_data.py": "import jsonfield.fields",
    }
    site = SmallSite(tmp_path, {**left, "mysite/settings.py": SITE["mysite/settings.py"] + IN_MEMORY})
    output = site.run("django", "check", "--database", "default", fails=True)
    assert f"0002_auto_20150224_1134, 0003_notification_data in {tmp_path}/notifications/migrations" in output
