"""The address in mails: it marks as read and leads to the link, for browsers and for programs."""

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse, set_script_prefix
from rest_framework.authentication import SessionAuthentication
from rest_framework.test import APIClient
from rest_framework.views import APIView

from notifications.models import Notification
from tests.notifications.api.conftest import PATH
from tests.notifications.rows import pushed, sent
from tests.people import client_for

pytestmark = pytest.mark.django_db

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
JSON = {"accept": "application/json"}


@pytest.fixture
def browser(bob: Any) -> Client:
    """Bob's, who has logged in on the site."""
    client = Client(headers=BROWSER)
    client.force_login(bob)
    return client


def address(row: Notification) -> str:
    return f"{PATH}/{row.pk}/open"


def is_read(row: Notification) -> bool:
    return Notification.objects.get(pk=row.pk).is_read


def test_it_marks_as_read_and_leads_to_the_link(browser: Client, bob: Any) -> None:
    row = sent(bob, "mention", message="x", link="/posts/17?tab=2#c4")
    assert reverse("notifications:open", args=[row.pk]) == address(row)
    answer = browser.get(address(row))
    assert (answer.status_code, answer["Location"]) == (302, "/posts/17?tab=2#c4")
    assert is_read(row)
    assert pushed(bob, "inbox")[-1]["data"] == {"unread": 0, "unseen": 0, "act": "read", "notification_ids": [row.pk]}
    assert browser.get(address(row))["Location"] == "/posts/17?tab=2#c4"
    assert len(pushed(bob, "inbox")) == 1


def test_head_only_asks_where_it_leads(browser: Client, bob: Any) -> None:
    row = sent(bob, "mention", message="x", link="/posts/17")
    answer = browser.head(address(row))
    assert (answer.status_code, answer["Location"]) == (302, "/posts/17")
    assert not is_read(row)


def test_options_only_asks_what_is_possible(browser: Client, bob: Any) -> None:
    row = sent(bob, "mention", message="x", link="/posts/17")
    answer = browser.options(address(row))
    assert (answer.status_code, answer["Allow"], answer.content) == (200, "GET, HEAD, OPTIONS", b"")
    assert not is_read(row)


@pytest.mark.parametrize(
    ("link", "location"),
    [
        ("", "/"),
        ("posts/17", "/posts/17"),
        ("?tab=2", "/?tab=2"),
        ("../up", "/../up"),
        ("..//evil.example", "/..//evil.example"),
        ("#top", "/#top"),
        ("https://example.com/a?b#c", "https://example.com/a?b#c"),
        ("HTTPS://example.com", "HTTPS://example.com"),
        ("mailto:alice@example.com?subject=Hi", "mailto:alice@example.com?subject=Hi"),
        ("/大厅", quote("/大厅")),
    ],
)
def test_every_link_leads_somewhere(browser: Client, bob: Any, link: str, location: str) -> None:
    assert browser.get(address(sent(bob, "mention", message="x", link=link)))["Location"] == location


@pytest.mark.parametrize("link", ["javascript:alert(1)", "//evil.example", "/\\evil.example", "data:text/html,x"])
def test_an_unsafe_link_that_is_stored_leads_to_the_start_page(browser: Client, bob: Any, link: str) -> None:
    row = Notification.objects.create(recipient=bob, type="mention", link=link)
    assert browser.get(address(row))["Location"] == "/"
    assert is_read(row)


def test_a_site_below_a_prefix(browser: Client, bob: Any) -> None:
    row = sent(bob, "mention", message="x", link="posts/17")
    set_script_prefix("/app/")
    try:
        assert browser.get(address(row), SCRIPT_NAME="/app")["Location"] == "/app/posts/17"
        answer = Client(headers=BROWSER).get(address(row), SCRIPT_NAME="/app")
        assert answer["Location"].endswith(f"?next=/app{address(row)}")
    finally:
        set_script_prefix("/")


@pytest.mark.parametrize("headers", [BROWSER, {}, {"accept": "*/*"}, {"accept": "text/html"}], ids=str)
def test_a_browser_that_is_not_logged_in_is_sent_to_the_login_page_and_comes_back(
    bob: Any, settings: Any, headers: Any
) -> None:
    settings.LOGIN_URL = "/accounts/login/"
    row = sent(bob, "mention", message="x", link="/posts/17")
    answer = Client(headers=headers).get(f"{address(row)}?from=mail")
    assert (answer.status_code, answer["Location"]) == (
        302,
        f"/accounts/login/?next={quote(address(row))}%3Ffrom%3Dmail",
    )
    assert not is_read(row)


def test_a_program_that_is_not_logged_in_gets_401(bob: Any) -> None:
    row = sent(bob, "mention", message="x")
    answer = APIClient(headers=JSON).get(address(row))
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    answer = APIClient(HTTP_AUTHORIZATION="Bearer x", headers=JSON).get(address(row))
    assert answer.status_code == 401
    assert not is_read(row)


def test_a_token_opens_it_too(client: APIClient, bob: Any) -> None:
    row = sent(bob, "mention", message="x", link="/posts/17")
    assert client.get(address(row), headers=JSON)["Location"] == "/posts/17"
    assert is_read(row)


def test_the_session_counts_where_the_sites_own_api_takes_no_cookie(
    browser: Client, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(APIView, "authentication_classes", [])
    row = sent(bob, "mention", message="x")
    assert browser.get(f"{PATH}/{row.pk}").status_code == 401
    assert browser.get(address(row))["Location"] == "/"
    monkeypatch.setattr(APIView, "authentication_classes", [SessionAuthentication])
    assert browser.get(address(row))["Location"] == "/"


@pytest.mark.parametrize("headers", [BROWSER, JSON], ids=str)
@pytest.mark.parametrize("given", ["0", "x", "4711"])
def test_what_does_not_exist_is_not_found(bob: Any, headers: Any, given: str) -> None:
    client = client_for(bob)
    answer = client.get(f"{PATH}/{given}/open", headers=headers)
    assert answer.status_code == 404
    assert (answer["Content-Type"] == "application/json") == (headers is JSON)


def test_somebody_elses_is_not_found_and_stays_unread(alice: Any, browser: Client) -> None:
    row = sent(alice, "mention", message="hers")
    assert browser.get(address(row)).status_code == 404
    assert browser.get(address(row), headers=JSON).json()["code"] == "NOT_FOUND"
    assert not is_read(row)


def test_it_is_only_looked_at(browser: Client, bob: Any) -> None:
    row = sent(bob, "mention", message="x")
    assert browser.post(address(row)).status_code == 405
    assert not is_read(row)
