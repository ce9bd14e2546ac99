"""The edge between the loop and the database: threads that keep their connections, and work that gathers."""

import asyncio
import contextlib
import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import (
    DataError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)

from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.storage import database
from realtime.storage.database import Batcher, ByteLimits, DatabaseUnavailable
from tests.patience import PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setattr(database, "_is_away", False)
    yield
    database.shutdown()


class Work:
    """Doubles numbers, in runs that wait for `release` when the test wants."""

    def __init__(self, bad=(), error=ValueError):
        self.runs = []
        self.begun = threading.Event()
        self.release = threading.Event()
        self.release.set()
        self._bad = set(bad)
        self._error = error

    def __call__(self, items):
        self.runs.append(items)
        self.begun.set()
        assert self.release.wait(PATIENCE_SECONDS)
        if self._bad & set(items):
            raise self._error("bad")
        return [2 * item for item in items]

    async def hold(self, batcher, first):
        """Begin a run with `first` alone, which does not end before `release`."""
        self.release.clear()
        future = batcher.submit(first)
        assert await asyncio.to_thread(self.begun.wait, PATIENCE_SECONDS)
        return future


async def outcomes(*futures):
    return [
        type(outcome).__name__ if isinstance(outcome, Exception) else outcome
        for outcome in await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), PATIENCE_SECONDS)
    ]


async def test_it_does_not_wait_when_it_is_quiet():
    work = Work()
    batcher = Batcher(work, limit=10)
    assert await batcher.submit(1) == 2
    assert await batcher.submit(2) == 4
    assert work.runs == [[1], [2]]


async def test_it_gathers_what_comes_while_a_run_is_under_way():
    work = Work()
    batcher = Batcher(work, limit=3)
    first = await work.hold(batcher, 0)
    later = [batcher.submit(number) for number in range(1, 8)]
    work.release.set()
    assert await outcomes(first, *later) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert work.runs == [[0], [1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize("bad", [[1], [5], [8], [2, 3], [1, 8], list(range(1, 9))])
async def test_it_lets_a_bad_item_fail_alone(bad):
    work = Work(bad=bad)
    batcher = Batcher(work, limit=100)
    futures = [batcher.submit(number) for number in range(1, 9)]
    assert await outcomes(*futures) == ["ValueError" if number in bad else 2 * number for number in range(1, 9)]
    done = [item for run in work.runs for item in run if not set(run) & set(bad)]
    assert done == [number for number in range(1, 9) if number not in bad]  # in the order in which they came


async def test_it_gives_each_item_its_own_result_or_exception():
    refusal = Refused(ErrorCode.CONFLICT, Reason.ROOM_ID_TAKEN)
    batcher = Batcher(lambda items: [refusal if item == 2 else item for item in items], limit=100)
    futures = [batcher.submit(number) for number in (1, 2, 3)]
    assert await outcomes(*futures) == [1, "Refused", 3]


async def test_it_refuses_what_is_too_much():
    work = Work()
    batcher = Batcher(work, limit=100, waiting_limit=2)
    first = await work.hold(batcher, 0)
    waiting = [batcher.submit(1), batcher.submit(2)]
    with pytest.raises(Refused) as refused:
        batcher.submit(3)
    assert refused.value.code == ErrorCode.UNAVAILABLE
    work.release.set()
    assert await outcomes(first, *waiting) == [0, 2, 4]
    assert await batcher.submit(3) == 6


async def test_it_counts_bytes_of_what_may_be_large():
    work = Work()
    batcher = Batcher(work, limit=3, byte_limits=ByteLimits(measure=int, run=10, waiting=40))
    first = await work.hold(batcher, 5)
    waiting = [batcher.submit(size) for size in (4, 6, 1, 1, 1, 1, 20)]
    with pytest.raises(Refused) as refused:
        batcher.submit(7)
    assert refused.value.reason == Reason.TOO_MUCH_WAITING
    waiting.append(batcher.submit(6))
    work.release.set()
    await outcomes(first, *waiting)
    assert work.runs == [[5], [4, 6], [1, 1, 1], [1], [20], [6]]
    assert await batcher.submit(40) == 80
    assert await batcher.submit(41) == 82  # nothing else waits, and there never will be more room


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
async def test_it_does_not_split_for_a_database_that_is_away(error):
    work = Work(bad=[2], error=error)
    batcher = Batcher(work, limit=100)
    futures = [batcher.submit(number) for number in (1, 2, 3)]
    assert await outcomes(*futures) == ["DatabaseUnavailable"] * 3
    assert work.runs == [[1, 2, 3]]
    assert await batcher.submit(4) == 8


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_it_runs_a_batch_again_that_conflicted_with_another_transaction(state):
    runs = []

    def work(items):
        runs.append(items)
        if len(runs) == 1:
            cause = Exception("could not serialize access")
            cause.sqlstate = state
            raise OperationalError from cause
        return items

    batcher = Batcher(work, limit=100)
    assert await outcomes(batcher.submit(1), batcher.submit(2)) == [1, 2]
    assert runs == [[1, 2], [1, 2]]


async def test_it_reports_once_that_the_database_is_away():
    reported = []
    batcher = Batcher(Work(bad=[2], error=OperationalError), limit=100, on_unavailable=reported.append)
    assert await outcomes(*[batcher.submit(number) for number in (1, 2)]) == ["DatabaseUnavailable"] * 2
    assert [error.reason for error in reported] == [Reason.DATABASE_AWAY]


async def test_it_goes_on_for_the_others_when_somebody_stops_waiting():
    work = Work()
    batcher = Batcher(work, limit=100)
    first = await work.hold(batcher, 0)
    gone, stays = batcher.submit(1), batcher.submit(2)
    gone.cancel()
    first.cancel()
    work.release.set()
    assert await asyncio.wait_for(stays, PATIENCE_SECONDS) == 4
    assert work.runs == [[0], [2]]  # what has begun is finished


async def test_it_does_not_run_for_nobody():
    work = Work()
    batcher = Batcher(work, limit=2)
    first = await work.hold(batcher, 0)
    gone = [batcher.submit(number) for number in range(1, 6)]
    for future in gone:
        future.cancel()
    stays = batcher.submit(6)
    work.release.set()
    assert await outcomes(first, stays) == [0, 12]
    assert work.runs == [[0], [6]]


async def test_it_passes_all_on_before_it_answers_each():
    given = []
    batcher = Batcher(Work(), limit=100, after=lambda results: given.append(list(results)))
    futures = [batcher.submit(number) for number in (1, 2)]
    for future in futures:
        future.add_done_callback(lambda done: given.append(done.result()))
    await batcher.drain()
    await outcomes(*futures)
    assert given == [[2, 4], 2, 4]


async def test_it_answers_even_if_the_results_cannot_be_passed_on(caplog):
    def fail(results):
        raise RuntimeError("broken")

    batcher = Batcher(Work(), limit=100, after=fail)
    assert await asyncio.wait_for(batcher.submit(1), PATIENCE_SECONDS) == 2
    assert "RuntimeError: broken" in caplog.text


async def test_it_drains():
    work = Work()
    batcher = Batcher(work, limit=1)
    await batcher.drain()
    first = await work.hold(batcher, 0)
    waiting = [first, *(batcher.submit(number) for number in (1, 2))]
    work.release.set()
    await asyncio.wait_for(batcher.drain(), PATIENCE_SECONDS)
    assert work.runs == [[0], [1], [2]]
    assert await outcomes(*waiting) == [0, 2, 4]


async def test_it_rests_between_runs_when_told_to():
    work = Work()
    batcher = Batcher(work, limit=100, rest_seconds=0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await batcher.submit(1) == 2
    assert await outcomes(batcher.submit(2), batcher.submit(3)) == [4, 6]
    assert loop.time() - began >= 0.05
    assert work.runs == [[1], [2, 3]]


def fail(error):
    raise error


async def test_it_raises_what_the_function_raises():
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.run(fail, OperationalError("gone"))
    assert refused.value.code == ErrorCode.UNAVAILABLE
    with pytest.raises(DataError):
        await database.run(fail, DataError("bad"))
    assert await database.run(divmod, 7, 2) == (3, 1)


def query():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return threading.current_thread().name, connection.connection


@pytest.mark.django_db(transaction=True)
async def test_it_keeps_a_connection_for_each_thread(settings):
    settings.REALTIME = {**settings.REALTIME, "DATABASE_THREADS": 1}
    (thread, first), (same, second) = await database.run(query), await database.run(query)
    assert thread == same
    assert first is second


@pytest.mark.django_db(transaction=True)
async def test_it_replaces_a_connection_that_has_failed(settings):
    settings.REALTIME = {**settings.REALTIME, "DATABASE_THREADS": 1}
    _, first = await database.run(query)
    await database.run(first.close)
    # On PostgreSQL it is seen to be closed before it is used.
    with contextlib.suppress(DatabaseUnavailable, ProgrammingError):
        await database.run(query)
    _, second = await database.run(query)
    assert second is not first


@pytest.mark.django_db(transaction=True)
async def test_it_logs_once_that_the_database_is_away_and_once_that_it_is_back(caplog):
    """Each failed job had a line of its own."""
    caplog.set_level("INFO", logger="realtime")
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await database.run(fail, OperationalError("no route\n"))
    await asyncio.gather(*(database.run(list) for _ in range(3)))  # which asks no database
    for _ in range(3):
        await database.run(query)
    with pytest.raises(DatabaseUnavailable):
        await database.run(fail, InterfaceError("closed"))
    lines = ["is unavailable: no route", "is available", "is unavailable: closed"]
    assert [record.getMessage() for record in caplog.records] == [f"The database {line}" for line in lines]


def terminate_others():
    """End all other connections to the database, and wait until they have gone. A pool may open new ones meanwhile."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pid, pg_terminate_backend(pid) {others} <> pg_backend_pid()")
        ended = [pid for pid, _ in cursor.fetchall()]
        cursor.execute(f"SELECT count(*) {others} = ANY(%s)", [ended])
        while cursor.fetchone() != (0,):
            cursor.execute(f"SELECT count(*) {others} = ANY(%s)", [ended])
    return len(ended)


@pytest.fixture(params=["no pool", "a pool", "a pool that looks"])
def pooled(request, db, monkeypatch):
    """A pool looks whether a connection has ended before it gives it out only with CONN_HEALTH_CHECKS."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server")
    connections.close_all()
    pool = {"min_size": 2, "max_size": 4} if request.param != "no pool" else False
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", pool)
    monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", request.param == "a pool that looks")
    yield
    database.shutdown()
    connections.close_all()
    connection.close_pool()


@pytest.mark.django_db(transaction=True)
async def test_a_restart_of_the_database_costs_no_job_an_error(settings, pooled):
    settings.REALTIME = {**settings.REALTIME, "DATABASE_THREADS": 1}
    _, first = await database.run(query)
    if pool := connection.pool:
        # One that the pool is opening would be ended, and then be added to it as a good one.
        await sync_to_async(pool.wait)()
    assert await sync_to_async(terminate_others)() >= 1
    _, second = await database.run(query)
    assert second is not first


@pytest.mark.django_db(transaction=True)
async def test_it_keeps_no_connection_on_which_nothing_would_be_committed(configure):
    """A function of the site has turned autocommit off, and not on again."""
    configure(DATABASE_THREADS=1)
    _, first = await database.run(query)
    await database.run(transaction.set_autocommit, False)
    _, second = await database.run(query)
    assert second is not first
    assert await database.run(transaction.get_autocommit)


@pytest.mark.django_db(transaction=True)
async def test_it_closes_its_connections_when_it_ends():
    def open_one():
        query()
        return connections["default"]

    opened = await database.run(open_one)
    assert opened.connection is not None
    database.shutdown()
    assert opened.connection is None
    database.shutdown()
    assert (await database.run(query))[1] is not None


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, StopIteration, GeneratorExit])
async def test_what_a_function_of_the_site_raises_harms_neither_the_loop_nor_who_waits(error):
    """SystemExit ended the event loop, a cancellation the task that waited, and StopIteration let it wait for ever."""

    def fail():
        raise error("a function of the site")

    with pytest.raises(RuntimeError, match=error.__name__) as raised:
        await asyncio.wait_for(database.run(fail), PATIENCE_SECONDS)
    assert isinstance(raised.value.__cause__, error)


async def test_what_stands_in_for_the_threads_waits_for_nothing_either(monkeypatch):
    """As in the tests of a site."""
    monkeypatch.setattr(database, "stand_in", lambda job: sync_to_async(job)())
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(database.run(next, iter([])), PATIENCE_SECONDS)
