"""System checks of the app. Registered by `apps`, run by Django."""

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any

from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.migrations.loader import MigrationLoader
from django.db.models import DateField
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.utils.module_loading import import_string
from django.utils.translation import override

from notifications import conf
from notifications.mailing import addresses, messages, unsubscribing
from notifications.migration import OwnMigration
from notifications.models import Notification
from notifications.parameters import find_unusable, templates_of
from notifications.rules.signals import all_rules
from notifications.texts import find_stray
from notifications.types import all_types, find_type
from realtime.integration import database_alias, find_foreign_tables, has_redis

OTHER_NAMES = (
    "write 'notifications.apps.RealtimeNotificationsConfig' in INSTALLED_APPS instead of 'notifications': this gives"
    " the app other names (README, Names)."
)
# A name with a comma, a colon or the like has to be quoted.
SENDER = """'news@example.com' or '"Example, Inc." <news@example.com>'"""


def register() -> None:
    checks.register(check_settings)
    checks.register(check_one_database)
    checks.register(check_mail)
    checks.register(check_rules)
    checks.register(check_types)
    checks.register(check_database, checks.Tags.database)


def check_settings(**_: Any) -> list[CheckMessage]:
    """E002: a key of NOTIFICATIONS that does not exist, or a value that names no function, field, sender or host."""
    problems, name = conf.find_problems(), conf.setting_name()
    if not problems:
        problems = [f"{name}{problem}" for problem in _find_wrong_names()]
    hint = "docs/notifications.md lists the keys of NOTIFICATIONS."
    if name == "NOTIFICATIONS":
        hint += f" If the setting is not for this app, {OTHER_NAMES}"
    return [Error(problem, hint=hint, id="notifications.E002") for problem in problems]


def _find_wrong_names() -> list[str]:
    settings = conf.settings()
    paths = {"LANGUAGE": settings.language, "MAIL_ADDRESS": settings.mail_address, "WEB_PUSH": settings.web_push}
    wrong = {key: path for key, path in paths.items() if path and not _is_function(path)}
    problems = [f"['{key}'] must be the path of a function: {path} is none." for key, path in wrong.items()]
    if settings.joined_field and not _is_moment(settings.joined_field):
        field = settings.joined_field
        problems.append(f"['JOINED_FIELD'] must be a field of the user model with a date: {field} is none.")
    if settings.mail_from and not addresses.is_sender(settings.mail_from):
        problems.append(f"['MAIL_FROM'] must be one address, {SENDER}, not {settings.mail_from!r}.")
    if settings.site_url and not addresses.has_host(settings.site_url):
        problems.append(f"['SITE_URL'] must be an address with a valid host and port, not {settings.site_url!r}.")
    return problems


def check_one_database(**_: Any) -> list[CheckMessage]:
    """E005: a notification and its event are stored in one transaction, and refer to users."""
    other = router.db_for_write(Notification)
    if other == database_alias():
        return []
    text = f"Notifications are in the database {other!r}, but the tables of realtime are in {database_alias()!r}."
    hint = "Let DATABASE_ROUTERS send what is written to both to one database."
    return [Error(text, hint=hint, id="notifications.E005")]


def check_mail(**_: Any) -> list[CheckMessage]:
    """E007, E008, W001, W003: links, templates, a mail server that hangs, and jobs that cannot know who is online."""
    if conf.find_problems() or not conf.settings().mail:
        return []
    found = _check_templates()
    if not conf.settings().site_url:
        text = "Mails about notifications have no links, not even to unsubscribe."
        hint = f"Set {conf.setting_name()}['SITE_URL'] to the address of the site."
        found.append(Error(text, hint=hint, id="notifications.E007"))
    if not addresses.is_included("notifications:unsubscribe", "token"):
        text = "Mails about notifications have no link to unsubscribe."
        hint = "Include notifications.urls in the urls of the site."
        found.append(Error(text, hint=hint, id="notifications.E007"))
    if conf.mail_may_hang():
        text = "A mail server that does not answer would stop the mails about notifications for a long time."
        hint = "Set EMAIL_TIMEOUT, or the option `timeout` in MAILERS, to some seconds."
        found.append(Warning(text, hint=hint, id="notifications.W001"))
    if not conf.settings().jobs_seconds and not has_redis():
        text = "Readers get mails while they have a page open: without Redis, jobs elsewhere do not know who is online."
        hint = f"Set REALTIME['REDIS_URL'], or {conf.setting_name()}['JOBS_SECONDS'] above 0."
        found.append(Warning(text, hint=hint, id="notifications.W003"))
    return found


def _check_templates() -> list[CheckMessage]:
    """E008: each mail would fail, and nobody but the log would know."""
    hint = (
        "TEMPLATES has to find the templates of the app, for example with APP_DIRS, or your own of these names"
        " (docs/notifications.md, Mails)."
    )
    found: list[CheckMessage] = []
    for name in (*messages.TEMPLATES, unsubscribing.TEMPLATE):
        try:
            get_template(name)
        except (TemplateDoesNotExist, TemplateSyntaxError) as error:
            problem = f"{error.__class__.__name__}: {error}"
            text = f"Mails about notifications need the template {name}, which cannot be loaded ({problem})."
            found.append(Error(text, hint=hint, id="notifications.E008"))
    return found


def check_rules(**_: Any) -> list[CheckMessage]:
    """E006: a rule that would send a type which does not exist, when something is saved."""
    unknown = sorted({rule.type for rule in all_rules() if rule.type and find_type(rule.type) is None})
    hint = f"Registered types: {', '.join(sorted(kind.key for kind in all_types()))}."
    return [
        Error(f"A rule of notify_on sends the unknown type {key!r}.", hint=hint, id="notifications.E006")
        for key in unknown
    ]


def check_types(**_: Any) -> list[CheckMessage]:
    """W002, W004: a text that nobody can fill in, because `notify` takes the name of its parameter for itself, or
    because of a percent sign.
    """
    hint = "Give the parameters other names, in the texts and where you call notify."
    found: list[CheckMessage] = []
    for kind in all_types():
        if names := find_unusable(kind, [conf.default_language()]):
            text = f"The type {kind.key!r} has parameters with names of options of notify: {', '.join(names)}."
            found.append(Warning(text, hint=hint, id="notifications.W002"))
        with override(conf.default_language()):
            strays = [stray for template in templates_of(kind) if (stray := find_stray(template))]
        for stray in strays:
            text = f"A text of the type {kind.key!r} has a percent sign that belongs to no parameter: {stray!r}."
            found.append(Warning(text, hint="Write %% for a percent sign.", id="notifications.W004"))
    return found


def _is_function(path: str) -> bool:
    """Whether a synchronous function is there: nothing would await another one, and web pushes would count as sent."""
    try:
        found = import_string(path)
    except ImportError:
        return False
    return callable(found) and not iscoroutinefunction(found) and not iscoroutinefunction(type(found).__call__)


def _is_moment(name: str) -> bool:
    """The default is right for every user model: without this field, nobody counts as newer than an announcement."""
    try:
        return isinstance(get_user_model()._meta.get_field(name), DateField)
    except FieldDoesNotExist:
        return name == conf.JOINED_FIELD


def check_database(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """What another app of the name has left, before `migrate` fails on it. Run by that, and by `check --database`."""
    return (check_migrations() or check_tables(databases)) if databases else []


def check_migrations() -> list[CheckMessage]:
    """E003: another package called `notifications` was installed into the same folder, and its files are still there.

    They would be applied together with ours.
    """
    package, is_of_the_site = MigrationLoader.migrations_module(_label())
    if package is None or is_of_the_site:
        return []
    folder: Any = import_module(package)
    foreign = sorted(name for _, name, _ in pkgutil.iter_modules(folder.__path__) if not _is_own(f"{package}.{name}"))
    if not foreign:
        return []
    text = f"{', '.join(foreign)} in {folder.__path__[0]} are migrations of another package called `notifications`."
    hint = "Uninstall that package and django-realtime-hub, delete the folder, and install django-realtime-hub again."
    return [Error(text, hint=hint, id="notifications.E003")]


def _is_own(module: str) -> bool:
    try:
        migration = getattr(import_module(module), "Migration", None)
    except ImportError:  # of something that is gone
        return False
    return isinstance(migration, type) and issubclass(migration, OwnMigration)


def check_tables(databases: Sequence[str]) -> list[CheckMessage]:
    """E004: an app with the same label has used the database, such as another package called `notifications`."""
    hint = (
        "If nobody needs what the other app has stored, delete its tables, and the rows of django_migrations in which"
        f" `app` is `{_label()}`."
    )
    if _label() == "notifications":
        hint += f" Otherwise, {OTHER_NAMES}"
    return [
        Error(problem, hint=hint, id="notifications.E004")
        for database in databases
        for problem in find_foreign_tables(_label(), database)
    ]


def _label() -> str:
    return Notification._meta.app_label
