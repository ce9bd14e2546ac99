"""Settings of the app. No other module reads `django.conf.settings`.

A site sets a dictionary: `NOTIFICATIONS = {"LANGUAGE": "mysite.users.language_of"}`. Called by `languages`.
The setting has another name if the site has installed the app under other names (`apps`).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from realtime.integration import read_settings

Path = Annotated[
    Annotated[str, msgspec.Meta(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+\Z")] | None,
    msgspec.Meta(description="the dotted path of a function, or None"),
]


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of `settings.NOTIFICATIONS` in lower case, with their defaults."""

    # The dotted path of a function that takes a user and returns a language code; see `languages`.
    language: Path = None


def setting_name() -> str:
    config: Any = apps.get_containing_app_config(__name__)
    return str(config.setting)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The defaults, overridden by the site's `NOTIFICATIONS`. Raises ImproperlyConfigured that names what is wrong."""
    values, problems = read_settings(setting_name(), Settings)
    if problems:
        raise ImproperlyConfigured(" ".join(problems))
    return Settings(**values)


def find_problems() -> list[str]:
    """What is wrong with the site's `NOTIFICATIONS`: a sentence for each key. Empty if it is right."""
    return read_settings(setting_name(), Settings)[1]


def clear_cache(**_: Any) -> None:
    """Read the settings again at the next call. Connected to `setting_changed`, so `override_settings` works."""
    settings.cache_clear()


setting_changed.connect(clear_cache, dispatch_uid="notifications.conf.clear_cache")


def default_language() -> str:
    return str(django_settings.LANGUAGE_CODE)
