"""What mails say, in both languages and with little or much to say, and the headers that mail programs read."""

import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from unittest.mock import patch

import pytest
from django.core import mail as django_mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends import locmem
from django.template import engines
from django.test import override_settings
from django.urls import include, path, set_script_prefix

from notifications import notify
from notifications.mailing import addresses, unsubscribing
from notifications.mailing.messages import OneLine
from notifications.mailing.transport import Transport
from notifications.models import Notification
from tests.notifications.choices import register
from tests.notifications.mails import Office, reader
from tests.notifications.rows import sent

pytestmark = pytest.mark.django_db

# The addresses of a site that has those of this app at a place of its own.
OPENING = (path("n/", include(([path("<int:id>/open", str, name="open")], "notifications"))),)


def html_of(mail: Any) -> str:
    ((content, kind),) = mail.alternatives
    assert kind == "text/html"
    return str(content)


def test_one_notification(office: Office, erin: Any, alice: Any) -> None:
    sent(erin, "new_follower", actor=alice, link="/users/1")
    (mail,) = office.send(minutes=5)
    assert mail.subject == "New follower: alice followed you"
    assert mail.body.startswith("You have 1 new notification at Example.\n\n* New follower\n  alice followed you\n")
    for text in (mail.body, html_of(mail)):
        assert "alice followed you" in text
        assert mail.extra_headers["List-Unsubscribe"].strip("<>") in text
        assert '"https://example.com/"' in text or "https://example.com/\n" in text


@pytest.mark.parametrize(
    ("patterns", "link", "expected"),
    [
        (OPENING, "/users/1", "https://example.com/n/{id}/open"),
        (OPENING, "", "https://example.com/n/{id}/open"),
        ((), "/users/1", "https://example.com/users/1"),  # a site that has not included the addresses of this app
        ((), "https://other.example/1", "https://other.example/1"),
        ((), "", ""),
    ],
)
def test_where_a_mail_leads(office: Office, erin: Any, settings: Any, patterns: Any, link: str, expected: str) -> None:
    settings.ROOT_URLCONF = patterns
    row = sent(erin, "mention", message="hello", link=link)
    assert addresses.of_notification(row.pk, row.link) == expected.format(id=row.pk)
    (mail,) = office.send(minutes=5)
    assert expected.format(id=row.pk) in mail.body


@pytest.fixture
def at_the_root() -> Iterator[None]:
    yield
    set_script_prefix("/")


@pytest.mark.usefixtures("at_the_root")
@pytest.mark.parametrize("prefix", ["/", "/chat/", "/é/"])
def test_below_a_prefix_links_do_not_depend_on_who_runs_the_jobs(office: Office, erin: Any, prefix: str) -> None:
    office.configure(SITE_URL="https://example.com/chat")
    set_script_prefix(prefix)
    row = sent(erin, "mention", message="hello", link="/chat/users/1")
    (mail,) = office.send(minutes=5)
    api = "https://example.com/chat/api/v1/notifications"
    assert f"{api}/{row.pk}/open" in mail.body
    assert mail.extra_headers["List-Unsubscribe"].startswith(f"<{api}/unsubscribe/")


def test_many_notifications(office: Office, erin: Any) -> None:
    for number in range(47):
        sent(erin, "mention", message=f"number {number}.")
    (mail,) = office.send(minutes=5)
    assert mail.subject == "47 new notifications at Example"
    for text in (mail.body, html_of(mail)):
        assert [number for number in range(47) if f"number {number}." in text] == list(range(37, 47))
        assert text.index("number 46.") < text.index("number 37.")
        assert "And 37 more." in text


def test_in_the_readers_language(office: Office, erin: Any, alice: Any, settings: Any) -> None:
    settings.LANGUAGE_CODE = "zh-hans"
    for _ in range(12):
        sent(erin, "new_follower", actor=alice)
    (mail,) = office.send(minutes=5)
    assert mail.subject == "Example：12 条新通知"
    assert "用户 alice 关注了你" in mail.body
    assert "还有 2 条。" in mail.body
    assert 'lang="zh-hans"' in html_of(mail)
    assert "new notification" not in mail.body + html_of(mail)


def language_by_name(user: Any) -> str:
    """The site's function in the test below."""
    return "zh-hans" if user.username.startswith("zh") else "en"


@pytest.mark.parametrize(("language", "direction"), [("ar", "rtl"), ("en", "ltr")])
def test_it_keeps_its_direction_where_only_what_is_in_the_body_is_left(
    office: Office, erin: Any, settings: Any, language: str, direction: str
) -> None:
    """Mail programs in browsers put it into a page of their own."""
    settings.LANGUAGES = [(language, language)]
    settings.LANGUAGE_CODE = language
    sent(erin, "mention", message="hello")
    (mail,) = office.send(minutes=5)
    (body,) = re.findall("<body[^>]*>(.*)</body>", html_of(mail), re.S)
    assert re.match(rf'\s*<table [^>]*lang="{language}" dir="{direction}"', body)


def test_what_many_get_is_rendered_once_for_each_language(
    office: Office, alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.configure(LANGUAGE="tests.notifications.test_mail_messages.language_by_name")
    rendered = []
    render = Notification.render
    monkeypatch.setattr(Notification, "render", lambda row: rendered.append(row) or render(row))
    readers = [reader(f"{language}{number}") for language in ("en", "zh") for number in range(5)]
    notify(readers, "new_like", actor=alice, group_key="like:7")
    notify(readers[:1], "new_like", actor=bob, group_key="like:7")
    notify(readers[1:2], "new_like", actor=bob)
    rendered.clear()
    texts = {mail.to[0]: mail.body for mail in office.send(minutes=5)}
    assert len(rendered) == 4
    assert "bob and alice liked" in texts["en0@example.org"]
    assert all(f"{name} liked" in texts["en1@example.org"] for name in ("alice", "bob"))
    assert all("alice liked" in texts[f"en{number}@example.org"] for number in range(2, 5))
    assert all("alice 赞了" in texts[f"zh{number}@example.org"] for number in range(5))


def test_what_people_write_is_text(office: Office, erin: Any) -> None:
    sent(erin, "mention", title="A & B\r\nBcc: eve@example.org", message="<script>alert(1)</script>\n{{ user }}")
    (mail,) = office.send(minutes=5)
    assert mail.subject == "A & B Bcc: eve@example.org: <script>alert(1)</script> {{ user }}"
    assert mail.recipients() == ["erin@example.org"]
    assert "<script>alert(1)</script>" in mail.body
    assert "<script>" not in html_of(mail)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>{{ user }}" in html_of(mail)


def test_a_long_subject_is_cut(office: Office, erin: Any) -> None:
    sent(erin, "mention", message="word " * 100)
    (mail,) = office.send(minutes=5)
    assert len(mail.subject) == 120
    assert mail.subject.endswith("…")


def test_a_subject_costs_what_is_shown_of_it(office: Office, erin: Any, normalized: list[int]) -> None:
    sent(erin, "mention", message="\u0301\u0316" * 50_000)
    (mail,) = office.send(minutes=5)
    assert mail.subject.startswith("New mention: \u0301\u0316")
    assert mail.subject.endswith("…")
    assert 0 < max(normalized) < 1_000


def test_a_link_that_must_not_be_followed(office: Office, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    Notification.objects.filter(pk=row.pk).update(link="javascript:alert(1)")
    (mail,) = office.send(minutes=5)
    assert "javascript" not in mail.body + html_of(mail)


@pytest.mark.parametrize("count", [1, 12])
def test_a_site_can_leave_the_contents_out(office: Office, erin: Any, count: int) -> None:
    office.configure(MAIL_CONTENTS=False)
    for _ in range(count):
        sent(erin, "mention", message="a secret")
    (mail,) = office.send(minutes=5)
    assert mail.subject == ("1 new notification at Example" if count == 1 else "12 new notifications at Example")
    for text in (mail.body, html_of(mail)):
        assert "secret" not in text
        assert "mention" not in text
        assert "more" not in text.partition("Get no")[0]
        assert "https://example.com/" in text


def test_what_has_no_contents_reveals_neither_type_nor_group(office: Office, erin: Any) -> None:
    office.configure(MAIL_CONTENTS=False)
    sent(erin, "new_like", message="a secret", group_key="like:7")
    (mail,) = office.send(minutes=5)
    token = mail.extra_headers["List-Unsubscribe"].strip("<>").rpartition("/")[2]
    assert unsubscribing.read_token(token) == (erin, "")
    # The name of the thread is a hash of the group's key, which could be guessed.
    assert not mail.extra_headers.keys() & {"References", "In-Reply-To"}


def test_a_site_replaces_the_templates(office: Office, erin: Any, tmp_path: Any, settings: Any) -> None:
    folder = tmp_path / "notifications" / "mail"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("{{ user.username }} has {{ count }}: {{ entries.0.title }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    sent(erin, "mention", message="hello")
    (mail,) = office.send(minutes=5)
    assert mail.subject == "erin has 1: New mention"
    assert engines["django"]


# Headers


def test_the_sender(office: Office, erin: Any) -> None:
    for given, expected in (("", "Example <news@example.com>"), ("Shop <shop@example.com>", "Shop <shop@example.com>")):
        office.configure(MAIL_FROM=given)
        sent(erin, "mention", message="hello")
        (mail,) = office.send(minutes=5)
        assert mail.from_email == expected


def test_the_link_to_unsubscribe_knows_the_reader_and_the_type(office: Office, erin: Any) -> None:
    sent(erin, "mention", message="hello")
    (one,) = office.send(minutes=5)
    for kind in ("mention", "new_like"):
        sent(erin, kind, message="hello")
    (two,) = office.send(minutes=5)
    found = []
    for mail in (one, two):
        address = mail.extra_headers["List-Unsubscribe"]
        assert mail.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        found.append(unsubscribing.read_token(address.strip("<>").rpartition("/")[2]))
    assert found == [(erin, "mention"), (erin, "")]


def test_nobody_unsubscribes_from_what_is_critical(office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True)
    sent(erin, "alarm")
    (mail,) = office.send(minutes=5)
    assert not mail.extra_headers.keys() & {"List-Unsubscribe", "List-Unsubscribe-Post"}
    assert "unsubscribe" not in mail.body + html_of(mail)
    sent(erin, "alarm")
    sent(erin, "mention", message="hello")
    (mail,) = office.send(minutes=5)
    assert "List-Unsubscribe" in mail.extra_headers


def test_mails_about_one_group_are_one_thread(office: Office, erin: Any, alice: Any) -> None:
    threads = []
    for key in ("like:7", "like:7", "like:8"):
        row = sent(erin, "new_like", actor=alice, group_key=key)
        (mail,) = office.send(minutes=5)
        Notification.objects.filter(pk=row.pk).update(group_open=False)
        threads.append(mail.extra_headers["References"])
        assert mail.extra_headers["In-Reply-To"] == threads[-1]
    assert threads[0] == threads[1] != threads[2]
    sent(erin, "mention", message="hello")
    (mail,) = office.send(minutes=5)
    assert "References" not in mail.extra_headers


def test_each_reader_has_threads_and_ids_of_their_own(office: Office, erin: Any, alice: Any) -> None:
    alice.email = "alice@example.org"
    alice.save()
    notify([erin, alice], "new_like", message="hello", group_key="like:7")
    mails = office.send(minutes=5)
    for name in ("References", "Message-ID", "List-Unsubscribe"):
        assert len({mail.extra_headers[name] for mail in mails}) == 2


@pytest.mark.parametrize(
    ("url", "host", "in_header"),
    [
        ("https://example.com", "example.com", "https://example.com"),
        ("https://example.com:8443/app/", "example.com", "https://example.com:8443/app"),
        ("https://例子.example", "xn--fsqu00a.example", "https://xn--fsqu00a.example"),
        ("https://MÜLLER.example:8443/é/", "xn--mller-kva.example", "https://xn--mller-kva.example:8443/%C3%A9"),
    ],
)
def test_the_sites_address(office: Office, erin: Any, url: str, host: str, in_header: str) -> None:
    """Headers have it in ASCII: mail programs do not decode an address."""
    office.configure(SITE_URL=url)
    sent(erin, "mention", message="hello")
    (mail,) = office.send(minutes=5)
    assert mail.extra_headers["List-Id"].endswith(f"<notifications.{host}>")
    header = f"<{in_header}/api/v1/notifications/unsubscribe/"
    assert mail.extra_headers["List-Unsubscribe"].startswith(header)
    # It may begin on the next line.
    assert f"List-Unsubscribe: {header}" in " ".join(mail.message().as_string().split())
    assert f"{url.rstrip('/')}/api/v1/notifications/unsubscribe/" in mail.body


def test_long_headers_stay_as_they_are() -> None:
    """Python's own folding would encode them, and no mail program would find the address."""
    address = f"<https://example.com/{'x' * 120}>"
    message = EmailMessage(policy=SMTP)
    message["List-Unsubscribe"] = OneLine.of("List-Unsubscribe", address)
    assert message.as_bytes().decode() == f"List-Unsubscribe: {address}\r\n\r\n"


def test_a_newer_django_names_its_mailers(settings: Any) -> None:
    class Mailers:
        default = locmem.EmailBackend()

    message = django_mail.EmailMessage("Hello", to=["erin@example.org"], headers={"Message-ID": "<1@example.com>"})
    with patch.object(django_mail, "mailers", Mailers(), create=True):
        transport = Transport()
        assert transport.send(message) == "<1@example.com>"
        assert transport._backend is Mailers.default
        transport.close()
    assert len(django_mail.outbox) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"MAIL": "yes"},
        {"SITE_URL": "example.com"},
        {"SITE_URL": "https://example.com?x=1"},
        {"MAIL_FROM": "a@b.c\nBcc: d@e.f"},
        {"MAIL_ADDRESS": "user.email()"},
        {"MAIL_ATTEMPTS": 0},
        {"MAIL_AWAY_MINUTES": -1},
    ],
)
def test_wrong_settings(office: Office, wrong: dict[str, Any]) -> None:
    with override_settings(NOTIFICATIONS=wrong), pytest.raises(ImproperlyConfigured, match=next(iter(wrong))):
        office.send()
