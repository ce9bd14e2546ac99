"""What a process announces and stores about users when the database was away."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from realtime.integration import find_last_seen
from realtime.models import LastSeen
from realtime.presence import audience
from realtime.presence import last_seen as visits
from realtime.presence.memory import MemoryPresence
from realtime.presence.store import Change
from realtime.presence.tracker import Tracker
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.storage.database import run
from realtime.storage.tasks import end_tasks
from tests.clients.socket import until
from tests.patience import PATIENCE_SECONDS
from tests.presence.site import Site

pytestmark = pytest.mark.django_db(transaction=True)


class Audience:
    """The look-up of who hears of a change."""

    def __init__(self, monkeypatch):
        self.is_away = False
        self._address = audience.address
        monkeypatch.setattr(audience, "address", self._ask)

    async def _ask(self, *frame):
        if self.is_away:
            raise Refused(ErrorCode.UNAVAILABLE, Reason.DATABASE_AWAY)
        return await self._address(*frame)


@pytest.fixture
def asked(configure, monkeypatch):
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20)
    return Audience(monkeypatch)


async def test_departures_are_announced_when_the_database_is_back(asked):
    site = Site()
    tracker = site.processes["p1"]
    for user in ("1", "2", "3"):
        tracker._count(user, +1)
    await site.pass_time(60)
    site.announced.clear()
    for user in ("1", "2", "3"):
        tracker._count(user, -1)
    await tracker._sync()
    site.now += 2
    asked.is_away = True
    for _ in range(2):
        with pytest.raises(Refused):
            await tracker._sweep()
    tracker._count("2", +1)  # is back, and nobody has heard that they were gone
    await tracker._sync()
    asked.is_away = False
    await tracker._announce_arrivals()
    await site.pass_time(1)
    assert sorted(site.announced) == [(1, "offline"), (2, "online"), (3, "offline")]


async def test_arrivals_are_announced_when_the_database_is_back(asked):
    site = Site()
    tracker = site.processes["p1"]
    asked.is_away = True
    for user in ("1", "2"):
        tracker._count(user, +1)
    await tracker._sync()
    for _ in range(2):
        with pytest.raises(Refused):
            await tracker._announce_arrivals()
    tracker._count("2", -1)
    await tracker._sync()
    site.now += 2
    asked.is_away = False
    await site.pass_time(1)
    assert [status for user, status in site.announced if user == 1] == ["online"]
    assert [status for user, status in site.announced if user == 2] == ["online", "offline"]


async def test_no_arrival_is_announced_late_of_who_has_gone(asked):
    """Another process has announced that they went."""
    site = Site()
    tracker = site.processes["p1"]
    asked.is_away = True
    tracker._count("1", +1)
    await tracker._sync()
    with pytest.raises(Refused):
        await tracker._announce_arrivals()
    tracker._count("1", -1)
    await tracker._sync()
    site.now += 2
    assert await site.store.sweep() == [Change("1", "offline")]
    asked.is_away = False
    await site.pass_time(1)
    assert site.announced == []


async def test_one_change_that_cannot_be_announced_keeps_no_other(asked, monkeypatch, caplog):
    """A site's own audience function may raise anything."""
    site = Site()
    tracker = site.processes["p1"]
    for user in ("1", "2"):
        tracker._count(user, +1)
    await site.pass_time(60)
    site.announced.clear()
    announcements = tracker._announcements
    send = announcements.send

    async def fail_for_one(user_key, *frame):
        if user_key == "1":
            raise LookupError
        await send(user_key, *frame)

    monkeypatch.setattr(announcements, "send", fail_for_one)
    for user in ("1", "2"):
        tracker._count(user, -1)
    await tracker._sync()
    site.now += 2
    await tracker._sweep()
    assert site.announced == [(2, "offline")]
    caplog.clear()


async def test_arrivals_that_come_while_it_looks_are_kept_and_each_user_has_one(asked, monkeypatch):
    site = Site()
    tracker = site.processes["p1"]
    for user in ("1", "2"):
        tracker._count(user, +1)
    await site.pass_time(1)
    get = site.store.get

    announcements = tracker._announcements

    async def get_slowly(users):
        announcements.late.append(Change("2", "online"))
        return await get(users)

    monkeypatch.setattr(site.store, "get", get_slowly)
    announcements.late = [Change("1", "online"), Change("3", "online"), Change("1", "online")]
    await announcements.leave_out_what_is_over()
    assert announcements.late == [Change("1", "online"), Change("2", "online")]


@pytest.fixture
def last_seen(monkeypatch):
    """Whose visit is stored; the database is away until `open` is set."""

    class LastSeen:
        def __init__(self):
            self.users = []
            self.asked = asyncio.Event()
            self.open = asyncio.Event()

        async def run(self, _function, users, *_how):
            self.asked.set()
            if not self.open.is_set():
                raise Refused(ErrorCode.UNAVAILABLE, Reason.DATABASE_AWAY)
            self.users += users

    stored = LastSeen()
    monkeypatch.setattr(visits, "database", stored)
    return stored


async def test_departures_are_announced_while_a_visit_cannot_be_stored(asked, last_seen):
    site = Site()
    tracker = site.processes["p1"]
    tracker._count("1", +1)
    await site.pass_time(60)
    site.announced.clear()
    tracker._count("1", -1)
    await tracker._sync()
    site.now += 2
    tracker.start()
    await asyncio.wait_for(last_seen.asked.wait(), PATIENCE_SECONDS)
    assert site.announced == [(1, "offline")]
    last_seen.open.set()
    await tracker.stop()
    assert last_seen.users == ["1"]


async def test_a_write_that_is_stopped_forgets_nobody(last_seen, monkeypatch):
    tracker = Site().processes["p1"]
    begun = asyncio.Event()

    async def hang(*_call):
        begun.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(last_seen, "run", hang)
        tracker._departures.note_gone("1", hidden=False)
        await tracker._departures.choose_seen(tracker.store)
        writing = asyncio.create_task(tracker._departures.write())
        await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    last_seen.open.set()
    await tracker.stop()
    assert last_seen.users == ["1"]


async def test_a_database_that_hangs_ends_no_lease(configure, monkeypatch):
    """Else all users of the process would be announced as gone, who go on chatting when it answers."""
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20, PRESENCE_GRACE_SECONDS=0.02)
    store = MemoryPresence(lease_seconds=20, grace_seconds=15, clock=lambda: now)
    now, hangs = 1_000.0, asyncio.Event()
    tracker = Tracker("p1", store, lambda _passing: None, clock=lambda: now)

    async def hang(*_call):
        hangs.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(visits.database, "run", hang)
    tracker._departures.note_hidden("1")
    tracker.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await hangs.wait()
    for _ in range(3):
        now += 10
        ends = (now + 20) * 1000
        await until(lambda ends=ends: store._leases["p1"] == ends)
    await end_tasks(tracker._tasks)


# When users left


async def store_departures(tracker):
    await tracker._departures.choose_seen(tracker.store)
    await tracker._departures.write()


async def test_it_is_known_when_a_user_left_who_appeared_offline(asked, bob):
    """Others see when that began. Mails are not sent before the reader has been away for long enough."""
    tracker, key = Site().processes["p1"], str(bob.pk)
    tracker._count(key, +1)
    await tracker._sync()
    await tracker.set_status(key, "offline", {})
    await store_departures(tracker)
    hid_at = (await LastSeen.objects.aget()).at
    assert await run(find_last_seen, [bob.pk]) == {bob.pk: hid_at}
    before = timezone.now()
    tracker._count(key, -1)
    await store_departures(tracker)
    assert (await LastSeen.objects.aget()).at == hid_at
    left_at = (await run(find_last_seen, [bob.pk]))[bob.pk]
    assert before <= left_at <= timezone.now()
    tracker._count(key, +1)
    await tracker._sync()
    await tracker.set_status(key, "online", {})
    tracker._count(key, -1)
    await store_departures(tracker)
    assert (await LastSeen.objects.aget()).at == (await run(find_last_seen, [bob.pk]))[bob.pk] > left_at


async def test_nothing_is_stored_of_who_left_unseen_and_was_never_seen(asked, bob):
    tracker = Site().processes["p1"]
    tracker._departures.note_gone(str(bob.pk), hidden=True)
    await store_departures(tracker)
    assert await LastSeen.objects.acount() == 0


async def kill(site, name):
    """The process is killed, and another one counts its users out."""
    del site.processes[name]
    await site.pass_time(60)


async def test_users_of_a_process_that_was_killed_were_seen_until_then(asked, alice, bob):
    """Their mails went as if they had been away since their visit before."""
    site = Site()
    killed, other = site.processes.values()
    long_ago = timezone.now() - timedelta(days=3)
    await LastSeen.objects.acreate(user=bob, at=long_ago)
    for user in (alice, bob):
        killed._count(str(user.pk), +1)
    other._count(str(alice.pk), +1)  # who is still there
    await site.pass_time(60)
    before = timezone.now() - timedelta(seconds=20)
    await kill(site, "p1")
    await store_departures(other)
    assert before <= (await LastSeen.objects.aget()).at <= timezone.now() - timedelta(seconds=20)


async def test_a_site_that_was_down_knows_when_it_was_killed(asked, bob):
    """Nobody counted the users out before it was started again."""
    site = Site()
    site.processes["p1"]._count(str(bob.pk), +1)
    await site.pass_time(60)
    site.processes.clear()
    site.now += 3_600
    tracker = site.processes["p3"] = site._open("p3")
    await site.pass_time(60)
    await store_departures(tracker)
    hour_ago = timezone.now() - timedelta(hours=1)
    assert hour_ago - timedelta(seconds=60) < (await LastSeen.objects.aget()).at < hour_ago


async def test_nobody_was_seen_earlier_than_that(asked, alice, bob):
    """Of a process that was killed, whose user had been seen later elsewhere, and a first visit."""
    site = Site()
    killed, other = site.processes.values()
    for user in (alice, bob):
        killed._count(str(user.pk), +1)
    await site.pass_time(60)
    await kill(site, "p1")
    later = timezone.now()
    await LastSeen.objects.acreate(user=alice, at=later)
    await store_departures(other)
    seen = {row.user_id: row.at async for row in LastSeen.objects.all()}
    assert seen.pop(alice.pk) == later
    assert list(seen) == [bob.pk]


async def test_hidden_users_of_a_process_that_was_killed_left_unseen(asked, bob):
    site = Site()
    killed, other = site.processes.values()
    killed._count(str(bob.pk), +1)
    await site.pass_time(60)
    await killed.set_status(str(bob.pk), "offline", {})
    long_ago = timezone.now() - timedelta(days=3)
    await LastSeen.objects.acreate(user=bob, at=long_ago)
    before = timezone.now() - timedelta(seconds=20)
    await kill(site, "p1")
    await store_departures(other)
    assert (await LastSeen.objects.aget()).at == long_ago
    assert (await run(find_last_seen, [bob.pk]))[bob.pk] >= before
