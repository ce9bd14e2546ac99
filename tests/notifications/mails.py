"""What tests of mails share: a site that sends them, readers with addresses, and who is online."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from notifications.mailing import checking, sending
from notifications.models import Delivery
from realtime.integration import StoreUnavailable
from realtime.models import LastSeen
from tests.notifications.choices import NOON, Time
from tests.people import make_user

LATER = NOON + timedelta(minutes=5)  # what was sent at noon is due
SITE = {"MAIL": True, "SITE_URL": "https://example.com", "SITE_NAME": "Example"}


class Office:
    """A site that sends mails. Nobody is online unless the test says so."""

    def __init__(self, time: Time, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = time
        self._settings = settings
        self.online: set[Any] = set()
        self.is_away = False
        self.configure()
        settings.DEFAULT_FROM_EMAIL = "Example <news@example.com>"
        monkeypatch.setattr(checking, "find_connected", self._find_connected)

    def configure(self, **keys: Any) -> None:
        self._settings.NOTIFICATIONS = {**self._settings.NOTIFICATIONS, **SITE, **keys}

    def send(self, **units: float) -> list[Any]:
        """Let time pass, and send what is due. Returns the mails of this time."""
        before = len(mail.outbox)
        sending.send_due(self.time.pass_by(**units))
        return mail.outbox[before:]

    def _find_connected(self, users: Any) -> frozenset[Any]:
        if self.is_away:
            raise StoreUnavailable("away")
        return frozenset(self.online & set(users))

    def leave(self, user: Any) -> None:
        """The user's last socket closes now."""
        self.online.discard(user.pk)
        LastSeen.objects.update_or_create(user=user, defaults={"at": self.time.now})


def reader(name: str, **fields: Any) -> Any:
    return make_user(name, email=f"{name}@example.org", **fields)


def states() -> list[tuple[str, str]]:
    """State and reason of each delivery, oldest first."""
    return list(Delivery.objects.order_by("pk").values_list("state", "reason"))


def make_readers(count: int) -> list[Any]:
    return [reader(f"reader{number:03}") for number in range(count)]


def send_all(office: Office) -> None:
    sending.send_due(office.time.pass_by(minutes=5))
