"""Fixtures that the tests of notifications share."""

from typing import Any

import pytest
from django.utils.translation import gettext_lazy as _

from notifications import types
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


@pytest.fixture
def greeting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type with a text and a number as parameters. The test may register others."""
    monkeypatch.setattr(types, "_types", dict(types._types))
    message = "Hello %(name)s, %(count)d times"
    types.register("greeting", title=_("New mention"), message=message, example={"name": "Ada"})
