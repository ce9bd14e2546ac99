"""A logout ends the login, whoever has begun it and however it is said: on sockets, over REST and for new tokens."""

import pytest
from django.utils import translation
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken
from rest_framework_simplejwt.views import TokenBlacklistView, TokenObtainPairView, TokenRefreshView

from realtime.auth import tokens
from realtime.sockets.node import get_node
from realtime.storage.database import run
from realtime.testing import connect, other_process
from tests.people import PASSWORD, make_user

pytestmark = pytest.mark.django_db(transaction=True)

UNAUTHENTICATED = (4401, "UNAUTHENTICATED")


class OwnToken(RefreshToken):
    """A site's extension, which makes access tokens in its own way."""

    @property
    def access_token(self):
        access = super().access_token
        access["plan"] = "gold"
        return access


class ShopToken(RefreshToken):
    """With a claim of the site's own, which many users share."""

    @classmethod
    def for_user(cls, user):
        token = super().for_user(user)
        token["sid"] = 12
        return token


def post(view, **data):
    return view.as_view()(APIRequestFactory().post("/", data, format="json"))


def obtain(view, user):
    answer = post(view, username=user.username, password=PASSWORD)
    return answer.data["access"], answer.data["refresh"]


def by_our_view(user):
    answer = APIClient().post("/api/v1/auth/token", {"username": user.username, "password": PASSWORD}).json()
    return answer["access"], answer["refresh"]


def from_class(kind):
    def make(user):
        refresh = kind.for_user(user)
        return str(refresh.access_token), str(refresh)

    return make


def from_stored_token(user):
    """A pair of which only the refresh token is from before: it names no login."""
    refresh = RefreshToken.for_user(user)
    del refresh.payload["realtime_login"]
    OutstandingToken.objects.filter(jti=refresh["jti"]).update(token=str(refresh))
    answer = post(TokenRefreshView, refresh=str(refresh))
    return answer.data["access"], str(refresh)


BEGINNINGS = {
    "with a shop": from_class(ShopToken),
    "our view": by_our_view,
    "simplejwt's view": lambda user: obtain(TokenObtainPairView, user),
    "for_user": from_class(RefreshToken),
    "for_user of the site's class": from_class(OwnToken),
    "an older refresh token": from_stored_token,
}


def blacklist_row(access, refresh):
    jti = RefreshToken(refresh)["jti"]
    BlacklistedToken.objects.create(token=OutstandingToken.objects.get(jti=jti))


def log_out(access="", **body):
    headers = {"authorization": f"Bearer {access}"} if access else {}
    answer = APIClient(headers=headers).post("/api/v1/auth/logout", body, format="json")
    assert answer.status_code == 204, answer.json()


LOGOUTS = {
    "TokenBlacklistView": lambda access, refresh: post(TokenBlacklistView, refresh=refresh),
    "blacklist()": lambda access, refresh: RefreshToken(refresh).blacklist(),
    "a row, as in the admin": blacklist_row,
    "our view, by the refresh token": lambda access, refresh: log_out(refresh=refresh),
    "our view, by the access token": lambda access, refresh: log_out(access),
    "our view, by both": lambda access, refresh: log_out(access, refresh=refresh),
}


def get_rooms(access):
    return APIClient(headers={"authorization": f"Bearer {access}"}).get("/api/v1/rooms").status_code


def can_renew(refresh):
    """Whether a refresh token is good: for our view, for simplejwt's, and for code that knows of no view."""
    ours = APIClient().post("/api/v1/auth/refresh", {"refresh": refresh}, format="json").status_code
    theirs = post(TokenRefreshView, refresh=refresh).status_code
    try:
        RefreshToken(refresh)
    except TokenError:
        return (ours, theirs, False)
    return (ours, theirs, True)


GOOD, OVER = (200, 200, True), (401, 401, False)


@pytest.mark.parametrize("logout", LOGOUTS)
@pytest.mark.parametrize("beginning", BEGINNINGS)
async def test_it_ends_the_login_and_no_other(site, alice, beginning, logout):
    access, refresh = await run(BEGINNINGS[beginning], alice)
    other_access, other_refresh = await run(BEGINNINGS[beginning], alice)
    socket, other = await site.connect(access), await site.connect(other_access)
    ticket = (await run(bearer(access).post, "/api/v1/ws/ticket")).json()["ticket"]
    await run(LOGOUTS[logout], access, refresh)
    assert await socket.ending() == UNAUTHENTICATED
    assert await (await site.knock(access)).ending() == UNAUTHENTICATED
    assert await (await site.knock(query={"ticket": ticket})).ending() == UNAUTHENTICATED
    assert await run(get_rooms, access) == 401
    assert await run(can_renew, refresh) == OVER
    assert await other.settle() == []
    assert await run(get_rooms, other_access) == 200
    assert await run(can_renew, other_refresh) == GOOD
    again, _ = await run(BEGINNINGS[beginning], alice)  # within the same second
    await site.connect(again)


def bearer(access):
    return APIClient(headers={"authorization": f"Bearer {access}"})


@pytest.mark.parametrize("beginning", BEGINNINGS)
async def test_a_renewed_access_token_belongs_to_the_login(site, alice, beginning):
    access, refresh = await run(BEGINNINGS[beginning], alice)
    renewed = (await run(post, TokenRefreshView, refresh=refresh)).data["access"]
    sockets = [await site.connect(access), await site.connect(renewed)]
    await run(log_out, renewed)
    assert [await socket.ending() for socket in sockets] == [UNAUTHENTICATED] * 2
    assert await run(can_renew, refresh) == OVER


@pytest.mark.parametrize("beginning", BEGINNINGS)
async def test_a_login_goes_on_when_its_token_is_rotated(site, alice, beginning, monkeypatch):
    monkeypatch.setattr(api_settings, "ROTATE_REFRESH_TOKENS", True)
    monkeypatch.setattr(api_settings, "BLACKLIST_AFTER_ROTATION", True)
    access, first = await run(BEGINNINGS[beginning], alice)
    if beginning == "an older refresh token":
        # That has been rotated by this renewal.
        first = (await run(lambda: OutstandingToken.objects.filter(blacklistedtoken=None).last())).token
    socket = await site.connect(access)
    answer = await run(post, TokenRefreshView, refresh=first)
    renewed = await site.connect(answer.data["access"])
    assert await socket.settle() == []
    await run(lambda: post(TokenBlacklistView, refresh=answer.data["refresh"]))
    assert [await one.ending() for one in (socket, renewed)] == [UNAUTHENTICATED] * 2
    assert await run(get_rooms, access) == 401


@pytest.mark.parametrize("logout", LOGOUTS)
async def test_nobody_enters_during_a_logout(site, alice, logout, monkeypatch):
    """The token is looked up before the logout, and the socket is registered after it."""
    access, refresh = await run(BEGINNINGS["simplejwt's view"], alice)
    load, todo = get_node().loader._work, [lambda: LOGOUTS[logout](access, refresh)]

    def load_late(batch):
        found = load(batch)
        while todo:
            todo.pop()()
        return found

    monkeypatch.setattr(get_node().loader, "_work", load_late)
    assert await (await site.knock(access)).ending() == UNAUTHENTICATED
    assert get_node().hub.connections == {}


async def test_every_process_hears_of_it(alice):
    access, refresh = await run(BEGINNINGS["simplejwt's view"], alice)
    async with other_process() as other:
        query = {"query": {"token": access}}
        async with connect(**query) as here, connect(**query, process=other) as there:
            for socket in (here, there):
                await socket.expect("connected")
            await other.run(post, TokenBlacklistView, refresh=refresh)
            for socket in (here, there):
                await socket.expect_closed(*UNAUTHENTICATED)


async def test_it_works_where_ids_have_another_name(site, alice, monkeypatch):
    monkeypatch.setattr(api_settings, "JTI_CLAIM", "token_id")
    access, refresh = await run(BEGINNINGS["simplejwt's view"], alice)
    socket = await site.connect(access)
    await run(log_out, access)
    assert await socket.ending() == UNAUTHENTICATED
    assert await run(can_renew, refresh) == OVER


async def test_it_works_where_users_are_named_by_another_field(site, monkeypatch):
    monkeypatch.setattr(api_settings, "USER_ID_FIELD", "username")
    user = await run(make_user, "zoe")
    access, refresh = await run(BEGINNINGS["simplejwt's view"], user)
    socket = await site.connect(access)
    await run(log_out, access)
    assert await socket.ending() == UNAUTHENTICATED
    assert await run(can_renew, refresh) == OVER


def test_it_closes_the_sockets_also_without_a_blacklist(alice, monkeypatch):
    """Then the sockets are all that can be ended, and the login has to be known for that."""
    closed = []
    monkeypatch.setattr("realtime.delivery.publishing.disconnect_login", closed.append)
    access, refresh = from_class(RefreshToken)(alice)
    monkeypatch.setattr(tokens, "can_revoke", lambda: False)
    log_out(refresh=refresh)
    log_out(access)
    assert closed == [AccessToken(access)["realtime_login"]] * 2


def test_every_pair_names_its_login(alice):
    refresh = RefreshToken.for_user(alice)
    login = refresh["realtime_login"]
    assert login
    assert login == refresh.access_token["realtime_login"] != RefreshToken.for_user(alice)["realtime_login"]
    assert tokens.login_of(OutstandingToken.objects.get(jti=refresh["jti"])) == login
    refresh["realtime_login"] = "the site's own"
    assert refresh.access_token["realtime_login"] == "the site's own"


def test_simplejwts_own_sentence_is_translated(alice):
    refresh = RefreshToken.for_user(alice)
    tokens.revoke_login(refresh["realtime_login"])
    with translation.override("zh-hans"):
        answer = post(TokenRefreshView, refresh=str(refresh))
    assert (answer.status_code, answer.data["detail"]) == (401, "令牌已被列入黑名单")
