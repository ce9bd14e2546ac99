"""Events that get their numbers after the commit: each once, oldest first, whoever writes at the same time."""

import random
from datetime import timedelta
from functools import partial
from threading import Event as Flag

import pytest
from django.db import connection, transaction
from django.utils import timezone

from realtime.models import Event, Room, Stream
from realtime.storage import bundles, log, numbering, pending
from realtime.storage.log import LoggedEvent
from tests.patience import PATIENCE_SECONDS
from tests.racing import at_once, somebody_waits, wait_until
from tests.storage.places import body, commit, is_complete

transactional = pytest.mark.django_db(transaction=True)
one_writer_on_sqlite = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
STREAMS = ["room.a", "room.b", "room.c", "site"]


@transactional
def test_it_gives_a_pending_event_no_place_and_locks_nothing():
    def while_pending():
        with transaction.atomic():
            key = pending.write("site", body())
            assert not Stream.objects.exists()
        return key

    keys = [while_pending(), while_pending()]
    assert log.missed("site", 0, 9) == []
    commit("site")
    assert [event.seq for event in pending.sequence(reversed(keys))] == [2, 3]
    assert pending.sequence(keys) == []
    assert is_complete("site", 3)


@transactional
def test_it_sequences_oldest_first_and_passes_over_what_has_gone():
    keys = [pending.write(stream, body(str(number))) for number, stream in enumerate(["site", "room.a", "site"])]
    Event.objects.filter(pk=keys[0]).delete()
    assert pending.sequence([keys[2], keys[1], keys[0], 10**9]) == [
        LoggedEvent("room.a", 1, body("1")),
        LoggedEvent("site", 1, body("2")),
    ]


@transactional
def test_it_sequences_each_once_when_many_try():
    keys = [pending.write(STREAMS[number % 4], body(str(number))) for number in range(200)]

    def take(seed):
        chance = random.Random(seed)
        return [event for _ in range(6) for event in pending.sequence(chance.sample(keys, 60))]

    taken = at_once(*[partial(take, seed) for seed in range(4)])
    rest = pending.sequence(keys)
    bodies = [event.body for events in [*taken, rest] for event in events]
    assert sorted(bodies) == sorted(body(str(number)) for number in range(200))
    assert all(is_complete(stream, 50) for stream in STREAMS)


@transactional
def test_it_sequences_and_appends_at_once():
    keys = [pending.write("site", body()) for _ in range(40)]
    outcomes = at_once(
        *[partial(pending.sequence, keys[start : start + 10]) for start in range(0, 40, 10)],
        *[partial(commit, "site", "site")] * 2,
    )
    assert [len(events) for events in outcomes] == [10, 10, 10, 10, 2, 2]
    assert is_complete("site", 44)


@transactional
def test_it_sweeps_up_what_a_crash_left():
    old, young = pending.write("site", body("old")), pending.write("site", body("young"))
    Event.objects.filter(pk=old).update(created_at=timezone.now() - timedelta(seconds=60))
    assert pending.sweep(30).events == [LoggedEvent("site", 1, body("old"))]
    assert pending.sweep(30).events == []
    assert Event.objects.get(pk=young).seq is None


@transactional
def test_it_sweeps_each_once_when_many_processes_do():
    for number in range(30):
        pending.write("site", body(str(number)))
    swept = at_once(*[partial(pending.sweep, -1)] * 4)
    events = [event for part in [*swept, pending.sweep(-1)] for event in part.events]
    assert sorted(event.seq for event in events) == list(range(1, 31))


@pytest.mark.django_db
def test_it_sweeps_a_thousand_at_a_time():
    Event.objects.bulk_create([Event(stream="site", body="{}") for _ in range(1_001)])
    assert [len(pending.sweep(-1).events) for _ in range(3)] == [1_000, 1, 0]
    assert is_complete("site", 1_001)


@pytest.mark.django_db
def test_it_sweeps_large_events_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(bundles, "MOST_BYTES", 10_000)
    large = '{"type":"%s"}' % ("x" * 4_000)
    Event.objects.bulk_create([Event(stream="site", body=large) for _ in range(5)])
    assert [len(pending.sweep(-1).events) for _ in range(4)] == [2, 2, 1, 0]
    assert is_complete("site", 5)


# Rooms and users that have gone


@transactional
@one_writer_on_sqlite
@pytest.mark.parametrize("others", [0, 250], ids=["a row of its own", "a bundle"])
def test_whoever_deletes_a_room_waits_for_whoever_numbers_its_events(others, monkeypatch):
    """Else its last events would stay."""
    room = Room.objects.create(slug="a")
    keys = list(pending.write_all([("room.a", body()), *[(f"user.{number}", body()) for number in range(others)]]))
    is_numbering = Flag()

    def number_late(counts):
        is_numbering.set()
        wait_until(somebody_waits)
        return reserve(counts)

    def delete():
        assert is_numbering.wait(PATIENCE_SECONDS)
        return room.delete()[0]

    reserve = log.reserve
    monkeypatch.setattr(log, "reserve", number_late)
    numbered, deleted = at_once(partial(pending.sequence, keys), delete)
    assert (len(numbered), deleted) == (others + 1, 1)
    assert not Event.objects.filter(stream="room.a").exists()


@transactional
@one_writer_on_sqlite
@pytest.mark.parametrize("others", [0, 250], ids=["a row of its own", "a bundle"])
def test_whoever_creates_a_room_does_not_wait_for_whoever_numbers_events(others, monkeypatch):
    """Who may be waiting for the stream of this room, or of one that the same transaction has created before it."""
    Room.objects.create(slug="a")
    commit("room.a")
    Room.objects.all().delete()
    keys = list(pending.write_all([("room.a", body()), *[(f"user.{number}", body()) for number in range(others)]]))
    has_begun, is_numbering = Flag(), Flag()

    def begin_early(*given):
        begin(*given)
        has_begun.set()
        assert is_numbering.wait(PATIENCE_SECONDS)
        wait_until(somebody_waits)

    def reserve_late(counts):
        is_numbering.set()
        return reserve(counts)

    def sequence():
        assert has_begun.wait(PATIENCE_SECONDS)
        return len(pending.sequence(keys))

    @transaction.atomic
    def create():
        return Room.objects.create(slug="a").slug

    begin, reserve = numbering.begin, log.reserve
    monkeypatch.setattr(numbering, "begin", begin_early)
    monkeypatch.setattr(log, "reserve", reserve_late)
    assert at_once(sequence, create) == [others + 1, "a"]
