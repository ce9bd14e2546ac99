"""System checks of the app. Registered by `apps`, run by Django."""

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from notifications import conf


def check_realtime(**_: Any) -> list[CheckMessage]:
    """E001: notifications are pushed as events, and the table of events belongs to `realtime`."""
    if apps.is_installed("realtime"):
        return []
    hint = "Add 'realtime' to INSTALLED_APPS."
    return [Error("The app 'notifications' needs the app 'realtime'.", hint=hint, id="notifications.E001")]


def check_settings(**_: Any) -> list[CheckMessage]:
    """E002: a key of NOTIFICATIONS that does not exist, or a value that is not the path of a function."""
    problems = conf.find_problems()
    if not problems and (path := conf.settings().language) and not _is_function(path):
        problems = [f"NOTIFICATIONS['LANGUAGE'] must be the path of a function: {path} is none."]
    return [
        Error(problem, hint="README lists the keys of NOTIFICATIONS.", id="notifications.E002") for problem in problems
    ]


def _is_function(path: str) -> bool:
    try:
        return callable(import_string(path))
    except ImportError:
        return False
