"""The system check of notifications."""

import pytest
from django.apps import apps

from notifications.checks import check_realtime


def test_the_check_asks_for_realtime(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_realtime() == []
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "realtime")
    assert [error.id for error in check_realtime()] == ["notifications.E001"]
