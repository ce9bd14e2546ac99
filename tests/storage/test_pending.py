"""Events that get their numbers after the commit: each once, oldest first, whoever writes at the same time."""

import random
from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from realtime.models import Event, Stream
from realtime.storage import log, pending
from realtime.storage.log import LoggedEvent
from tests.racing import at_once
from tests.storage.places import body, commit, is_complete

transactional = pytest.mark.django_db(transaction=True)
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
    assert pending.sweep(30) == [LoggedEvent("site", 1, body("old"))]
    assert pending.sweep(30) == []
    assert Event.objects.get(pk=young).seq is None


@transactional
def test_it_sweeps_each_once_when_many_processes_do():
    for number in range(30):
        pending.write("site", body(str(number)))
    swept = at_once(*[partial(pending.sweep, -1)] * 4)
    events = [event for events in [*swept, pending.sweep(-1)] for event in events]
    assert sorted(event.seq for event in events) == list(range(1, 31))


@pytest.mark.django_db
def test_it_sweeps_a_thousand_at_a_time():
    Event.objects.bulk_create([Event(stream="site", body="{}") for _ in range(1_001)])
    assert [len(pending.sweep(-1)) for _ in range(3)] == [1_000, 1, 0]
    assert is_complete("site", 1_001)
