"""What a process says to the presence store when it stops, and when the store was away or has forgotten it."""

import asyncio
import json

import pytest

from realtime.conf import settings
from realtime.presence import audience
from realtime.presence.memory import MemoryPresence
from realtime.presence.store import Change, Entry, StoreUnavailable
from realtime.presence.tracker import Tracker
from realtime.protocol.census import Census
from realtime.protocol.errors import ErrorCode, Reason, Refused
from tests.patience import PATIENCE_SECONDS
from tests.presence.site import Site

pytestmark = pytest.mark.django_db(transaction=True)


class Store:
    """Answers as the test wants, and remembers how a process left."""

    def __init__(self, others: int | None) -> None:
        self._others = others
        self.longer_seconds: float | None = None

    async def retire(self, process: str) -> int:
        if self._others is None:
            raise StoreUnavailable
        return self._others

    async def drop(self, process: str, longer_seconds: float) -> None:
        self.longer_seconds = longer_seconds

    async def close(self) -> None:
        return None


class Away:
    """Answers nothing."""

    async def sync(self, *_report: object) -> None:
        raise StoreUnavailable


@pytest.mark.parametrize(("others", "goes_on"), [(0, False), (2, True), (None, True)])
async def test_users_who_can_only_come_back_later_get_more_time(others, goes_on):
    store = Store(others)
    tracker = Tracker("p1", store, announce=lambda _passing: None)
    assert await tracker.has_others() is goes_on
    await tracker.stop()
    assert store.longer_seconds == (0 if goes_on else settings().restart_window_seconds)


class Full(MemoryPresence):
    """Takes no renewals, and counts them."""

    def __init__(self):
        super().__init__(lease_seconds=20, grace_seconds=1)
        self.refusals = asyncio.Queue()

    async def renew(self, _process):
        self.refusals.put_nowait(None)
        raise StoreUnavailable("out of memory")


async def test_a_store_that_takes_no_renewals_is_in_the_log_once(configure, caplog):
    """While nobody came or went, nothing said that Redis was full."""
    configure(PRESENCE_GRACE_SECONDS=0.01)
    tracker = Tracker("p1", store := Full(), announce=lambda _passing: None)
    tracker.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(3):
            await store.refusals.get()
    await tracker.stop()
    assert [record.getMessage() for record in caplog.records] == ["The presence store is away: out of memory"]


async def test_it_remembers_nobody_who_waits_no_longer(monkeypatch):
    """While Redis was away, each socket that was opened left something behind until Redis came back."""
    monkeypatch.setattr("realtime.presence.tracker.PATIENCE_SECONDS", 0.001)
    tracker = Tracker("p1", Away(), announce=lambda _passing: None)
    for _ in range(3):
        await tracker.arrive("1")
        with pytest.raises(StoreUnavailable):
            await tracker._sync()
    assert tracker._waiting == []


async def test_it_announces_whom_others_have_announced_as_gone(configure, alice):
    """This process did not renew its lease for a while, and its user had set a status."""
    configure(PRESENCE_AUDIENCE="everyone")
    store = MemoryPresence(lease_seconds=20, grace_seconds=0, clock=lambda: now)
    announced, now = [], 0.0
    tracker = Tracker("p1", store, announce=lambda passing: announced.append(json.loads(passing.body)))
    key = str(alice.pk)
    tracker._count(key, +1)
    await tracker._sync()
    await tracker._announce_arrivals()
    await tracker.set_status(key, "away", {})
    now = 30.0
    assert await store.sweep() == [Change(key, "offline")]
    announced.clear()
    await tracker._renew()
    await tracker._sync()
    await tracker._announce_arrivals()
    assert [frame["data"]["status"] for frame in announced] == ["online"]
    assert (await store.get([key]))[key].status == "away"


async def test_a_full_store_lets_nobody_be_announced_as_gone(configure):
    """Its own sweep works, as that of Redis did: it only removes."""
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20)
    site = Site()
    site.processes["p1"]._count("1", +1)
    site.processes["p2"]._count("2", +1)
    await site.pass_time(60)
    site.announced.clear()
    site.processes["p1"]._count("1", -1)
    await site.pass_time(1)
    site.store.is_full = True
    site.processes["p1"]._count("1", +1)  # is back within the grace time, which cannot be reported
    await site.pass_time(100)
    site.store.is_full = False
    await site.pass_time(100)
    assert site.announced == []
    assert [entry.connections for entry in (await site.store.get(["1", "2"])).values()] == [1, 1]


async def test_a_process_that_died_while_the_store_was_full_is_counted_out_later(configure):
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20)
    site = Site()
    site.processes["p1"]._count("1", +1)
    await site.pass_time(60)
    site.announced.clear()
    site.store.is_full = True
    del site.processes["p1"]
    await site.pass_time(100)
    site.store.is_full = False
    await site.pass_time(19)
    assert site.announced == []
    await site.pass_time(4)
    assert site.announced == [(1, "offline")]


async def hide_and_load_again(site):
    """User 1 appears offline by a socket in `p1`, and then loads the page again, within the grace time."""
    tracker = site.processes["p1"]
    tracker._count("1", +1)
    await site.pass_time(1)
    await tracker.set_status("1", "offline", {})
    tracker._count("1", -1)
    tracker._count("1", +1)
    await site.pass_time(1)
    site.announced.clear()


async def require_hidden(site, connections):
    assert site.announced == []
    assert await site.store.page(0, 9) == []
    assert await site.store.get(["1"]) == {"1": Entry("1", connections, "offline", b"")}


async def test_whoever_appears_offline_is_not_announced_when_the_store_has_lost_its_data(configure):
    """The process knew only of statuses that it had heard itself, and only until the page was loaded again."""
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20)
    site = Site()
    await hide_and_load_again(site)
    site.lose_data()
    await site.pass_time(20)
    await require_hidden(site, 1)


async def test_a_page_that_is_loaded_again_while_the_store_is_away_stays_hidden(configure):
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20, PRESENCE_GRACE_SECONDS=15)
    site = Site()
    tracker = site.processes["p1"]
    await hide_and_load_again(site)
    site.store.is_full = True
    tracker._count("1", -1)
    await site.pass_time(14)
    tracker._count("1", +1)
    site.lose_data()
    site.store.is_full = False
    await site.pass_time(20)
    await require_hidden(site, 1)
    tracker._count("1", -1)
    site.store.is_full = True
    await site.pass_time(15)  # this visit is over
    tracker._count("1", +1)
    site.lose_data()
    site.store.is_full = False
    await site.pass_time(20)
    assert site.announced == [(1, "online")]


@pytest.mark.parametrize("first", ["p1", "p2"])
async def test_all_processes_of_a_user_know_that_they_appear_offline(configure, first):
    """The one that had heard of it was not the first to report the user again."""
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20)
    site = Site()
    site.processes["p2"]._count("1", +1)
    await hide_and_load_again(site)
    site.lose_data()
    await site.processes[first]._renew()
    await site.processes[first]._sync()
    await site.pass_time(20)
    await require_hidden(site, 2)


async def test_whoever_seemed_to_arrive_is_hidden_by_the_process_that_knows_it(configure):
    """They opened one more socket elsewhere before that process had noticed the loss."""
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20)
    site = Site()
    await hide_and_load_again(site)
    site.lose_data()
    site.processes["p2"]._count("1", +1)
    await site.pass_time(20)
    assert site.announced == [(1, "online"), (1, "offline")]
    site.announced.clear()
    await require_hidden(site, 2)


async def test_a_process_that_stood_still_does_not_bring_an_old_status_back(configure):
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20)
    site = Site()
    site.processes["p2"]._count("1", +1)
    await site.pass_time(60)
    await hide_and_load_again(site)
    still = site.processes.pop("p1")
    await site.pass_time(40)
    await site.processes["p2"].set_status("1", "busy", {})
    site.processes["p1"] = still
    await site.pass_time(40)
    assert site.announced == [(1, "online"), (1, "busy")]
    assert await site.store.get(["1"]) == {"1": Entry("1", 2, "busy", b"")}
    assert not still._statuses.is_hidden("1")


async def test_whoever_is_visible_again_by_another_process_may_type(configure):
    """For the process that had heard `offline`, the user stayed hidden for the rest of the visit."""
    configure(PRESENCE_AUDIENCE="everyone", PRESENCE_LEASE_SECONDS=20)
    site = Site()
    for tracker in site.processes.values():
        tracker._count("1", +1)
    await site.pass_time(1)
    await site.processes["p1"].set_status("1", "offline", {})
    await site.processes["p2"].set_status("1", "online", {})
    await site.pass_time(1)
    site.announced.clear()
    await site.processes["p1"].send_unless_hidden("1", b'{"data":{"user_id":1,"status":"typing"}}')
    assert site.announced == [(1, "typing")]


class Slow(MemoryPresence):
    """Answers questions about users when it may."""

    def __init__(self) -> None:
        super().__init__(lease_seconds=60, grace_seconds=60)
        self.may_answer = asyncio.Event()

    async def get(self, user_ids):
        await self.may_answer.wait()
        return await super().get(user_ids)


async def test_what_was_done_while_hidden_stays_hidden(configure, alice):
    """The store was asked while the user appeared offline, and answered when they were visible again."""
    configure(PRESENCE_AUDIENCE="everyone")
    announced, store, key = [], Slow(), str(alice.pk)
    tracker = Tracker("p1", store, announce=lambda passing: announced.append(json.loads(passing.body)["type"]))
    tracker._count(key, +1)
    await tracker._sync()
    await tracker.set_status(key, "offline", {})
    announced.clear()
    sending = asyncio.create_task(tracker.send_unless_hidden(key, b'{"type":"typing"}'))
    await asyncio.sleep(0)
    await tracker.set_status(key, "away", {})
    store.may_answer.set()
    await sending
    assert announced == ["user_status", "presence"]


async def test_a_newcomer_is_counted_in_what_it_is_told(configure, alice):
    """A count that was asked for before the report came after it."""
    configure(PRESENCE_AUDIENCE="everyone")
    tracker = Tracker("p1", MemoryPresence(lease_seconds=60, grace_seconds=60), announce=lambda passing: None)
    arriving = asyncio.create_task(tracker.arrive(str(alice.pk)))
    await asyncio.sleep(0)
    await tracker._sync()
    tracker.census = Census(0, 0)
    assert (await arriving).online_count == 1


async def test_newcomers_wait_until_they_are_reported_themselves(configure, monkeypatch):
    """So many came together that one report could not hold all."""
    configure(PRESENCE_AUDIENCE="everyone")
    monkeypatch.setattr("realtime.presence.tracker.CHUNK", 2)
    tracker = Tracker("p1", MemoryPresence(lease_seconds=60, grace_seconds=60), announce=lambda passing: None)
    arriving = [asyncio.create_task(tracker.arrive(str(number))) for number in range(1, 6)]
    await asyncio.sleep(0)
    while tracker._changed:
        await tracker._sync()
    found = await asyncio.gather(*arriving)
    entries = await tracker.store.choose_visible([str(number) for number in range(1, 6)])
    places = {user: place for place, user in enumerate(entries.user_ids, 1)}
    assert all(census.online_count >= places[str(number)] for number, census in enumerate(found, 1))
    assert tracker._waiting == []


async def test_a_guess_is_corrected_when_the_user_has_been_reported(configure, alice, monkeypatch):
    """Before that, the count would lack the user, who is not told of themselves."""
    configure(PRESENCE_AUDIENCE="nobody")
    monkeypatch.setattr("realtime.presence.tracker.PATIENCE_SECONDS", 0.001)
    announced, key = [], str(alice.pk)
    store = Silent(lease_seconds=60, grace_seconds=60)
    tracker = Tracker("p1", store, announce=announced.append)
    assert await tracker.arrive(key) == Census(1, 0)
    with pytest.raises(StoreUnavailable):
        await tracker._sync()
    await tracker._correct_counts()
    assert announced == []
    store.is_silent = False
    await tracker._sync()
    for _ in range(2):
        await tracker._correct_counts()
    (passing,) = announced
    assert (passing.users, json.loads(passing.body)["data"]) == ((key,), {"online_count": 1})
    assert passing.version == tracker.census.version
    assert tracker._guessed == set()


async def test_a_guess_is_corrected_that_was_made_because_the_database_was_away(configure, alice, monkeypatch):
    configure(PRESENCE_AUDIENCE="rooms")
    announced, key = [], str(alice.pk)
    tracker = Tracker("p1", MemoryPresence(lease_seconds=60, grace_seconds=60), announce=announced.append)

    async def fail(reader_key):
        raise Refused(ErrorCode.UNAVAILABLE, Reason.DATABASE_AWAY)

    with monkeypatch.context() as patch:
        patch.setattr(audience, "find_visible", fail)
        arriving = asyncio.create_task(tracker.arrive(key))
        await asyncio.sleep(0)
        await tracker._sync()
        assert await arriving == Census(1, 0)
    await tracker._sync()
    await tracker._correct_counts()
    assert [passing.users for passing in announced] == [(key,)]


class Missed:
    """An announcer by which a user was not told of a change."""

    def __init__(self, *user_keys):
        self._miscounting = set(user_keys)

    def note(self, census):
        pass

    def take_miscounting(self):
        taken, self._miscounting = self._miscounting, set()
        return taken


async def test_whoever_was_not_told_of_a_change_gets_a_count_when_it_is_known(configure, alice, monkeypatch):
    """The database is away at first: a count of one would be a guess that nobody corrects."""
    configure(PRESENCE_AUDIENCE="nobody")
    key, announced = str(alice.pk), []
    store = MemoryPresence(lease_seconds=60, grace_seconds=60)
    tracker = Tracker("p1", store, announce=announced.append, counter=Missed(key))
    tracker._count(key, +1)
    await tracker._sync()

    async def fail(reader_key):
        raise Refused(ErrorCode.UNAVAILABLE, Reason.DATABASE_AWAY)

    with monkeypatch.context() as patch:
        patch.setattr(audience, "find_visible", fail)
        await tracker._correct_counts()
    assert announced == []
    for _ in range(2):
        await tracker._correct_counts()
    (passing,) = announced
    assert (passing.users, json.loads(passing.body)["data"]) == ((key,), {"online_count": 1})


class Silent(MemoryPresence):
    """Takes reports, and does not answer while it is silent."""

    is_silent = True

    async def sync(self, *report):
        result = await super().sync(*report)
        if self.is_silent:
            raise StoreUnavailable
        return result


async def test_an_arrival_is_announced_if_the_report_was_not_answered(configure):
    """Redis hung, and took the report when it went on. Of the next one it says that it changes nothing."""
    configure(PRESENCE_AUDIENCE="everyone")
    store, announced = Silent(lease_seconds=60, grace_seconds=60), []
    tracker = Tracker("p1", store, announce=announced.append)
    await MemoryPresence.sync(store, "p2", {"1": 1})
    await tracker._take_census()
    for user in ("1", "2"):
        tracker._count(user, +1)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await tracker._sync()
    await tracker._take_census()
    store.is_silent = False
    await tracker._sync()
    await tracker._announce_arrivals()
    await tracker._sync()
    assert [(passing.exclude, passing.version) for passing in announced] == [("2", tracker.census.version)]
    assert tracker._unanswered._before == {}


@pytest.mark.parametrize(("lease", "pause"), [(0.6, 0.2), (20, 1)])
async def test_it_looks_before_its_lease_ends(configure, monkeypatch, lease, pause):
    """Another process would count its users out, again and again."""
    configure(PRESENCE_LEASE_SECONDS=lease, PRESENCE_GRACE_SECONDS=15)
    pauses = asyncio.Queue()

    async def sleep(seconds):
        pauses.put_nowait(seconds)
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    tracker = Tracker("p1", MemoryPresence(lease_seconds=lease, grace_seconds=15), announce=lambda _passing: None)
    tracker.start()
    assert await pauses.get() == pytest.approx(pause)
    await tracker.stop()
