"""Rooms and members over REST, for owners, members and outsiders."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from realtime.chat import rooms
from realtime.models import Membership, Room, Stream
from tests.people import client_for, make_user

pytestmark = pytest.mark.django_db

AUTHENTICATION_QUERIES = 2


@pytest.fixture
def users():
    return {name: make_user(name) for name in ("owner", "member", "outsider")}


@pytest.fixture
def clients(users):
    return {name: client_for(user) for name, user in users.items()}


@pytest.fixture(autouse=True)
def both_rooms(users):
    for slug in ("public", "private"):
        rooms.create_room(users["owner"].pk, title=slug.title(), slug=slug, private=slug == "private")
        rooms.add_member(users["owner"].pk, slug, users["member"].pk)


def statuses(clients, method, path, body=None):
    return {name: getattr(client, method)(f"/api/v1/rooms{path}", body).status_code for name, client in clients.items()}


def test_it_lists_the_rooms_one_may_see(clients):
    listed = {name: client.get("/api/v1/rooms").json() for name, client in clients.items()}
    assert [room["id"] for room in listed["member"]["rooms"]] == ["private", "public"]
    assert [room["id"] for room in listed["outsider"]["rooms"]] == ["public"]
    assert (listed["owner"]["count"], listed["owner"]["offset"]) == (2, 0)
    assert [room["role"] for room in listed["owner"]["rooms"]] == ["owner", "owner"]
    assert [room["role"] for room in listed["outsider"]["rooms"]] == [None]


def test_it_lists_any_number_of_rooms_in_two_queries(clients, users, django_assert_num_queries):
    for number in range(10):
        rooms.create_room(users["owner"].pk, title=f"Room {number}")
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 2):
        page = clients["outsider"].get("/api/v1/rooms?limit=5&offset=2").json()
    assert (page["count"], len(page["rooms"])) == (11, 5)


def test_it_passes_by_the_rooms_of_direct_messages(clients):
    """There may be one for each pair of users, and their slugs come before those of most others."""
    Room.objects.bulk_create(Room(slug=f"direct-{n}", direct=True, private=True) for n in range(500))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE realtime_room")
    with CaptureQueriesContext(connection) as queries:
        clients["outsider"].get("/api/v1/rooms")
    plans = [explain(query["sql"]) for query in queries if 'FROM "realtime_room"' in query["sql"]]
    assert ["realtime_listed_rooms" in plan for plan in plans] == [True, True]


def explain(sql):
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + sql)
        return "\n".join(str(row) for row in cursor.fetchall())


def test_it_makes_a_room(clients):
    answer = clients["outsider"].post("/api/v1/rooms", {"id": "tea-room", "title": "Tea room", "private": True})
    assert answer.status_code == 201
    made = answer.json()
    assert made.pop("created_at").endswith("Z")
    assert made == {
        "id": "tea-room",
        "title": "Tea room",
        "private": True,
        "role": "owner",
        "members_count": 1,
        "last_seq": 0,
        "last_read_seq": 0,
        "unread": 0,
    }
    assert clients["outsider"].get("/api/v1/rooms/tea-room").json()["id"] == "tea-room"


def test_it_makes_an_id_from_the_title(clients):
    ids = [clients["owner"].post("/api/v1/rooms", {"title": "Tea Room"}).json()["id"] for _ in range(2)]
    assert ids[0] == "tea-room"
    assert ids[1].startswith("tea-room-")


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"id": "public", "title": "Taken"}, 409, "CONFLICT"),
        ({"id": "private", "title": "Taken"}, 409, "CONFLICT"),
        ({"id": "direct-1", "title": "Reserved"}, 400, "INVALID_MESSAGE"),
        ({"id": "A b", "title": "Bad"}, 400, "INVALID_MESSAGE"),
        ({"id": "", "title": "Bad"}, 400, "INVALID_MESSAGE"),
        ({"id": None, "title": "Bad"}, 400, "INVALID_MESSAGE"),
        ({"id": 7.5, "title": "Bad"}, 400, "INVALID_MESSAGE"),
        ({}, 400, "INVALID_MESSAGE"),
        ({"title": " "}, 400, "INVALID_MESSAGE"),
        ({"title": "x" * 201}, 400, "INVALID_MESSAGE"),
        ({"title": "nul \0"}, 400, "INVALID_MESSAGE"),
        ({"title": {}}, 400, "INVALID_MESSAGE"),
        ({"title": "Odd", "private": "perhaps"}, 400, "INVALID_MESSAGE"),
        ({"title": "Odd", "private": None}, 400, "INVALID_MESSAGE"),
        ([{"title": "Many"}], 400, "INVALID_MESSAGE"),
        ("text", 400, "INVALID_MESSAGE"),
    ],
)
def test_it_refuses_a_bad_room(clients, given, status, code):
    answer = clients["owner"].post("/api/v1/rooms", given)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert Room.objects.count() == 2


def test_it_shows_a_room(clients):
    Stream.objects.create(name="room.private", last_seq=12)
    assert statuses(clients, "get", "/private") == {"owner": 200, "member": 200, "outsider": 404}
    assert statuses(clients, "get", "/public") == {"owner": 200, "member": 200, "outsider": 200}
    assert clients["member"].get("/api/v1/rooms/private").json()["last_seq"] == 12
    assert clients["member"].get("/api/v1/rooms/unknown").json()["code"] == "NOT_FOUND"


def test_it_answers_for_a_private_room_as_for_none(clients):
    """So that outsiders do not learn that there is one."""
    for method, path in [("get", ""), ("patch", ""), ("delete", ""), ("get", "/members"), ("post", "/members")]:
        answers = [getattr(clients["outsider"], method)(f"/api/v1/rooms/{id}{path}") for id in ("private", "unknown")]
        assert answers[0].status_code == answers[1].status_code == 404
        assert answers[0].content == answers[1].content


def test_it_is_changed_by_its_owner(clients):
    change = {"title": "Changed"}
    assert statuses(clients, "patch", "/public", change) == {"owner": 200, "member": 403, "outsider": 403}
    assert statuses(clients, "patch", "/private", change) == {"owner": 200, "member": 403, "outsider": 404}
    answer = clients["owner"].patch("/api/v1/rooms/public", {"private": True, "id": "other"}).json()
    assert (answer["id"], answer["title"], answer["private"]) == ("public", "Changed", True)
    assert clients["owner"].patch("/api/v1/rooms/public", {}).status_code == 200


@pytest.mark.parametrize("change", [{"title": ""}, {"title": None}, {"private": 3}, []])
def test_it_refuses_a_bad_change(clients, change):
    assert clients["owner"].patch("/api/v1/rooms/public", change).status_code == 400


def test_it_is_deleted_by_its_owner(clients):
    del clients["owner"]
    assert statuses(clients, "delete", "/public") == {"member": 403, "outsider": 403}
    assert statuses(clients, "delete", "/private") == {"member": 403, "outsider": 404}


def test_it_is_gone_once_deleted(clients):
    assert clients["owner"].delete("/api/v1/rooms/private").status_code == 204
    assert clients["owner"].delete("/api/v1/rooms/private").status_code == 404


def test_it_shows_members_to_members(clients, users):
    assert statuses(clients, "get", "/public/members") == {"owner": 200, "member": 200, "outsider": 403}
    assert statuses(clients, "get", "/private/members") == {"owner": 200, "member": 200, "outsider": 404}
    answer = clients["member"].get("/api/v1/rooms/private/members").json()
    assert answer.pop("members")[1].items() >= {"user_id": users["member"].pk, "username": "member"}.items()
    assert answer == {"count": 2, "offset": 0}


def test_it_lists_any_number_of_members_in_three_queries(clients, users, django_assert_num_queries):
    for number in range(10):
        rooms.add_member(users["owner"].pk, "public", make_user(f"more-{number}").pk)
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 3):
        answer = clients["owner"].get("/api/v1/rooms/public/members?limit=5").json()
    assert (answer["count"], len(answer["members"])) == (12, 5)


def test_it_lets_anybody_join_a_public_room(clients, users):
    me = {"user_id": users["outsider"].pk, "role": "member"}
    answers = [clients["outsider"].post("/api/v1/rooms/public/members", body) for body in ({}, me)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json()["role"] == "member"


def test_it_lets_nobody_promote_himself(clients, users):
    for name in ("member", "outsider"):
        body = {"user_id": users[name].pk, "role": "owner"}
        assert clients[name].post("/api/v1/rooms/public/members", body).status_code == 403


def test_it_lets_nobody_join_a_private_room(clients, users):
    for body in ({}, {"user_id": users["outsider"].pk}):
        assert clients["outsider"].post("/api/v1/rooms/private/members", body).status_code == 404


def test_it_has_members_added_by_its_owner(clients, users):
    body = {"user_id": users["outsider"].pk, "role": "owner"}
    added = {name: clients[name].post("/api/v1/rooms/private/members", body).status_code for name in clients}
    assert added == {"owner": 201, "member": 403, "outsider": 200}  # by then the outsider owns it too
    again = clients["owner"].post("/api/v1/rooms/private/members", {"user_id": users["outsider"].pk})
    assert (again.status_code, again.json()["role"]) == (200, "owner")


@pytest.mark.parametrize("room", ["private", "public"])
def test_an_owner_becomes_a_member_if_there_is_another_owner(clients, users, room):
    address, step_down = f"/api/v1/rooms/{room}/members", {"user_id": users["owner"].pk, "role": "member"}
    alone = clients["owner"].post(address, step_down)
    assert (alone.status_code, alone.json()["code"]) == (409, "CONFLICT")
    clients["owner"].post(address, {"user_id": users["member"].pk, "role": "owner"})
    answers = [clients["owner"].post(address, step_down) for _ in range(2)]
    assert [(answer.status_code, answer.json()["role"]) for answer in answers] == [(200, "member")] * 2
    assert clients["owner"].get(f"/api/v1/rooms/{room}").json()["role"] == "member"
    assert clients["owner"].patch(f"/api/v1/rooms/{room}", {"title": "Mine"}).status_code == 403


def names(client, room="private"):
    return [member["username"] for member in client.get(f"/api/v1/rooms/{room}/members").json()["members"]]


@pytest.mark.parametrize("room", ["private", "public"])
def test_it_shows_no_name_of_somebody_who_was_only_added(clients, users, room):
    """Otherwise a user could read the names of all users: by adding one id after the other to a room of their own."""
    address, given = f"/api/v1/rooms/{room}/members", {"user_id": users["outsider"].pk}
    answers = [clients["owner"].post(address, {**given, "role": role}) for role in ("member", "owner", "member")]
    assert [answer.json()["username"] for answer in answers] == [""] * 3
    assert [names(clients[name], room)[-1] for name in ("owner", "member", "outsider")] == ["", "", "outsider"]


@pytest.mark.parametrize("way", ["REST", "socket"])
def test_it_shows_the_name_once_the_room_was_opened(clients, users, way):
    rooms.add_member(users["owner"].pk, "private", users["outsider"].pk)
    if way == "REST":
        assert clients["outsider"].post("/api/v1/rooms/private/members").json()["username"] == "outsider"
    else:
        rooms.join(users["outsider"].pk, "private")  # as the command `join` does
    assert names(clients["owner"])[-1] == "outsider"
    # Who was removed and is added again has not opened the room again.
    rooms.remove_member(users["owner"].pk, "private", users["outsider"].pk)
    rooms.add_member(users["owner"].pk, "private", users["outsider"].pk)
    assert names(clients["owner"])[-1] == ""


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"user_id": 999_999}, 404),
        ({"user_id": "abc"}, 400),
        ({"user_id": True}, 400),
        ({"user_id": 1.5}, 400),
        ({"user_id": None}, 400),
        ({"user_id": [1]}, 400),
        ({"user_id": 10**40}, 400),
        ({"user_id": 1, "role": "king"}, 400),
    ],
)
def test_it_refuses_a_bad_member(clients, given, status):
    assert clients["owner"].post("/api/v1/rooms/public/members", given).status_code == status


def test_it_lets_members_leave_and_owners_remove(clients, users):
    member, outsider = users["member"].pk, users["outsider"].pk
    assert clients["outsider"].delete(f"/api/v1/rooms/private/members/{member}").status_code == 404
    assert clients["outsider"].delete(f"/api/v1/rooms/public/members/{member}").status_code == 403
    assert clients["owner"].delete(f"/api/v1/rooms/public/members/{outsider}").status_code == 404
    assert clients["owner"].delete("/api/v1/rooms/public/members/abc").status_code == 404
    assert clients["owner"].delete(f"/api/v1/rooms/public/members/{member}").status_code == 204
    assert clients["member"].delete("/api/v1/rooms/private/members").status_code == 204
    assert clients["member"].delete("/api/v1/rooms/private/members").status_code == 404
    assert not Membership.objects.filter(user=member).exists()


def test_it_keeps_its_last_owner(clients):
    answer = clients["owner"].delete("/api/v1/rooms/public/members")
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
