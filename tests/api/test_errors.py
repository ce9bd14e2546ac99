"""Every error of the API has the same shape, and its documentation is complete."""

import codecs
import json
import re
from datetime import timedelta
from io import StringIO
from tempfile import SpooledTemporaryFile

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.core.management import call_command
from django.db import InterfaceError, OperationalError
from django.test import Client
from django.urls import resolve
from django.utils.translation import get_language, trans_real
from drf_spectacular.generators import SchemaGenerator
from rest_framework.exceptions import Throttled
from rest_framework.test import APIClient
from rest_framework_simplejwt.settings import api_settings

from project.views import render_schema
from realtime.chat import rooms
from realtime.protocol.errors import ErrorCode, Reason, Refused
from tests.people import access_for, client_for, make_user

pytestmark = pytest.mark.django_db

JSON = {"content_type": "application/json"}


@pytest.fixture
def judged():
    """Some tests let verbs refuse what they never refuse."""


def error_of(answer):
    assert answer["Content-Type"] == "application/json"
    assert answer.json().keys() >= {"detail", "code"}
    assert isinstance(answer.json()["detail"], str)
    return answer.status_code, answer.json()["code"]


def failing(monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(rooms, "get_visible", fail)


@pytest.mark.parametrize(
    ("method", "path", "options", "expected"),
    [
        ("get", "rooms/none", {}, (404, "NOT_FOUND")),
        ("get", "rooms/%FF", {}, (404, "NOT_FOUND")),
        ("get", "nowhere", {}, (404, "NOT_FOUND")),
        ("get", "rooms/", {}, (404, "NOT_FOUND")),
        ("post", "nowhere/at/all", {}, (404, "NOT_FOUND")),
        ("get", "nowhere%0Aat%0Aall", {}, (404, "NOT_FOUND")),
        ("put", "notifications/follows/shop.order/1%0A", {}, (404, "NOT_FOUND")),
        ("put", "rooms", {}, (405, "METHOD_NOT_ALLOWED")),
        ("get", "auth/token", {}, (405, "METHOD_NOT_ALLOWED")),
        ("get", "rooms", {"HTTP_ACCEPT": "text/html"}, (406, "NOT_ACCEPTABLE")),
        ("post", "rooms", {"data": "<a/>", "content_type": "text/xml"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("post", "rooms", {"data": "{", "content_type": "application/json"}, (400, "INVALID_JSON")),
        ("post", "rooms", {"data": b"\xff", "content_type": "application/json"}, (400, "INVALID_JSON")),
        ("post", "rooms", {"data": "", "content_type": "application/json"}, (400, "INVALID_MESSAGE")),
        ("post", "auth/token", {"data": "[", "content_type": "application/json"}, (400, "INVALID_JSON")),
    ],
)
def test_it_answers_in_json(client, method, path, options, expected):
    assert error_of(getattr(client, method)(f"/api/v1/{path}", **options)) == expected


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("notifications/acts", r'{"act": "read", "\ud800": 1}', "\ud800"),
        ("notifications/acts", r'{"act": "\ud800", "ids": [1]}', "act"),
        ("rooms/none/members", r'{"role": "\udfff"}', "role"),
    ],
)
def test_it_repeats_a_half_of_a_character_as_it_came(client, path, body, field):
    answer = client.post(f"/api/v1/{path}", body, content_type="application/json")
    assert error_of(answer) == (400, "INVALID_MESSAGE")
    assert list(answer.json()["errors"]) == [field]


def test_it_refuses_a_form_with_too_many_fields(client, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2
    form = {"content_type": "application/x-www-form-urlencoded"}
    assert error_of(client.post("/api/v1/rooms", "title=a&a=1&b=2", **form)) == (413, "TOO_LARGE")
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 1
    files = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n1\r\n' for name in "ab")
    answer = client.post("/api/v1/rooms", f"{files}--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert error_of(answer) == (413, "TOO_LARGE")


@pytest.mark.parametrize("charset", ["bz2", "zlib", "hex"])
def test_it_expands_no_body(charset):
    """Nothing bounds what a compressed one becomes."""
    body = codecs.encode(b'{"username": "alice", "password": "x"}', charset)
    answer = APIClient().post("/api/v1/auth/token", body, content_type=f"application/json; charset={charset}")
    assert error_of(answer) == (400, "INVALID_JSON")


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_it_reads_no_body_that_is_too_large(settings, kind):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert error_of(APIClient().post("/api/v1/auth/token", b" " * 101, content_type=kind)) == (413, "TOO_LARGE")


def in_chunks(user, path, body):
    """Status and JSON of the answer to a POST whose body has no length, as Django gets it from an ASGI server."""
    headers = {
        "authorization": f"Bearer {access_for(user)}",
        "content-type": "application/json",
        "transfer-encoding": "chunked",
    }
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": pairs}
    with SpooledTemporaryFile() as received:
        received.write(body)
        received.seek(0)
        view, args, kwargs = resolve(path)
        answer = view(ASGIRequest(scope, received), *args, **kwargs).render()
    return answer.status_code, json.loads(answer.content)


def test_it_reads_a_body_in_chunks(alice, settings):
    status, room = in_chunks(alice, "/api/v1/rooms", b'{"title": "Tea room", "private": true}')
    assert (status, room["title"], room["private"]) == (201, "Tea room", True)
    status, answer = in_chunks(alice, "/api/v1/rooms", b'{"title')
    assert (status, answer["code"]) == (400, "INVALID_JSON")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    status, answer = in_chunks(alice, "/api/v1/rooms", b'{"title": "Tea"' + b" " * 100 + b"}")
    assert (status, answer["code"]) == (413, "TOO_LARGE")


def test_it_refuses_a_body_in_chunks_from_a_server_that_does_not_measure_it(client):
    form = {"content_type": "application/json", "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    assert error_of(client.post("/api/v1/rooms", '{"title": "Tea"}', **form)) == (400, "INVALID_JSON")


def test_it_shows_nobody_who_is_not_logged_in_where_things_are():
    for path in ("rooms", "rooms/general", "messages", "status/1"):
        assert error_of(APIClient().get(f"/api/v1/{path}")) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.INVALID_MESSAGE, 400),
        (ErrorCode.FORBIDDEN, 403),
        (ErrorCode.NOT_FOUND, 404),
        (ErrorCode.CONFLICT, 409),
        (ErrorCode.RATE_LIMITED, 429),
        (ErrorCode.UNAVAILABLE, 503),
    ],
)
def test_it_answers_what_a_verb_refuses(client, monkeypatch, code, status):
    failing(monkeypatch, Refused(code, Reason.NO_SUCH_TOPIC))
    answer = client.get("/api/v1/rooms/general")
    assert error_of(answer) == (status, code)
    assert answer.json()["detail"] == "There is no such topic."


def test_it_says_when_to_come_back(client, monkeypatch):
    failing(monkeypatch, Refused(ErrorCode.RATE_LIMITED, Reason.TOO_MANY_COMMANDS, retry_after_ms=1500))
    answer = client.get("/api/v1/rooms/general")
    assert (answer["Retry-After"], answer.json()["retry_after_ms"]) == ("2", 1500)
    failing(monkeypatch, Throttled(wait=3))
    answer = client.get("/api/v1/rooms/general")
    assert (answer["Retry-After"], error_of(answer)) == ("3", (429, "RATE_LIMITED"))


@pytest.mark.parametrize("error", [OperationalError("secret"), InterfaceError("secret")])
def test_it_says_so_when_the_database_is_away(client, monkeypatch, error, caplog):
    failing(monkeypatch, error)
    answer = client.get("/api/v1/rooms/general")
    assert error_of(answer) == (503, "UNAVAILABLE")
    assert "secret" not in answer.content.decode()
    assert "secret" in caplog.text


def test_it_shows_nothing_of_what_nobody_foresaw(client, monkeypatch, caplog):
    failing(monkeypatch, RuntimeError("secret"))
    client.raise_request_exception = False
    answer = client.get("/api/v1/rooms/general")
    assert error_of(answer) == (500, "MESSAGE_PROCESSING_ERROR")
    assert "secret" not in answer.content.decode()
    assert "secret" in caplog.text


def test_it_speaks_the_language_that_was_asked_for(client):
    answer = client.get("/api/v1/rooms/none", HTTP_ACCEPT_LANGUAGE="zh-CN")
    assert answer.json() == {"detail": "没有这个房间。", "code": "NOT_FOUND"}
    assert client.get("/api/v1/rooms/none").json()["detail"] == "There is no such room."


@pytest.mark.parametrize(
    ("method", "path", "options", "detail"),
    [
        ("get", "nowhere", {}, "未找到。"),
        ("put", "rooms", {}, "方法 “PUT” 不被允许。"),
        ("post", "rooms", {"data": '{"a":\n}', **JSON}, "请求不是有效的 JSON（第 2 行，第 1 列）。"),
        ("post", "rooms", {"data": b"\xff", **JSON}, "无法读取请求的内容。"),
        ("post", "rooms", {"data": "[" * 100_000, **JSON}, "无法读取请求的内容。"),
        ("post", "rooms", {"data": {}}, "请求无效。"),
        ("get", "messages?with=nobody!", {}, "请求无效。"),
    ],
)
def test_it_has_a_translation_of_every_error(client, method, path, options, detail):
    answer = getattr(client, method)(f"/api/v1/{path}", HTTP_ACCEPT_LANGUAGE="zh-CN", **options)
    assert answer.json()["detail"] == detail


def test_it_refuses_tokens_in_the_language_that_was_asked_for():
    chinese = {"HTTP_ACCEPT_LANGUAGE": "zh-CN"}
    expired = access_for(make_user("bob"))
    expired.set_exp(lifetime=-timedelta(minutes=1))
    for given, detail in (("x", "令牌无效。"), (expired, "令牌已过期。")):
        answer = APIClient().get("/api/v1/rooms", HTTP_AUTHORIZATION=f"Bearer {given}", **chinese)
        assert answer.json()["detail"] == detail
    answer = APIClient().post("/api/v1/auth/refresh", {"refresh": "x"}, **chinese)
    assert answer.json()["detail"] == "令牌无效。"


def test_it_refuses_tokens_of_an_old_password_in_the_language_that_was_asked_for(monkeypatch):
    monkeypatch.setattr(api_settings, "CHECK_REVOKE_TOKEN", True)
    alice = make_user("alice")
    client = client_for(alice)
    alice.set_password("another")
    alice.save()
    answer = client.get("/api/v1/rooms", HTTP_ACCEPT_LANGUAGE="zh-CN")
    assert answer.json() == {"detail": "令牌无效。", "code": "UNAUTHENTICATED"}


def test_it_owns_up_in_the_language_that_was_asked_for(client, monkeypatch):
    failing(monkeypatch, RuntimeError("secret"))
    client.raise_request_exception = False
    answer = client.get("/api/v1/rooms/general", HTTP_ACCEPT_LANGUAGE="zh-CN")
    assert answer.json()["detail"] == "服务器出了点问题。"


def test_it_is_documented_without_a_warning(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"), stdout=StringIO())


def test_it_documents_every_answer(client):
    paths = client.get("/api/schema?format=json").json()["paths"]
    assert paths.keys() >= {"/api/v1/rooms", "/api/v1/online", "/api/v1/auth/token", "/api/v1/messages"}
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert "401" in operation["responses"], f"{method} {path}"
            assert operation["description"], f"{method} {path}"
            of_bodies = operation["responses"].keys() & {"400", "413", "415"}
            assert "requestBody" not in operation or len(of_bodies) == 3, f"{method} {path}"


def test_it_leaves_common_names_to_the_sites_own_serializers(client):
    names = client.get("/api/schema?format=json").json()["components"]["schemas"].keys()
    assert names.isdisjoint({"Count", "Group", "Item", "Message", "Order", "Person", "Room", "Status", "Target"})
    assert {"RealtimeStatus", "RealtimeGroup", "RealtimeHistoryItem"} <= names


def test_it_says_in_a_line_what_an_operation_does(client):
    lines = summaries(client)
    assert [line for line in lines if len(line) > 40 or line.endswith(".") or not line[0].isupper()] == []
    assert len(set(lines)) == len(lines)
    assert {"登录", "创建房间"} < set(summaries(client, HTTP_ACCEPT_LANGUAGE="zh-CN"))


def test_the_introduction_of_the_api_is_translated(client):
    shown = client.get("/api/schema?format=json", headers={"accept-language": "zh-hans"}).json()
    texts = [shown["info"]["description"], *(group["description"] for group in shown["tags"])]
    assert [text for text in texts if text.isascii()] == []
    assert "`POST /api/v1/auth/token`" in texts[0]
    assert "(docs/socket)" in texts[0]


def test_it_is_made_once_for_each_language_of_the_site_whoever_asks(client, monkeypatch):
    """It takes a second. And Django remembers every language that it was asked for, for ever."""
    made = []
    make = SchemaGenerator.get_schema
    monkeypatch.setattr(
        SchemaGenerator, "get_schema", lambda *args, **kw: made.append(get_language()) or make(*args, **kw)
    )
    render_schema.cache_clear()
    known = len(trans_real._translations)
    shown = [client.get(f"/api/schema?format=json&lang=xx{n}&version={n}") for n in range(5)]
    shown += [client.get(f"/api/schema?format=json&lang={name}").json() for name in ("zh-hans", "zh-hans", "en")]
    assert len({answer.content for answer in shown[:5]}) == 1
    assert shown[5] == shown[6] != shown[7] == shown[0].json()
    assert made == ["en", "zh-hans"]
    assert len(trans_real._translations) <= known + 1
    assert shown[0].headers["Content-Type"] == "application/vnd.oai.openapi+json"
    assert Client().get("/api/schema").headers["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"


def summaries(client, **headers):
    paths = client.get("/api/schema?format=json", **headers).json()["paths"]
    return [operation["summary"] for operations in paths.values() for operation in operations.values()]


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/docs/socket", "/api/schema", "/admin/login/"])
def test_it_has_pages_that_take_nothing_from_elsewhere(path):
    answer = Client().get(path)
    assert answer.status_code == 200
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", answer.content.decode())


def test_an_address_that_lacks_its_slash_leads_to_the_one_that_has_it():
    answer = Client().get("/admin")
    assert (answer.status_code, answer.headers["Location"]) == (301, "/admin/")


@pytest.mark.parametrize("path", ["/api/v1/rooms/", "/api/nowhere"])
def test_an_address_of_the_api_with_a_slash_too_many_is_unknown(path):
    answer = Client().get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/docs/socket", "/admin/login/"])
def test_it_gives_its_pages_an_icon(path):
    """Without one, browsers ask for `/favicon.ico`."""
    assert '<link rel="icon"' in Client().get(path).content.decode()


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/docs/socket", "/admin/login/"])
def test_its_pages_say_their_language(path):
    assert re.search('<html lang="zh-hans"', Client().get(path, headers={"accept-language": "zh-CN"}).content.decode())


def test_the_page_about_the_api_says_that_it_needs_javascript():
    assert "This page needs JavaScript." in Client().get("/api/docs").content.decode()


def test_it_asks_no_validator_on_the_web():
    assert b'"validatorUrl": null' in Client().get("/api/docs?script=").content


def test_it_says_where_to_go():
    page = Client().get("/").content.decode()
    assert all(link in page for link in ("/api/docs", "/admin/", "createsuperuser"))
