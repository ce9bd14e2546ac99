"""Fixtures that the tests of notifications share."""

from typing import Any

import pytest

from tests.notifications.choices import Time
from tests.notifications.mails import Office, reader


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The app's clock, which stands still at noon until the test moves it."""
    return Time(monkeypatch)


@pytest.fixture
def office(time: Time, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A site that sends mails; nobody is online."""
    return Office(time, settings, monkeypatch)


@pytest.fixture
def erin(db: None) -> Any:
    """A user with an address."""
    return reader("erin")
