"""Mails over real SMTP: what arrives, over how many connections, and what happens when the server refuses or breaks."""

import smtplib
from datetime import timedelta
from ssl import SSLCertVerificationError
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.test.utils import CaptureQueriesContext

from notifications import notify
from notifications.mailing import messages
from notifications.models import Delivery, Reader
from tests.backends.mail_server import MailServer, settings_for, texts_of
from tests.notifications.choices import delivery_of
from tests.notifications.mails import LATER, Office, make_readers, reader, send_all, states
from tests.notifications.rows import sent
from tests.sites.processes import free_port

pytestmark = pytest.mark.django_db


def test_what_comes_meanwhile_uses_up_no_attempts_of_what_waits(office: Office, server: MailServer, erin: Any) -> None:
    """As where a mailbox is full for an hour, and its owner is notified once a minute."""
    server.data_answers = ["451 try later"] * 40
    first = sent(erin, "mention", message="hello")
    office.send(minutes=5)
    for _ in range(8):
        sent(erin, "mention", message="more")
        office.send(minutes=1)
    found = delivery_of(first)
    assert (found.state, found.reason) == ("queued", "waiting")
    assert found.attempts in (2, 3)  # the pauses are of about one and four minutes


def test_what_is_tried_again_stays_one_mail(office: Office, server: MailServer, erin: Any) -> None:
    for _ in range(8):
        sent(erin, "mention", message="hello")
    server.data_answers = ["451 try later"]
    office.send(minutes=5)
    for _ in range(30):
        office.send(seconds=5)  # as the job does
    (mail,) = server.mails
    assert texts_of(mail)[0].startswith("You have 8 new notifications")


def test_a_mail_arrives(office: Office, server: MailServer, erin: Any, settings: Any) -> None:
    settings.LANGUAGE_CODE = "zh-hans"
    row = sent(erin, "mention", message="你好 <b> & “hello”\n.\n..dots\nFrom here", link="/posts/7")
    send_all(office)
    (mail,) = server.mails
    assert (mail["To"], mail["From"]) == ("erin@example.org", "Example <news@example.com>")
    assert mail["Subject"].strip().startswith("新提及: 你好")
    plain, html = texts_of(mail)
    assert "..dots" in plain
    assert "\n.\n" not in html
    assert "你好 &lt;b&gt; &amp; “hello”" in html
    assert mail["Message-ID"] == delivery_of(row).message_id
    for name, value in (
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("List-Id", "Example <notifications.example.com>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ):
        assert mail[name] == value
    assert mail["List-Unsubscribe"].strip().startswith("<https://example.com/api/v1/notifications/unsubscribe/")


def test_many_mails_share_one_connection(office: Office, server: MailServer) -> None:
    readers = make_readers(50)
    notify(readers, "mention", message="hello")
    send_all(office)
    assert sorted(server.recipients) == [user.email for user in readers]
    assert server.connections == 1


def test_the_queries_are_those_of_pages_not_of_readers(office: Office, server: MailServer) -> None:
    readers = make_readers(120)
    notify(readers[:60], "mention", message="hello")
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            send_all(office)
        counts.append(len(queries))
        notify(readers, "mention", message="hello")
    assert len(server.mails) == 180
    # 60 readers are a page with three portions of mails; 120 are one and a fifth, with six.
    assert counts[1] <= 2 * counts[0]
    assert counts[0] < 45


def test_a_refused_address_does_not_stop_the_others(office: Office, server: MailServer) -> None:
    readers = make_readers(3)
    server.refused[readers[1].email] = "550 5.1.1 no such user"
    server.refused[readers[2].email] = "550 5.7.1 not from you"
    notify(readers, "mention", message="hello")
    send_all(office)
    assert server.recipients == [readers[0].email]
    assert states() == [("sent", ""), ("bounced", "refused"), ("bounced", "refused")]
    assert "no such user" in Delivery.objects.get(user=readers[1]).error
    # Only an address that does not exist is not tried again.
    addresses = dict(Reader.objects.values_list("user_id", "bounced_address"))
    assert addresses == {readers[0].pk: "", readers[1].pk: readers[1].email}


def test_a_busy_server_is_tried_again_later(office: Office, server: MailServer, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    pauses = []
    for attempt in range(1, 4):
        server.data_answers = ["451 try later"]
        send_all(office)
        found = delivery_of(row)
        assert (found.state, found.attempts, found.reason, found.lease) == ("queued", attempt, "waiting", "")
        pauses.append((found.due_at - office.time.now).total_seconds())
        office.time.set(found.due_at - timedelta(minutes=5))
    for pause, usual in zip(pauses, (60, 240, 960), strict=True):
        assert 0.75 * usual <= pause <= 1.25 * usual
    send_all(office)
    assert len(server.mails) == 1
    assert (delivery_of(row).state, delivery_of(row).attempts, delivery_of(row).error) == ("sent", 4, "")


def test_it_gives_up_some_day(office: Office, server: MailServer, erin: Any) -> None:
    office.configure(MAIL_ATTEMPTS=2)
    server.data_answers = ["451 try later"] * 3
    row = sent(erin, "mention", message="hello")
    for _ in range(3):
        send_all(office)
    found = delivery_of(row)
    assert (found.state, found.attempts) == ("failed", 2)
    assert "try later" in found.error


def test_a_mail_that_is_refused_for_good(office: Office, server: MailServer) -> None:
    readers = make_readers(2)
    server.data_answers = ["554 looks like spam"]
    notify(readers, "mention", message="hello")
    send_all(office)
    assert states() == [("failed", ""), ("sent", "")]


def test_a_mail_that_is_too_large_for_the_server_stops_nobody_else(office: Office, server: MailServer) -> None:
    readers = make_readers(2)
    server.sender_answers = ["552 5.3.4 message size exceeds fixed limit"]
    notify(readers, "mention", message="hello")
    send_all(office)
    assert states() == [("failed", ""), ("sent", "")]


def test_a_wrong_address(office: Office, server: MailServer, erin: Any) -> None:
    get_user_model().objects.filter(pk=erin.pk).update(email="erin@example.org, eve@example.org")
    other = reader("fred")
    notify([erin, other], "mention", message="hello")
    send_all(office)
    assert server.recipients == [other.email]
    assert Delivery.objects.get(user=erin).state == "failed"


def test_a_server_that_is_away(office: Office, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    for name, value in settings_for(MailServer(free_port())).items():
        setattr(settings, name, value)
    readers = make_readers(30)
    notify(readers, "mention", message="hello")
    send_all(office)
    assert "Mails are postponed" in caplog.text
    found = list(Delivery.objects.order_by("pk"))
    assert [delivery.attempts for delivery in found] == [0] * 30
    assert sum("ConnectionRefusedError" in delivery.error for delivery in found) == 1
    assert {(delivery.state, delivery.lease, delivery.due_at > LATER) for delivery in found} == {("queued", "", True)}


@pytest.mark.parametrize(
    "fault",
    [
        ConnectionRefusedError("nobody listens"),
        SSLCertVerificationError("certificate has expired"),
        smtplib.SMTPNotSupportedError("STARTTLS extension not supported by server."),
        smtplib.SMTPAuthenticationError(535, b"wrong password"),
        ValueError("EMAIL_USE_TLS/EMAIL_USE_SSL are mutually exclusive"),
    ],
    ids=repr,
)
def test_a_server_that_cannot_be_reached_for_days(
    office: Office, server: MailServer, erin: Any, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def refuse(backend: Any) -> None:
        raise fault

    row = sent(erin, "mention", message="hello")
    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.backends.smtp.EmailBackend.open", refuse)
        for _ in range(60):
            office.send(hours=1)
        found = delivery_of(row)
        assert (found.state, found.reason, found.attempts, found.error) == ("queued", "waiting", 0, repr(fault))
    office.send(minutes=1)
    found = delivery_of(row)
    assert (found.state, found.attempts, found.error, len(server.mails)) == ("sent", 1, "", 1)


def test_a_connection_that_breaks_is_opened_again(office: Office, server: MailServer) -> None:
    readers = make_readers(3)
    notify(readers, "mention", message="hello")
    server.drops = 1
    send_all(office)
    send_all(office)
    assert sorted(server.recipients) == [user.email for user in readers]


@pytest.mark.parametrize("answers", ["sender_answers", "data_answers"])
def test_a_server_that_takes_few_mails_over_one_connection(office: Office, server: MailServer, answers: str) -> None:
    readers = make_readers(5)
    notify(readers, "mention", message="hello")
    closing = "421 4.7.0 too many mails over this connection"
    setattr(server, answers, [*["250 taken"] * 2, closing, *["250 taken"] * 2, closing])
    send_all(office)
    assert (sorted(server.recipients), server.connections) == ([user.email for user in readers], 3)
    assert set(Delivery.objects.values_list("state", "attempts")) == {("sent", 1)}


def test_a_server_that_takes_no_mail_is_asked_once(office: Office, server: MailServer) -> None:
    notify(make_readers(5), "mention", message="hello")
    server.sender_answers = ["421 4.3.2 shutting down"] * 5
    send_all(office)
    assert (server.mails, server.connections, len(server.sender_answers)) == ([], 1, 4)


@pytest.mark.parametrize("fault", [RuntimeError, ValueError, ConnectionRefusedError])
def test_a_fault_in_a_template_stops_nobody_else(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    readers = make_readers(3)
    notify(readers, "mention", message="hello")
    build = messages.build

    def build_most(letter: Any, *rest: Any) -> EmailMultiAlternatives:
        if letter.user == readers[1]:
            raise fault("a fault")
        return build(letter, *rest)

    monkeypatch.setattr(messages, "build", build_most)
    send_all(office)
    assert sorted(server.recipients) == [readers[0].email, readers[2].email]
    found = Delivery.objects.get(user=readers[1])
    assert (found.attempts, found.state, found.reason) == (1, "queued", "waiting")


def test_the_number_of_attempts_may_be_very_large(office: Office, server: MailServer, erin: Any) -> None:
    office.configure(MAIL_ATTEMPTS=1_000)
    server.data_answers = ["451 try later"]
    row = sent(erin, "mention", message="hello")
    Delivery.objects.update(attempts=998)
    office.send(minutes=5)
    assert (delivery_of(row).state, delivery_of(row).attempts) == ("queued", 999)
