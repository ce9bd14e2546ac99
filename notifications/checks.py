"""System checks of the app: what a site must have set up. Registered by `apps`, run by Django."""

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error


def check_realtime(**_: Any) -> list[CheckMessage]:
    """E001: without `realtime` there is no table for the events that carry notifications."""
    if apps.is_installed("realtime"):
        return []
    hint = "Add 'realtime' to INSTALLED_APPS."
    return [Error("notifications needs the app 'realtime'.", hint=hint, id="notifications.E001")]
