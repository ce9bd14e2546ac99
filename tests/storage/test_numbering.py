"""No number of a stream ever means two events, whatever becomes of its room, its user or its database."""

from functools import partial
from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import BigAutoField, CharField, UUIDField

from realtime.models import Event, Room, Stream
from realtime.storage import log, numbering, pending, retention
from tests.people import make_user
from tests.racing import at_once

transactional = pytest.mark.django_db(transaction=True)
one_writer_on_sqlite = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
BODY = b'{"type":"test"}'


def write(*streams):
    return [event.seq for event in log.commit([(stream, BODY) for stream in streams])]


def write_as(room, count=1):
    """What a chat message does, which knows its room."""
    with transaction.atomic():
        return log.reserve({"room.a": count}, {"room.a": room})["room.a"]


def make_room(slug="a"):
    return Room.objects.create(slug=slug)


def retire():
    numbering.retire()  # the first call notes that rows may be retired from now on
    deleted, after = numbering.retire()
    assert after is None
    return deleted


def streams():
    return sorted(Stream.objects.exclude(name=numbering.RETIRED).values_list("name", flat=True))


# Rooms with one name


@pytest.mark.django_db
def test_it_leaves_one_number_out_between_two_rooms():
    make_room()
    assert write("room.a", "room.a") == [1, 2]
    Room.objects.get().delete()
    make_room()
    assert numbering.positions(["room.a"]) == {"room.a": 3}
    assert write("room.a") == [4]


@pytest.mark.django_db
def test_it_does_so_at_the_first_event_if_nothing_announced_the_room():
    room = make_room()
    assert write_as(room.pk, 2) == 1
    Room.objects.filter(pk=room.pk)._raw_delete("default")
    (again,) = Room.objects.bulk_create([Room(slug="a")])
    assert [write_as(again.pk, 2), write_as(again.pk), *write("room.a")] == [4, 6, 7]
    assert Stream.objects.get().room == again.pk


@pytest.mark.django_db
def test_nobody_reads_in_a_room_what_was_published_after_the_end_of_an_earlier_one():
    make_room()
    write("room.a")
    Room.objects.get().delete()
    assert write("room.a", "room.b") == [3, 1]
    make_room()
    assert log.missed("room.a", 0, 99) == []
    assert write("room.a") == [4]
    assert [event.seq for event in log.missed("room.b", 0, 99)] == [1]


@pytest.mark.django_db
def test_it_leaves_nothing_out_where_there_was_no_other_room():
    assert write("room.a") == [1]  # before the room
    room = make_room()
    assert [*write("room.a"), write_as(room.pk), *write("room.a", "site")] == [2, 3, 4, 1]
    make_room("b")
    assert write("room.b") == [1]


@pytest.mark.django_db
def test_it_knows_where_streams_stand_and_whose_they_are(django_assert_num_queries):
    first, empty = make_room(), make_room("empty")
    write("room.a", "site", "user.a")
    with django_assert_num_queries(1):
        found = numbering.standings(["room.a", "room.empty", "room.none", "site", "user.a"])
    assert found == {
        "room.a": (1, first.pk),
        "room.empty": (0, empty.pk),
        "room.none": (0, 0),
        "site": (1, 0),
        "user.a": (1, 0),
    }


@transactional
@one_writer_on_sqlite
def test_it_waits_for_no_writer_when_a_room_is_created():
    """The writer may itself be waiting for the transaction that deletes one room and creates the next."""
    first = make_room().pk
    write("room.a")
    Room.objects.all().delete()

    def make_without_waiting():
        with transaction.atomic():
            connection.cursor().execute("SET LOCAL lock_timeout = 1")  # millisecond
            return make_room()

    with transaction.atomic():
        assert write_as(first) == 2
        (again,) = at_once(make_without_waiting)
    assert write_as(again.pk) == 4


# A log that went back


@pytest.mark.django_db
def test_it_goes_on_after_what_clients_know():
    write("site", "site", "room.a")
    assert numbering.cut("site", 9) == 10
    assert write("site") == [11]
    assert [event.seq for event in log.missed("site", 0, 99)] == [11]
    assert numbering.cut("user.1", 5) == 6
    assert write("user.1", "room.a") == [7, 2]


@pytest.mark.django_db
@pytest.mark.parametrize("position", [0, 1, 2])
def test_it_changes_nothing_where_the_log_has_all_of_it(position):
    """A position that was read from a replica may be an old one."""
    write("site", "site")
    assert numbering.cut("site", position) is None
    assert [event.seq for event in log.missed("site", 0, 9)] == [1, 2]
    assert write("site") == [3]


@pytest.mark.django_db
def test_it_goes_on_after_both_when_other_events_have_the_numbers():
    write("site", "site", "site")
    assert numbering.cut("site", 2, is_certain=True) == 4
    assert log.missed("site", 0, 9) == []
    assert write("site") == [5]


@transactional
def test_processes_that_notice_together_leave_out_one_number_for_all():
    write("site")
    assert sorted(at_once(*[partial(numbering.cut, "site", 5)] * 4), key=str) == [6, None, None, None]
    assert write("site") == [7]


# Streams that ended


@pytest.mark.django_db
def test_it_deletes_the_rows_of_rooms_and_users_that_have_gone():
    user, room = make_user("alice"), make_room()
    kept = [f"user.{user.pk}", "room.a", "site", "topic.metrics"]
    write(*kept, "room.gone", "user.2000000000", "user.0x", "user.18446744073709551616", "room.stored")
    for stream in ("room.gone", "user.2000000000", "user.0x", "user.18446744073709551616", kept[0], room.stream):
        log.forget(stream)
    assert retire() == 4
    assert streams() == sorted([*kept, "room.stored"])


@pytest.mark.django_db
def test_a_user_takes_the_events_along():
    user = make_user("alice")
    stream = f"user.{user.pk}"
    write(stream, "site")
    pending.write(stream, BODY)
    user.delete()
    assert [event.stream for event in Event.objects.all()] == ["site"]
    assert retire() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("key", "kept"), [(CharField, []), (UUIDField, [1]), (BigAutoField, [1])])
def test_a_user_with_the_key_of_an_earlier_one_does_not_get_what_was_sent_after_its_end(monkeypatch, key, kept):
    write("user.7")
    user = SimpleNamespace(_meta=SimpleNamespace(pk=key()))
    monkeypatch.setattr(numbering, "get_user_model", lambda: user)
    get_user_model().objects.create(username="alice", pk=7)
    assert [event.seq for event in log.missed("user.7", 0, 9)] == kept


@pytest.mark.django_db
def test_it_keeps_the_rows_of_users_whose_keys_may_come_back(monkeypatch):
    monkeypatch.setattr(get_user_model()._meta, "pk", CharField(primary_key=True))
    Stream.objects.create(name="user.alice", last_seq=3)
    assert retire() == 0


@pytest.mark.django_db
def test_a_room_made_after_that_starts_beyond_all_that_were_retired():
    for slug, count in (("a", 3), ("b", 5)):
        make_room(slug)
        write(*[f"room.{slug}"] * count)
    Room.objects.all().delete()
    assert retire() == 2
    assert streams() == []
    make_room()
    assert numbering.positions(["room.a"]) == {"room.a": 6}
    assert write("room.a") == [7]
    # Even if site code has published to the name in between.
    assert write("room.b", "room.b") == [7, 8]
    make_room("b")
    assert write("room.b") == [9]


@pytest.mark.django_db
def test_a_room_made_without_signals_starts_beyond_them_too(django_assert_num_queries):
    make_room()
    write("room.a", "room.a")
    Room.objects.all().delete()
    assert retire() == 1
    (room,) = Room.objects.bulk_create([Room(slug="a")])
    assert write_as(room.pk, 2) == 4
    assert write("room.a", "site", "topic.metrics") == [6, 1, 1]
    with django_assert_num_queries(1):
        log.reserve({"room.a": 1, "site": 1, "topic.other": 1})


@pytest.mark.django_db
def test_a_row_without_events_is_beyond_them_after_its_first_event():
    Stream.objects.create(name=numbering.RETIRED, last_seq=5)
    log.wait_for_writers("room.a")
    assert write("room.a", "room.a") == [7, 8]


@transactional
@one_writer_on_sqlite
def test_no_row_is_deleted_while_a_room_is_being_made():
    make_room()
    write("room.a")
    Room.objects.get().delete()
    numbering.retire()
    with transaction.atomic():
        make_room()
        assert at_once(numbering.retire) == [(0, None)]
    assert retire() == 0
    assert write("room.a") == [3]


@pytest.mark.django_db
def test_it_looks_at_all_rows_in_portions(monkeypatch):
    monkeypatch.setattr(numbering, "RETIRE_CHUNK", 2)
    numbering.retire()
    write(*[f"room.{number}" for number in range(5)])
    Event.objects.all().delete()
    retention.prune(30)
    assert streams() == []
