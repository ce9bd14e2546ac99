"""A token means what the site's SIMPLE_JWT and its authentication class say, on sockets and over REST."""

from datetime import timedelta
from functools import reduce
from operator import or_

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.test import APIClient
from rest_framework.views import APIView
from rest_framework_simplejwt import authentication
from rest_framework_simplejwt.authentication import JWTAuthentication, JWTStatelessUserAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, SlidingToken
from rest_framework_simplejwt.utils import aware_utcnow

import realtime
from realtime.api.authentication import TokenAuthentication
from realtime.auth import identity, site_tokens, tokens
from realtime.protocol.errors import Closed
from realtime.sockets.node import get_node
from realtime.sockets.recheck import recheck
from realtime.storage.database import run
from tests.people import make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def simple_jwt(monkeypatch):
    def change(**keys):
        for name, value in keys.items():
            monkeypatch.setattr(api_settings, name, value)

    return change


@pytest.fixture
def authenticated_by(monkeypatch):
    """The site names this class in DEFAULT_AUTHENTICATION_CLASSES."""

    def change(kind):
        monkeypatch.setattr(site_tokens.rest_settings, "DEFAULT_AUTHENTICATION_CLASSES", [kind])
        monkeypatch.setattr(APIView, "authentication_classes", [kind])

    return change


def get_rooms(token):
    return APIClient(headers={"authorization": f"Bearer {token}"}).get("/api/v1/rooms")


async def both(site, token):
    """The status of a request with the token, and the user or the close code of a socket."""
    socket = await site.knock(query={"token": str(token)})
    frame = await socket.receive()
    found = frame["data"]["user_id"] if frame["type"] == "connected" else frame["code"]
    return (await run(get_rooms, token)).status_code, found


async def test_the_user_is_whom_the_sites_field_names(site, alice, simple_jwt):
    """The name of one user may be the primary key of another."""
    simple_jwt(USER_ID_FIELD="username")
    other = await run(make_user, str(alice.pk))
    token = await run(AccessToken.for_user, other)
    assert token["user_id"] == str(alice.pk)
    assert await both(site, token) == (200, other.pk)


async def test_a_field_that_names_nobody_or_several(site, alice, bob, simple_jwt):
    simple_jwt(USER_ID_FIELD="email")
    await run(get_user_model().objects.update, email="shared@example.com")
    token = AccessToken.for_user(alice)
    token["user_id"] = "shared@example.com"
    socket = await site.knock(query={"token": str(token)})
    assert await socket.ending() == (4401, "UNAUTHENTICATED")
    token["user_id"] = "nobody@example.com\0"
    socket = await site.knock(query={"token": str(token)})
    assert await socket.ending() == (4401, "UNAUTHENTICATED")


async def test_a_user_may_be_named_in_another_spelling(site, alice, simple_jwt):
    """As REST accepts it: a moment with a T, a UUID in capitals."""
    simple_jwt(USER_ID_FIELD="date_joined")
    token = await run(AccessToken.for_user, alice)
    token["user_id"] = alice.date_joined.isoformat()
    assert token["user_id"] != str(alice.date_joined)
    assert await both(site, token) == (200, alice.pk)


class Careless(QuerySet):
    """The users in a database whose collation takes capitals for small letters."""

    def filter(self, *args, **fields):
        if "email" in fields:
            return super().filter(email__iexact=fields["email"])
        if "email__in" in fields:
            return super().filter(reduce(or_, [Q(email__iexact=email) for email in fields["email__in"]]))
        return super().filter(*args, **fields)


async def test_the_database_decides_which_texts_are_the_same(alice, bob, simple_jwt, monkeypatch):
    simple_jwt(USER_ID_FIELD="email")
    tokens_of = []
    for user in (alice, bob):
        user.email = f"{user.username}@example.com"
        await run(user.save)
        tokens_of.append(await run(AccessToken.for_user, user))
    tokens_of[0]["user_id"] = "Alice@Example.com"
    batch = [tokens.parse_access(str(token)) for token in tokens_of]
    refused, found = await run(identity.load_identities, batch)
    assert (type(refused), found.user_id) == (Closed, bob.pk)
    monkeypatch.setattr(identity, "all_users", lambda: Careless(get_user_model()))
    assert [one.user_id for one in await run(identity.load_identities, batch)] == [alice.pk, bob.pk]


async def test_a_ticket_names_its_user_by_the_key(site, alice, simple_jwt):
    simple_jwt(USER_ID_FIELD="username")
    await run(make_user, str(alice.pk))
    token = await run(AccessToken.for_user, alice)
    client = APIClient(headers={"authorization": f"Bearer {token}"})
    ticket = (await run(client.post, "/api/v1/ws/ticket")).json()["ticket"]
    assert (await site.connect(query={"ticket": ticket})).greeting["user_id"] == alice.pk


class Strict(AccessToken):
    def verify(self):
        super().verify()
        if "vip" not in self.payload:
            raise TokenError("Only for some")


async def test_the_sites_own_class_of_tokens_decides(site, alice, simple_jwt):
    simple_jwt(AUTH_TOKEN_CLASSES=(Strict,))
    token = await run(AccessToken.for_user, alice)
    assert await both(site, token) == (401, 4401)
    token["vip"] = True
    assert await both(site, token) == (200, alice.pk)


async def test_sliding_tokens_are_accepted_where_the_site_has_them(site, alice, simple_jwt):
    token = await run(SlidingToken.for_user, alice)
    assert await both(site, token) == (401, 4401)
    simple_jwt(AUTH_TOKEN_CLASSES=(SlidingToken,))
    assert await both(site, token) == (200, alice.pk)


class Choosy(JWTAuthentication):
    def get_user(self, validated_token):
        user = super().get_user(validated_token)
        if user.username != "alice":
            raise AuthenticationFailed("Only Alice")
        return user


async def test_the_sites_own_authentication_decides(site, alice, bob, authenticated_by):
    authenticated_by(Choosy)
    for user, expected in ((alice, (200, alice.pk)), (bob, (401, 4401))):
        assert await both(site, await run(AccessToken.for_user, user)) == expected


async def test_what_the_site_leaves_as_it_is_holds_beside_its_own_class(site, alice, authenticated_by):
    """An expired token is told so, and a clock that is a little ahead is allowed."""
    authenticated_by(Choosy)
    token = await run(AccessToken.for_user, alice)
    token.set_iat(at_time=aware_utcnow() + timedelta(seconds=4))
    assert await both(site, token) == (200, alice.pk)
    token.set_exp(lifetime=-timedelta(minutes=1))
    socket = await site.knock(query={"token": str(token)})
    assert await socket.ending() == (4401, "TOKEN_EXPIRED")
    assert (await run(get_rooms, token)).json()["code"] == "TOKEN_EXPIRED"


class Denies(JWTAuthentication):
    def get_user(self, validated_token):
        raise PermissionDenied("Not today")


async def test_a_site_may_forbid(site, alice, authenticated_by):
    authenticated_by(Denies)
    assert await both(site, await run(AccessToken.for_user, alice)) == (403, 4403)


class Extended(TokenAuthentication):
    """A site's extension of the class of this application."""


@pytest.mark.parametrize("kind", [JWTAuthentication, Choosy, JWTStatelessUserAuthentication, Extended])
@pytest.mark.parametrize("user_id", ["abc", "9" * 40, ["1"]])
async def test_an_id_that_cannot_be_one_is_refused(site, alice, authenticated_by, kind, user_id):
    authenticated_by(kind)
    token = await run(AccessToken.for_user, alice)
    token["user_id"] = user_id
    assert await both(site, token) == (401, 4401)


async def test_an_extension_of_our_class_decides(site, alice, authenticated_by):
    authenticated_by(Extended)
    token = await run(AccessToken.for_user, alice)
    assert await both(site, token) == (200, alice.pk)
    await run(tokens.revoke_login, token["jti"])
    assert await both(site, token) == (401, 4401)


async def test_the_stored_user_is_found_also_where_the_site_believes_the_token_alone(site, alice, authenticated_by):
    authenticated_by(JWTStatelessUserAuthentication)
    token = await run(AccessToken.for_user, alice)
    client = APIClient(headers={"authorization": f"Bearer {token}"})
    ticket = (await run(client.post, "/api/v1/ws/ticket")).json()["ticket"]
    for query in ({"token": str(token)}, {"ticket": ticket}):
        socket = await site.connect(query=query)
        assert socket.greeting["user_id"] == alice.pk
        await recheck(get_node().hub)
        assert (await socket.ask("ping"))["type"] == "pong"
    await run(get_user_model().objects.filter(pk=alice.pk).update, is_active=False)
    assert await both(site, token) == (401, 4403)


async def test_the_field_counts_also_where_the_site_believes_the_token_alone(site, alice, authenticated_by, simple_jwt):
    simple_jwt(USER_ID_FIELD="username")
    authenticated_by(JWTStatelessUserAuthentication)
    other = await run(make_user, str(alice.pk))
    token = await run(AccessToken.for_user, other)
    assert await both(site, token) == (200, other.pk)
    await run(realtime.create_room, alice.pk, title="Alice's", private=True)
    assert (await run(get_rooms, token)).json()["rooms"] == []


@pytest.mark.parametrize("kind", [JWTAuthentication, JWTStatelessUserAuthentication, Choosy, Extended])
async def test_a_login_that_has_ended_is_refused_whatever_the_site_says(site, alice, authenticated_by, kind):
    authenticated_by(kind)
    token = await run(AccessToken.for_user, alice)
    await run(tokens.revoke_login, token["jti"])
    assert await both(site, token) == (401, 4401)
    client = APIClient(headers={"authorization": f"Bearer {token}"})
    assert (await run(client.post, "/api/v1/ws/ticket")).status_code == 401


async def test_a_disabled_user_is_told_so(site, alice, authenticated_by):
    authenticated_by(Choosy)
    token = await run(AccessToken.for_user, alice)
    await run(get_user_model().objects.filter(pk=alice.pk).update, is_active=False)
    assert await both(site, token) == (401, 4403)


class FromCookie(JWTAuthentication):
    def authenticate(self, request):
        raw = request.COOKIES.get("jwt")
        if raw is None:
            return None
        token = self.get_validated_token(raw)
        return self.get_user(token), token


def test_a_site_may_read_tokens_from_a_cookie(alice, authenticated_by):
    authenticated_by(FromCookie)
    token = AccessToken.for_user(alice)
    client = APIClient()
    client.cookies["jwt"] = str(token)
    assert client.post("/api/v1/ws/ticket").status_code == 200
    tokens.revoke_login(token["jti"])
    assert client.post("/api/v1/ws/ticket").status_code == 401


async def test_an_extension_is_decided_in_the_same_way(site, alice, bob, simple_jwt):
    simple_jwt(USER_ID_FIELD="username")
    socket = await site.connect(query={"token": str(await run(AccessToken.for_user, alice))})
    assert (await socket.ask("auth", token=str(await run(AccessToken.for_user, alice))))["type"] == "ack"
    assert (await socket.ask("auth", token=str(await run(AccessToken.for_user, bob))))["error_code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("keys", "header", "opens"),
    [
        ({}, {"authorization": "Bearer {}"}, True),
        ({}, {"authorization": "JWT {}"}, False),
        ({"AUTH_HEADER_TYPES": ("JWT",)}, {"authorization": "JWT {}"}, True),
        ({"AUTH_HEADER_TYPES": "JWT"}, {"authorization": "JWT {}"}, True),
        ({"AUTH_HEADER_TYPES": ("JWT",)}, {"authorization": "Bearer {}"}, False),
        ({"AUTH_HEADER_TYPES": ("JWT", "Bearer")}, {"authorization": "Bearer {}"}, True),
        ({"AUTH_HEADER_NAME": "HTTP_X_ACCESS_TOKEN"}, {"x-access-token": "Bearer {}"}, True),
        ({"AUTH_HEADER_NAME": "HTTP_X_ACCESS_TOKEN"}, {"authorization": "Bearer {}"}, False),
    ],
)
async def test_the_header_is_the_sites(site, alice, configure, simple_jwt, keys, header, opens):
    configure(CREDENTIALS=["authorization"])
    simple_jwt(**keys)
    token = await run(AccessToken.for_user, alice)
    headers = {name: value.format(token) for name, value in header.items()}
    socket = await site.knock(headers=headers)
    frame = await socket.receive()
    assert frame["type"] == ("connected" if opens else "disconnect")


@pytest.mark.parametrize(
    "header", [{"AUTH_HEADER_TYPES": ("JWT",)}, {"AUTH_HEADER_TYPES": ("JWT",), "AUTH_HEADER_NAME": "HTTP_X_TOKEN"}]
)
def test_our_views_accept_what_the_library_says(alice, simple_jwt, monkeypatch, header):
    """With djoser's `JWT`, sockets opened, and each request of the page was refused."""
    simple_jwt(**header)
    monkeypatch.setattr(authentication, "AUTH_HEADER_TYPE_BYTES", {b"JWT"})
    token = AccessToken.for_user(alice)
    own = {api_settings.AUTH_HEADER_NAME.removeprefix("HTTP_").replace("_", "-"): f"JWT {token}"}
    for headers in ({"authorization": f"Bearer {token}"}, own):
        assert APIClient(headers=headers).get("/api/v1/rooms").status_code == 200
    token.set_exp(lifetime=-timedelta(minutes=1))
    assert get_rooms(token).json()["code"] == "TOKEN_EXPIRED"
    assert get_rooms("").status_code == get_rooms("rubbish").status_code == get_rooms("a b").status_code == 401


class Opaque(BaseAuthentication):
    """Another way of the site's, with the same word."""

    def authenticate(self, request):
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        return get_user_model().objects.get(username=name), None


def test_a_bearer_of_something_else_is_left_to_the_site(alice, simple_jwt, monkeypatch):
    monkeypatch.setattr(APIView, "authentication_classes", [Opaque])
    monkeypatch.setattr(authentication, "AUTH_HEADER_TYPE_BYTES", {b"JWT"})
    simple_jwt(AUTH_HEADER_TYPES=("JWT",))
    assert get_rooms("alice").status_code == 200


class ByGroup(BaseAuthentication):
    """A site whose scanners and machines log in as well: here, as groups."""

    def authenticate(self, request):
        found = Group.objects.get(name=request.headers["x-group"])
        found.is_authenticated = True
        return found, None


@pytest.mark.parametrize("address", ["rooms", "messages", "notifications", "online", "announcements"])
def test_nobody_but_a_user_is_taken_for_one(alice, monkeypatch, address):
    """A scanner got the rooms, the inbox and the tickets of the user with its key."""
    monkeypatch.setattr(APIView, "authentication_classes", [ByGroup])
    Group.objects.create(pk=alice.pk, name="scanners")
    scanner = APIClient(headers={"x-group": "scanners"})
    for answer in (scanner.get(f"/api/v1/{address}"), scanner.post("/api/v1/ws/ticket")):
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


class Unsaved(BaseAuthentication):
    def authenticate(self, request):
        return get_user_model()(username="guest"), None


def test_a_user_who_is_not_saved_is_none(db, monkeypatch):
    monkeypatch.setattr(APIView, "authentication_classes", [Unsaved])
    assert APIClient().get("/api/v1/rooms").status_code == 403


async def test_tokens_without_an_id_are_accepted_where_the_site_makes_none(site, alice, simple_jwt):
    token = await run(AccessToken.for_user, alice)
    del token.payload["jti"]
    assert await both(site, token) == (401, 4401)
    simple_jwt(JTI_CLAIM=None)
    assert await both(site, token) == (200, alice.pk)
    client = APIClient(headers={"authorization": f"Bearer {token}"})
    assert (await run(client.post, "/api/v1/auth/logout")).status_code == 204
    assert not await run(OutstandingToken.objects.filter(jti="").exists)
