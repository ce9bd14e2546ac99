"""What tests of preferences need: types of their own, choices of readers, and moments."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifications import clock, types
from notifications.models import Delivery, Notification
from notifications.preferences import changing

NIGHT = {"days": [1, 2, 3, 4, 5, 6, 7], "start": "22:00", "end": "07:00"}
MIDNIGHT = datetime(2030, 1, 16, 0, 0, tzinfo=UTC)  # a Wednesday
NOON = MIDNIGHT + timedelta(hours=12)


class Time:
    """The app's clock, which stands still until the test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moment = NOON
        monkeypatch.setattr(clock, "stand_in", lambda: self.moment)

    @property
    def now(self) -> datetime:
        return clock.now()

    def set(self, moment: datetime) -> None:
        self.moment = moment

    def pass_by(self, **units: float) -> datetime:
        self.moment += timedelta(**units)
        return self.now


def choose(user: Any, **changes: Any) -> None:
    changing.change(user, **changes)


def register(monkeypatch: pytest.MonkeyPatch, key: str, **options: Any) -> None:
    """A type for this test alone."""
    monkeypatch.setattr(types, "_types", dict(types._types))
    types.register(key, **{"title": key, "message": "", **options})


def delivery_of(row: Notification) -> Delivery:
    """Its last one."""
    return Delivery.objects.filter(notification=row).latest("round")
