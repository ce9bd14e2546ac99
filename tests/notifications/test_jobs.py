"""The periodic jobs: run when they are due, by one process of all, by servers and by a command."""

import asyncio
import logging
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from notifications import announce, inbox, jobs, portions, summaries, waking, web_push
from notifications.jobs import Job
from notifications.mailing import claims
from notifications.models import Announcement, Change, Delivery, JobRun, Notification
from realtime.sockets.node import get_node, stop_node
from realtime.storage import database
from realtime.storage import jobs as storage_jobs
from realtime.storage.leases.memory import MemoryLeases
from realtime.storage.leases.store import LeasesUnavailable
from tests.notifications.choices import MIDNIGHT, NIGHT, NOON, Time, choose, register
from tests.notifications.mails import Office, reader
from tests.notifications.rows import plans, pushed, sent
from tests.patience import PATIENCE_SECONDS
from tests.racing import at_once

pytestmark = pytest.mark.django_db
ALL = [
    "announcements",
    "wake",
    "summaries",
    "expire",
    "forget_changes",
    "retention",
    "dispatches",
    "web_pushes",
    "mails",
]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, datetime]]:
    """Two jobs that note when they are called."""
    made: list[tuple[str, datetime]] = []
    each = [
        Job(name, lambda now, name=name: made.append((name, now)), seconds) for name, seconds in (("a", 5), ("b", 60))
    ]
    monkeypatch.setattr(jobs, "JOBS", tuple(each))
    return made


def test_each_has_a_period_of_its_own(calls: list[Any], time: Time) -> None:
    found = []
    for _ in range(13):
        found.append(jobs.run_due())
        time.pass_by(seconds=5)
    assert found == [["a", "b"], *[["a"]] * 11, ["a", "b"]]
    assert calls[:2] == [("a", NOON), ("b", NOON)]


def test_nothing_is_due_twice(calls: list[Any], time: Time) -> None:
    assert (jobs.run_due(), jobs.run_due()) == (["a", "b"], [])
    assert JobRun.objects.get(name="a").due_at == NOON + timedelta(seconds=5)


def test_a_clock_that_went_back_stops_nothing(calls: list[Any], time: Time) -> None:
    """Such as that of a machine which was started with another time, or a night in autumn without USE_TZ."""
    time.pass_by(hours=2)
    assert jobs.run_due() == ["a", "b"]
    time.pass_by(hours=-2, seconds=10)
    assert jobs.run_due() == ["a", "b"]
    assert jobs.run_due() == []
    assert JobRun.objects.get(name="b").due_at == NOON + timedelta(seconds=70)


def test_who_looks_once_in_each_period_misses_none(calls: list[Any], time: Time) -> None:
    for late in (0.02, 0, 0.01):  # seconds between the look and the claim before
        assert "a" in jobs.run_due()
        time.pass_by(seconds=5 - late)
    assert "b" not in jobs.run_due()


@pytest.mark.parametrize("has_zones", [True, False])
def test_they_are_timed_by_one_clock(calls: list[Any], settings: Any, has_zones: bool) -> None:
    """That of the database, on PostgreSQL: the clocks of two servers may be seconds apart."""
    settings.USE_TZ, settings.TIME_ZONE = has_zones, "America/New_York"
    assert (jobs.run_due(), jobs.run_due()) == (["a", "b"], [])
    row = JobRun.objects.get(name="a")
    assert row.started_at is not None
    assert row.due_at == row.started_at + timedelta(seconds=5)
    assert abs(row.started_at - timezone.now()) < timedelta(hours=1)
    assert row.ended_at is not None


def test_one_that_fails_stops_no_other(
    calls: list[Any], time: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(now: datetime) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(jobs, "JOBS", (Job("broken", fail, 5), *jobs.JOBS))
    assert jobs.run_due() == ["broken", "a", "b"]
    assert "The job broken failed" in caplog.text
    runs = {run.name: (run.error, run.ended_at) for run in JobRun.objects.all()}
    assert runs == {"broken": ("RuntimeError('broken')", NOON), "a": ("", NOON), "b": ("", NOON)}
    time.pass_by(seconds=5)
    assert jobs.run_due() == ["broken", "a"]


def test_a_database_that_is_away_ends_the_run(calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(jobs, "JOBS", (Job("broken", fail, 5), *jobs.JOBS))
    monkeypatch.setattr(jobs, "_note_end", fail)
    with pytest.raises(OperationalError):
        jobs.run_due()
    assert calls == []


def test_a_query_that_takes_too_long_stops_no_other(
    calls: list[Any], time: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The database calls that an OperationalError, too, and so does another database of the site."""

    def fail(now: datetime) -> None:
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(jobs, "JOBS", (Job("broken", fail, 5), *jobs.JOBS))
    assert jobs.run_due() == ["broken", "a", "b"]
    assert "statement timeout" in JobRun.objects.get(name="broken").error
    assert "The job broken failed" in caplog.text


@pytest.fixture
def three(alice: Any, bob: Any, time: Time, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Readers for whom a summary is due; a run has time for one of them."""
    readers = [alice, bob, reader("carol")]
    for user in readers:
        choose(user, muted_until=NOON + timedelta(hours=1))
        sent(user, "mention", message="hello")
    time.pass_by(hours=1)
    monkeypatch.setattr(portions, "RUN_SECONDS", 0)
    monkeypatch.setattr(summaries, "READERS_AT_ONCE", 1)
    return readers


def told(readers: list[Any]) -> list[int]:
    return [len(pushed(user, "notifications_waiting")) for user in readers]


def test_one_that_has_much_to_do_lets_others_have_their_turn(three: list[Any]) -> None:
    assert jobs.run_alone("summaries") == ["summaries"]
    assert sum(told(three)) == 1
    assert jobs.run_alone("summaries") == ["summaries"]  # any process goes on with it at once
    assert sum(told(three)) == 2


def test_where_one_process_runs_all_an_announcement_is_on_time(
    three: list[Any], time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as cron: it is done when all is done, and looks for what has become due between two portions."""
    row = announce("News", starts_at=time.now + timedelta(seconds=3))
    live: list[bool] = []
    publish = summaries._publish

    def take_long(waiting: Any) -> None:
        live.append(Announcement.objects.get(pk=row.pk).state == "live")
        time.pass_by(seconds=5)
        publish(waiting)

    monkeypatch.setattr(summaries, "_publish", take_long)
    assert jobs.run_due() == ALL
    assert (told(three), live) == ([1, 1, 1], [False, True, True])


@pytest.mark.django_db(transaction=True)
def test_one_process_of_all_runs_a_job(calls: list[Any], time: Time) -> None:
    for _ in range(3):
        done = at_once(*[jobs.run_due] * 4)
        assert sorted(name for names in done for name in names) == ["a", "b"]
        time.pass_by(seconds=60)
    assert len(calls) == 6


def test_all_that_waits_is_done(office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "offer", time_to_live=timedelta(hours=1))
    offer = sent(erin, "offer")
    office.time.set(MIDNIGHT)
    choose(erin, quiet_hours=[NIGHT])
    snoozed = sent(erin, "mention", message="snoozed")
    inbox.act(erin.pk, "snooze", ids=[snoozed.pk], until=MIDNIGHT + timedelta(hours=8))
    sent(erin, "mention", message="waits")
    office.time.set(MIDNIGHT + timedelta(hours=9))
    assert jobs.run_due() == ALL
    assert [frame["type"] for frame in pushed(erin)][-1] == "notifications_waiting"
    assert not Notification.objects.filter(pk=offer.pk, expires_at__lte=office.time.now).exists()
    assert not Change.objects.exists()
    snoozed.refresh_from_db()
    assert snoozed.snoozed_until is None


def test_what_can_be_undone_is_kept(erin: Any, time: Time) -> None:
    row = sent(erin, "mention", message="hello")
    outcome = inbox.act(erin.pk, "delete", ids=[row.pk])
    time.pass_by(minutes=9)
    jobs.run_due()
    assert inbox.undo(erin.pk, outcome.undo).changed == 1
    inbox.act(erin.pk, "delete", ids=[row.pk])
    time.pass_by(minutes=20)
    jobs.run_due()
    assert not Notification.objects.exists()


def test_the_command(calls: list[Any], time: Time) -> None:
    out = StringIO()
    for verbosity in (1, 1, 0):
        call_command("run_notification_jobs", stdout=out, verbosity=verbosity)
    assert out.getvalue() == "Jobs that were due: a, b.\nJobs that were due: none.\n"


def test_servers_run_them_unless_the_site_does_it(settings: Any) -> None:
    assert jobs.every_seconds() == 0
    settings.NOTIFICATIONS = {}
    assert jobs.every_seconds() == 5


@pytest.mark.django_db(transaction=True)
async def test_a_server_runs_them(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.NOTIFICATIONS = {"JOBS_SECONDS": 0.01}
    done = threading.Event()

    def note(now: datetime) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        done.set()

    monkeypatch.setattr(jobs, "JOBS", (Job("mails", note, 0.01),))
    get_node()
    assert await asyncio.to_thread(done.wait, PATIENCE_SECONDS)
    await stop_node()
    await asyncio.to_thread(database.shutdown)


async def test_a_server_runs_them_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process claims each run in the database. Mails wait: it is not known who has come meanwhile."""

    class Away(MemoryLeases):
        async def acquire(self, name: str, owner: str, seconds: float) -> bool:
            raise LeasesUnavailable("away")

    ran: list[str] = []
    runner = storage_jobs.Runner(Away())
    for name in ALL:
        await runner.run_if_due(
            replace(storage_jobs._jobs[f"notifications.{name}"], function=partial(ran.append, name))
        )
    assert ran == [name for name in ALL if name != "mails"]


@pytest.mark.parametrize("name", [name for name in ALL if name != "announcements"])
@pytest.mark.django_db(transaction=True)
async def test_one_that_hangs_stops_no_other(monkeypatch: pytest.MonkeyPatch, settings: Any, name: str) -> None:
    """Such as a mail server, or the deletion of a million rows: announcements have to be on time."""
    settings.NOTIFICATIONS = {"JOBS_SECONDS": 0.01}
    hangs, ends, done = threading.Event(), threading.Event(), threading.Event()

    def hang(now: datetime) -> None:
        hangs.set()
        ends.wait(PATIENCE_SECONDS)

    def note(now: datetime) -> None:
        if hangs.is_set():
            done.set()

    monkeypatch.setattr(jobs, "JOBS", (Job(name, hang, 0.01), Job("announcements", note, 0.01)))
    often = replace(storage_jobs._jobs[f"notifications.{name}"], every_seconds=jobs.every_seconds)
    monkeypatch.setitem(storage_jobs._jobs, often.name, often)
    get_node()
    assert await asyncio.to_thread(hangs.wait, PATIENCE_SECONDS)
    assert await asyncio.to_thread(done.wait, PATIENCE_SECONDS)
    ends.set()
    await stop_node()
    await asyncio.to_thread(database.shutdown)


def test_the_rare_ones_are_looked_for_less_often(settings: Any) -> None:
    settings.NOTIFICATIONS = {}
    looked = {name: job.every_seconds() for name, job in storage_jobs._jobs.items() if name.startswith("notif")}
    rare = {"notifications.forget_changes": 10, "notifications.retention": 60}
    assert looked == dict.fromkeys([f"notifications.{name}" for name in ALL], 5) | rare
    settings.NOTIFICATIONS = {"JOBS_SECONDS": 0}
    assert {job.every_seconds() for name, job in storage_jobs._jobs.items() if name in looked} == {0}


def test_idle_jobs_ask_little(time: Time, django_assert_max_num_queries: Any) -> None:
    jobs.run_due()
    time.pass_by(seconds=1)
    with django_assert_max_num_queries(1):
        jobs.run_due()
    time.pass_by(hours=1)
    reader("fred")
    with django_assert_max_num_queries(32):
        assert jobs.run_due() == ALL


def test_logs_stay_quiet(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        jobs.run_due()
    assert not caplog.records


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite uses an index whatever it expects to find")
@pytest.mark.parametrize("work", [summaries.send_due, waking.wake, waking.expire, web_push.send_due, claims.claim])
def test_one_that_finds_nothing_reads_an_index_of_a_table_that_has_just_grown(bob: Any, work: Any) -> None:
    """Of which PostgreSQL has no statistics yet: without an order it would read all of it."""
    rows = Notification.objects.bulk_create(Notification(recipient=bob, type="mention") for _ in range(3_000))
    Delivery.objects.bulk_create(Delivery(notification=row, user=bob, state="sent", due_at=NOON) for row in rows)
    looks = [plan for plan in plans(lambda: work(timezone.now())) if "Index" in plan or "Scan" in plan]
    assert looks
    assert all("Seq Scan" not in plan for plan in looks), looks
