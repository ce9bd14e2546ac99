"""Fixtures that the tests of notifications share."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils.translation import gettext_lazy as _

from notifications import types
from tests.backends.mail_server import MailServer, run_mail_server, settings_for
from tests.contract.rest import judge_answers
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


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    """A mail server to which the site hands its mails."""
    with run_mail_server() as server:
        for name, value in settings_for(server).items():
            setattr(settings, name, value)
        yield server


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer must be in the OpenAPI document."""
    judge_answers(monkeypatch)
