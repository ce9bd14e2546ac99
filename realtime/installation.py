"""What is installed beside the apps: optional packages, and packages and tables with the names of ours.

Its checks are run with those of `checks`; `serve` asks for the packages that it needs.
"""

import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.core.management import get_commands
from django.utils.version import get_version_tuple

from realtime import conf
from realtime.storage.foreign_tables import find_foreign_tables

DISTRIBUTION = "django-realtime-hub"
# The packages of each extra without which nothing of it works, with the oldest versions that pyproject.toml allows.
EXTRAS = {
    "redis": {"channels-redis": "4.3", "redis": "6"},
    "server": {"httptools": "0.6.4", "uvicorn": "0.52.1", "websockets": "17"},
}

# The apps whose `runserver` knows WSGI alone.
WITHOUT_SOCKETS = {"django.core", "django.contrib.staticfiles"}

Messages = list[checks.CheckMessage]


def find_missing(extra: str) -> list[str]:
    """Those requirements of an extra that are not met, such as `uvicorn>=0.52.1`."""
    return [f"{name}>={oldest}" for name, oldest in EXTRAS[extra].items() if not _is_met(name, oldest)]


def _is_met(name: str, oldest: str) -> bool:
    if find_spec(name.replace("-", "_")) is None:
        return False
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:  # a bundle of code without metadata
        return True
    return get_version_tuple(found) >= get_version_tuple(oldest)


def advise(extra: str) -> str:
    return f"Install them: pip install '{DISTRIBUTION}[{extra}]'."


def check_redis_packages(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """The client of Redis and the channel layer are optional, until the settings name Redis."""
    backend = conf.default_layer().get("BACKEND", "")
    wanted = {"redis": bool(conf.settings().redis_url), "channels-redis": backend.startswith("channels_redis.")}
    missing = [name for name in find_missing("redis") if wanted[name.partition(">=")[0]]]
    if not missing:
        return []
    text = f"REALTIME['REDIS_URL'] or CHANNEL_LAYERS needs packages that are missing or too old: {', '.join(missing)}."
    return [checks.Error(text, hint=advise("redis"), id="realtime.E007")]


def check_runserver(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Only while it starts: a site that is served in another way needs no daphne."""
    if sys.argv[1:2] != ["runserver"] or get_commands()["runserver"] not in WITHOUT_SOCKETS:
        return []
    text = "Django's own `runserver` serves no sockets: it answers their addresses with 404."
    hint = "Use `serve --reload`, or install daphne and put it first in INSTALLED_APPS."
    return [checks.Warning(text, hint=hint, id="realtime.W015")]


def check_namesakes(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Python finds one package of a name: another `notifications` hides ours, or has overwritten its files."""
    hint = (
        f"To use ours, rename the other package or uninstall it, and install {DISTRIBUTION} again, because its files"
        " may have been overwritten. To use `realtime` alone, add realtime.W012 to SILENCED_SYSTEM_CHECKS."
    )
    return [
        checks.Warning(
            f"The app `notifications` is another package, in {config.path}{_describe_owner(config)}."
            f" That of {DISTRIBUTION} cannot be loaded beside it.",
            hint=hint,
            id="realtime.W012",
        )
        for config in apps.get_app_configs()
        if config.name == "notifications" and getattr(config, "distribution", "") != DISTRIBUTION
    ]


def _describe_owner(config: AppConfig) -> str:
    owners = {
        name
        for name in metadata.packages_distributions().get(config.name, [])
        if name != DISTRIBUTION and Path(str(metadata.distribution(name).locate_file(config.name))) == Path(config.path)
    }
    return f", of {' and '.join(sorted(owners))}" if owners else ""


def check_tables(
    app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **kwargs: Any
) -> Messages:
    """Before `migrate` fails on the tables of another app: `migrate` and `check --database` run this."""
    hint = (
        "Another app with the label `realtime` has used this database. Rename its tables, or delete them if nobody"
        " needs them, and delete the rows of django_migrations in which `app` is `realtime`."
    )
    return [
        checks.Error(problem, hint=hint, id="realtime.E008")
        for database in databases or ()
        for problem in find_foreign_tables("realtime", database)
    ]
