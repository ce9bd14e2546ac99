"""Addresses that take no mails, and readers who complain about them. Called by `sending` and by django-anymail.

An address is written to again when the user has another one, or switches mails on again.
"""

from typing import Any

from django.apps import apps
from django.db.models import QuerySet

from notifications import clock
from notifications.mailing.recipients import bare, find_address, is_same_address, load_users, note
from notifications.mailing.unsubscribing import stop_mails
from notifications.models import Delivery, Reader
from realtime.integration import own_transaction, retry_conflicts

FAILED = {"bounced": Delivery.State.BOUNCED, "rejected": Delivery.State.BOUNCED, "failed": Delivery.State.FAILED}
UNWANTED = {"complained", "unsubscribed"}
# Reasons of a bounce that say nothing about the address: they are about the mail, or end some day.
PASSING = {"blocked", "spam", "timed_out"}
ERROR_CHARS = 500


def connect() -> None:
    """Listen to what mail services report, if django-anymail is installed. Called once by `apps`."""
    if apps.is_installed("anymail"):
        from anymail.signals import tracking

        tracking.connect(on_tracking, dispatch_uid="notifications.mailing.bounces")


def on_tracking(sender: Any, event: Any, **_: Any) -> None:
    """A mail service has reported what has become of a mail (`anymail.signals.tracking`)."""
    if not event.message_id or event.event_type not in FAILED.keys() | UNWANTED:
        return
    deliveries = Delivery.objects.filter(message_id=event.message_id, channel="mail")
    readers = set(deliveries.values_list("user_id", flat=True))
    if event.event_type in UNWANTED:
        for reader in readers:
            stop_mails(reader)
        return
    why = str(event.description or event.mta_response or event.event_type).replace("\0", "")[:ERROR_CHARS]
    reason = str(event.reject_reason or "")[:16]
    _note(deliveries, state=FAILED[event.event_type], reason=reason, error=why, settled_at=clock.now())
    if event.event_type == "bounced" and reason not in PASSING:
        for reader, user in load_users(list(readers)).items():
            address = find_address(user)  # an error must not keep the other reports of this request from being noted
            if address and is_same_address(address, str(event.recipient)):
                note_bad_address(reader, address)


@retry_conflicts
def _note(deliveries: "QuerySet[Delivery]", **values: Any) -> None:
    with own_transaction():
        Delivery.objects.filter(pk__in=Delivery.lock(deliveries)).update(**values)


def note_bad_address(reader: Any, address: str) -> None:
    note([Reader(user_id=reader, bounced_address=bare(address))], "bounced_address")
