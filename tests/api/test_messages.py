"""Histories over REST: of rooms, between two users, and of all direct messages."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from realtime.chat import history, rooms
from realtime.models import Message, Room, Stream
from tests.people import client_for, make_user

pytestmark = pytest.mark.django_db

AUTHENTICATION_QUERIES = 2
WRITTEN = datetime(2025, 10, 22, 10, tzinfo=UTC)


@pytest.fixture
def room(general):
    return general


def write(room, sender, *seqs):
    Message.objects.bulk_create(
        Message(room=room, sender=sender, text=f"text {seq}", seq=seq, created_at=WRITTEN) for seq in seqs
    )


def write_direct(sender, recipient, seq, recipient_seq):
    slug = rooms.direct_slug(sender.pk, recipient.pk)
    room, _ = Room.objects.get_or_create(slug=slug, defaults={"private": True, "direct": True})
    ends = {"sender": sender, "recipient": recipient, "seq": seq, "recipient_seq": recipient_seq}
    for user, place in ((sender, seq), (recipient, recipient_seq)):
        stream, _ = Stream.objects.get_or_create(name=f"user.{user.pk}")
        Stream.objects.filter(pk=stream.pk, last_seq__lt=place).update(last_seq=place)
    return Message.objects.create(room=room, text=f"{sender} to {recipient}", created_at=WRITTEN, **ends)


def read(client, path="rooms/general/messages", **query):
    page = client.get(f"/api/v1/{path}", query).json()
    return [item["seq"] for item in page["messages"]], page["next_before"], page["next_after"]


def test_it_shows_what_a_chat_frame_had(client, room, alice, django_assert_num_queries):
    write(room, alice, 1)
    Message.objects.update(client_id="c-1", kind="image")
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 2):
        page = client.get("/api/v1/rooms/general/messages").json()
    assert page == {
        "messages": [
            {
                "from_user_id": alice.pk,
                "from_username": "alice",
                "message": "text 1",
                "timestamp": "2025-10-22T10:00:00.000000Z",
                "message_id": Message.objects.get().pk,
                "kind": "image",
                "room_id": "general",
                "client_id": "c-1",
                "seq": 1,
            }
        ],
        "next_before": None,
        "next_after": None,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ([9, 8, 6, 4, 3, 1], None, None)),
        ({"limit": 6}, ([9, 8, 6, 4, 3, 1], None, None)),
        ({"limit": 2}, ([9, 8], 8, None)),
        ({"limit": 2, "before": 8}, ([6, 4], 4, None)),
        ({"limit": 2, "before": 4}, ([3, 1], None, None)),
        ({"before": 1}, ([], None, None)),
        ({"limit": 2, "after": 0}, ([3, 1], None, 3)),
        ({"limit": 2, "after": 3}, ([6, 4], None, 6)),
        ({"limit": 2, "after": 6}, ([9, 8], None, None)),
        ({"after": 9}, ([], None, None)),
        ({"limit": 2, "after": 1, "before": 9}, ([8, 6], 6, None)),
        ({"limit": 2, "after": 1, "before": 6}, ([4, 3], None, None)),
        ({"after": 6, "before": 6}, ([], None, None)),
    ],
)
def test_it_goes_page_by_page_in_both_directions(client, room, alice, query, expected):
    write(room, alice, 1, 3, 4, 6, 8, 9)  # what is not a message of the room's has a seq as well
    assert read(client, **query) == expected


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "before=-1", "after=x", f"before={2**63}", "after=1.5", "before=%00"]
)
@pytest.mark.parametrize("path", ["rooms/general/messages?", "messages?with=1&"])
def test_it_refuses_bad_cursors(client, room, path, query):
    answer = client.get(f"/api/v1/{path}{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")


def test_it_is_read_by_those_who_can_see_the_room(client, room, alice, bob):
    outsider = client_for(bob)
    assert outsider.get("/api/v1/rooms/general/messages").status_code == 200
    rooms.update(alice.pk, "general", private=True)
    assert outsider.get("/api/v1/rooms/general/messages").status_code == 404
    assert client.get("/api/v1/rooms/general/messages").status_code == 200
    assert client.get("/api/v1/rooms/unknown/messages").status_code == 404


def test_a_page_of_a_room_does_not_count_its_members(client, room, alice):
    write(room, alice, 1)
    with CaptureQueriesContext(connection) as queries:
        assert read(client) == ([1], None, None)
    assert [query["sql"] for query in queries if "COUNT" in query["sql"]] == []


def test_it_asks_as_often_for_many_writers_as_for_one(client, room, django_assert_num_queries):
    for seq in range(1, 6):
        write(room, make_user(f"writer-{seq}"), seq)
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 2):
        client.get("/api/v1/rooms/general/messages")


def test_it_keeps_what_somebody_wrote_who_is_gone(client, room, bob):
    write(room, bob, 1)
    bob.delete()
    item = client.get("/api/v1/rooms/general/messages").json()["messages"][0]
    assert (item["from_user_id"], item["from_username"]) == (None, "")


@pytest.fixture
def conversation(alice, bob):
    """In alice's stream at 1, 4, 5, 9, in bob's at 11, 12, 13, 14."""
    write_direct(alice, bob, 1, 11)
    write_direct(bob, alice, 12, 4)
    write_direct(bob, alice, 13, 5)
    write_direct(alice, bob, 9, 14)
    write_direct(alice, make_user("carol"), 6, 1)


def test_it_has_the_seqs_of_ones_own_stream(client, bob, alice, conversation, django_assert_num_queries):
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 4):
        assert read(client, "messages", **{"with": bob.pk})[0] == [9, 5, 4, 1]
    assert read(client_for(bob), "messages", **{"with": alice.pk})[0] == [14, 13, 12, 11]


def test_it_shows_who_wrote_to_whom(client, alice, bob, conversation):
    page = client.get("/api/v1/messages", {"with": bob.pk, "limit": 2}).json()
    assert [(item["from_user_id"], item["to_user_id"]) for item in page["messages"]] == [
        (alice.pk, bob.pk),
        (bob.pk, alice.pk),
    ]
    assert "room_id" not in page["messages"][0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": 2}, ([9, 5], 5, None)),
        ({"limit": 2, "before": 5}, ([4, 1], None, None)),
        ({"limit": 3, "after": 0}, ([5, 4, 1], None, 5)),
        ({"limit": 3, "after": 5}, ([9], None, None)),
        ({"limit": 1, "after": 1, "before": 9}, ([5], 5, None)),
    ],
)
def test_it_merges_both_directions_page_by_page(client, bob, conversation, query, expected):
    assert read(client, "messages", **{"with": bob.pk, **query}) == expected


def test_it_is_between_the_two_only(bob, conversation):
    eve = client_for(make_user("eve"))
    assert read(eve, "messages", **{"with": bob.pk}) == ([], None, None)
    slug = Room.objects.filter(direct=True).first().slug
    assert eve.get(f"/api/v1/rooms/{slug}/messages").status_code == 404


def test_it_has_what_one_wrote_to_oneself_once(client, alice):
    write_direct(alice, alice, 1, 2)
    assert read(client, "messages", **{"with": alice.pk})[0] == [1]


def test_it_outlives_the_other_account(client, bob, conversation):
    bob_id = bob.pk
    bob.delete()
    assert read(client, "messages", **{"with": bob_id})[0] == [9, 5, 4, 1]


@pytest.mark.parametrize(("query", "status"), [("?with=", 400), ("?with=abc", 400), ("?with=999999", 404)])
def test_it_wants_a_user_who_exists(client, query, status):
    assert client.get(f"/api/v1/messages{query}").status_code == status


def test_it_has_all_direct_messages_of_ones_own(client, bob, conversation, django_assert_num_queries):
    for number in range(1, 4):
        write_direct(make_user(f"writer-{number}"), bob, 1, 14 + number)
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 3):
        assert read(client, "messages") == ([9, 6, 5, 4, 1], None, None)
    reader = client_for(bob)
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 3):
        assert read(reader, "messages")[0] == [17, 16, 15, 14, 13, 12, 11]
    assert read(client_for(make_user("eve")), "messages") == ([], None, None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": 2}, ([9, 6], 6, None)),
        ({"limit": 2, "before": 6}, ([5, 4], 4, None)),
        ({"limit": 2, "after": 1}, ([5, 4], None, 5)),
        ({"limit": 2, "after": 5}, ([9, 6], None, None)),
        ({"limit": 2, "after": 1, "before": 9}, ([6, 5], 5, None)),
        ({"after": 9}, ([], None, None)),
    ],
)
def test_it_pages_all_direct_messages_as_a_rooms(client, conversation, query, expected):
    assert read(client, "messages", **query) == expected


def test_it_has_neither_rooms_nor_what_others_wrote(client, room, alice, bob, conversation):
    write(room, alice, 2)
    write_direct(bob, make_user("dave"), 20, 3)
    assert read(client, "messages")[0] == [9, 6, 5, 4, 1]


def test_all_of_it_outlives_the_other_accounts(client, alice, bob, conversation):
    bob.delete()
    items = client.get("/api/v1/messages").json()["messages"]
    assert [(item["seq"], item["from_user_id"], item["from_username"]) for item in items][:3] == [
        (9, alice.pk, "alice"),
        (6, alice.pk, "alice"),
        (5, None, ""),
    ]


@pytest.mark.parametrize("query", [{}, {"after": 0}])
def test_it_shows_nothing_that_came_while_it_was_read(client, alice, bob, conversation, monkeypatch, query):
    """Of two messages that are stored between its scans, the second scan would find one, and a page skip the other."""
    scan, scanned = history._slice, []

    def scan_late(*args):
        found = scan(*args)
        if not scanned:
            write_direct(alice, bob, 10, 15)
            write_direct(bob, alice, 16, 11)
        scanned.append(args)
        return found

    monkeypatch.setattr(history, "_slice", scan_late)
    assert read(client, "messages", **query)[0] == [9, 6, 5, 4, 1]
    assert read(client, "messages", **query)[0] == [11, 10, 9, 6, 5, 4, 1]


def test_it_reads_along_an_index(client, alice, conversation):
    """As many rows as a page holds, however many messages there are."""
    with CaptureQueriesContext(connection) as queries:
        client.get("/api/v1/messages?after=1")
    plans = [explain(query["sql"]) for query in queries if "realtime_message" in query["sql"]]
    assert len(plans) == 2
    for plan, index in zip(plans, ("realtime_direct_sent_by", "realtime_direct_sent_to"), strict=True):
        assert index in plan
        assert "Sort" not in plan
        assert "ORDER BY" not in plan


def explain(sql):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for way in ("seqscan", "bitmapscan", "sort"):  # what it would use for few rows, or for none when it counted
                cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + sql)
        return "\n".join(str(row) for row in cursor.fetchall())
