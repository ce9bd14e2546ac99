"""What a mail service reports through django-anymail: mails that come back, and readers who complain."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from anymail import signals
from anymail.backends.test import EmailBackend
from anymail.exceptions import AnymailRecipientsRefused, AnymailRequestsAPIError
from anymail.webhooks.postmark import PostmarkTrackingWebhookView
from django.apps import apps
from django.dispatch import Signal
from django.test import RequestFactory

from notifications import notify
from notifications.mailing import bounces, transport
from notifications.models import Delivery, Preference, Reader
from tests.notifications.choices import choose, delivery_of
from tests.notifications.mails import Office, make_readers, states
from tests.notifications.rows import sent

pytestmark = pytest.mark.django_db


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Signal]:
    """Anymail's signal, on a site that has anymail among its apps."""
    is_installed = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name == "anymail" or is_installed(name))
    bounces.connect()
    yield signals.tracking
    signals.tracking.disconnect(dispatch_uid="notifications.mailing.bounces")


def report(
    signal: Signal, kind: str, message_id: str | None, recipient: str = "erin@example.org", **more: str | None
) -> None:
    event = signals.AnymailTrackingEvent(event_type=kind, message_id=message_id, recipient=recipient, **more)
    signal.send(sender=None, event=event, esp_name="Test")


@pytest.fixture
def message_id(office: Office, erin: Any) -> str:
    """The id of a mail that was sent to erin."""
    row = sent(erin, "mention", message="hello")
    office.send(minutes=5)
    return delivery_of(row).message_id


def test_an_address_that_does_not_exist(tracking: Signal, office: Office, erin: Any, message_id: str) -> None:
    report(tracking, "bounced", message_id, reject_reason="invalid", description="No such user")
    assert states() == [("bounced", "invalid")]
    assert Delivery.objects.get().error == "No such user"
    sent(erin, "mention", message="again")
    assert office.send(hours=1) == []
    assert states()[1] == ("suppressed", "bounced")
    choose(erin, mail=True)
    sent(erin, "mention", message="once more")
    assert len(office.send(hours=1)) == 1


@pytest.mark.parametrize("reason", ["blocked", "spam", "timed_out"])
def test_a_bounce_that_is_not_about_the_address(
    tracking: Signal, office: Office, erin: Any, message_id: str, reason: str
) -> None:
    report(tracking, "bounced", message_id, reject_reason=reason)
    assert states() == [("bounced", reason)]
    sent(erin, "mention", message="again")
    assert len(office.send(hours=1)) == 1


@pytest.mark.parametrize("reported", ["ERIN@example.org", "Erin <erin@Example.org>"])
def test_a_service_writes_the_address_as_it_pleases(
    tracking: Signal, office: Office, erin: Any, message_id: str, reported: str
) -> None:
    report(tracking, "bounced", message_id, recipient=reported)
    sent(erin, "mention", message="again")
    assert office.send(hours=1) == []
    assert states() == [("bounced", ""), ("suppressed", "bounced")]


name = "Erin " * 100


def address_with_name(user: Any) -> str:
    """The site's function in the test below. The names of people change."""
    return f'"{name.strip()}" <{user.email}>'


def test_the_name_before_an_address_does_not_count(
    tracking: Signal, office: Office, erin: Any, message_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.configure(MAIL_ADDRESS=f"{__name__}.address_with_name")
    report(tracking, "bounced", message_id)
    assert Reader.objects.get().bounced_address == "erin@example.org"
    monkeypatch.setitem(globals(), "name", "Erin")
    sent(erin, "mention", message="again")
    assert office.send(hours=1) == []
    assert states()[1] == ("suppressed", "bounced")


def test_an_address_that_is_too_long_is_noted_as_far_as_it_goes(office: Office, erin: Any) -> None:
    office.configure(MAIL_ADDRESS=f"{__name__}.long_address")
    bounces.note_bad_address(erin.pk, long_address(erin))
    sent(erin, "mention", message="hello")
    assert office.send(minutes=5) == []
    assert states() == [("suppressed", "bounced")]


def long_address(user: Any) -> str:
    return f"{'x' * 300}@example.org"


def test_an_address_that_is_not_the_readers_any_more(tracking: Signal, erin: Any, message_id: str) -> None:
    report(tracking, "bounced", message_id, recipient="old@example.org")
    assert states() == [("bounced", "")]
    assert not Reader.objects.exclude(bounced_address="").exists()


@pytest.mark.django_db(transaction=True)
def test_an_address_of_a_reader_who_has_been_deleted(erin: Any) -> None:
    key = erin.pk
    erin.delete()
    bounces.note_bad_address(key, "erin@example.org")
    assert not Reader.objects.exists()


def fail(user: Any) -> str:
    raise RuntimeError("no address book")


def test_a_function_for_addresses_that_fails_leaves_the_report_noted(
    tracking: Signal, office: Office, message_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    office.configure(MAIL_ADDRESS=f"{__name__}.fail")
    report(tracking, "bounced", message_id, description="No such user")
    assert states() == [("bounced", "")]
    assert not Reader.objects.exclude(bounced_address="").exists()
    assert "no address book" in caplog.text


@pytest.mark.parametrize(("kind", "state"), [("rejected", "bounced"), ("failed", "failed")])
def test_a_mail_that_was_not_taken(tracking: Signal, erin: Any, message_id: str, kind: str, state: str) -> None:
    report(tracking, kind, message_id, mta_response="550 " + "x" * 600)
    assert states() == [(state, "")]
    assert not Reader.objects.exclude(bounced_address="").exists()


@pytest.mark.parametrize("kind", ["complained", "unsubscribed"])
def test_who_complains_gets_no_more(tracking: Signal, erin: Any, message_id: str, kind: str) -> None:
    report(tracking, kind, message_id)
    assert Reader.objects.get(user=erin).mail is False
    assert states() == [("sent", "")]
    assert not Preference.objects.exists()


@pytest.mark.parametrize("kind", ["delivered", "opened", "deferred", "queued"])
def test_other_reports_change_nothing(tracking: Signal, message_id: str, kind: str) -> None:
    report(tracking, kind, message_id)
    assert states() == [("sent", "")]


@pytest.mark.parametrize("unknown", [None, "", "<other@example.com>"])
def test_mails_that_are_not_ours(tracking: Signal, message_id: str, unknown: str | None) -> None:
    report(tracking, "bounced", unknown)
    assert states() == [("sent", "")]


def test_the_id_of_the_service_is_the_one_that_counts(
    tracking: Signal, office: Office, erin: Any, message_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_open_backend", EmailBackend)
    row = sent(erin, "mention", message="hello")
    office.send(hours=1)
    assert delivery_of(row).message_id == "1"  # as this service counts: the fixture's mail was the first
    report(tracking, "bounced", "1")
    assert states() == [("sent", ""), ("bounced", "")]


def test_a_report_that_comes_while_the_next_mail_is_sent_is_heard(
    tracking: Signal, office: Office, message_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = make_readers(3)
    Delivery.objects.all().delete()

    class Service(EmailBackend):  # type: ignore[misc]  # has no types
        def send_messages(self, messages: Any) -> int:
            if messages[0].to == [readers[1].email]:
                for kind in ("bounced", "complained"):
                    # As this service counts: the fixture's mail was the first.
                    report(tracking, kind, "1", readers[0].email)
            return int(super().send_messages(messages))

    monkeypatch.setattr(transport, "_open_backend", Service)
    notify(readers, "mention", message="hello")
    office.send(minutes=5)
    assert states() == [("bounced", ""), ("sent", ""), ("sent", "")]
    first = Reader.objects.get(user=readers[0])
    assert (first.bounced_address, first.mail) == (readers[0].email, False)


def http_error(code: int) -> AnymailRequestsAPIError:
    """What a backend of anymail raises for an answer of the service's API."""
    answer = requests.Response()
    answer.status_code = code
    return AnymailRequestsAPIError("refused", response=answer)


@pytest.mark.parametrize(
    ("error", "refused", "others"),
    [
        (http_error(400), ("queued", "waiting"), ("sent", "")),
        (http_error(422), ("queued", "waiting"), ("sent", "")),
        (AnymailRecipientsRefused(), ("bounced", "refused"), ("sent", "")),
        (http_error(401), ("queued", "waiting"), ("queued", "waiting")),
        (http_error(429), ("queued", "waiting"), ("queued", "waiting")),
        (http_error(503), ("queued", "waiting"), ("queued", "waiting")),
    ],
)
def test_an_address_that_the_service_refuses_holds_up_no_other(
    office: Office, monkeypatch: pytest.MonkeyPatch, error: Exception, refused: Any, others: Any
) -> None:
    """The errors of anymail are OSErrors, as if there were no network."""
    readers = make_readers(3)

    class Service(EmailBackend):  # type: ignore[misc]  # has no types
        def send_messages(self, messages: Any) -> int:
            if messages[0].to == [readers[0].email]:
                raise error
            return 1

    monkeypatch.setattr(transport, "_open_backend", Service)
    notify(readers, "mention", message="hello")
    office.send(minutes=5)
    assert states() == [refused, others, others]


def test_what_a_service_posts_arrives(tracking: Signal, erin: Any, message_id: str, settings: Any) -> None:
    settings.ANYMAIL = {"WEBHOOK_SECRET": "name:word"}
    posted = {
        "RecordType": "Bounce",
        "Type": "HardBounce",
        "MessageID": message_id,
        "Email": "erin@example.org",
        "Description": "The server was unable to deliver your message",
    }
    key = "Basic " + base64.b64encode(b"name:word").decode()
    request = RequestFactory().post("/", posted, content_type="application/json", headers={"authorization": key})
    assert PostmarkTrackingWebhookView.as_view()(request).status_code == 200
    assert states() == [("bounced", "bounced")]
    assert Reader.objects.get(user=erin).bounced_address == "erin@example.org"


def test_without_anymail_nothing_is_heard() -> None:
    bounces.connect()
    assert not signals.tracking.has_listeners()
