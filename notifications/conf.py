"""Settings of the app. No other module reads `django.conf.settings`.

A site sets a dictionary: `NOTIFICATIONS = {"LANGUAGE": "mysite.users.language_of"}`. Called by all modules of the app.
The setting has another name if the site has installed the app under other names (`apps`).
"""

from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Annotated, Any

import django
import msgspec
from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils import timezone

from realtime.integration import read_settings

Path = Annotated[
    Annotated[str, msgspec.Meta(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+\Z")] | None,
    msgspec.Meta(description="the dotted path of a function, or None"),
]
Field = Annotated[
    str,
    msgspec.Meta(pattern=r"^([^\W\d]\w*)?\Z", description='the name of a field of the user model, or ""'),
]
Limit = Annotated[
    Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] | None,
    msgspec.Meta(description="a whole number, or 0 or None for no limit"),
]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=1_000_000_000, description="a number above 0")]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000, description="a whole number, 1 or more")]
Days = Annotated[float, msgspec.Meta(ge=0, le=36_500, description="a number of days, 0 to 36500")]
Period = Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000, description="a number, 0 or more")]
Attempts = Annotated[int, msgspec.Meta(ge=1, le=1_000, description="a whole number, 1 to 1000")]
Switch = Annotated[bool, msgspec.Meta(description="True or False")]
Url = Annotated[
    str,
    msgspec.Meta(pattern=r"^\Z|^https?://[^/?#@\s]+(/[^?#\s]*)?\Z", description='"", or an address https://…'),
]
Words = Annotated[str, msgspec.Meta(pattern=r"^[^\r\n]*\Z", description="a text of one line")]

JOINED_FIELD = "date_joined"


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of `settings.NOTIFICATIONS` in lower case, with their defaults."""

    # The dotted path of a function that takes a user and returns a language code; see `languages`.
    language: Path = None
    # A group of notifications grows until it has been quiet for so long, and never for longer than the second.
    group_seconds: Seconds = 3600
    group_seconds_at_most: Seconds = 86_400
    # Acts, actions, undoing, following and muting over REST, of one user.
    acts_per_minute: Limit = 300
    # The field of the user model with the moment at which a user joined; empty if there is none.
    joined_field: Field = JOINED_FIELD
    # How many requests for announcements a second the site answers well, when all open clients ask for them.
    announcement_requests_per_second: Count = 200
    # Older notifications are deleted; 0 keeps them for ever.
    read_days: Days = 90
    unread_days: Days = 180
    # Pushes to one reader in a minute. Those beyond are withheld, and one count is sent.
    pushes_per_minute: Limit = 60
    # How often one of the processes that serve sockets looks for work that is due; 0: the site runs the jobs otherwise.
    jobs_seconds: Period = 5

    # Whether readers who are away get mails, from which address ("": DEFAULT_FROM_EMAIL), and to which: the dotted path
    # of a function that takes a user.
    mail: Switch = False
    mail_from: Words = ""
    mail_address: Path = None
    # How long readers have to be away, if they have not chosen that themselves.
    mail_away_minutes: Period = 5
    # False: mails say how many notifications there are, and nothing of what they say.
    mail_contents: Switch = True
    mail_attempts: Attempts = 6
    # Where the site is and what it is called, for links in mails. Without a name, it is the host.
    site_url: Url = ""
    site_name: Words = ""

    # The dotted path of a function that takes what is to be sent by web push, a list of `web_push.WebPush`.
    web_push: Path = None

    # False: nothing is registered in Django's admin, and the site registers classes of its own.
    admin: Switch = True


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


def has_admin() -> bool:
    """Whether the app registers its classes in Django's admin. Asked at start, where checks report what is wrong."""
    return read_settings(setting_name(), Settings)[0].get("admin", True) is True


def clear_cache(**_: Any) -> None:
    """Read the settings again at the next call. Connected to `setting_changed`, so `override_settings` works."""
    settings.cache_clear()


setting_changed.connect(clear_cache, dispatch_uid="notifications.conf.clear_cache")


def default_language() -> str:
    return str(django_settings.LANGUAGE_CODE)


def languages() -> dict[str, str]:
    """The names of the site's languages, by their codes."""
    return {str(code): str(name) for code, name in django_settings.LANGUAGES}


def time_zone() -> tzinfo:
    return timezone.get_default_timezone()


def mail_may_hang() -> bool:
    """Whether the site sends mails by SMTP without a limit of time: Django's default, also in MAILERS of 6.1."""
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    mailers = getattr(django_settings, "MAILERS", None)
    if mailers is None:
        return _read_older("EMAIL_BACKEND", smtp) == smtp and _read_older("EMAIL_TIMEOUT", None) is None
    default = mailers.get("default", {})
    return default.get("BACKEND", smtp) == smtp and default.get("OPTIONS", {}).get("timeout") is None


def _read_older(name: str, default: object) -> object:
    """A setting that Django 6.1 has deprecated. It warns whoever reads one, also where the site has none of them."""
    given: Any = django_settings
    return getattr(given, name) if django.VERSION < (6, 1) or given.is_overridden(name) else default
