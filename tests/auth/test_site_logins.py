"""A login and a renewal over REST are what the site's SIMPLE_JWT says: its serializers read them."""

import time
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.test import APIClient
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.settings import DEFAULTS, api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, SlidingToken

from realtime.auth import tokens
from tests.people import PASSWORD, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def anybody():
    client = APIClient()
    client.default_format = "json"
    return client


@pytest.fixture
def login(alice, anybody):
    return anybody.post("/api/v1/auth/token", {"username": "alice", "password": PASSWORD}).json()


def bearer(token):
    return APIClient(headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def simple_jwt(monkeypatch):
    def change(**keys):
        for name, value in keys.items():
            monkeypatch.setattr(api_settings, name, value)

    return change


def named(kind):
    """The path of a class of this module, as settings name it."""
    return f"{__name__}.{kind.__name__}"


class SecondFactor(TokenObtainPairSerializer):
    otp = serializers.CharField()

    def validate(self, attrs):
        if attrs["otp"] != "123456":
            raise serializers.ValidationError({"otp": "It is wrong."})
        return super().validate(attrs)

    @classmethod
    def get_token(cls, user):
        token = super().get_token(user)
        token["role"] = "editor"
        return token


@pytest.mark.parametrize("written", ["Jos\u00e9", "Jose\u0301"], ids=["composed", "decomposed"])
def test_a_login_is_what_the_site_says(anybody, simple_jwt, written):
    """Somebody with a stolen password could pass its second factor by, and tokens lacked its claims."""
    make_user("Jos\u00e9")
    simple_jwt(TOKEN_OBTAIN_SERIALIZER=named(SecondFactor))
    body = {"username": written, "password": PASSWORD}
    for wrong in ({}, {"otp": "654321"}):
        answer = anybody.post("/api/v1/auth/token", {**body, **wrong})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["otp"])
    login = anybody.post("/api/v1/auth/token", {**body, "otp": "123456"}).json()
    assert AccessToken(login["access"])["role"] == "editor"
    renewed = anybody.post("/api/v1/auth/refresh", {"refresh": login["refresh"]}).json()
    assert AccessToken(renewed["access"])["role"] == "editor"
    assert bearer(login["access"]).post("/api/v1/auth/logout").status_code == 204
    assert anybody.post("/api/v1/auth/refresh", {"refresh": login["refresh"]}).status_code == 401


class ByCode(serializers.Serializer):
    """A login that is not derived from simplejwt's."""

    code = serializers.CharField()

    def validate(self, attrs):
        refresh = tokens.start_login(get_user_model().objects.get(username=attrs["code"]))
        return {"access": str(refresh.access_token), "refresh": str(refresh)}


def test_a_site_may_log_in_without_a_password(alice, anybody, simple_jwt):
    simple_jwt(TOKEN_OBTAIN_SERIALIZER=named(ByCode))
    login = anybody.post("/api/v1/auth/token", {"code": "alice"}).json()
    assert bearer(login["access"]).get("/api/v1/rooms").status_code == 200


class ByEmail(TokenObtainPairSerializer):
    username_field = "email"

    def validate(self, attrs):
        user = get_user_model().objects.get(email=attrs["email"])
        if not user.check_password(attrs["password"]):
            raise AuthenticationFailed
        return {"access": str(self.get_token(user).access_token)}


def test_attempts_are_counted_for_the_name_that_the_site_asks_for(anybody, simple_jwt, configure):
    make_user("alice", email="alice@example.com")
    simple_jwt(TOKEN_OBTAIN_SERIALIZER=named(ByEmail))
    configure(LOGINS_PER_MINUTE=1)
    given = {"email": "alice@example.com", "password": "wrong"}
    assert anybody.post("/api/v1/auth/token", given).status_code == 401
    assert anybody.post("/api/v1/auth/token", {**given, "password": PASSWORD}).status_code == 429


SECONDS = 7 * 3_600


class LongAccess(AccessToken):
    lifetime = timedelta(seconds=SECONDS)


class OwnRefresh(RefreshToken):
    access_token_class = LongAccess


class CookieRefresh(TokenRefreshSerializer):
    refresh = None
    token_class = OwnRefresh

    def validate(self, attrs):
        return {**super().validate({"refresh": self.context["request"].COOKIES.get("refresh")}), "expires_in": SECONDS}


def test_a_renewal_is_what_the_site_says(alice, anybody, simple_jwt):
    simple_jwt(TOKEN_REFRESH_SERIALIZER=named(CookieRefresh))
    assert anybody.post("/api/v1/auth/refresh").status_code == 401
    refresh = tokens.start_login(alice)
    anybody.cookies["refresh"] = str(refresh)
    began = int(time.time())
    answer = anybody.post("/api/v1/auth/refresh")
    access = AccessToken(answer.json()["access"])
    assert answer.json()["expires_in"] == SECONDS
    assert began <= access["exp"] - SECONDS <= time.time()
    tokens.revoke_login(access["realtime_login"])
    assert anybody.post("/api/v1/auth/refresh").status_code == 401


def test_it_gives_no_tokens_that_the_site_refuses(alice, login, anybody, simple_jwt):
    """One with sliding tokens has an address of its own for them."""
    simple_jwt(AUTH_TOKEN_CLASSES=(SlidingToken,))
    answer = anybody.post("/api/v1/auth/token", {"username": "alice", "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert anybody.post("/api/v1/auth/refresh", {"refresh": login["refresh"]}).status_code == 404
    simple_jwt(TOKEN_OBTAIN_SERIALIZER=DEFAULTS["SLIDING_TOKEN_OBTAIN_SERIALIZER"])
    token = anybody.post("/api/v1/auth/token", {"username": "alice", "password": PASSWORD}).json()["token"]
    assert bearer(token).get("/api/v1/rooms").status_code == 200
