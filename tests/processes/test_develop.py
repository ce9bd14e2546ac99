"""A developer's first hour: what `serve` and `manage.py` say and do while a site is being written."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from signal import SIGINT, SIGTERM

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.clients.people import open_socket
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import ROOT, Program, Site, free_port, wait_until, web
from tests.sites.small import SITE, SmallSite

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]

VIEW = """
from django.http import HttpResponse
from django.shortcuts import render
def say(request):
    return HttpResponse("first")
def show(request):
    return render(request, "page.html")
"""
URLS = """
from django.urls import include, path
from mysite import views
urlpatterns = [path("say", views.say), path("show", views.show), path("", include("realtime.urls"))]
"""
SETTINGS = (
    SITE["mysite/settings.py"]
    + """
DEBUG = True
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
REALTIME = {"ISOLATED_WORKERS": True}
INSTALLED_APPS += ["tests.sites.constants.SiteConstants"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": ["templates"]}]
LOGGING = {"version": 1}
"""
)


class SmallProcess(Program):
    """A small site in a directory, served as a developer does."""

    def __init__(self, directory: Path, *options: str, **constants: float) -> None:
        """`constants` are of the supervisor."""
        self.directory = directory
        files = {"mysite/settings.py": SETTINGS, "mysite/urls.py": URLS, "mysite/views.py": VIEW}
        site = SmallSite(directory, {**files, "templates/page.html": "first page"})
        port = free_port()
        command = [sys.executable, "-m", "django", "serve", "--port", str(port), *options]
        changed = json.dumps({f"realtime.server.supervisor.{name}": value for name, value in constants.items()})
        env = {**site.environment, "CONSTANTS_JSON": changed}
        super().__init__("small", command, port=port, cwd=directory, env=env)
        self.address = f"127.0.0.1:{port}"

    def change(self, name: str, old: str, new: str) -> None:
        path = self.directory / name
        path.write_text(path.read_text().replace(old, new))

    def text(self, path: str) -> str | None:
        """What an address answers; None while nobody answers."""
        try:
            return web.get(f"http://{self.address}/{path}").text
        except httpx.TransportError:
            return None

    def wait_for(self, path: str, text: str) -> None:
        wait_until(lambda: self.text(path) == text)

    def wait_for_log(self, text: str) -> None:
        wait_until(lambda: text in self.log.read_text())


async def test_the_site_is_started_again_when_it_changes(tmp_path):
    """A mistake ends neither the server nor the terminal, also one in a module that is loaded at start."""
    with SmallProcess(tmp_path, "--reload") as process:
        process.wait_for("say", "first")
        async with open_socket(process) as client:
            process.change("mysite/views.py", "first", "second")
            await client.ending()
        process.wait_for("say", "second")
        assert process.text("show") == "first page"
        process.change("templates/page.html", "first", "second")
        process.wait_for("show", "second page")
        process.change("mysite/settings.py", "DEBUG = True", "DEBUG = Tru")
        process.wait_for_log("The site has ended. It will be started again")
        assert "NameError: name 'Tru' is not defined" in process.log.read_text()
        process.change("mysite/settings.py", "DEBUG = Tru", "DEBUG = True")
        process.wait_for("say", "second")
        assert process.stop() == 0
        assert not process.is_ready()


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
@pytest.mark.parametrize("name", ["mysite/urls.py", "mysite/asgi.py"])
def test_a_signal_ends_it_while_it_is_being_loaded(tmp_path, name, number):
    """Ctrl-C left a traceback, or was heard only afterwards; and the first process of a container ignored SIGTERM."""
    process = SmallProcess(tmp_path)
    module = process.directory / name
    module.write_text(f"print('being loaded', flush=True)\nimport time\ntime.sleep(600)\n{module.read_text()}")
    process.start()
    try:
        process.wait_for_log("being loaded")
        assert process.stop(number) == 0
        assert "Traceback" not in process.log.read_text()
    finally:
        process.kill()
        process.log.unlink()


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["one process", "workers"])
def test_a_developer_sees_each_request(tmp_path, options):
    """Without its query, and also where the site's LOGGING disables the loggers that it does not name."""
    with SmallProcess(tmp_path, *options) as process:
        wait_until(lambda: process.text("say?secret=1") == "first")
        process.wait_for_log('"GET /say HTTP/1.1" 200')
        assert "secret" not in process.log.read_text()


@pytest.fixture
def site(new_database) -> Site:
    return Site(SQLITE_PATH=new_database())


@pytest.mark.parametrize(("options", "logs_requests"), [([], False), (["--access-log"], True)])
async def test_a_handshake_that_is_refused_is_logged_once_with_its_reason(site, options, logs_requests):
    """A browser shows only that it failed. Requests are logged only if a site asks for it."""
    with site.process("serve", *options) as process:
        with pytest.raises(InvalidStatus):
            async with open_socket(process, origin="http://localhost:5173"):
                pass
        assert web.get(f"http://{process.address}/").status_code == 200
        process.stop()
        lines = process.log.read_text().splitlines()
    (line,) = [line for line in lines if "ORIGIN_NOT_ALLOWED" in line]
    assert "WARNING realtime" in line
    assert "from 'http://localhost:5173' was refused (403)" in line
    assert any('"GET / HTTP/1.1" 200' in line for line in lines) is logs_requests


def manage(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `manage.py` with nothing of the project's in the environment but `variables`."""
    ours = {"DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**environment, **variables},
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.parametrize("options", [[], ["--workers", "2", "--access-log"]], ids=["one process", "workers"])
def test_a_port_that_is_taken(options):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        redis = {"REDIS_URL": "redis://127.0.0.1:1"}
        done = manage("serve", "--port", str(port), *options, DEBUG="1", DATABASE_URL="sqlite://", **redis)
    assert done.returncode == 1
    assert f"CommandError: Cannot serve on 127.0.0.1:{port}: Address already in use." in done.stderr
    assert "Traceback" not in done.stderr
    assert "Serving on" not in done.stdout


def test_it_says_which_port_it_has_found(site):
    process = site.process("serve", "--port", "0")
    try:
        process.start()
        wait_until(lambda: "Serving on http://127.0.0.1:" in process.log.read_text())
        port = int(process.log.read_text().partition("Serving on http://127.0.0.1:")[2].split()[0])
        wait_until(lambda: is_answered(port))
    finally:
        process.kill()
        process.log.unlink()


def is_answered(port: int) -> bool:
    try:
        return web.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
    except httpx.TransportError:
        return False


def test_commands_of_a_developer_need_no_settings(new_database):
    database = {"DATABASE_URL": f"sqlite:///{new_database()}"}
    # Only `runserver` needs daphne, which is slow to load.
    shell = ["shell", "-v0", "-c", "import sys, realtime; assert 'twisted' not in sys.modules"]
    commands = (["check"], ["load_demo"], shell, ["serve", "--help"])
    for command in commands:
        done = manage(*command, **database)
        assert (done.returncode, command) == (0, command), done.stderr
        assert "settings for development" in done.stderr


@pytest.mark.parametrize("command", ["serve", "runserver"])
@pytest.mark.parametrize("variables", [{}, {"ALLOWED_HOSTS": "example.com"}, {"DEBUG": "0"}])
def test_whoever_serves_a_site_has_to_name_its_key(command, variables):
    done = manage(command, **variables)
    assert done.returncode != 0
    assert "Set SECRET_KEY to a long random string, or DEBUG=1 to develop." in done.stderr


@pytest.mark.parametrize("variables", [{"DEBUG": "0"}, {"DEBUG": ""}, {"SECRET_KEY": ""}])
def test_commands_do_as_they_are_told(variables):
    assert "Set SECRET_KEY" in manage("check", **variables).stderr


def test_a_deployment_with_the_public_key_is_reported():
    done = manage("check", "--deploy", DATABASE_URL="sqlite://")
    assert {"security.W009", "security.W018"} <= {word.strip("()?:") for word in done.stderr.split()}
