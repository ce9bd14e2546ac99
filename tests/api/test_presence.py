"""Who is online, over REST."""

import asyncio
from datetime import UTC, datetime

import pytest
from django.db import OperationalError
from django.utils import timezone

from realtime.chat import rooms
from realtime.chat.direct import open_pair
from realtime.delivery import bridge
from realtime.manager import manager
from realtime.models import LastSeen
from realtime.presence import online
from realtime.presence.store import Entry, StoreUnavailable
from realtime.protocol.frames import format_time
from tests.people import client_for

pytestmark = pytest.mark.django_db

SEEN = datetime(2025, 10, 22, 10, tzinfo=UTC)
AUTHENTICATION_QUERIES = 2


@pytest.fixture(autouse=True)
def everyone(configure):
    configure(PRESENCE_AUDIENCE="everyone")


@pytest.fixture
def present(monkeypatch):
    """Presence entries by user id, as the store would have them."""
    entries = {}

    def count():
        return sum(entry.online for entry in entries.values())

    monkeypatch.setattr(online, "count", count)
    monkeypatch.setattr(online, "page", lambda offset, limit: (count(), list(entries.values())[offset:][:limit]))
    monkeypatch.setattr(online, "entries", lambda keys: {key: entries[key] for key in keys if key in entries})
    return entries


def enter(present, user, connections=1, status="online"):
    present[str(user.pk)] = Entry(str(user.pk), connections, status, b"")


def is_since(began, moment):
    return began.replace(microsecond=0) <= datetime.fromisoformat(moment) <= timezone.now()


def test_it_lists_who_is_online(client, alice, bob, present, django_assert_num_queries):
    enter(present, alice, connections=2)
    enter(present, bob, status="away")
    began = timezone.now()
    with django_assert_num_queries(AUTHENTICATION_QUERIES):
        answer = client.get("/api/v1/online").json()
    moments = [user.pop("last_seen") for user in answer["users"]]
    assert all(is_since(began, moment) for moment in moments)
    assert answer == {
        "online_count": 2,
        "offset": 0,
        "users": [
            {"user_id": alice.pk, "online": True, "status": "online", "connections_count": 2},
            {"user_id": bob.pk, "online": True, "status": "away", "connections_count": 1},
        ],
    }


def test_it_lists_page_by_page(client, alice, bob, present):
    enter(present, alice)
    enter(present, bob)
    answer = client.get("/api/v1/online?limit=1&offset=1").json()
    assert (answer["online_count"], answer["offset"]) == (2, 1)
    assert [user["user_id"] for user in answer["users"]] == [bob.pk]


class HangingStore:
    def __getattr__(self, name):
        async def hang(*_):
            await asyncio.Event().wait()

        return hang


@pytest.fixture
def hanging(monkeypatch):
    monkeypatch.setattr(bridge, "TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(online, "loop_store", HangingStore)


@pytest.mark.parametrize("address", ["online", "online/count", "status/{}", "status?user_ids={}"])
def test_a_store_that_hangs_is_away(client, alice, hanging, address):
    """With Redis standing still, those who waited for a connection and then for an answer got 500."""
    answer = client.get(f"/api/v1/{address.format(alice.pk)}")
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")


@pytest.mark.parametrize(
    "ask",
    [
        manager.get_online_count,
        manager.get_online_users,
        lambda: manager.is_user_online(7),
        lambda: manager.get_user_connections_count(7),
        lambda: manager.get_entries([7]),
    ],
)
def test_site_code_gets_one_error_for_all_that_is_away(hanging, ask):
    with pytest.raises(StoreUnavailable):
        ask()


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1", f"offset={10**30}"])
def test_it_refuses_a_bad_page(client, present, query):
    answer = client.get(f"/api/v1/online?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    assert list(answer.json()["errors"]) == [query.split("=")[0]]


def test_it_counts_who_is_online(client, alice, present):
    enter(present, alice)
    assert client.get("/api/v1/online/count").json() == {"online_count": 1}


def test_it_describes_somebody_who_is_online(client, bob, present):
    enter(present, bob, connections=3, status="busy")
    LastSeen.objects.create(user=bob, at=SEEN)
    began = timezone.now()
    answer = client.get(f"/api/v1/status/{bob.pk}").json()
    assert is_since(began, answer.pop("last_seen"))
    assert answer == {"user_id": bob.pk, "online": True, "status": "busy", "connections_count": 3}


def test_it_shows_when_somebody_was_last_seen(client, bob, present, django_assert_num_queries):
    never = {"user_id": bob.pk, "online": False, "status": "offline", "last_seen": None, "connections_count": 0}
    assert client.get(f"/api/v1/status/{bob.pk}").json() == never
    LastSeen.objects.create(user=bob, at=SEEN)
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 1):
        assert client.get(f"/api/v1/status/{bob.pk}").json() == {**never, "last_seen": format_time(SEEN)}


def test_it_does_not_betray_who_appears_offline(client, alice, bob, present):
    for user in (alice, bob):
        enter(present, user, connections=2, status="offline")
        LastSeen.objects.create(user=user, at=SEEN)
        hidden = {"online": False, "status": "offline", "last_seen": format_time(SEEN), "connections_count": 0}
        assert client.get(f"/api/v1/status/{user.pk}").json() == {"user_id": user.pk, **hidden}
    assert client.get("/api/v1/online").json()["users"] == []
    assert client.get("/api/v1/online/count").json() == {"online_count": 0}


@pytest.mark.parametrize("user_id", ["0", "999999", "abc", "-1", "1_0", "01", "%20", "%00", "9" * 40, "1.0", "a/b"])
def test_it_knows_no_such_user(client, present, user_id):
    answer = client.get(f"/api/v1/status/{user_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_it_tells_nobody_that_a_user_was_disabled(client, bob, present):
    enter(present, bob)
    type(bob).objects.filter(pk=bob.pk).update(is_active=False)
    answers = [client.get(f"/api/v1/status/{user_id}") for user_id in (bob.pk, 999_999)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(404, answers[1].json())] * 2
    assert client.get(f"/api/v1/status?user_ids={bob.pk},2000000000").json() == []


def test_it_describes_several_users_at_once(client, alice, bob, present, django_assert_num_queries):
    enter(present, alice)
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 1):
        answer = client.get(f"/api/v1/status?user_ids={bob.pk},2000000000,{alice.pk},{bob.pk},").json()
    assert [(status["user_id"], status["online"]) for status in answer] == [(bob.pk, False), (alice.pk, True)]


@pytest.mark.parametrize("query", ["", "?user_ids=", "?user_ids=a", "?user_ids=1,%00", "?user_ids=1;2"])
def test_it_refuses_bad_ids(client, present, query):
    assert client.get(f"/api/v1/status{query}").status_code == 400


def test_it_looks_up_200_users_and_no_more(client, present):
    assert client.get("/api/v1/status?user_ids=" + ",".join(map(str, range(1, 201)))).status_code == 200
    answer = client.get("/api/v1/status?user_ids=" + ",".join(map(str, range(1, 202))))
    assert answer.json()["errors"] == {"user_ids": ["At most 200 ids at once."]}


@pytest.mark.parametrize("error", [StoreUnavailable("redis is away"), OperationalError("the database is away")])
def test_it_says_so_when_a_store_is_away(client, monkeypatch, error, caplog):
    def fail():
        raise error

    monkeypatch.setattr(online, "count", fail)
    answer = client.get("/api/v1/online/count")
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "away" not in answer.json()["detail"]
    assert str(error) in caplog.text


@pytest.mark.parametrize("path", ["online", "online/count", "status", "status/1"])
def test_it_answers_only_those_who_logged_in(client, path):
    client.credentials()
    answer = client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


def test_it_asks_the_store_for_real(client, alice):
    assert client.get("/api/v1/online").json() == {"online_count": 0, "offset": 0, "users": []}
    assert client.get(f"/api/v1/status/{alice.pk}").json()["online"] is False


# What PRESENCE_AUDIENCE hides


@pytest.fixture
def limited(configure, present, monkeypatch):
    """Sets the audience. The store answers about some users as it does about all."""

    def page_of(keys, offset, limit):
        found = [entry for key, entry in present.items() if key in keys and entry.online]
        return online.OnlinePage(len(found), found[offset : offset + limit])

    monkeypatch.setattr(online, "page_of", page_of)

    def change(audience, visible=""):
        configure(PRESENCE_AUDIENCE=audience, PRESENCE_VISIBLE=visible)

    return change


def watch(client, *users):
    """Whom the client sees online, by each of the addresses."""
    page = client.get("/api/v1/online").json()
    statuses = client.get(f"/api/v1/status?user_ids={','.join(str(user.pk) for user in users)}").json()
    single = [client.get(f"/api/v1/status/{user.pk}").json() for user in users]
    found = [user["user_id"] for user in page["users"]]
    assert client.get("/api/v1/online/count").json() == {"online_count": page["online_count"]}
    assert page["online_count"] == len(found)
    for status in (*statuses, *single):
        if not status.pop("online"):
            assert status == {
                "user_id": status["user_id"],
                "status": "offline",
                "last_seen": None,
                "connections_count": 0,
            }
    shown = [[s["user_id"] for s in given if s["status"] != "offline"] for given in (statuses, single)]
    assert sorted(found) == sorted(shown[0]) == sorted(shown[1])
    return sorted(found)


@pytest.fixture
def seen(alice, bob, carol, present):
    """Three users who are online, and who were here before."""
    for user in (alice, bob, carol):
        enter(present, user)
        LastSeen.objects.create(user=user, at=SEEN)
    return alice, bob, carol


def test_nobody_sees_anybody_but_themselves(client, seen, limited):
    limited("nobody")
    assert watch(client, *seen) == [seen[0].pk]


def test_those_who_share_a_room_see_each_other(client, seen, limited):
    alice, bob, carol = seen
    limited("rooms")
    rooms.create_room(bob.pk, title="General", slug="general")
    rooms.join(alice.pk, "general")
    rooms.add_member(bob.pk, "general", carol.pk)  # who has not opened it yet
    assert watch(client, *seen) == [alice.pk, bob.pk]
    assert watch(client_for(carol), *seen) == [carol.pk]
    rooms.join(carol.pk, "general")
    assert watch(client, *seen) == sorted(user.pk for user in seen)


def test_two_who_write_to_each_other_share_no_room(client, seen, limited):
    alice, bob, _ = seen
    limited("rooms")
    open_pair(str(alice.pk), bob.pk)
    assert watch(client, *seen) == [alice.pk]


def test_no_rank_sees_more(client, seen, limited):
    """Staff ask in the admin, and site code asks the manager."""
    alice = seen[0]
    type(alice).objects.filter(pk=alice.pk).update(is_staff=True, is_superuser=True)
    limited("nobody")
    assert watch(client, *seen) == [alice.pk]


def test_whoever_appears_offline_is_counted_by_nobody(client, seen, present, limited):
    alice, bob, _ = seen
    limited("rooms")
    rooms.create_room(bob.pk, title="General", slug="general")
    rooms.join(alice.pk, "general")
    for user in (alice, bob):
        enter(present, user, status="offline")
    assert client.get("/api/v1/online").json() == {"online_count": 0, "offset": 0, "users": []}
    assert client.get("/api/v1/online/count").json() == {"online_count": 0}
    # They share a room, so it is known that bob was here.
    assert client.get(f"/api/v1/status/{bob.pk}").json()["last_seen"] == format_time(SEEN)


VISIBLE = []


def choose_visible(_reader):
    return VISIBLE


def fail(_reader):
    raise LookupError("no friends")


def test_a_site_says_whose_presence_may_be_seen(client, seen, limited, monkeypatch):
    alice, bob, _ = seen
    limited(f"{__name__}.fail", f"{__name__}.choose_visible")
    monkeypatch.setattr(f"{__name__}.VISIBLE", [bob.pk, 999_999])
    assert watch(client, *seen) == [alice.pk, bob.pk]
    limited(f"{__name__}.choose_visible")  # says who hears about a user, and not whom a user may see
    assert watch(client, *seen) == [alice.pk]


def test_nobody_is_seen_when_the_sites_function_fails(client, seen, limited, caplog):
    limited(f"{__name__}.choose_visible", f"{__name__}.fail")
    assert watch(client, *seen) == [seen[0].pk]
    assert "no friends" in caplog.text
    caplog.clear()


def test_an_audience_costs_one_query_for_any_number(client, seen, limited, django_assert_num_queries):
    alice, *others = seen
    rooms.create_room(alice.pk, title="General", slug="general")
    for other in others:
        rooms.join(other.pk, "general")
    path = f"/api/v1/status?user_ids={','.join(str(user.pk) for user in seen)}"
    for audience, more in (("everyone", 0), ("nobody", 0), ("rooms", 1)):
        limited(audience)
        with django_assert_num_queries(AUTHENTICATION_QUERIES + 1 + more):
            client.get(path)
        with django_assert_num_queries(AUTHENTICATION_QUERIES + more):
            client.get("/api/v1/online")
        with django_assert_num_queries(AUTHENTICATION_QUERIES + more):
            client.get("/api/v1/online/count")


def test_a_user_who_does_not_exist_differs_from_one_who_may_not_be_seen(client, seen, limited):
    limited("nobody")
    assert client.get(f"/api/v1/status/{seen[1].pk}").status_code == 200
    assert client.get("/api/v1/status/999999").status_code == 404


@pytest.mark.parametrize("audience", ["nobody", "rooms"])
def test_it_asks_the_store_for_real_about_some(client, alice, configure, audience):
    configure(PRESENCE_AUDIENCE=audience)
    assert client.get("/api/v1/online").json() == {"online_count": 0, "offset": 0, "users": []}
    assert client.get("/api/v1/online/count").json() == {"online_count": 0}
