"""The log: places without holes, whoever writes at the same time."""

import random
from collections import Counter
from functools import partial
from threading import Event as Flag

import pytest
from django.db import connection, transaction
from django.db.models import Count, Max

from realtime.models import Event
from realtime.storage import log, numbering, pending
from realtime.storage.log import LoggedEvent
from tests.racing import at_once
from tests.storage.places import body, commit, is_complete

transactional = pytest.mark.django_db(transaction=True)
STREAMS = ["room.a", "room.b", "room.c", "site"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL writes a changed row as a new one")
@pytest.mark.django_db
def test_rows_of_streams_that_change_at_once_stay_in_their_pages():
    def written():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_stat_get_xact_tuples_updated(row.oid), pg_stat_get_xact_tuples_hot_updated(row.oid)"
                " FROM pg_class row WHERE row.oid = to_regclass('realtime_stream')"
            )
            return cursor.fetchone()

    everybody = {f"user.{number}": 1 for number in range(1_000)}
    log.reserve(everybody)
    changed, changed_there = written()
    log.reserve(everybody)
    assert written() == (changed + 1_000, changed_there + 1_000)


@pytest.mark.django_db
def test_it_counts_each_stream_by_itself():
    assert commit("site", "room.a", "site") == [
        LoggedEvent("site", 1, body()),
        LoggedEvent("room.a", 1, body()),
        LoggedEvent("site", 2, body()),
    ]
    assert [event.seq for event in commit("room.a", "site")] == [2, 3]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "",
        "'\"\\ %s %% $1 {} ;--",
        "\\u0000 \\ud83d",
        "\t\r\n\x01",
        "😀 日本語 עברית \u2028",
        '{"a":[1]}',
        "x" * 100_000,
    ],
)
def test_it_gives_back_what_it_was_given(text):
    given = b'{"type":"test","text":' + repr(text).encode() + b"}"
    log.commit([("site", given)])
    key = pending.write("site", given)
    assert [event.body for event in pending.sequence([key])] == [given]
    assert [event.body for event in log.missed("site", 0, 9)] == [given, given]


@pytest.mark.django_db
def test_bodies_stay_with_their_streams_whatever_they_contain():
    """A body that a site made by itself may be no valid JSON, and contain what separates bodies."""
    bodies = [b"{}", b'{"raw":"\x1e"}', b"\x1e", b'{\n "a": 1\r\n}', b'["\\u001e"]', b"NULL", b",", b"''"]
    given = [(STREAMS[number % len(STREAMS)], body) for number, body in enumerate(bodies)]
    assert [(event.stream, event.body) for event in log.append(given)] == given
    for stream in STREAMS:
        assert [event.body for event in log.missed(stream, 0, 9)] == [body for name, body in given if name == stream]


@pytest.mark.django_db
def test_it_stores_an_empty_batch():
    assert log.commit([]) == []
    assert pending.sequence([]) == []
    assert pending.sweep(0).events == []


@transactional
def test_it_leaves_no_hole_after_a_rollback():
    commit("site")
    with transaction.atomic():
        log.append([("site", body()), ("room.a", body())])
        transaction.set_rollback(True)
    commit("site", "room.a")
    assert is_complete("site", 2)
    assert is_complete("room.a", 1)


@transactional
def test_it_leaves_no_hole_when_many_write_at_once():
    def write(seed):
        chance = random.Random(seed)
        events = []
        for _ in range(15):
            events += commit(*chance.choices(STREAMS, k=chance.randint(1, 6)))
        return events

    written = at_once(*[partial(write, seed) for seed in range(4)])
    counts = Counter(event.stream for events in written for event in events)
    assert len({(event.stream, event.seq) for events in written for event in events}) == sum(counts.values())
    assert all(is_complete(stream, count) for stream, count in counts.items())


@transactional
def test_it_shows_nobody_an_event_before_those_that_precede_it():
    done = Flag()

    def write():
        for _ in range(25):
            commit("site", "site")

    def write_all():
        try:
            return at_once(write, write)
        finally:
            done.set()

    def read():
        found = Event.objects.filter(stream="site").aggregate(count=Count("pk"), last=Max("seq"))
        assert found["count"] == (found["last"] or 0)
        return found["count"]

    def read_on():
        while not done.is_set():
            read()
        return read()

    assert at_once(write_all, read_on) == [[None, None], 100]


@pytest.mark.django_db
def test_it_reads_what_was_missed():
    commit(*["site"] * 5, *["room.a"] * 2)
    pending.write("site", body())

    def missed(after, until):
        return [event.seq for event in log.missed("site", after, until)]

    assert missed(0, 5) == [1, 2, 3, 4, 5]
    assert missed(2, 4) == [3, 4]
    assert missed(0, 99) == [1, 2, 3, 4, 5]
    assert missed(5, 99) == missed(3, 3) == missed(4, 2) == []
    assert log.missed("room.b", 0, 9) == []


@pytest.mark.django_db
def test_it_reads_a_long_absence_in_pieces():
    Event.objects.bulk_create([Event(stream="site", seq=seq, body="{}") for seq in range(1, 1_102)])
    first = log.missed("site", 0, 1_101)
    assert [first[0].seq, first[-1].seq] == [1, 1_000]
    assert [event.seq for event in log.missed("site", 1_000, 1_101)] == list(range(1_001, 1_102))


@pytest.mark.django_db
def test_it_reads_large_events_in_pieces(monkeypatch):
    """A thousand messages of the greatest length are 40 MB. Bytes are counted, not characters."""
    large = "\U0001f600" * 25
    monkeypatch.setattr(log, "READ_BYTES", 250)
    Event.objects.bulk_create([Event(stream="site", seq=seq, body=large) for seq in range(1, 8)])
    assert [event.seq for event in log.missed("site", 0, 7)] == [1, 2, 3]
    assert [event.seq for event in log.missed("site", 5, 7)] == [6, 7]
    monkeypatch.setattr(log, "READ_BYTES", 50)
    assert log.missed("site", 3, 7) == [("site", 4, large.encode())]


@pytest.mark.django_db
def test_it_reads_a_small_portion_of_each_of_many_ranges(monkeypatch):
    """A socket that comes back holds eight of them at once."""
    large = "\U0001f600" * 25
    streams = [f"room.{number}" for number in range(3)]
    Event.objects.bulk_create([Event(stream=name, seq=seq, body=large) for name in streams for seq in range(1, 8)])
    ranges = [log.Range(name, after, 7) for after, name in enumerate(streams)]

    def read(most):
        monkeypatch.setattr(log, "RANGE_BYTES", most)
        return [[event.seq for event in events] for events in log.missed_many([*ranges, ranges[0]])]

    assert read(250) == [[1, 2, 3], [2, 3, 4], [3, 4, 5], [1, 2, 3]]
    assert read(50) == [[1], [2], [3], [1]]
    assert read(log.READ_BYTES)[1] == [2, 3, 4, 5, 6, 7]


@pytest.mark.django_db
def test_a_portion_is_at_most_half_of_what_may_wait_for_a_socket(settings):
    """Where a site allows less, a client that keeps up would be closed as slow."""
    assert [log.portion_bytes(most) for most in (log.READ_BYTES, log.RANGE_BYTES)] == [524_288, 65_536]
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 500}
    Event.objects.bulk_create([Event(stream="site", seq=seq, body="x" * 100) for seq in range(1, 8)])
    assert [event.seq for event in log.missed("site", 0, 7)] == [1, 2, 3]
    (events,) = log.missed_many([log.Range("site", 4, 7)])
    assert [event.seq for event in events] == [5, 6, 7]
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 300}
    (events,) = log.missed_many([log.Range("site", 4, 7)])
    assert [event.seq for event in events] == [5, 6]


@pytest.mark.django_db
def test_it_knows_the_positions_of_streams(django_assert_num_queries):
    commit("site", "site", "room.a")
    many = [f"room.{number}" for number in range(1_500)]
    with django_assert_num_queries(2):
        found = numbering.positions(["site", "room.a", "room.b", *many])
    assert (found["site"], found["room.a"], found["room.b"], found["room.7"]) == (2, 1, 0, 0)
    assert len(found) == 1_503
    assert numbering.positions([]) == {}


@pytest.mark.django_db
def test_it_forgets_events_and_never_a_place():
    commit("room.a", "room.a", "room.b")
    pending.write("room.a", body())
    pending.forget("room.a")
    log.forget("room.a")
    assert [event.stream for event in Event.objects.all()] == ["room.b"]
    assert [event.seq for event in commit("room.a")] == [3]
