"""Unsubscribing from mails: by the button of a mail program, and on the page, without logging in."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from notifications import types
from notifications.mailing import unsubscribing
from notifications.mailing.unsubscribing import make_token, read_token
from notifications.models import Preference, Reader
from tests.notifications.choices import choose
from tests.notifications.mails import Office
from tests.notifications.rows import sent

pytestmark = pytest.mark.django_db
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def stranger() -> Client:
    """A browser, or a mail program, that has never been here. Django's check of CSRF is on."""
    return Client(enforce_csrf_checks=True)


def address(user: Any, type_key: str = "mention") -> str:
    return reverse("notifications:unsubscribe", args=[make_token(user, type_key)])


def gets_mails(user: Any) -> bool:
    reader = Reader.objects.filter(user=user).first()
    return reader is None or reader.mail


def text_of(response: Any, status: int = 200) -> str:
    assert response.status_code == status
    return str(response.content.decode())


@pytest.mark.parametrize("form", [True, False])
def test_a_mail_program_stops_all_mails(stranger: Client, office: Office, erin: Any, form: bool) -> None:
    content = {"data": "List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"}
    response = stranger.post(address(erin), **content) if form else stranger.post(address(erin), ONE_CLICK)
    assert "these mails stop" in text_of(response)
    assert not response.cookies
    assert not gets_mails(erin)
    sent(erin, "mention", message="hello")
    assert office.send(hours=1) == []


def test_nobody_has_to_log_in_where_the_site_wants_that_for_all_pages(
    stranger: Client, office: Office, erin: Any, settings: Any
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert "Stop mails of this kind only" in text_of(stranger.get(address(erin)))
    text_of(stranger.post(address(erin), ONE_CLICK))
    sent(erin, "mention", message="hello")
    assert office.send(hours=1) == []


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_link_is_for_its_user_and_no_later_one_with_the_same_key(
    stranger: Client, erin: Any, comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsubscribing, "user_keys_come_back", lambda: comes_back)
    url, pk = address(erin), erin.pk
    assert stranger.get(url).status_code == 200
    erin.delete()
    later = get_user_model().objects.create_user("later", pk=pk)
    for action in ("all", "type", "resume"):
        assert stranger.post(url, {"action": action}).status_code == (404 if comes_back else 200)
    assert stranger.get(url).status_code == (404 if comes_back else 200)
    assert Reader.objects.filter(user=later).exists() is not comes_back
    assert stranger.get(address(later)).status_code == 200


def test_twice_is_once(stranger: Client, erin: Any) -> None:
    for _ in range(2):
        text_of(stranger.post(address(erin), ONE_CLICK))
    assert Reader.objects.get().mail is False


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_scanner_changes_nothing(stranger: Client, erin: Any, method: str) -> None:
    response = getattr(stranger, method)(address(erin))
    assert response.status_code == 200
    assert not response.cookies
    assert "no-store" in response["Cache-Control"]
    assert not Reader.objects.exists()
    assert not Preference.objects.exists()


def test_the_page_offers_both(stranger: Client, erin: Any) -> None:
    page = text_of(stranger.get(address(erin)))
    assert '<form method="post">' in page
    assert "Stop mails of this kind only: New mention" in page
    assert "Stop mails of this kind only: Order …" in text_of(stranger.get(address(erin, "order_status_changed")))
    for of_all in ("", "unheard_of"):
        assert "this kind only" not in text_of(stranger.get(address(erin, of_all)))
    assert "<script" not in page


def test_mails_of_one_kind(stranger: Client, office: Office, erin: Any) -> None:
    page = text_of(stranger.post(address(erin), {"action": "type"}))
    assert "no more mails of this kind: New mention" in page
    for kind in ("mention", "new_like"):
        sent(erin, kind, message="hello")
    (mail,) = office.send(hours=1)
    assert mail.subject.startswith("New like")


def take_back(stranger: Client, user: Any, page: str) -> None:
    """Press the button of this page."""
    (value,) = re.findall(r'name="action" value="(\w+)">', page)
    assert "get mails again" in text_of(stranger.post(address(user), {"action": value}))


@pytest.mark.parametrize("action", ["all", "type"])
def test_a_mistake_is_taken_back(stranger: Client, office: Office, erin: Any, action: str) -> None:
    take_back(stranger, erin, text_of(stranger.post(address(erin), {"action": action})))
    sent(erin, "mention", message="hello")
    assert len(office.send(hours=1)) == 1
    assert not Preference.objects.exists()


@pytest.mark.parametrize(
    "types", [{"mention": {"mail": False}}, {"mention": {"mail": True}, "new_like": {"mail": False}}]
)
@pytest.mark.parametrize("content", [ONE_CLICK, {"action": "all"}])
def test_who_stops_all_and_takes_it_back_has_their_own_choices(
    stranger: Client, erin: Any, types: Any, content: dict[str, str]
) -> None:
    choose(erin, types=types)
    before = set(Preference.objects.values_list("key", "enabled"))
    take_back(stranger, erin, text_of(stranger.post(address(erin), content)))
    assert gets_mails(erin)
    assert set(Preference.objects.values_list("key", "enabled")) == before


def test_who_stops_a_kind_and_takes_it_back_has_their_own_choices(stranger: Client, office: Office, erin: Any) -> None:
    choose(erin, mail=False, categories={"social": {"mail": False}}, types={"mention": {"mail": True}})
    before = set(Preference.objects.values_list("key", "enabled"))
    page = text_of(stranger.post(address(erin), {"action": "type"}))
    assert ("mention", False) in Preference.objects.values_list("key", "enabled")
    take_back(stranger, erin, page)
    assert set(Preference.objects.values_list("key", "enabled")) == before
    assert not gets_mails(erin)


def press(stranger: Client, user: Any, action: str, times: int) -> str:
    """Open the page, and press this button so often. Returns the last page."""
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w*)"', text_of(stranger.get(address(user)))))
    return [text_of(stranger.post(address(user), form | {"action": action})) for _ in range(times)][-1]


@pytest.mark.parametrize("action", ["all", "type"])
@pytest.mark.parametrize("chosen", [{}, {"mention": {"mail": True}}])
def test_who_presses_twice_and_takes_it_back_has_their_own_choices(
    stranger: Client, erin: Any, action: str, chosen: Any
) -> None:
    choose(erin, types=chosen)
    before = set(Preference.objects.values_list("key", "enabled"))
    take_back(stranger, erin, press(stranger, erin, action, times=2))
    assert gets_mails(erin)
    assert set(Preference.objects.values_list("key", "enabled")) == before


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    ("action", "chosen"), [("all", {"mail": False}), ("type", {"types": {"mention": {"mail": False}}})]
)
def test_nothing_is_to_be_taken_back_of_what_was_off_before(
    stranger: Client, erin: Any, action: str, chosen: Any, times: int
) -> None:
    choose(erin, **chosen)
    page = press(stranger, erin, action, times)
    assert "these mails stop" in page
    assert "mistake" not in page


def test_mails_that_were_switched_on_while_the_form_was_open(stranger: Client, erin: Any) -> None:
    choose(erin, mail=False)
    text_of(stranger.get(address(erin)))
    choose(erin, mail=True)
    take_back(stranger, erin, text_of(stranger.post(address(erin), {"action": "all", "all_before": "off"})))
    assert gets_mails(erin)


def test_it_speaks_the_readers_language(stranger: Client, erin: Any, settings: Any) -> None:
    settings.LANGUAGE_CODE = "zh-hans"
    assert "您想停止接收哪些邮件？" in text_of(stranger.get(address(erin)))
    for action in ("all", "type", "resume"):
        page = text_of(stranger.post(address(erin), {"action": action}))
        assert 'lang="zh-hans"' in page
        assert "mail" not in page.partition("<main>")[2].replace("mails</a>", "")


@pytest.mark.parametrize(
    "change", [lambda token: token[:-1], lambda token: f"x{token}", lambda _: "x", lambda _: "a:b"]
)
def test_another_token_opens_nothing(stranger: Client, erin: Any, change: Any) -> None:
    url = reverse("notifications:unsubscribe", args=[change(make_token(erin))])
    for response in (stranger.get(url), stranger.post(url, ONE_CLICK)):
        assert "This link is not valid" in text_of(response, 404)
    assert gets_mails(erin)


def test_a_token_is_for_one_reader(erin: Any, alice: Any, stranger: Client) -> None:
    text_of(stranger.post(address(erin), ONE_CLICK))
    assert (gets_mails(erin), gets_mails(alice)) == (False, True)
    assert read_token(make_token(erin, "x")) == (erin, "x")


def test_a_token_does_not_expire_and_dies_with_its_user(stranger: Client, erin: Any) -> None:
    url = address(erin)
    assert make_token(erin, "mention") in url
    erin.delete()
    text_of(stranger.get(url), 404)


def test_other_methods(stranger: Client, erin: Any) -> None:
    for method in ("put", "patch", "delete"):
        assert getattr(stranger, method)(address(erin)).status_code == 405


def test_a_title_is_text(stranger: Client, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "_types", dict(types._types))
    types.register("odd", title="<b>%(n)s & %(m)s</b>", message="")
    assert "&lt;b&gt;… &amp; …&lt;/b&gt;" in text_of(stranger.get(address(erin, "odd")))
    types.register("number", title="%(n)d things", message="")
    assert "kind only: … things" in text_of(stranger.get(address(erin, "number")))
