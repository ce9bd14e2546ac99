"""What `serve --reload` watches, and when it starts the site again. Real processes: tests.processes.test_develop."""

import asyncio
import os
from signal import SIGTERM
from types import SimpleNamespace

import pytest
import uvicorn

from realtime.server.reloader import ReloadedServer, Reloader, Watched
from tests.server.test_supervisor import StayingSocket


@pytest.fixture
def folder(tmp_path):
    """A site with files of all kinds."""
    for name in (
        "site/views.py",
        "site/locale/de.mo",
        "site/notes.txt",
        "site/media/upload.html",
        "site/.views.py.swp",
        "site/.#views.py",
        "templates/page.html",
        "templates/mail/subject.txt",
        ".git/hook.py",
        ".venv/lib/library.py",
        "env/pyvenv.cfg",
        "env/lib/library.py",
        "node_modules/tool/setup.py",
        "site/__pycache__/views.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def look(folder):
    found = Watched(code=[folder], templates=[folder / "templates"]).look()
    return {str(path.relative_to(folder)) for path in found}


def test_it_looks_at_the_code_and_the_templates_of_the_site(folder):
    assert look(folder) == {"site/views.py", "site/locale/de.mo", "templates/page.html", "templates/mail/subject.txt"}


def test_it_survives_links_that_lead_nowhere(folder):
    (folder / "site/gone.py").symlink_to(folder / "nowhere.py")
    assert "site/gone.py" not in look(folder)


@pytest.fixture
def reloader(folder, monkeypatch):
    watched = Watched(code=[folder], templates=[folder / "templates"])
    reloader = Reloader(uvicorn.Config(lambda: None), [], watched)
    monkeypatch.setattr(reloader, "pause", lambda: None)
    reloader.process = SimpleNamespace(is_alive=lambda: True)
    return reloader


def changed(reloader, folder):
    return [str(path.relative_to(folder)) for path in reloader.should_restart() or ()]


def touch(path):
    """As an editor does, at a later time than the last."""
    path.touch()
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def test_it_notices_what_has_changed_come_and_gone(reloader, folder):
    assert changed(reloader, folder) == []
    touch(folder / "site/views.py")
    (folder / "templates/page.html").unlink()
    (folder / "site/models.py").touch()
    assert changed(reloader, folder) == ["site/models.py", "site/views.py", "templates/page.html"]
    assert changed(reloader, folder) == []


def test_it_notices_a_file_that_is_older_now(reloader, folder):
    """As after `git stash`."""
    os.utime(folder / "site/views.py", ns=(0, 1))
    assert changed(reloader, folder) == ["site/views.py"]


def test_it_leaves_other_files_alone(reloader, folder):
    touch(folder / "site/notes.txt")
    touch(folder / "site/media/upload.html")
    assert changed(reloader, folder) == []


def test_it_says_once_that_the_site_has_ended(reloader, folder, caplog, monkeypatch):
    reloader.process = SimpleNamespace(is_alive=lambda: False)
    for _ in range(3):
        assert changed(reloader, folder) == []
    assert [record.message for record in caplog.records if "has ended" in record.message] == [
        "The site has ended. It will be started again when one of its files changes."
    ]
    monkeypatch.setattr("uvicorn.supervisors.basereload.BaseReload.restart", lambda _self: None)
    reloader.restart()
    changed(reloader, folder)
    assert caplog.text.count("has ended") == 2


async def test_it_breaks_its_connections_when_it_is_replaced(monkeypatch):
    """A goodbye would ask clients to wait for up to RESTART_WINDOW_SECONDS."""
    server = ReloadedServer(uvicorn.Config(lambda: None))
    done = []
    monkeypatch.setattr(uvicorn.Server, "shutdown", lambda _self, sockets: asyncio.sleep(0, done.append("shut down")))
    transport = SimpleNamespace(abort=lambda: done.append("aborted"))
    server.server_state.connections.add(SimpleConnection(transport))
    await server.shutdown([])
    assert done == ["aborted", "shut down"]


async def test_it_asks_nobody_to_come_back_when_it_is_replaced():
    """Its parent sends SIGTERM, after which workers drain their sockets."""
    server, socket = ReloadedServer(uvicorn.Config(lambda: None, timeout_graceful_shutdown=20)), StayingSocket()
    server.server_state.connections.add(socket)
    server.handle_exit(SIGTERM, None)
    assert await server.on_tick(1)
    assert not socket.was_told


async def test_it_does_not_wait_for_requests_when_it_is_replaced(monkeypatch):
    """Nobody gets their answers: a view that hung kept the new code from being loaded for 20 seconds."""
    server = ReloadedServer(uvicorn.Config(lambda: None, timeout_graceful_shutdown=20))
    monkeypatch.setattr(uvicorn.Server, "shutdown", lambda _self, sockets: asyncio.sleep(0))
    server.handle_exit(SIGTERM, None)
    await server.shutdown([])
    assert server.config.timeout_graceful_shutdown == 1


class SimpleConnection:
    def __init__(self, transport) -> None:
        self.transport = transport
