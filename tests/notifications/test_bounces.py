"""What a mail service reports through django-anymail: mails that come back, and readers who complain."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.core.mail.backends import locmem
from django.dispatch import Signal

from notifications.mailing import bounces
from notifications.models import Delivery, Preference, Reader
from tests.notifications.choices import choose, delivery_of
from tests.notifications.mails import Office, states
from tests.notifications.rows import sent

pytestmark = pytest.mark.django_db


@dataclass
class Event:
    """As anymail's AnymailTrackingEvent."""

    event_type: str
    message_id: str | None
    recipient: str = "erin@example.org"
    reject_reason: str | None = None
    description: str | None = None
    mta_response: str | None = None


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Signal]:
    """The signal of an anymail that is installed."""
    package, signals = ModuleType("anymail"), ModuleType("anymail.signals")
    signal = Signal()
    signals.tracking = signal  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "anymail", package)
    monkeypatch.setitem(sys.modules, "anymail.signals", signals)
    is_installed = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name == "anymail" or is_installed(name))
    bounces.connect()
    yield signal
    signal.disconnect(dispatch_uid="notifications.mailing.bounces")


def report(signal: Signal, *args: Any, **kwargs: Any) -> None:
    signal.send(sender=None, event=Event(*args, **kwargs), esp_name="Test")


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


def test_an_address_that_is_not_the_readers_any_more(tracking: Signal, erin: Any, message_id: str) -> None:
    report(tracking, "bounced", message_id, recipient="old@example.org")
    assert states() == [("bounced", "")]
    assert not Reader.objects.exclude(bounced_address="").exists()


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
    tracking: Signal, office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Status:
        message_id = "esp-7"

    backend = locmem.EmailBackend
    send = backend.send_messages

    def send_through_service(self: Any, messages: Any) -> Any:
        for message in messages:
            message.anymail_status = Status()
        return send(self, messages)

    monkeypatch.setattr(backend, "send_messages", send_through_service)
    sent(erin, "mention", message="hello")
    office.send(minutes=5)
    report(tracking, "bounced", "esp-7")
    assert states() == [("bounced", "")]


def test_without_anymail_nothing_is_heard() -> None:
    bounces.connect()
    assert "anymail" not in sys.modules
