"""The system checks of notifications."""

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from notifications import conf
from notifications.checks import check_realtime, check_settings


def test_the_check_asks_for_realtime(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_realtime() == []
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "realtime")
    assert [error.id for error in check_realtime()] == ["notifications.E001"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"LANGUAGE": None}, []),
        ({"LANGUAGE": "notifications.languages.language_of"}, []),
        ({"LANGUAGE": "notifications.languages.tongue_of"}, ["NOTIFICATIONS['LANGUAGE']"]),
        ({"LANGUAGE": "notifications.nowhere.language_of"}, ["NOTIFICATIONS['LANGUAGE']"]),
        ({"LANGUAGE": "en"}, ["NOTIFICATIONS['LANGUAGE']"]),
        ({"LANGUAGE": len}, ["NOTIFICATIONS['LANGUAGE']"]),
        ({"TONGUE": 1, "LANGUAGE": 1}, ["NOTIFICATIONS", "NOTIFICATIONS['LANGUAGE']"]),
        ("LANGUAGE", ["NOTIFICATIONS"]),
    ],
)
def test_it_names_each_wrong_setting(settings, given, expected):
    settings.NOTIFICATIONS = given
    errors = check_settings()
    assert [error.msg.split()[0] for error in errors] == expected
    assert {error.id for error in errors} <= {"notifications.E002"}


def test_a_wrong_setting_is_not_used(settings):
    settings.NOTIFICATIONS = {"LANGUAGE": 1}
    with pytest.raises(ImproperlyConfigured, match="must be the dotted path of a function, or None, not 1"):
        conf.settings()
