"""Many events of one transaction: they wait in few rows, and get their numbers like any others."""

import contextlib
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import realtime
from realtime.delivery import publishing
from realtime.models import Event, Room, Stream
from realtime.sockets.node import get_node, stop_node
from realtime.storage import bundles, log, pending
from realtime.storage.completing import _completions, register_completion
from realtime.storage.database import run
from realtime.storage.log import LoggedEvent
from tests.people import make_user
from tests.racing import at_once

transactional = pytest.mark.django_db(transaction=True)
EVERYBODY = [f"user.{number}" for number in range(250)]


@pytest.fixture
def small(monkeypatch):
    """Bundles of a hundred."""
    monkeypatch.setattr(bundles, "MOST", 100)
    monkeypatch.setattr(pending, "MOST", 100)


def events(text="x", streams=EVERYBODY):
    return [(stream, b'{"type":"%s"}' % text.encode()) for stream in streams]


def publish_all(text="x", streams=EVERYBODY):
    publishing.publish_all([(stream, {"type": text}) for stream in streams])


def waiting():
    return Event.objects.filter(seq=None).count()


def stored(stream):
    return [event.body.decode() for event in log.missed(stream, 0, 99)]


def test_few_events_have_rows_of_their_own():
    few = events(streams=EVERYBODY[: bundles.FEWEST - 1])
    assert bundles.pack(few) == [(event, 1) for event in few]


def sizes():
    return [len(bundles.unpack(*row)) for row, _ in bundles.pack(events())]


def test_bundles_are_bounded_by_events_and_bytes(monkeypatch, small):
    assert sizes() == [100, 100, 50]
    monkeypatch.setattr(bundles, "MOST_BYTES", 60 * len(b'{"type":"x"}'))
    assert sizes() == [60, 60, 60, 60, 10]
    monkeypatch.setattr(bundles, "MOST_BYTES", 1)
    assert sizes() == [1] * 250


def test_a_bundle_keeps_order_and_every_byte():
    given = [("site", b'{"type":"a", "text":"\\u0000 \xf0\x9f\x98\x80", "n":1.0}'), *events()]
    (((stream, body), _),) = bundles.pack(given)
    assert bundles.unpack(stream, body) == given


def test_portions_have_as_many_events_as_a_bundle(small):
    rows = [(1, 40), (2, 60), (3, 1), (4, 100), (5, 30), (6, 71)]
    assert list(bundles.portions(rows)) == [[1, 2], [3], [4], [5], [6]]
    assert list(bundles.portions([])) == []


@pytest.mark.parametrize("count", [50, 150])
def test_portions_have_as_many_bytes_as_a_bundle(small, monkeypatch, count):
    """PostgreSQL takes a quarter of a gigabyte at once."""
    monkeypatch.setattr(bundles, "MOST_BYTES", 5 * len(b'{"type":"x"}'))
    packed = bundles.pack(events(streams=EVERYBODY[:count]))
    portions = list(bundles.portions((place, weight) for place, (_, weight) in enumerate(packed)))
    found = [[body for place in part for _, body in bundles.unpack(*packed[place][0])] for part in portions]
    assert [len(b"".join(bodies)) for bodies in found] == [bundles.MOST_BYTES] * (count // 5)


@transactional
def test_each_event_is_written_once_and_gets_its_number(small):
    with transaction.atomic():
        publish_all("first")
        publish_all("second")
        assert (waiting(), Stream.objects.count()) == (6, 0)
    assert waiting() == 0
    assert list(Event.objects.values_list("seq").annotate(Count("pk")).order_by("seq")) == [(1, 250), (2, 250)]
    assert stored("user.7") == ['{"type":"first"}', '{"type":"second"}']


@transactional
def test_events_keep_their_order_among_others(small):
    with transaction.atomic():
        realtime.publish("user.7", {"type": "before"})
        publish_all("many")
        realtime.publish("user.7", {"type": "after"})
        publish_all("few", ["user.7", "user.8"])
    assert stored("user.7") == [f'{{"type":"{text}"}}' for text in ("before", "many", "after", "few")]


@transactional
@pytest.mark.parametrize("block", [transaction.atomic, contextlib.nullcontext], ids=["transaction", "none"])
def test_the_statements_of_very_many_are_short_and_keep_the_order(monkeypatch, block):
    """Whoever stores a message meanwhile waits for a core no longer than one of them takes."""
    monkeypatch.setattr(log, "ROWS_AT_ONCE", 100)
    with CaptureQueriesContext(connection) as asked, block():
        publishing.publish_all([(stream, {"type": text}) for text in ("first", "second") for stream in EVERYBODY])
    statements = [query["sql"] for query in asked]
    assert sum("INSERT INTO realtime_stream" in sql for sql in statements) == 3
    assert sum("INSERT INTO realtime_event (stream, seq," in sql for sql in statements) == 5
    assert [stored(stream) for stream in EVERYBODY] == [['{"type":"first"}', '{"type":"second"}']] * 250


@transactional
def test_nothing_is_left_of_a_transaction_that_is_rolled_back():
    @transaction.atomic
    def fail():
        publish_all()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with transaction.atomic():
        with pytest.raises(RuntimeError):
            fail()
        realtime.publish("user.7", {"type": "other"})
    assert Event.objects.count() == 1
    assert stored("user.7") == ['{"type":"other"}']


@transactional
def test_bundles_that_a_crash_left_are_swept_one_at_a_time(small):
    pending.write_all(events("first"))
    pending.write("user.7", b'{"type":"second"}')
    assert [len(pending.sweep(-1).events) for _ in range(5)] == [100, 100, 50, 1, 0]
    assert stored("user.7") == ['{"type":"first"}', '{"type":"second"}']


@transactional
def test_each_bundle_is_swept_once_when_many_processes_do(small):
    pending.write_all(events())
    swept = at_once(*[partial(pending.sweep, -1)] * 4)
    found = [event for part in [*swept, *(pending.sweep(-1) for _ in range(3))] for event in part.events]
    assert sorted(found) == sorted(LoggedEvent(stream, 1, body) for stream, body in events())
    assert Event.objects.count() == 250


@transactional
async def test_a_process_sweeps_all_bundles_in_one_go(small):
    """A worker may be killed when it has just begun with the events of very many readers."""
    await run(pending.write_all, events())
    await run(Event.objects.update, created_at=timezone.now() - timedelta(hours=1))
    node = get_node()
    try:
        await node._sweep()
    finally:
        await stop_node()
    assert await run(waiting) == 0


@transactional
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_bundle_that_somebody_is_working_on_holds_up_no_others(small):
    first, *_ = pending.write_all(events())
    with transaction.atomic():
        Event.objects.select_for_update().get(pk=first)

        def sweep_the_rest():
            swept, last = pending.sweep(-1)
            found = [len(swept)]
            while last is not None:
                swept, last = pending.sweep(-1, last)
                found.append(len(swept))
            return found

        assert at_once(sweep_the_rest) == [[0, 100, 50]]
    assert len(pending.sweep(-1).events) == 100


@transactional
def test_events_of_a_bundle_are_completed(monkeypatch):
    monkeypatch.setattr("realtime.storage.completing._completions", dict(_completions))
    register_completion(["counted"], lambda found: [body.replace(b"old", b"new") for _, body in found])
    (key,) = pending.write_all([*events('counted","of":"old'), *events('other","of":"old', ["site"])])
    new = b'{"type":"counted","of":"new"}'
    assert {event.body for event in pending.sequence([key])} == {new, b'{"type":"other","of":"old"}'}
    assert stored("user.7") == [new.decode()]


@transactional
@pytest.mark.parametrize("streams", [["room.a", *EVERYBODY], ["room.a"] * 300], ids=["among others", "alone"])
def test_a_room_takes_its_events_along_that_wait_among_others(small, streams):
    """Another room may get its name before they have their numbers."""
    Room.objects.create(slug="a")
    pending.write_all(events(streams=[*streams, "room.aa", "room.A"]))
    Room.objects.get().delete()
    swept = [event.stream for _ in range(4) for event in pending.sweep(-1).events]
    assert sorted(swept) == sorted([*(stream for stream in streams if stream != "room.a"), "room.aa", "room.A"])
    assert waiting() == 0


@transactional
def test_a_room_does_not_get_what_waits_from_before_it(small):
    pending.write_all(events(streams=["room.a", *EVERYBODY]))
    Room.objects.create(slug="a")
    assert len(pending.sweep(-1).events) == 99
    assert stored("room.a") == []


@transactional
def test_a_user_takes_the_events_along_that_wait_among_others():
    alice = make_user("alice")
    home = f"user.{alice.pk}"
    pending.write_all(events(streams=[home, *[stream for stream in EVERYBODY if stream != home], home]))
    alice.delete()
    assert home not in {event.stream for event in pending.sweep(-1).events}
    assert stored(home) == []
