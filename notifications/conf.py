"""Settings of the app. No other module reads `django.conf.settings`.

A site sets a dictionary: `NOTIFICATIONS = {"LANGUAGE": "mysite.users.language_of"}`. Called by `languages`.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of `settings.NOTIFICATIONS` in lower case, with their defaults."""

    # The dotted path of a function that takes a user and returns a language code; see `languages`.
    language: str | None = None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The defaults, overridden by the site's `NOTIFICATIONS`. Raises ImproperlyConfigured for an unknown key."""
    given: dict[str, Any] = getattr(django_settings, "NOTIFICATIONS", {})
    known = {field.name for field in fields(Settings)}
    unknown = sorted(key for key in given if key.lower() not in known)
    if unknown:
        raise ImproperlyConfigured(f"NOTIFICATIONS has unknown keys: {', '.join(unknown)}")
    return Settings(**{key.lower(): value for key, value in given.items()})


def clear_cache(*, setting: str = "NOTIFICATIONS", **_: Any) -> None:
    """Read the settings again at the next call. Connected to `setting_changed`, so `override_settings` works."""
    if setting == "NOTIFICATIONS":
        settings.cache_clear()


setting_changed.connect(clear_cache, dispatch_uid="notifications.conf.clear_cache")


def default_language() -> str:
    return str(django_settings.LANGUAGE_CODE)
