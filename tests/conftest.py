"""People and servers for every test that wants them."""

import logging
import random
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection

from realtime import conf
from realtime.chat import direct, rooms
from realtime.delivery import bridge
from realtime.delivery.envelopes import Envelope
from realtime.management.commands import serve
from realtime.models import Room
from realtime.protocol import topics
from realtime.storage import database
from tests.backends.redis_server import delete_keys
from tests.people import make_token, make_user
from tests.settings import REALTIME
from tests.sites.in_process import AsgiServer, InProcessServer, TcpServer
from tests.sites.processes import show_logs


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run in a random order, the same for the same SEED")


def pytest_configure() -> None:
    """Under `nohup` the programs that tests start would ignore hangups as well; a handler is not passed on to them."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The files in random order, and the tests of each: what a file shares is made once, as ever."""
    if (seed := config.getoption("--shuffle")) is None:
        return
    chance, files = random.Random(seed), defaultdict(list)
    for item in items:
        files[item.path].append(item)
    order = sorted(files)
    chance.shuffle(order)
    for tests in files.values():
        chance.shuffle(tests)
    items[:] = [item for path in order for item in files[path]]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """pytest-django's. A connection that some thread still has would keep PostgreSQL from dropping the database."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """What a test leaves in Redis or the cache would be there for the next one, and the threads' connections, too."""
    yield
    database.shutdown()
    if REALTIME["REDIS_URL"]:
        delete_keys(REALTIME["KEY_PREFIX"])
    else:
        cache.clear()


@pytest.fixture
def alice(db: None) -> Any:
    return make_user("alice")


@pytest.fixture
def bob(db: None) -> Any:
    return make_user("bob")


@pytest.fixture
def carol(db: None) -> Any:
    return make_user("carol")


@pytest.fixture
def general(alice: Any) -> Room:
    """A public room of alice."""
    return rooms.create_room(alice.pk, title="General", slug="general")


@pytest.fixture
def shared(general: Room, bob: Any) -> Room:
    """The same, with bob in it."""
    rooms.join(bob.pk, "general")
    return general


@pytest.fixture
def secret(alice: Any, bob: Any) -> Room:
    """A private room of alice, with bob."""
    room = rooms.create_room(alice.pk, title="Secret", slug="secret", private=True)
    rooms.add_member(alice.pk, "secret", bob.pk)
    return room


@pytest.fixture
def no_topics(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No topics but those that the test declares."""
    monkeypatch.setattr(topics, "_topics", {})
    yield
    database.shutdown()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Envelope]]:
    """What reached the channel layer, one envelope each."""
    envelopes: list[Envelope] = []
    monkeypatch.setattr(bridge, "publish", envelopes.append)
    yield envelopes
    database.shutdown()


@pytest.fixture
def token() -> Callable[..., str]:
    """Makes access tokens: `token(user, exp=…)` for a new login of the user, with claims of the test's own."""
    return make_token


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Changes keys of REALTIME; to be called before the first socket is opened."""

    def change(**keys: Any) -> None:
        settings.REALTIME = {**settings.REALTIME, **keys}

    return change


@pytest.fixture
def logs() -> Iterator[None]:
    """What the processes of a test print stands in its report."""
    yield
    show_logs()


@pytest.fixture(params=[AsgiServer, TcpServer], ids=["queue", "direct"])
async def site(
    request: pytest.FixtureRequest,
    transactional_db: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[InProcessServer]:
    """A server, one test on each kind. At the end nothing may have been logged as an error."""
    monkeypatch.setattr(serve, "LOGGING", None)  # pytest's own handlers stay
    site: InProcessServer = request.param()
    yield site
    await site.stop()
    database.shutdown()
    direct._pairs.clear()
    conf.clear_cache()
    records = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    errors = [record for record in records if record.levelno >= logging.ERROR]
    assert not errors, [record.getMessage() for record in errors]
