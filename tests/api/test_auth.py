"""Logging in and out over REST, and tickets."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.test import APIClient
from rest_framework.views import APIView
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from realtime.auth import tickets, tokens
from realtime.delivery import publishing
from realtime.models import Ticket
from tests.people import PASSWORD, access_for, client_for, make_user
from tests.settings import REALTIME

pytestmark = pytest.mark.django_db


@pytest.fixture
def closed(monkeypatch):
    """The logins whose sockets were closed."""
    sessions = []
    monkeypatch.setattr(publishing, "disconnect_login", sessions.append)
    return sessions


@pytest.fixture
def login(alice, anybody):
    return anybody.post("/api/v1/auth/token", {"username": "alice", "password": PASSWORD}).json()


def bearer(token):
    client = APIClient()
    client.default_format = "json"
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_it_logs_in(alice, login):
    assert sorted(login) == ["access", "refresh"]
    claims = tokens.parse_access(login["access"])
    assert claims.user_id == str(alice.pk)
    assert claims.login == RefreshToken(login["refresh"])["realtime_login"]
    assert bearer(login["access"]).get("/api/v1/rooms").status_code == 200


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"username": "alice", "password": "wrong"}, 401, "UNAUTHENTICATED"),
        ({"username": "nobody", "password": PASSWORD}, 401, "UNAUTHENTICATED"),
        ({"username": "gone", "password": PASSWORD}, 401, "UNAUTHENTICATED"),
        ({"username": "alice"}, 400, "INVALID_MESSAGE"),
        ({"username": ["alice"], "password": {}}, 400, "INVALID_MESSAGE"),
        ([], 400, "INVALID_MESSAGE"),
    ],
)
def test_it_refuses_a_bad_login(alice, anybody, given, status, code):
    make_user("gone", is_active=False)
    answer = anybody.post("/api/v1/auth/token", given)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("written", ["Jos\u00e9", "Jose\u0301"], ids=["composed", "decomposed"])
def test_a_name_may_be_written_in_either_form(anybody, written):
    make_user("Jos\u00e9")
    answer = anybody.post("/api/v1/auth/token", {"username": written, "password": PASSWORD})
    assert answer.status_code == 200


@pytest.mark.parametrize("length", [151, 200_000])
def test_a_name_that_nobody_can_have_is_refused_as_it_is(anybody, configure, normalized, length):
    configure(LOGINS_PER_MINUTE=1)
    given = {"username": "a" + "\u0301\u0316" * (length // 2), "password": PASSWORD}
    assert [anybody.post("/api/v1/auth/token", given).status_code for _ in range(2)] == [401, 429]
    assert max(normalized, default=0) <= 150


def test_it_refreshes_within_the_same_login(login, anybody):
    answer = anybody.post("/api/v1/auth/refresh", {"refresh": login["refresh"]})
    assert list(answer.json()) == ["access"]
    assert tokens.parse_access(answer.json()["access"]).login == tokens.parse_access(login["access"]).login


def test_it_stays_the_same_login_when_refresh_tokens_rotate(login, anybody, monkeypatch):
    monkeypatch.setattr(api_settings, "ROTATE_REFRESH_TOKENS", True)
    monkeypatch.setattr(api_settings, "BLACKLIST_AFTER_ROTATION", True)
    rotated = anybody.post("/api/v1/auth/refresh", {"refresh": login["refresh"]}).json()
    assert tokens.parse_access(rotated["access"]).login == tokens.parse_access(login["access"]).login
    assert anybody.post("/api/v1/auth/refresh", {"refresh": login["refresh"]}).status_code == 401
    assert bearer(rotated["access"]).post("/api/v1/auth/logout").status_code == 204
    assert anybody.post("/api/v1/auth/refresh", {"refresh": rotated["refresh"]}).status_code == 401


def test_it_refuses_to_refresh_for_those_who_may_not_log_in(alice, login, anybody, monkeypatch):
    def refresh():
        return anybody.post("/api/v1/auth/refresh", {"refresh": login["refresh"]})

    alice.is_active = False
    alice.save()
    assert refresh().status_code == 401
    alice.delete()
    assert (refresh().status_code, refresh().json()["code"]) == (401, "UNAUTHENTICATED")


def test_it_refuses_to_refresh_after_the_password_was_changed(alice, anybody, monkeypatch):
    monkeypatch.setattr(api_settings, "CHECK_REVOKE_TOKEN", True)
    refresh = tokens.start_login(alice)
    assert anybody.post("/api/v1/auth/refresh", {"refresh": str(refresh)}).status_code == 200
    alice.set_password("another")
    alice.save()
    assert anybody.post("/api/v1/auth/refresh", {"refresh": str(refresh)}).status_code == 401
    assert bearer(refresh.access_token).get("/api/v1/rooms").status_code == 401


@pytest.mark.parametrize("refresh", ["", "rubbish", "a.b.c", 7, None, {}, ["x"]])
def test_it_refuses_what_is_no_refresh_token(anybody, refresh):
    assert anybody.post("/api/v1/auth/refresh", {"refresh": refresh}).status_code in (400, 401)
    assert anybody.post("/api/v1/auth/logout", {"refresh": refresh}).status_code in (400, 401)


def test_it_refuses_an_access_token_as_refresh_token(login, anybody):
    assert anybody.post("/api/v1/auth/refresh", {"refresh": login["access"]}).status_code == 401


@pytest.mark.parametrize("shown", ["access", "refresh", "both"])
def test_it_logs_out_by_either_token(login, closed, anybody, shown):
    client = anybody if shown == "refresh" else bearer(login["access"])
    body = {} if shown == "access" else {"refresh": login["refresh"]}
    assert client.post("/api/v1/auth/logout", body).status_code == 204
    assert closed == [RefreshToken(login["refresh"], verify=False)["realtime_login"]]
    assert bearer(login["access"]).get("/api/v1/rooms").json()["code"] == "UNAUTHENTICATED"
    assert anybody.post("/api/v1/auth/refresh", {"refresh": login["refresh"]}).status_code == 401
    assert client.post("/api/v1/auth/logout", body).status_code == 401


def test_it_logs_out_although_the_access_token_has_expired(alice, closed):
    refresh = tokens.start_login(alice)
    expired = refresh.access_token
    expired.set_exp(lifetime=-timedelta(minutes=1))
    assert bearer(expired).post("/api/v1/auth/logout").json()["code"] == "TOKEN_EXPIRED"
    assert bearer(expired).post("/api/v1/auth/logout", {"refresh": str(refresh)}).status_code == 204
    assert closed == [refresh["realtime_login"]]


def test_it_leaves_other_logins_alone(alice, login, closed):
    other = client_for(alice)
    bearer(login["access"]).post("/api/v1/auth/logout")
    assert other.get("/api/v1/rooms").status_code == 200


def test_it_logs_out_a_token_that_belongs_to_no_login(alice, closed):
    token = AccessToken.for_user(alice)
    assert bearer(token).post("/api/v1/auth/logout").status_code == 204
    assert closed == [token["jti"]]
    assert bearer(token).get("/api/v1/rooms").status_code == 401


def test_it_logs_out_a_cookie(alice, anybody):
    anybody.force_login(alice)
    assert anybody.post("/api/v1/auth/logout").status_code == 204
    assert anybody.get("/api/v1/rooms").status_code == 401


class KeyAuthentication(BaseAuthentication):
    """A site's own way, which says nothing of what it found."""

    def authenticate(self, request):
        name = request.headers.get("X-Key")
        return (get_user_model().objects.get(username=name), None) if name else None


def test_it_says_so_when_it_cannot_end_a_login(alice, bob, anybody, monkeypatch):
    """The session in the same browser is somebody else's."""
    monkeypatch.setattr(APIView, "authentication_classes", [KeyAuthentication, SessionAuthentication])
    anybody.force_login(bob)
    answer = anybody.post("/api/v1/auth/logout", headers={"x-key": "alice"})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    assert anybody.post("/api/v1/ws/ticket", headers={"x-key": "alice"}).status_code == 200
    assert Ticket.objects.get().token_login == ""
    assert anybody.get("/api/v1/rooms").status_code == 200
    assert anybody.post("/api/v1/auth/logout").status_code == 204
    assert anybody.get("/api/v1/rooms").status_code == 401


def test_it_wants_to_know_who_logs_out(anybody):
    assert anybody.post("/api/v1/auth/logout").status_code == 401


def test_it_says_so_when_a_token_is_only_too_old(alice):
    token = access_for(alice)
    token.set_exp(lifetime=-timedelta(seconds=1))
    answer = bearer(token).get("/api/v1/rooms")
    assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_EXPIRED")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Bearer a b", "Bearer \xff.\xff.\xff", "Basic eDp5", ""])
def test_it_answers_any_header(anybody, header):
    anybody.credentials(HTTP_AUTHORIZATION=header)
    answer = anybody.get("/api/v1/rooms")
    assert (answer.status_code, sorted(answer.json())) == (401, ["code", "detail"])


def test_it_refuses_a_token_of_somebody_who_is_gone_or_never_was(alice):
    stranger = access_for(alice)
    stranger["user_id"] = "not-a-key"
    gone = client_for(alice)
    alice.delete()
    assert gone.get("/api/v1/rooms").status_code == 401
    assert bearer(stranger).get("/api/v1/rooms").status_code == 401


def test_it_gives_a_ticket_that_opens_a_socket_of_this_login(alice, login):
    answer = bearer(login["access"]).post("/api/v1/ws/ticket").json()
    assert answer["expires_in"] == REALTIME["TICKET_SECONDS"]
    redeemed = tickets.redeem(answer["ticket"])
    assert redeemed.user_id == alice.pk
    assert redeemed.token_login == tokens.parse_access(login["access"]).login


def test_it_never_says_that_a_ticket_is_valid_for_no_second(login, configure):
    configure(TICKET_SECONDS=0.5)
    assert bearer(login["access"]).post("/api/v1/ws/ticket").json()["expires_in"] == 1


def test_it_gives_a_ticket_for_a_cookie_but_only_to_the_sites_own_pages(alice):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post("/api/v1/ws/ticket")
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    client = APIClient()
    client.force_login(alice)
    assert client.post("/api/v1/ws/ticket").status_code == 200
    ticket = Ticket.objects.get()
    assert ticket.token_login == tokens.cookie_login(client.session.session_key)
    session = Session.objects.get(pk=client.session.session_key)
    assert ticket.token_expires_at.timestamp() == pytest.approx(session.expire_date.timestamp())


@pytest.mark.parametrize("header", ["X-CSRFToken", "X-XSRF-Token"])
def test_a_site_may_look_for_the_token_of_its_pages_in_another_header(alice, settings, header):
    """As Angular and axios send it. The browser library sends Django's, and each of its acts was refused."""
    settings.CSRF_HEADER_NAME = "HTTP_X_XSRF_TOKEN"
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(alice)
    token = "a" * 32
    client.cookies[settings.CSRF_COOKIE_NAME] = token
    assert client.post("/api/v1/rooms", {"title": "Tea"}).status_code == 403
    assert client.post("/api/v1/rooms", {"title": "Tea"}, headers={header: "b" * 32}).status_code == 403
    assert client.post("/api/v1/rooms", {"title": "Tea"}, headers={header: token}).status_code == 201


def test_it_costs_two_queries_to_know_who_asks(alice, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr("realtime.presence.online.count", lambda: 0)
    client = client_for(alice)
    with django_assert_num_queries(2):
        client.get("/api/v1/online/count")


@pytest.mark.parametrize("user_id", ["alice", "a\0b", "\ud800"])
def test_it_ends_a_login_from_before_the_site_named_its_users_otherwise(alice, anybody, user_id):
    """USER_ID_FIELD was another one when the token was made: the logout was an error of the server."""
    refresh = tokens.start_login(alice)
    refresh["user_id"] = user_id
    assert anybody.post("/api/v1/auth/refresh", {"refresh": str(refresh)}).status_code == 401
    assert anybody.post("/api/v1/auth/logout", {"refresh": str(refresh)}).status_code == 204
    assert anybody.post("/api/v1/auth/logout", {"refresh": str(refresh)}).status_code == 401
