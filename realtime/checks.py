"""System checks: they report settings with which the site would not work. Registered by `apps.ready`.

The ids are stable.
"""

import re
from collections.abc import Sequence
from inspect import iscoroutinefunction
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.db.utils import load_backend
from django.utils.module_loading import import_string
from rest_framework.settings import api_settings
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.settings import api_settings as token_settings

from realtime import conf
from realtime.auth.tokens import BLACKLIST, can_revoke
from realtime.installation import check_namesakes, check_redis_packages, check_runserver, check_tables
from realtime.storage.jobs import count_jobs
from realtime.storage.routed import alias

Messages = list[checks.CheckMessage]


def register() -> None:
    checks.register(check_all, "realtime")
    checks.register(check_tables, checks.Tags.database)  # alone: others may ask for all of `realtime`


def check_all(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> Messages:
    """All checks of the app. If the settings are wrong, only that is reported: the other checks read them."""
    if problems := check_settings(app_configs):
        return problems
    found = (
        check_layer,
        check_redis_packages,
        check_redis_timeout,
        check_tenants,
        check_one_database,
        check_database,
        check_autocommit,
        check_isolation,
        check_origins,
        check_blacklist,
        check_old_passwords,
        check_ended_logins,
        check_asgi,
        check_proxies,
        check_workers,
        check_namesakes,
        check_runserver,
        check_presence,
    )
    return [message for check in found for message in check(app_configs)]


def require_startable() -> None:
    """Raises ImproperlyConfigured if this process must not serve the site with its settings."""
    needed = (check_tenants, check_one_database, check_autocommit, check_workers, check_redis_packages)
    if errors := check_settings(None) or [error for check in needed for error in check(None)]:
        raise ImproperlyConfigured(" ".join(f"{error.msg} {error.hint}" for error in errors))


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Each key of REALTIME has to exist, and its value has to be of the right type and in the right range."""
    problems = conf.find_problems() or [*_check_functions(conf.settings()), *_check_visible(conf.settings())]
    hint = "README lists the keys of REALTIME."
    return [checks.Error(problem, hint=hint, id="realtime.E004") for problem in problems]


def _check_functions(values: conf.Settings) -> list[str]:
    """The dotted paths in the settings have to lead to functions."""
    paths = {
        "DISPLAY_NAME": values.display_name,
        "PRESENCE_AUDIENCE": values.presence_audience,
        "PRESENCE_VISIBLE": values.presence_visible,
    }
    wrong = {key: path for key, path in paths.items() if "." in path and not _is_function(path)}
    return [f"REALTIME['{key}'] must be the path of a function: {path} is none." for key, path in wrong.items()]


def _is_function(path: str) -> bool:
    """Whether a synchronous function is there."""
    try:
        found = import_string(path)
    except ImportError:
        return False
    return callable(found) and not iscoroutinefunction(found) and not iscoroutinefunction(type(found).__call__)


def _check_visible(values: conf.Settings) -> list[str]:
    if not values.presence_visible or "." in values.presence_audience:
        return []
    return ["REALTIME['PRESENCE_VISIBLE'] is only for a function in REALTIME['PRESENCE_AUDIENCE'], which names none."]


def check_presence(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """A function says who hears about a user, but not about whom a user may ask."""
    values = conf.settings()
    if "." not in values.presence_audience or values.presence_visible:
        return []
    text = "Users see nobody online but themselves over REST: nothing says whose presence they may see."
    hint = "Set REALTIME['PRESENCE_VISIBLE']: to the same path as PRESENCE_AUDIENCE, if users always see each other."
    return [checks.Warning(text, hint=hint, id="realtime.W013")]


def check_layer(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Presence and the channel layer must both be in Redis, or both in memory."""
    layer = _layer().get("BACKEND", "")
    messages: Messages = []
    if not layer:
        messages.append(checks.Warning("CHANNEL_LAYERS has no default layer.", hint="Set it.", id="realtime.W002"))
    in_memory = layer.endswith("InMemoryChannelLayer")
    if bool(conf.settings().redis_url) == in_memory and layer:
        text = "Of the channel layer and presence, one uses Redis and the other the memory of this process."
        hint = "Set REALTIME['REDIS_URL'] and use the pub/sub layer of channels_redis, or do neither."
        messages.append(checks.Error(text, hint=hint, id="realtime.E001"))
    if layer == "channels_redis.core.RedisChannelLayer":
        text = "The core layer of channels_redis drops publications without an error when 100 are waiting in a process."
        hint = "Use channels_redis.pubsub.RedisPubSubChannelLayer."
        messages.append(checks.Warning(text, hint=hint, id="realtime.W003"))
    return messages


def check_redis_timeout(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Without a `socket_timeout`, redis-py 8 closes an idle connection after 5 s (channels_redis#422)."""
    hosts = _layer().get("CONFIG", {}).get("hosts", [])
    if not _layer().get("BACKEND", "").startswith("channels_redis."):
        return []
    if hosts and all(isinstance(host, dict) and (host.get("socket_timeout") or 0) > 5 for host in hosts):
        return []
    text = "The channel layer's connections to Redis have no `socket_timeout` of their own."
    hint = 'Write hosts as {"address": "redis://…", "socket_timeout": 10}: otherwise quiet processes lose publications.'
    return [checks.Warning(text, hint=hint, id="realtime.W004")]


def check_tenants(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """A socket outlives the request that chose the schema, and one bus, log and presence serve all of them."""
    named = conf.find_schema_tenants()
    if not named:
        return []
    text = f"A site with a schema for each tenant ({named}) is not supported: sockets would not know their schema."
    hint = "Serve real time from a site of its own with one schema, or give each tenant a site and a database."
    return [checks.Error(text, hint=hint, id="realtime.E009")]


def check_one_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Rooms, messages and tickets refer to users, and queries join them: no database can do that with another one."""
    models = [get_user_model(), *apps.get_app_config("realtime").get_models()]
    apart = next((model for model in models if router.db_for_write(model) != alias()), None)
    if apart is None:
        return []
    other = router.db_for_write(apart)
    text = f"The tables of realtime are in the database {alias()!r}, but {apart._meta.label} is in {other!r}."
    hint = "Let DATABASE_ROUTERS send what is written to both to one database."
    return [checks.Error(text, hint=hint, id="realtime.E010")]


def check_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    database = conf.database(alias())
    engine, options = database.get("ENGINE", ""), database.get("OPTIONS", {})
    vendor = _find_vendor(engine)
    if vendor == "sqlite":
        return _check_sqlite(options)
    if vendor != "postgresql":
        text = f"The database must be PostgreSQL or SQLite, not {engine or 'none'}."
        hint = f"Change ENGINE in DATABASES['{alias()}'], or let DATABASE_ROUTERS send what is written to another one."
        return [checks.Error(text, hint=hint, id="realtime.E002")]
    needed = conf.settings().database_threads + count_jobs() + 1  # and one for REST
    if (pool := options.get("pool")) and _pool_size(pool) < needed:
        text = "The database pool has fewer connections than one process needs."
        hint = f"Set max_size in OPTIONS['pool'] to at least {needed}, or lower REALTIME['DATABASE_THREADS']."
        return [checks.Warning(text, hint=hint, id="realtime.W005")]
    return []


def _find_vendor(engine: str) -> str:
    """Whose database it is: a site's own backend is one of Django's, extended. By its name if it cannot be loaded."""
    if not engine:
        return ""
    try:
        return str(load_backend(engine).DatabaseWrapper.vendor)
    except (ImproperlyConfigured, ImportError, AttributeError):  # Django reports it with the first query
        vendors = {"sqlite3": "sqlite", "spatialite": "sqlite", "postgresql": "postgresql", "postgis": "postgresql"}
        return vendors.get(engine.rpartition(".")[2], "")


def _pool_size(pool: dict[str, Any] | bool) -> int:
    """The pool's maximum, as psycopg_pool reads it: without `max_size` it never grows; True means its defaults."""
    sizes = pool if isinstance(pool, dict) else {}
    return int(sizes.get("max_size") or sizes.get("min_size", 4))


def _check_sqlite(options: dict[str, Any]) -> Messages:
    mode = str(options.get("transaction_mode") or "").upper()  # as Django reads it
    if mode in ("IMMEDIATE", "EXCLUSIVE") and options.get("timeout", 5) >= 10:
        return []
    text = "SQLite will fail with `database is locked` when two threads write at the same time."
    hint = (
        'Set OPTIONS to {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"}.'
    )
    return [checks.Warning(text, hint=hint, id="realtime.W006")]


def check_autocommit(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Without autocommit, Django's `atomic` does not commit, and neither do the transactions of this app."""
    if conf.database(alias()).get("AUTOCOMMIT", True):
        return []
    text = f"DATABASES['{alias()}'] turns autocommit off: messages would be acknowledged and never committed."
    hint = "Remove AUTOCOMMIT, and call `transaction.set_autocommit(False)` where you want to commit by hand."
    return [checks.Error(text, hint=hint, id="realtime.E006")]


def check_isolation(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """The app's own transactions are READ COMMITTED. But with ATOMIC_REQUESTS, the REST API runs in the site's."""
    database = conf.database(alias())
    options = database.get("OPTIONS", {})
    level = getattr(options.get("isolation_level"), "name", "") or str(options.get("options", ""))
    is_strict = re.search(r"repeatable|serializable", level, re.IGNORECASE)
    if not database.get("ATOMIC_REQUESTS") or not is_strict:
        return []
    text = (
        "With ATOMIC_REQUESTS and this isolation level, requests to the REST API at the same time may be refused (503)."
    )
    hint = "Use READ COMMITTED, or turn ATOMIC_REQUESTS off."
    return [checks.Warning(text, hint=hint, id="realtime.W011")]


def check_origins(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """With "*" and session cookies, any page could open a socket in the name of its visitor."""
    values = conf.settings()
    if "*" not in values.allowed_origins or "session" not in values.credentials:
        return []
    text = "Any web page can open a socket with the session cookie of its visitor: REALTIME['ALLOWED_ORIGINS'] has `*`."
    hint = "List the origins that may open sockets, or remove `session` from REALTIME['CREDENTIALS']."
    return [checks.Error(text, hint=hint, id="realtime.E003")]


def check_blacklist(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if can_revoke():
        return []
    text = "Tokens cannot be revoked: a logout closes sockets, but the token can open new ones until it expires."
    hint = f"Add {BLACKLIST} to INSTALLED_APPS: by this name, which simplejwt looks for."
    return [checks.Warning(text, hint=hint, id="realtime.W007")]


def check_old_passwords(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Without CHECK_REVOKE_TOKEN, simplejwt's tokens do not know the password for which they were issued."""
    if token_settings.CHECK_REVOKE_TOKEN:
        return []
    text = "A new password closes the user's sockets, but tokens from before it can open new ones until they expire."
    hint = "Set SIMPLE_JWT['CHECK_REVOKE_TOKEN'] to True. Everybody has to log in again then, once."
    return [checks.Warning(text, hint=hint, id="realtime.W010")]


def check_ended_logins(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """simplejwt refuses no access token before it expires. The views of this app do, whatever the site names."""
    classes: Sequence[Any] = api_settings.DEFAULT_AUTHENTICATION_CLASSES
    names = [
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in classes
        if issubclass(kind, JWTAuthentication) and not getattr(kind, "refuses_ended", False)
    ]
    if not names:
        return []
    text = f"The site's own REST views accept access tokens after their login has ended: they use {', '.join(names)}."
    hint = (
        "In REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES'], name realtime.api.authentication.TokenAuthentication, or "
        "derive your own class from it."
    )
    return [checks.Warning(text, hint=hint, id="realtime.W014")]


def check_asgi(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if conf.has_asgi_application():
        return []
    hint = "Set it to the path of an application that realtime.routing.asgi_application returned."
    return [checks.Warning("ASGI_APPLICATION is not set.", hint=hint, id="realtime.W008")]


def check_proxies(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Without NUM_PROXIES, REST framework uses the whole X-Forwarded-For as the client's address.

    A client can send a different one with each request.
    """
    values = conf.settings()
    counted = values.logins_per_minute or values.logins_per_minute_per_address
    if api_settings.NUM_PROXIES is not None or not counted:
        return []
    text = "Attempts to log in are counted by an address that the client can forge."
    hint = "Set REST_FRAMEWORK['NUM_PROXIES'] to 0 under `serve`, otherwise to the number of trusted proxies."
    return [checks.Warning(text, hint=hint, id="realtime.W009")]


def check_workers(
    app_configs: Sequence[AppConfig] | None = None, workers: int | None = None, **kwargs: Any
) -> Messages:
    """Without Redis, processes share nothing. `workers` is passed by `serve`, else it is WEB_CONCURRENCY."""
    workers = conf.worker_count() if workers is None else workers
    if workers == 1 or conf.settings().redis_url or conf.settings().isolated_workers:
        return []
    text = f"There are {workers} workers but no REDIS_URL: each would know only its own sockets and users."
    hint = (
        "Set REALTIME['REDIS_URL'], or serve with one worker. To have it like this, set REALTIME['ISOLATED_WORKERS']."
    )
    return [checks.Error(text, hint=hint, id="realtime.E005")]


def _layer() -> dict[str, Any]:
    return conf.default_layer()
