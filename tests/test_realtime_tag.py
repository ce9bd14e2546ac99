"""The template tag `{% realtime_client %}`: what it writes for whom, and where the files are."""

import html
import json
import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.http import HttpRequest
from django.template import Context, Template, engines
from django.test import RequestFactory
from django.urls import set_script_prefix

TAG = "{% load realtime %}{% realtime_client %}"
MANIFEST = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}}
HASHED = r"/static/realtime/realtime\.(\w+)\.[0-9a-f]{12}\.js"


def render(user=None, **values) -> dict[str, str | bool]:
    """The attributes of the tag on a page for this user."""
    request = RequestFactory().get("/")
    request.user = user or AnonymousUser()
    text = engines["django"].from_string(TAG).render(values, request)
    return read(text)


def read(text: str) -> dict[str, str | bool]:
    (attributes,) = re.findall(r"\A<script(.*)></script>\Z", text)
    found = re.findall(r' ([\w-]+)(?:="([^"]*)")?', attributes)
    return {name: html.unescape(value) or True for name, value in found}


def test_it_describes_the_site_and_its_visitor():
    attributes = render(get_user_model()(pk=7))
    csrf = attributes.pop("data-csrf")
    assert len(str(csrf)) == 64
    assert attributes == {
        "src": "/static/realtime/realtime.classic.js",
        "defer": True,
        "data-realtime": True,
        "data-url": "/api/v1/ws",
        "data-api": "/api/v1",
        "data-worker": "/static/realtime/realtime.worker.js",
        "data-user": "7",
        "data-cookie": "csrftoken",
    }


@pytest.mark.parametrize("name", ["CSRF_USE_SESSIONS", "CSRF_COOKIE_HTTPONLY"])
def test_it_names_no_cookie_that_scripts_cannot_read(settings, name):
    setattr(settings, name, True)
    assert "data-cookie" not in render(get_user_model()(pk=7))


def test_it_names_the_cookie_of_the_site(settings):
    settings.CSRF_COOKIE_NAME = "shop_csrf"
    assert render(get_user_model()(pk=7))["data-cookie"] == "shop_csrf"


def test_it_knows_the_visitor_of_a_template_without_a_token():
    request = HttpRequest()
    request.user = get_user_model()(pk=7)
    attributes = read(Template(TAG).render(Context({"request": request})))
    assert attributes["data-user"] == "7"
    assert "data-csrf" not in attributes


@pytest.mark.parametrize("values", [{}, {"request": HttpRequest()}], ids=["no request", "no user"])
def test_it_knows_nobody_where_the_template_has_no_visitor(values):
    assert not {"data-user", "data-csrf", "data-cookie"} & set(read(Template(TAG).render(Context(values))))


def test_it_connects_nobody_who_is_not_logged_in():
    assert "data-user" not in render()


def test_an_id_that_is_a_text_stays_one():
    class Named:
        pk = 'a"<b>'
        is_authenticated = True

    assert json.loads(str(render(Named())["data-user"])) == Named.pk


def test_it_has_the_nonce_of_a_policy():
    assert render(csp_nonce="abc")["nonce"] == "abc"


def test_a_site_below_a_path():
    set_script_prefix("/shop/")
    try:
        attributes = render()
    finally:
        set_script_prefix("/")
    assert attributes["data-url"] == "/shop/api/v1/ws"
    assert attributes["data-api"] == "/shop/api/v1"


class NoAddresses:
    urlpatterns: list[Any] = []


def test_a_site_without_the_rest_api(settings):
    settings.ROOT_URLCONF = NoAddresses
    assert "data-api" not in render()


def test_static_files_on_another_host(settings):
    settings.STATIC_URL = "https://static.example/"
    assert render()["src"] == "https://static.example/realtime/realtime.classic.js"


def test_hashed_static_files(settings, tmp_path):
    settings.STORAGES = {**settings.STORAGES, **MANIFEST}
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", verbosity=0, interactive=False, ignore_patterns=["admin", "drf_*", "rest_framework"])
    attributes = render()
    found = [re.fullmatch(HASHED, str(attributes[name])) for name in ("src", "data-worker")]
    assert [match and match[1] for match in found] == ["classic", "worker"]
    assert all((tmp_path / str(attributes[name]).removeprefix("/static/")).exists() for name in ("src", "data-worker"))
