"""System checks of the site. Registered by `apps`."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error


def check_demo(app_configs: Any, **options: Any) -> list[CheckMessage]:
    if not settings.DEMO:
        return []
    return [Error("DEMO lets anybody sign in as one of the demo's people, and as the admin.", id="project.E001")]
