"""The API works the same whatever a site's REST_FRAMEWORK says, and changes nothing of the site's own API."""

from base64 import b64encode

import pytest
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.parsers import FormParser
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.response import Response
from rest_framework.serializers import CharField, Serializer
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.versioning import AcceptHeaderVersioning, NamespaceVersioning, URLPathVersioning
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication

from realtime.api.base import RealtimeView
from realtime.auth import tokens
from realtime.chat import rooms
from tests.people import PASSWORD, access_for, client_for

pytestmark = pytest.mark.django_db

# As class attributes, because REST framework reads its settings when the class is made.
SITES = {
    "the defaults": {},
    "anybody": {"permission_classes": [AllowAny]},
    "nobody": {"permission_classes": []},
    "namespaces": {"versioning_class": NamespaceVersioning},
    "versions in paths": {"versioning_class": URLPathVersioning},
    "versions in headers": {"versioning_class": AcceptHeaderVersioning},
    "forms only": {"parser_classes": [FormParser]},
    "pages for people": {"renderer_classes": [BrowsableAPIRenderer]},
    "simplejwt's own": {"authentication_classes": [JWTAuthentication]},
    "no way to log in": {"authentication_classes": []},
}


ADDRESSES = [
    ("get", "online"),
    ("get", "online/count"),
    ("get", "status/1"),
    ("get", "status?user_ids=1"),
    ("get", "rooms"),
    ("post", "rooms"),
    ("get", "rooms/general"),
    ("patch", "rooms/general"),
    ("delete", "rooms/general"),
    ("get", "rooms/general/messages"),
    ("get", "rooms/general/members"),
    ("post", "rooms/general/members"),
    ("delete", "rooms/general/members"),
    ("delete", "rooms/general/members/1"),
    ("get", "messages"),
    ("post", "ws/ticket"),
    ("post", "auth/logout"),
]


@pytest.fixture(params=SITES.values(), ids=SITES)
def any_site(request, monkeypatch):
    for name, value in request.param.items():
        monkeypatch.setattr(APIView, name, value)


def test_visitors_are_sent_away(any_site, bob):
    rooms.create_room(bob, title="General", slug="general")
    for method, path in ADDRESSES:
        answer = getattr(APIClient(), method)(f"/api/v1/{path}", {}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED"), path
        assert answer["WWW-Authenticate"].startswith("Bearer")


def test_visitors_who_are_none_are_sent_away(settings):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "UNAUTHENTICATED_USER": None}
    for method, path in (("get", "rooms"), ("post", "ws/ticket"), ("post", "auth/logout")):
        assert getattr(APIClient(), method)(f"/api/v1/{path}").status_code == 401


def test_a_user_logs_in_and_gets_answers_and_errors_in_json(any_site, bob):
    rooms.create_room(bob, title="General", slug="general")
    login = APIClient().post("/api/v1/auth/token", {"username": "bob", "password": PASSWORD}, format="json")
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {login.json()['access']}", HTTP_ACCEPT="application/json")
    assert client.get("/api/v1/rooms").json()["count"] == 1
    assert client.post("/api/v1/ws/ticket").status_code == 200
    refused = {
        "rooms/nope": (404, "NOT_FOUND"),
        "status/abc": (404, "NOT_FOUND"),
        "rooms?limit=x": (400, "INVALID_MESSAGE"),
    }
    for path, expected in refused.items():
        answer = client.get(f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["code"]) == expected
    taken = client.post("/api/v1/rooms", {"id": "general", "title": "Another"}, format="json")
    assert (taken.status_code, taken.json()["code"]) == (409, "CONFLICT")


def test_a_login_that_has_ended_is_refused_beside_any_authentication_of_the_site(any_site, bob):
    client = client_for(bob)
    access = access_for(bob)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    assert client.get("/api/v1/rooms").status_code == 200
    tokens.revoke_login(tokens.to_claims(access).login)
    assert client.get("/api/v1/rooms").status_code == 401
    assert client.post("/api/v1/ws/ticket").status_code == 401


def test_the_site_may_log_people_in_its_own_way(bob, monkeypatch):
    monkeypatch.setattr(APIView, "authentication_classes", [SessionAuthentication])
    client = APIClient()
    client.force_login(bob)
    assert client.get("/api/v1/rooms").status_code == 200


def test_a_password_is_taken_where_attempts_are_limited_alone(bob, monkeypatch):
    """REST framework's own default takes one in the header of every request."""
    monkeypatch.setattr(APIView, "authentication_classes", [SessionAuthentication, BasicAuthentication])
    client = APIClient(HTTP_AUTHORIZATION="Basic " + b64encode(f"bob:{PASSWORD}".encode()).decode())
    for method, path in (("get", "rooms"), ("post", "ws/ticket"), ("post", "auth/logout")):
        assert getattr(client, method)(f"/api/v1/{path}").status_code == 401


@pytest.mark.parametrize("path", ["rooms/secret/messages", "rooms", "messages", "online/count", "api/docs/socket"])
def test_no_answer_outlives_a_right_in_the_cache_of_the_site(bob, carol, settings, path):
    cached = "django.middleware.cache"
    settings.MIDDLEWARE = [
        f"{cached}.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        f"{cached}.FetchFromCacheMiddleware",
    ]
    rooms.create_room(bob, title="Secret", slug="secret", private=True)
    client, address = client_for(bob), f"/{path}" if path.startswith("api") else f"/api/v1/{path}"
    assert client.get(address).status_code == 200
    assert "max-age" not in client.get(address)["Cache-Control"]
    assert client.post("/api/v1/auth/logout").status_code == 204
    assert client.get(address).status_code == 401


def test_a_view_of_the_site_may_be_cached(bob):
    class Kept(RealtimeView):
        def get(self, request):
            return Response({}, headers={"Cache-Control": "max-age=60"})

    request = APIRequestFactory().get("/x", headers={"authorization": f"Bearer {access_for(bob)}"})
    assert Kept.as_view()(request)["Cache-Control"] == "max-age=60"


class Named(Serializer):
    name = CharField()


class SiteView(APIView):
    permission_classes = [AllowAny]

    def post(self, request):
        Named(data=request.data).is_valid(raise_exception=True)
        return Response({})


def test_the_sites_own_errors_stay_as_they_are():
    answer = SiteView.as_view()(APIRequestFactory().post("/x", {}, format="json"))
    assert answer.data == {"name": ["This field is required."]}
