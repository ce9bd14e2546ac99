"""The page about the sockets: who may read it, that it is complete, and that it harms nobody."""

import re
from html import unescape

import msgspec
import pytest
from django.core.management import call_command
from django.test import Client
from django.test.utils import override_script_prefix
from django.urls import path
from rest_framework.permissions import IsAdminUser
from rest_framework.test import APIClient

import realtime
from project.views import SOCKET_DOCS, DocsView
from realtime.api import socket_docs
from realtime.api.socket_docs import SocketDocsView
from realtime.protocol import site_frames, topics
from tests.contract.description import read_document
from tests.people import client_for, make_user

pytestmark = pytest.mark.django_db

PAGE = "/api/docs/socket"
urlpatterns = [
    path("staff", SocketDocsView.as_view(permission_classes=[IsAdminUser])),
    path("members", SocketDocsView.as_view()),
]


@pytest.fixture(autouse=True)
def fresh():
    socket_docs.describe.cache_clear()
    yield
    socket_docs.describe.cache_clear()


def read(address=PAGE, **headers):
    answer = Client().get(address, headers={"accept": "text/html,*/*;q=0.8", **headers})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/html")
    return answer.content.decode()


def test_it_has_a_place_for_everything():
    page = read()
    places = re.findall(r'\sid="([^"]+)"', page)
    assert len(places) == len(set(places))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(places)
    document = read_document()
    for union, word in (("AnyCommand", "command"), ("ServerFrame", "frame")):
        for option in document["components"]["schemas"][union]["oneOf"]:
            message = document["components"]["messages"][option["$ref"].rpartition("/")[2]]
            assert f"{word}-{message['name']}" in places
    assert {f"error-{code}" for code in document["x-error-codes"]} <= set(places)
    assert {f"close-{close['code']}" for close in document["x-close-codes"] if close["reasons"]} <= set(places)
    assert {f"socket-{channel}" for channel in document["channels"]} <= set(places)
    assert {"topics", "notification-types", "frame-order_status_changed", "type-Metrics"} <= set(places)
    assert '"from_username": "bob"' in unescape(page)
    assert "ws://testserver/api/v1/ws" in page
    articles = dict(re.findall(r'<article id="([^"]+)">(.*?)</article>', page, re.S))
    assert "Answer:" in articles["command-pong"]
    assert "Answer:" not in articles["frame-pong"]


def test_codes_stay_as_they_are_where_numbers_have_separators(settings):
    settings.USE_THOUSAND_SEPARATOR = True
    assert '<dt id="close-4401"><code>4401</code>' in read()


def test_its_addresses_are_where_the_site_is_mounted():
    with override_script_prefix("/shop/"):
        page = Client().get(PAGE, secure=True, headers={"accept": "text/html"}).content.decode()
    assert "<code>wss://testserver/shop/api/v1/ws</code>" in page


def test_it_has_no_script_and_no_style_of_its_own():
    page = read()
    assert not re.search(r"<script|<style|<iframe|javascript:|data:|\s(on[a-z]+|style)=", page)


def test_programs_get_the_document():
    shown = Client().get(PAGE, {"format": "json"}, headers={"accept": "text/html,*/*;q=0.8"}).json()
    assert shown == Client().get(PAGE, headers={"accept": "application/json"}).json()
    assert shown["asyncapi"] == "3.0.0"
    assert shown["components"]["schemas"].items() >= {"Chat": read_document()["components"]["schemas"]["Chat"]}.items()


@pytest.mark.parametrize(("method", "accept", "status"), [("post", "text/html", 405), ("get", "text/csv", 406)])
def test_other_requests_are_refused(method, accept, status):
    assert getattr(Client(), method)(PAGE, headers={"accept": accept}).status_code == status


def test_it_speaks_chinese():
    page = read(**{"accept-language": "zh-hans"})
    assert '<html lang="zh-hans">' in page
    for words in (
        "命令",
        "关闭代码",
        "错误代码",
        "可选",
        "最多 64 个字符",
        "新评论",
        "主连接",
        "<em>帧</em>",
        "文本不是 UTF-8。",
    ):
        assert words in page
    assert "命令" not in read(**{"accept-language": "en"})


def test_whoever_may_read_about_rest_may_read_about_sockets():
    view = SOCKET_DOCS.cls(**SOCKET_DOCS.initkwargs)
    assert view.permission_classes == DocsView.permission_classes
    assert view.authentication_classes == DocsView.authentication_classes


@pytest.mark.urls("tests.api.test_socket_docs")
@pytest.mark.parametrize("format", ["html", "json"])
def test_a_site_decides_who_may_read_it(alice, format):
    readers = {"anonymous": APIClient(), "user": client_for(alice), "staff": client_for(make_user("s", is_staff=True))}
    accept = {"accept": "text/html" if format == "html" else "application/json"}
    found = {
        (who, where): client.get(f"/{where}", headers=accept).status_code
        for who, client in readers.items()
        for where in ("staff", "members")
    }
    assert found == {
        ("anonymous", "staff"): 401,
        ("anonymous", "members"): 401,
        ("user", "staff"): 403,
        ("user", "members"): 200,
        ("staff", "staff"): 200,
        ("staff", "members"): 200,
    }


def test_what_a_site_declares_is_text(monkeypatch):
    monkeypatch.setattr(site_frames, "_frames", {})
    monkeypatch.setattr(topics, "_topics", {})

    @realtime.frame
    class Alert(msgspec.Struct, tag_field="type", tag='"><script>alert(1)</script>'):
        """<img src=x onerror=alert(1)> and `<b>code</b>`."""

        level: str = "<i>"

    page = read()
    assert not re.search(r"<script|<img|<b>|<i>", page)
    assert "<code>&lt;b&gt;code&lt;/b&gt;</code>" in page
    assert "Frames of this site" in page


def test_it_is_no_part_of_the_rest_api(capsys):
    call_command("spectacular", "--format", "openapi-json")
    assert '"/api/docs/socket"' not in capsys.readouterr().out
