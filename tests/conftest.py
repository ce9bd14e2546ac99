"""Fixtures that many tests share: users, rooms, tokens and servers. Loaded by pytest."""

import contextlib
import functools
import gc
import logging
import os
import random
import signal
import sys
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import pytest_asyncio
import redis.utils
from django.core.cache import cache
from django.db import connection
from django.db.models import signals
from django.test import TransactionTestCase
from django.utils import translation
from playwright.async_api import Browser

from realtime import conf
from realtime.chat import rooms
from realtime.delivery import bridge
from realtime.delivery.envelopes import Envelope
from realtime.management.commands import serve
from realtime.models import Room
from realtime.protocol import topics
from realtime.storage import database
from tests.backends.connections import kept_connections
from tests.backends.migrations import drop_template, share_file, share_template
from tests.backends.redis_server import delete_keys
from tests.clients.browser import open_browser
from tests.ordering import SERVERS, is_of_other_part, shuffle, spread
from tests.patience import PATIENCE_SECONDS
from tests.people import make_token, make_user
from tests.settings import REALTIME
from tests.sites.cluster import make_cluster
from tests.sites.in_process import InProcessServer
from tests.sites.once import make_once
from tests.sites.processes import python_path, show_logs, wait_until

# Made by `migrate`, and the same for every test.
KEPT_TABLES = {"django_content_type", "auth_permission"}

MODEL_SIGNALS = [found for found in vars(signals).values() if isinstance(found, signals.ModelSignal)]

# How the product names what it waits for, or works at, at most, and a busy machine does later.
LIMITS = {
    "CLOSE_SECONDS",
    "CONNECT_TIMEOUT_SECONDS",
    "LAST_HEAD_SECONDS",
    "PATIENCE_SECONDS",
    "RUN_SECONDS",
    "SOCKET_TIMEOUT_SECONDS",
    "STOP_SECONDS",
    "TIMEOUT_SECONDS",
}
PRODUCT = ("realtime.", "notifications.")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run in a random order, the same for the same SEED")
    parser.addoption(
        "--part",
        type=int,
        choices=[0, 1],
        help="run each test on one kind of server, and in the other part on the other",
    )


def pytest_configure() -> None:
    """Prepare this process, and the programs that it starts."""
    # An example may take as long as the machine wants.
    patient = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
    hypothesis.settings.register_profile("patient", patient)
    hypothesis.settings.load_profile("patient")
    # redis-py reads its own version from the disk for every connection.
    redis.utils.get_lib_version = functools.cache(redis.utils.get_lib_version)
    # The workers of pytest-xdist are such programs, too.
    os.environ["PYTHONPATH"] = python_path(*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    # Under `nohup`, the programs would ignore hangups as well. They do not inherit a handler.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector away from what lasts as long as the run: the modules and thousands of tests.

    It would look through all of them again and again, which was a tenth of the CPU time of the tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)  # as in a server
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the tests, or spread those of real processes over the workers of pytest-xdist."""
    if (part := config.getoption("--part")) is not None:
        both: dict[bool, list[pytest.Item]] = {False: [], True: []}
        for item in items:
            both[is_of_other_part(item, part)].append(item)
        config.hook.pytest_deselected(items=both[True])
        items[:] = both[False]
    if (seed := config.getoption("--shuffle")) is not None:
        items[:] = shuffle(items, random.Random(seed))
    else:
        items[:] = spread(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def delete_statements() -> list[str]:
    """What empties all tables. DELETE, because TRUNCATE makes new files and waits for the disk."""
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
    each = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in sorted(tables - KEPT_TABLES)]
    return [";".join(each)] if connection.vendor == "postgresql" else each  # SQLite takes one statement at a time


def end_other_connections() -> None:
    """On PostgreSQL, which gives them five seconds when it drops the database. A busy machine may need longer."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid) {others}")

        def have_gone() -> bool:
            cursor.execute(f"SELECT NOT EXISTS (SELECT {others})")
            return bool(cursor.fetchone()[0])

        wait_until(have_gone)


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[None]:
    """pytest-django's, but what a test with transactions leaves behind is deleted without `flush`.

    That command would look for the tables and make Django's rows again, each time. At the end, the connections of all
    threads are ended: PostgreSQL drops no database that has some.
    """
    folder = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None
    with contextlib.ExitStack() as setup:
        if folder is not None:
            setup.enter_context(django_db_blocker.unblock())
            setup.enter_context(share_file(folder) if connection.vendor == "sqlite" else share_template(folder))
        request.getfixturevalue("django_db_setup")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        # A connection outlives a test.
        if connection.vendor == "postgresql":
            stack.enter_context(kept_connections.used())
        patch.setattr(TransactionTestCase, "_should_reload_connections", lambda _self: False)
        with django_db_blocker.unblock():
            empty = functools.partial(connection.ops.execute_sql_flush, delete_statements())
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _self: empty())
        yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock():
            end_other_connections()
    if folder is not None and connection.vendor == "postgresql":
        with django_db_blocker.unblock():
            drop_template(folder)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_late() -> Iterator[None]:
    """Give time to whatever the product waits for. A test of a limit makes that one small."""
    with pytest.MonkeyPatch.context() as patch:
        for module in [module for name, module in sys.modules.items() if name.startswith(PRODUCT)]:
            for limit in LIMITS & vars(module).keys():
                patch.setattr(module, limit, PATIENCE_SECONDS)
        yield


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """After each test, empty Redis or the cache, close the threads' connections, and forget the language of a request.

    The next test would meet them.
    """
    yield
    translation.deactivate()
    database.shutdown()
    if REALTIME["REDIS_URL"]:
        delete_keys(REALTIME["KEY_PREFIX"])
    else:
        cache.clear()


@pytest.fixture(autouse=True)
def own_receivers() -> Iterator[None]:
    """What a test connects to the signals of models goes with it. The next test would have more queries."""
    before = [(sent, list(sent.receivers)) for sent in MODEL_SIGNALS]
    yield
    for sent, receivers in before:
        if sent.receivers != receivers:
            sent.receivers = receivers
            sent.sender_receivers_cache.clear()


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
    """A public room that alice owns."""
    return rooms.create_room(alice.pk, title="General", slug="general")


@pytest.fixture
def shared(general: Room, bob: Any) -> Room:
    """The room `general`, with bob in it."""
    rooms.join(bob.pk, "general")
    return general


@pytest.fixture
def secret(alice: Any, bob: Any) -> Room:
    """A private room that alice owns, with bob in it."""
    room = rooms.create_room(alice.pk, title="Secret", slug="secret", private=True)
    rooms.add_member(alice.pk, "secret", bob.pk)
    return room


@pytest.fixture
def no_topics(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only the topics that the test declares exist."""
    monkeypatch.setattr(topics, "_topics", {})
    yield
    database.shutdown()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Envelope]]:
    """The envelopes that were published to the channel layer."""
    envelopes: list[Envelope] = []
    monkeypatch.setattr(bridge, "publish", envelopes.append)
    yield envelopes
    database.shutdown()


@pytest.fixture
def token() -> Callable[..., str]:
    """Makes access tokens: `token(user, exp=…)` is for a new login of the user, with the given claims."""
    return make_token


@pytest.fixture
def normalized(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the texts that were to be brought into a normal form of Unicode, which none is.

    For marks without letters it takes a time that grows with the square of the length, and nothing else runs.
    """
    lengths: list[int] = []

    def measure(form: str, text: str) -> str:
        lengths.append(len(text))
        return text

    monkeypatch.setattr(unicodedata, "normalize", measure)
    return lengths


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Changes keys of REALTIME. Call it before the first socket is opened."""

    def change(**keys: Any) -> None:
        settings.REALTIME = {**settings.REALTIME, **keys}

    return change


@pytest.fixture(scope="session")
def cluster_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a PostgreSQL with the tables, users and rooms of a site."""
    return make_once(tmp_path_factory, "postgres", make_cluster)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A browser for all tests of a process of pytest. Those run on the session's loop, too."""
    async with open_browser() as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_browser() -> AsyncIterator[Browser]:
    async with open_browser(whole=True) as browser:
        yield browser


@pytest.fixture
def logs() -> Iterator[None]:
    """Adds the output of the test's processes to its report."""
    yield
    show_logs()


@pytest.fixture(params=SERVERS, ids=["queue", "direct"])
async def site(
    request: pytest.FixtureRequest,
    transactional_db: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[InProcessServer]:
    """A server. The test runs once on each kind, and fails if an error was logged."""
    monkeypatch.setattr(serve, "LOGGING", None)  # keeps pytest's handlers
    site: InProcessServer = request.param()
    yield site
    await site.stop()
    database.shutdown()
    conf.clear_cache()
    records = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    errors = [record for record in records if record.levelno >= logging.ERROR]
    assert not errors, [record.getMessage() for record in errors]
