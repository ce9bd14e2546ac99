"""System checks of the app. Registered by `apps`, run by Django."""

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error


def check_realtime(**_: Any) -> list[CheckMessage]:
    """E001: notifications are pushed as events, and the table of events belongs to `realtime`."""
    if apps.is_installed("realtime"):
        return []
    hint = "Add 'realtime' to INSTALLED_APPS."
    return [Error("The app 'notifications' needs the app 'realtime'.", hint=hint, id="notifications.E001")]
