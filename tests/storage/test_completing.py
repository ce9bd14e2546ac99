"""Frames that another app completes when they get their numbers: also if it fails, they get them."""

import pytest
from django.db import connection, transaction

import realtime
from realtime.models import Event
from realtime.storage import completing
from realtime.storage.transactions import own_transaction
from tests.delivery.publications import numbers, say, stored

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def complete_with(monkeypatch):
    """Completes the frames of the type `test` with a function."""
    monkeypatch.setattr(completing, "_completions", {})
    return lambda function: completing.register_completion(["test"], function)


def publish_two():
    """One frame that is completed and one that is not, in one transaction."""
    with transaction.atomic():
        say(1)
        realtime.publish("site", {"type": "other", "n": 2})


def test_it_completes_frames_as_they_get_their_numbers(complete_with, sent):
    complete_with(lambda events: [body.replace(b"1", b"7") for _, body in events])
    publish_two()
    assert [event[2] for event in sent[0].events] == [b'{"type":"test","n":7}', b'{"type":"other","n":2}']
    assert list(Event.objects.order_by("seq").values_list("body", flat=True)) == [
        '{"type":"test","n":7}',
        '{"type":"other","n":2}',
    ]


def fail(_events):
    raise RuntimeError("broken")


def fail_in_the_database(_events):
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")


def lose_one(events):
    return [body for _, body in events[1:]]


def return_nothing(_events):
    return None


@pytest.mark.parametrize("function", [fail, fail_in_the_database, lose_one, return_nothing])
def test_it_sends_a_frame_as_it_is_when_it_cannot_be_completed(complete_with, sent, caplog, function):
    complete_with(function)
    publish_two()
    publish_two()
    assert numbers(sent) == [[1, 2], [1, 2]]
    assert stored() == [(1, 1), (2, 2), (3, 1), (4, 2)]
    assert [record.getMessage() for record in caplog.records] == [
        "Frames are sent as they were published, because they could not be completed"
    ] * 2
    assert all(record.exc_info for record in caplog.records)


def lose_connection_within(complete_with, _monkeypatch):
    def lose_connection(_events):
        connection.connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    complete_with(lose_connection)


def lose_connection_before(complete_with, monkeypatch):
    def begin():
        connection.connection.close()
        return own_transaction()

    complete_with(fail)
    monkeypatch.setattr(completing, "own_transaction", begin)


@pytest.mark.parametrize("lose_connection", [lose_connection_before, lose_connection_within])
def test_it_leaves_everything_to_the_sweep_when_the_database_goes_away(
    complete_with, sent, caplog, monkeypatch, lose_connection
):
    lose_connection(complete_with, monkeypatch)
    try:
        publish_two()
    finally:
        connection.close()
    assert sent == []
    assert list(Event.objects.values_list("seq", flat=True)) == [None, None]
    assert "could not be completed" not in caplog.text
