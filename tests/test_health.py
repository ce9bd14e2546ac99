"""`/health/live` and `/health/ready`: what supervisors and load balancers see."""

import asyncio
import json
import threading

import pytest
from channels.testing import HttpCommunicator
from django.db import connection

from project.asgi import application
from realtime import health
from realtime.server.scope_keys import IS_STOPPING
from realtime.sockets.node import get_node, stop_node
from realtime.storage import database
from realtime.storage.database import DatabaseUnavailable
from tests.clients.socket import until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def node(monkeypatch):
    monkeypatch.setattr(health, "FRESH_SECONDS", 0)
    node = get_node()
    await until(lambda: not node.hub.bus.is_down)
    # From here on the test says so: a process that stood still for seconds is down until it hears its next beat.
    for change in ("_note_down", "_hear_beat"):
        monkeypatch.setattr(node.hub.bus, change, lambda _: None)
    yield node
    await stop_node()
    database.shutdown()


async def ask(path, method="GET", state=None, root_path=""):
    request = HttpCommunicator(application, method, path)
    request.scope.update(state=state or {}, root_path=root_path)
    answer = await request.get_response(PATIENCE_SECONDS)
    headers = dict(answer["headers"])
    assert headers[b"cache-control"] == b"no-store"
    return answer["status"], json.loads(answer["body"] or b"{}")


def unavailable(*problems):
    return 503, {"status": "unavailable", "problems": list(problems)}


@pytest.mark.parametrize("path", ["/app/health/ready", "/health/ready"], ids=["in the path", "taken off"])
async def test_it_is_found_below_a_mount(node, path):
    """Some servers and frameworks leave the mount in the path."""
    assert await ask(path, root_path="/app") == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/app/health/ready", "/health/ready"], ids=["in the path", "taken off"])
async def test_it_is_found_below_a_prefix_of_the_settings(node, settings, path):
    settings.FORCE_SCRIPT_NAME = "/app"
    assert await ask(path) == (200, {"status": "ok"})


async def test_it_is_alive_and_ready(node):
    for path in health.PATHS:
        assert await ask(path) == (200, {"status": "ok"})
        assert await ask(path, "HEAD") == (200, {})
        assert (await ask(path, "POST"))[0] == 405


async def test_it_says_which_part_is_away(node, monkeypatch):
    def fail():
        raise DatabaseUnavailable

    monkeypatch.setattr(health, "ask_database", fail)
    assert await ask("/health/ready") == unavailable("database")
    monkeypatch.setattr(node.hub.bus, "is_down", True)
    assert await ask("/health/ready") == unavailable("database", "bus")
    assert await ask("/health/live") == (200, {"status": "ok"})


async def test_a_database_without_tables_is_of_no_use(node, caplog):
    def rename(old, new):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    await database.run(rename, "realtime_stream", "other")
    try:
        assert await ask("/health/ready") == unavailable("database")
    finally:
        await database.run(rename, "other", "realtime_stream")
    assert "realtime_stream" in caplog.text
    assert await ask("/health/ready") == (200, {"status": "ok"})


async def test_it_does_not_wait_long_for_a_database(node, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(health, "ask_database", over.wait)
    assert await ask("/health/ready") == unavailable("database")
    over.set()


async def test_a_process_that_stood_still_takes_an_answer_that_came_meanwhile(monkeypatch):
    loop, answered = asyncio.get_running_loop(), asyncio.Event()

    async def look(_ask):
        await answered.wait()

    monkeypatch.setattr(health.database, "run", look)
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 600)
    looking = asyncio.create_task(health.is_database_there())
    await asyncio.sleep(0)
    loop.call_later(599, answered.set)
    later = loop.time() + 700
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: later)
        assert await looking


async def test_it_looks_once_for_all_who_ask_within_a_second(node, monkeypatch):
    looks = []
    monkeypatch.setattr(health, "FRESH_SECONDS", 60)
    monkeypatch.setattr(health, "ask_database", lambda: looks.append(1))
    assert {(await answer)[0] for answer in [asyncio.create_task(ask("/health/ready")) for _ in range(5)]} == {200}
    assert await ask("/health/ready") == (200, {"status": "ok"})
    assert looks == [1]


async def test_it_takes_nobody_in_from_the_signal_on(node, monkeypatch):
    """The node hears of it a moment later, or never: it has no sockets."""
    stops = []
    state = {IS_STOPPING: lambda: bool(stops)}
    assert await ask("/health/ready", state=state) == (200, {"status": "ok"})
    monkeypatch.setattr(health, "ask_database", lambda: stops.append("while it is asked"))
    for _ in range(2):
        assert await ask("/health/ready", state=state) == unavailable("stopping")
        assert await ask("/health/live", state=state) == (200, {"status": "ok"})
    assert len(stops) == 1
    assert not node.drain.has_begun


async def test_it_takes_nobody_in_once_it_stops(node):
    assert (await ask("/health/ready"))[0] == 200
    node.drain.begin()
    assert await ask("/health/ready") == unavailable("stopping")
    assert await ask("/health/live") == (200, {"status": "ok"})
