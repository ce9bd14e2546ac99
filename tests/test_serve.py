"""What `manage.py serve` refuses before it serves, and which files it watches. Real servers: tests.processes."""

import math
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from realtime.management.commands import serve
from tests.sites.processes import ROOT


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": 70_000}, "Cannot serve on 127.0.0.1:70000"),
        ({"port": -1}, "Cannot serve on 127.0.0.1:-1"),
        ({"host": "192.0.2.1"}, "Cannot serve on 192.0.2.1:8000: Cannot assign requested address"),
        ({"host": "no such host"}, "Cannot serve on no such host:8000"),
        ({"host": "127..0.1"}, "Cannot serve on 127..0.1:8000: this is no name of a host"),
        ({"workers": 0}, "--workers must be at least 1"),
        ({"graceful_timeout": math.nan}, "--graceful-timeout must be more than"),
        ({"graceful_timeout": math.inf}, "and at most 1000000000"),
    ],
)
def test_what_it_cannot_do_is_said_in_a_line(options, words):
    with pytest.raises(CommandError, match=words):
        call_command("serve", **options)


def test_it_needs_an_application(settings):
    """There was a traceback."""
    settings.ASGI_APPLICATION = None
    with pytest.raises(CommandError, match=r"^ASGI_APPLICATION is not set\. Set it to the path of"):
        call_command("serve")


def test_it_reloads_one_process(settings):
    settings.REALTIME = {**settings.REALTIME, "ISOLATED_WORKERS": True}
    with pytest.raises(CommandError, match="--reload is for one process"):
        call_command("serve", reload=True, workers=2)


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80")])
def test_it_says_where_it_serves_as_browsers_write_it(host, address):
    class Listener:
        def getsockname(self):
            return (host, 80)

    assert serve.address_of(host, [Listener()]) == address


@pytest.mark.parametrize(("debug", "logs"), [(True, True), (False, False)])
def test_a_developer_sees_requests_by_default(settings, debug, logs):
    settings.DEBUG = debug
    parser = serve.Command().create_parser("manage.py", "serve")
    assert parser.parse_args([]).access_log is logs
    assert parser.parse_args(["--access-log"]).access_log is True
    assert parser.parse_args(["--no-access-log"]).access_log is False


def test_it_watches_the_site_and_not_what_is_installed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    watched = serve.find_files()
    assert {tmp_path, ROOT / "realtime", ROOT / "notifications", ROOT / "project"} <= set(watched.code)
    assert ROOT / "project/templates" in watched.templates
    assert not [path for path in (*watched.code, *watched.templates) if "site-packages" in path.parts]


def test_it_watches_each_folder_once():
    folders = {
        Path("/site"),
        Path("/site/shop"),
        Path("/elsewhere/blog"),
        Path("/env/lib/site-packages/rest_framework"),
    }
    assert sorted(serve.without_installed(folders)) == [Path("/elsewhere/blog"), Path("/site")]
