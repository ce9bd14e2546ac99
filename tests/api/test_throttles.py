"""How often one may try to log in, make rooms, and change something else."""

from threading import Barrier

import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from realtime.api import throttles
from tests.patience import PATIENCE_SECONDS
from tests.people import PASSWORD, client_for, make_user
from tests.racing import at_once

pytestmark = pytest.mark.django_db

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def now(monkeypatch):
    """A clock that is set by hand."""
    time = [1_000_000.0]
    monkeypatch.setattr(throttles.MinuteThrottle, "timer", lambda _self: time[0])
    return time


def post(body, address=HERE, **headers):
    return APIClient(REMOTE_ADDR=address).post("/api/v1/auth/token", body, format="json", **headers)


def try_login(name="alice", password="wrong", address=HERE, **headers):
    return post({"username": name, "password": password}, address, **headers).status_code


def test_it_takes_ten_attempts_a_minute_for_a_name_from_an_address(alice, now):
    assert {try_login() for _ in range(9)} == {401}
    assert try_login(password=PASSWORD) == 200  # counts as well: who guesses right is not to begin anew
    assert try_login(password=PASSWORD) == 429
    assert try_login(password=PASSWORD, address=ELSEWHERE) == 200
    assert try_login("bob") == 401


def test_it_says_so_in_its_own_words(alice, now):
    for _ in range(10):
        try_login()
        now[0] += 1
    answer = post({"username": "alice", "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.json().keys() == {"detail", "code"}
    assert answer.json()["code"] == "RATE_LIMITED"
    assert answer["Retry-After"] == "60"


def test_it_takes_the_next_ones_when_the_first_ten_seconds_are_a_minute_old(alice, now):
    for _ in range(10):
        try_login()
        now[0] += 5
    assert try_login(password=PASSWORD) == 429
    now[0] += 19
    assert post({"username": "alice", "password": PASSWORD})["Retry-After"] == "1"
    now[0] += 1
    assert [try_login(password=PASSWORD) for _ in range(3)] == [200, 200, 429]


def test_what_it_refuses_does_not_count(alice, now):
    for _ in range(20):
        try_login()
    now[0] += 69
    assert try_login(password=PASSWORD) == 429
    now[0] += 1
    assert try_login(password=PASSWORD) == 200


class Everybody(throttles.MinuteThrottle):
    scope = "logins_per_minute"

    def identify(self, request):
        return "everybody"


def ask():
    return Everybody().allow_request(None, None)


def test_it_takes_ten_of_those_that_come_at_once(now, monkeypatch):
    """Also if each of them has seen none of the others."""
    seen, read = Barrier(20), throttles.Cache.read

    def read_together(self, keys):
        found = read(self, keys)
        if not found:
            seen.wait(PATIENCE_SECONDS)
        return found

    monkeypatch.setattr(throttles.Cache, "read", read_together)
    assert sorted(at_once(*[ask] * 20)) == [False] * 10 + [True] * 10


@pytest.mark.parametrize("seconds", [10, -10])
def test_it_sees_those_that_another_process_counts_at_the_same_moment(now, monkeypatch, seconds):
    """Its clock may be in the next ten seconds, or still in those before."""
    read = throttles.Cache.read
    others = []

    def read_before_others(self, keys):
        found = read(self, keys)
        if not others:
            others.append(None)
            now[0] += seconds
            others.extend(ask() for _ in range(10))
            now[0] -= seconds
        return found

    monkeypatch.setattr(throttles.Cache, "read", read_before_others)
    assert not ask()
    assert others[1:] == [True] * 10


def test_it_takes_any_number_with_a_cache_that_keeps_nothing(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert all(ask() for _ in range(12))


def test_it_takes_any_number_with_a_cache_that_conceals_its_failures(monkeypatch):
    for method in ("get_many", "add", "incr"):
        monkeypatch.setattr(throttles.cache, method, lambda *args: None)
    assert all(ask() for _ in range(12))


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", 429),
        ("2001:db8::1", "2001:db8:0:1::1", 401),
        ("::ffff:192.0.2.1", "192.0.2.1", 429),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", 401),
        ("unix:", "unix:", 429),
    ],
)
def test_it_takes_a_network_of_ipv6_for_one_address(configure, first, second, status):
    """Whoever has one address there has all of them."""
    configure(LOGINS_PER_MINUTE=1)
    assert try_login(address=first) == 401
    assert try_login(address=second) == status


def test_it_counts_a_name_that_is_sent_as_a_fraction(configure):
    """It is taken for the name `1.5`."""
    configure(LOGINS_PER_MINUTE=1)
    assert (try_login("1.5"), try_login(1.5)) == (401, 429)


@pytest.mark.parametrize("name", [" alice", "ALICE", "alice\t", "ａlice"])
def test_it_counts_a_name_however_it_is_spelled(alice, configure, name):
    configure(LOGINS_PER_MINUTE=1)
    assert try_login() == 401
    assert try_login(name) == 429


def test_it_takes_sixty_attempts_a_minute_from_an_address(alice):
    assert {try_login(f"somebody-{number}") for number in range(60)} == {401}
    assert try_login(password=PASSWORD) == 429
    assert try_login(password=PASSWORD, address=ELSEWHERE) == 200


@pytest.mark.parametrize(
    "body", ["{}", "[]", '"a"', '{"username":null}', '{"username":["a"]}', r'{"username":"\ud800"}']
)
def test_it_counts_what_names_nobody_for_the_address(configure, body):
    configure(LOGINS_PER_MINUTE_PER_ADDRESS=1)
    answers = [APIClient().post("/api/v1/auth/token", body, content_type="application/json") for _ in range(2)]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(400, "INVALID_MESSAGE"), (429, "RATE_LIMITED")]


def test_it_refuses_what_is_not_json_as_before():
    answer = APIClient().post("/api/v1/auth/token", "{", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_JSON")


@pytest.mark.parametrize("off", [0, None])
def test_it_takes_any_number_where_the_limit_is_off(alice, configure, off):
    configure(LOGINS_PER_MINUTE=off, LOGINS_PER_MINUTE_PER_ADDRESS=off, ROOMS_PER_MINUTE=off)
    assert {try_login() for _ in range(70)} == {401}
    client = client_for(alice)
    assert {client.post("/api/v1/rooms", {"title": "Room"}).status_code for _ in range(31)} == {201}


def test_it_knows_when_to_come_back_after_the_limit_was_lowered(alice, configure, now):
    for _ in range(5):
        try_login()
        now[0] += 1
    configure(LOGINS_PER_MINUTE=2)
    assert post({"username": "alice", "password": PASSWORD})["Retry-After"] == "65"
    configure(LOGINS_PER_MINUTE=6)
    assert try_login(password=PASSWORD) == 200


@pytest.mark.parametrize(("proxies", "status"), [(0, 429), (1, 429), (2, 401)])
def test_it_counts_the_address_that_the_number_of_proxies_tells(alice, configure, settings, proxies, status):
    """What a client wrote into the header itself does not count."""
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
    configure(LOGINS_PER_MINUTE=1)
    assert try_login(HTTP_X_FORWARDED_FOR=f"1.1.1.1, {ELSEWHERE}") == 401
    assert try_login(HTTP_X_FORWARDED_FOR=f"2.2.2.2, {ELSEWHERE}") == status


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("203.0.113.9:5000", "203.0.113.9:6000", 429),
        ("203.0.113.9:5000", "203.0.113.9", 429),
        ("203.0.113.9:5000", "203.0.113.8:5000", 401),
        ("[2001:db8::1]:5000", "[2001:db8::2]:6000", 429),
        ("[2001:db8::1]", "2001:db8::1", 429),
        ("[2001:db8::1]:5000", "[2001:db9::1]:5000", 401),
        ("[::ffff:203.0.113.9]:5000", "203.0.113.9:6000", 429),
        ("not an address:1", "not an address:2", 401),
    ],
)
def test_the_port_of_a_client_does_not_count(alice, configure, settings, first, second, status):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    configure(LOGINS_PER_MINUTE=1)
    assert try_login(HTTP_X_FORWARDED_FOR=first) == 401
    assert try_login(HTTP_X_FORWARDED_FOR=second) == status


@pytest.mark.parametrize("name", ["x" * 1000, "two\nlines of 中文"])
def test_it_makes_keys_that_every_cache_takes(configure, name):
    configure(LOGINS_PER_MINUTE=1)
    assert (try_login(name), try_login(name)) == (401, 429)


@pytest.mark.parametrize("method", ["get_many", "add", "incr"])
def test_it_lets_everybody_log_in_while_the_cache_is_away(alice, configure, monkeypatch, caplog, method):
    configure(LOGINS_PER_MINUTE=1)

    def fail(*args, **kwargs):
        raise ConnectionError("no route to the cache")

    monkeypatch.setattr(throttles.cache, method, fail)
    assert {try_login(password=PASSWORD) for _ in range(3)} == {200}
    assert "the cache is away" in caplog.text
    assert "no route to the cache" in caplog.text


def test_it_lets_a_user_make_thirty_rooms_a_minute(alice, now):
    client = client_for(alice)
    assert {client.post("/api/v1/rooms", {"title": "Room"}).status_code for _ in range(30)} == {201}
    answer = client.post("/api/v1/rooms", {"title": "Room"})
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "RATE_LIMITED", "70")
    assert client.get("/api/v1/rooms").status_code == 200
    assert client_for(make_user("bob")).post("/api/v1/rooms", {"title": "Room"}).status_code == 201
    now[0] += 70
    assert client.post("/api/v1/rooms", {"title": "Room"}).status_code == 201


CHANGES = [
    ("patch", "rooms/general", {"title": "Other"}),
    ("post", "rooms/general/members", {}),
    ("delete", "rooms/general/members/7", None),
    ("post", "ws/ticket", None),
    ("patch", "notifications/preferences", {}),
    ("post", "announcements/7/seen", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES, ids=[path for _, path, _ in CHANGES])
def test_it_limits_what_a_user_changes_at_all_addresses_together(general, alice, bob, configure, method, path, body):
    configure(CHANGES_PER_MINUTE=2)

    def change(user):
        return getattr(client_for(user), method)(f"/api/v1/{path}", body)

    assert change(alice).status_code < 429
    assert client_for(alice).delete("/api/v1/rooms/lounge").status_code == 404
    answer = change(alice)
    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
    assert 60 <= int(answer["Retry-After"]) <= 70
    assert change(bob).status_code < 429
    client = client_for(alice)
    assert client.get("/api/v1/rooms/general").status_code == 200
    assert client.options("/api/v1/rooms/general").status_code == 200
    assert client.post("/api/v1/auth/logout").status_code == 204


def test_it_takes_six_hundred_changes_a_minute(general, alice, now):
    assert all(throttles.ChangeThrottle().allow_request(change_of(alice), None) for _ in range(600))
    assert not throttles.ChangeThrottle().allow_request(change_of(alice), None)


def test_it_takes_any_number_of_changes_where_the_limit_is_off(alice, configure):
    configure(CHANGES_PER_MINUTE=0)
    assert all(throttles.ChangeThrottle().allow_request(change_of(alice), None) for _ in range(700))


@pytest.mark.parametrize("nobody", [None, AnonymousUser()])
def test_it_does_not_count_visitors_of_a_view_for_everybody(configure, nobody):
    configure(CHANGES_PER_MINUTE=1)
    assert all(throttles.ChangeThrottle().allow_request(change_of(nobody), None) for _ in range(3))


def change_of(user):
    request = Request(APIRequestFactory().post("/x"))
    request.user = user
    return request
