"""Every system check: when it speaks, and when it is silent."""

from types import SimpleNamespace

import pytest
from django.core import checks as django_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from rest_framework.authentication import SessionAuthentication
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from notifications.jobs import JOBS
from realtime import checks, installation
from realtime.api.authentication import TokenAuthentication
from realtime.auth import tokens
from realtime.routing import asgi_application

MEMORY = "channels.layers.InMemoryChannelLayer"
PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
CORE = "channels_redis.core.RedisChannelLayer"
REDIS = "redis://127.0.0.1:6379/0"
PATIENT = {"address": REDIS, "socket_timeout": 10}
SQLITE = {"transaction_mode": "IMMEDIATE", "timeout": 20}
BLACKLIST = "rest_framework_simplejwt.token_blacklist"


@pytest.fixture
def realtime(settings):
    """Sets keys of REALTIME over those that no check minds."""

    def change(**keys):
        settings.REALTIME = {"REDIS_URL": "", **keys}

    change()
    return change


@pytest.fixture
def layer(settings):
    def change(backend, *hosts):
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": {"hosts": list(hosts)} if hosts else {}}}

    return change


@pytest.fixture
def use_database(monkeypatch):
    """Django forbids changing DATABASES in a test: the check is shown another one."""

    def change(engine, **options):
        found = {"ENGINE": f"django.db.backends.{engine}", "OPTIONS": options}
        monkeypatch.setattr(checks.conf, "database", lambda alias: found)

    return change


def ids(check):
    return [message.id for message in check(None)]


def test_it_has_nothing_to_say_about_the_sites_own_settings():
    assert [m for m in django_checks.run_checks(tags=["realtime"]) if m.id.startswith("realtime.")] == []


def test_every_check_is_run(monkeypatch):
    assert checks.check_all in django_checks.registry.registry.registered_checks
    assert checks.check_tables in django_checks.registry.registry.registered_checks
    apart = ("check_all", "check_settings", "check_tables")
    names = [name for name in vars(checks) if name.startswith("check_") and name not in apart]
    for name in names:
        monkeypatch.setattr(checks, name, lambda _, name=name: [name])
    assert sorted(checks.check_all()) == sorted(names)


def test_it_reports_each_wrong_setting_and_nothing_that_follows_from_it(settings):
    settings.REALTIME = {"HEARTBEAT_SECONDS": "25", "TYPO": 1}
    assert [message.id for message in checks.check_all()] == ["realtime.E004", "realtime.E004"]


async def find_name(_user):
    return ""


class FindName:
    async def __call__(self, _user):
        return ""


find_name_in_class = FindName()


@pytest.mark.parametrize("key", ["PRESENCE_AUDIENCE", "PRESENCE_VISIBLE", "DISPLAY_NAME"])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("realtime.presence.audience.room_mates", []),
        ("realtime.presence.audience.friends", ["realtime.E004"]),
        ("realtime.presence.nowhere.room_mates", ["realtime.E004"]),
        ("realtime.presence.audience.__doc__", ["realtime.E004"]),
        (f"{__name__}.find_name", ["realtime.E004"]),
        (f"{__name__}.find_name_in_class", ["realtime.E004"]),
    ],
)
def test_it_wants_functions_that_can_be_called(realtime, key, path, expected):
    realtime(**{"PRESENCE_AUDIENCE": "realtime.presence.audience.room_mates", key: path})
    assert ids(checks.check_settings) == expected


@pytest.mark.parametrize("audience", ["everyone", "rooms", "nobody"])
def test_it_wants_no_reverse_of_a_function_that_is_none(realtime, audience):
    realtime(PRESENCE_AUDIENCE=audience)
    assert ids(checks.check_settings) == ids(checks.check_presence) == []
    realtime(PRESENCE_AUDIENCE=audience, PRESENCE_VISIBLE="realtime.presence.audience.room_mates")
    assert ids(checks.check_settings) == ["realtime.E004"]


def test_it_asks_for_the_reverse_of_an_audience(realtime):
    path = "realtime.presence.audience.room_mates"
    realtime(PRESENCE_AUDIENCE=path)
    assert ids(checks.check_presence) == ["realtime.W013"]
    realtime(PRESENCE_AUDIENCE=path, PRESENCE_VISIBLE=path)
    assert ids(checks.check_presence) == []


@pytest.mark.parametrize(
    ("workers", "keys", "expected"),
    [
        ("1", {}, []),
        ("2", {}, ["realtime.E005"]),
        ("2", {"REDIS_URL": REDIS}, []),
        ("2", {"ISOLATED_WORKERS": True}, []),
    ],
)
def test_it_starts_no_workers_that_know_nothing_of_each_other(realtime, monkeypatch, workers, keys, expected):
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    realtime(**keys)
    assert ids(checks.check_workers) == expected
    if expected:
        with pytest.raises(ImproperlyConfigured, match="There are 2 workers"):
            asgi_application(None)
    else:
        asgi_application(None)


def test_no_server_starts_with_a_wrong_setting(settings):
    settings.REALTIME = {"HEARTBEAT_SECONDS": 0}
    with pytest.raises(ImproperlyConfigured, match="HEARTBEAT_SECONDS"):
        asgi_application(None)


@pytest.mark.parametrize("values", [{"SITE_URL": "example.com"}, {"MAIL": "1"}, {"JOBS": 5}])
def test_no_server_starts_with_a_wrong_setting_of_notifications(settings, values):
    settings.NOTIFICATIONS = values
    with pytest.raises(ImproperlyConfigured, match=f"NOTIFICATIONS.*{next(iter(values))}"):
        asgi_application(None)


def test_serve_refuses_them(realtime):
    realtime()
    with pytest.raises(CommandError, match="There are 2 workers"):
        call_command("serve", workers=2)


@pytest.mark.parametrize(
    ("backend", "redis_url", "expected"),
    [
        (MEMORY, "", []),
        (PUBSUB, REDIS, []),
        (PUBSUB, "", ["realtime.E001"]),
        (MEMORY, REDIS, ["realtime.E001"]),
        (CORE, REDIS, ["realtime.W003"]),
        (CORE, "", ["realtime.E001", "realtime.W003"]),
        ("site.layers.OwnLayer", REDIS, []),
    ],
)
def test_it_wants_the_layer_and_presence_in_one_place(realtime, layer, backend, redis_url, expected):
    realtime(REDIS_URL=redis_url)
    layer(backend)
    assert ids(checks.check_layer) == expected


@pytest.mark.parametrize("redis_url", ["", REDIS])
def test_it_misses_a_layer(realtime, settings, redis_url):
    realtime(REDIS_URL=redis_url)
    settings.CHANNEL_LAYERS = {}
    assert ids(checks.check_layer) == ["realtime.W002"]
    assert ids(checks.check_redis_timeout) == []


@pytest.mark.parametrize("backend", [PUBSUB, CORE])
@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([PATIENT], []),
        ([PATIENT, {**PATIENT, "socket_timeout": 6}], []),
        ([], ["realtime.W004"]),
        ([REDIS], ["realtime.W004"]),
        ([("127.0.0.1", 6379)], ["realtime.W004"]),
        ([{"address": REDIS}], ["realtime.W004"]),
        ([{**PATIENT, "socket_timeout": None}], ["realtime.W004"]),
        ([{**PATIENT, "socket_timeout": 5}], ["realtime.W004"]),
        ([PATIENT, REDIS], ["realtime.W004"]),
    ],
)
def test_it_wants_a_time_out_longer_than_a_pause(layer, backend, hosts, expected):
    layer(backend, *hosts)
    assert ids(checks.check_redis_timeout) == expected


def test_it_does_not_mind_the_hosts_of_other_layers(layer):
    layer(MEMORY)
    assert ids(checks.check_redis_timeout) == []


@pytest.mark.parametrize(
    ("engine", "options", "expected"),
    [
        ("sqlite3", SQLITE, []),
        ("sqlite3", {**SQLITE, "timeout": 10}, []),
        ("sqlite3", {**SQLITE, "transaction_mode": "immediate"}, []),
        ("sqlite3", {**SQLITE, "transaction_mode": "EXCLUSIVE"}, []),
        ("sqlite3", {**SQLITE, "transaction_mode": "deferred"}, ["realtime.W006"]),
        ("sqlite3", {**SQLITE, "transaction_mode": None}, ["realtime.W006"]),
        ("sqlite3", {}, ["realtime.W006"]),
        ("sqlite3", {**SQLITE, "timeout": 9}, ["realtime.W006"]),
        ("sqlite3", {"transaction_mode": "IMMEDIATE"}, ["realtime.W006"]),
        ("sqlite3", {"timeout": 20}, ["realtime.W006"]),
        ("mysql", {}, ["realtime.E002"]),
        ("oracle", {}, ["realtime.E002"]),
        ("postgresql", {}, []),
        ("postgresql", {"pool": False}, []),
        ("postgresql", {"pool": {}}, []),  # no pool, for Django
        ("postgresql", {"pool": {"max_size": 14}}, []),
        ("postgresql", {"pool": {"min_size": 14}}, []),
        ("postgresql", {"pool": {"max_size": 13}}, ["realtime.W005"]),
        ("postgresql", {"pool": {"min_size": 2}}, ["realtime.W005"]),
        ("postgresql", {"pool": {"min_size": 2, "max_size": None}}, ["realtime.W005"]),
        ("postgresql", {"pool": True}, ["realtime.W005"]),
    ],
)
def test_it_wants_a_database_that_can_do_it(realtime, use_database, engine, options, expected):
    """Of a pool, a connection for each database thread and each periodic job, and one for REST."""
    realtime(DATABASE_THREADS=4)
    assert len(JOBS) == 9
    use_database(engine, **options)
    assert ids(checks.check_database) == expected


def test_it_takes_the_geographic_twin_for_postgresql(monkeypatch):
    found = {"ENGINE": "django.contrib.gis.db.backends.postgis"}
    monkeypatch.setattr(checks.conf, "database", lambda alias: found)
    assert ids(checks.check_database) == []


@pytest.mark.parametrize(
    ("vendor", "expected"), [("postgresql", []), ("sqlite", ["realtime.W006"]), ("mysql", ["realtime.E002"])]
)
def test_it_asks_an_engine_of_the_sites_own_whose_it_is(monkeypatch, vendor, expected):
    module = SimpleNamespace(DatabaseWrapper=SimpleNamespace(vendor=vendor))
    monkeypatch.setattr(checks, "load_backend", {"mysite.backend": module}.get)
    monkeypatch.setattr(checks.conf, "database", lambda alias: {"ENGINE": "mysite.backend"})
    assert ids(checks.check_database) == expected


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("timescale.db.backends.postgresql", []),
        ("django_prometheus.db.backends.sqlite3", ["realtime.W006"]),
        ("nowhere.oracle", ["realtime.E002"]),
        ("django.db.backends.dummy", ["realtime.E002"]),
        ("", ["realtime.E002"]),
    ],
)
def test_it_goes_by_the_name_of_an_engine_that_is_not_installed(monkeypatch, engine, expected):
    monkeypatch.setattr(checks.conf, "database", lambda alias: {"ENGINE": engine})
    assert ids(checks.check_database) == expected


def test_it_looks_at_the_database_that_the_routers_name(settings):
    class Router:
        def db_for_write(self, model, **hints):
            return "nowhere"

    settings.DATABASE_ROUTERS = [Router()]
    (found,) = checks.check_database(None)
    assert (found.id, "DATABASES['nowhere']" in found.hint) == ("realtime.E002", True)


@pytest.mark.parametrize("package", ["django_tenants", "tenant_schemas", "django_pgschemas"])
def test_it_refuses_a_schema_for_each_tenant(settings, package):
    assert ids(checks.check_tenants) == []
    settings.MIDDLEWARE = [f"{package}.middleware.TenantMiddleware"]
    (found,) = checks.check_tenants(None)
    assert (found.id, settings.MIDDLEWARE[0] in found.msg) == ("realtime.E009", True)
    with pytest.raises(ImproperlyConfigured, match="schema for each tenant"):
        asgi_application(None)


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("INSTALLED_APPS", ["django_tenants"], "django_tenants"),
        ("DATABASE_ROUTERS", ["django_tenants.routers.TenantSyncRouter"], "django_tenants.routers.TenantSyncRouter"),
        ("DATABASES", {"main": {"ENGINE": "django_tenants.postgresql_backend"}}, "django_tenants.postgresql_backend"),
        ("MIDDLEWARE", ["mysite.django_tenants.Middleware"], ""),
        ("DATABASE_ROUTERS", [object()], ""),
    ],
)
def test_it_knows_by_what_a_site_has_tenants(monkeypatch, setting, value, found):
    site = {"INSTALLED_APPS": ["realtime"], "MIDDLEWARE": [], "DATABASE_ROUTERS": [], "DATABASES": {"default": {}}}
    monkeypatch.setattr(checks.conf, "django_settings", SimpleNamespace(**{**site, setting: value}))
    assert checks.conf.find_schema_tenants() == found


@pytest.mark.parametrize(
    ("database", "expected"), [({}, []), ({"AUTOCOMMIT": True}, []), ({"AUTOCOMMIT": False}, ["realtime.E006"])]
)
def test_it_wants_transactions_that_are_committed(monkeypatch, database, expected):
    monkeypatch.setattr(checks.conf, "database", lambda alias: database)
    if expected:
        with pytest.raises(ImproperlyConfigured, match="AUTOCOMMIT"):
            asgi_application(None)
    assert ids(checks.check_autocommit) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"isolation_level": IsolationLevel.READ_COMMITTED, "options": "-c statement_timeout=1000"}, []),
        ({"isolation_level": IsolationLevel.REPEATABLE_READ}, ["realtime.W011"]),
        ({"isolation_level": IsolationLevel.SERIALIZABLE}, ["realtime.W011"]),
        ({"options": "-c default_transaction_isolation=serializable"}, ["realtime.W011"]),
    ],
)
def test_it_knows_where_requests_may_conflict(monkeypatch, options, expected):
    monkeypatch.setattr(checks.conf, "database", lambda alias: {"ATOMIC_REQUESTS": True, "OPTIONS": options})
    assert ids(checks.check_isolation) == expected
    monkeypatch.setattr(checks.conf, "database", lambda alias: {"OPTIONS": options})
    assert ids(checks.check_isolation) == []


@pytest.mark.parametrize(
    ("origins", "credentials", "expected"),
    [
        ([], ["token", "session"], []),
        (["https://example.com"], ["session"], []),
        (["*"], ["token", "ticket"], []),
        (["*"], ["token", "session"], ["realtime.E003"]),
        (["https://example.com", "*"], ["session"], ["realtime.E003"]),
    ],
)
def test_it_lets_no_page_borrow_a_session(realtime, origins, credentials, expected):
    realtime(ALLOWED_ORIGINS=origins, CREDENTIALS=credentials)
    assert ids(checks.check_origins) == expected


def test_it_wants_tokens_that_can_be_revoked(settings):
    assert ids(checks.check_blacklist) == []
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != BLACKLIST]
    assert ids(checks.check_blacklist) == ["realtime.W007"]


def test_it_wants_the_blacklist_by_the_name_that_simplejwt_looks_for(monkeypatch):
    """By the path of its configuration, the models were abstract, and each handshake failed."""
    monkeypatch.setattr(OutstandingToken._meta, "abstract", True)
    (found,) = checks.check_blacklist(None)
    assert (found.id, BLACKLIST in found.hint) == ("realtime.W007", True)
    assert not tokens.can_revoke()


def test_it_wants_tokens_to_end_with_the_password(monkeypatch):
    assert ids(checks.check_old_passwords) == []
    monkeypatch.setattr(checks.token_settings, "CHECK_REVOKE_TOKEN", False)
    assert ids(checks.check_old_passwords) == ["realtime.W010"]


class OwnAuthentication(JWTAuthentication):
    pass


class Extension(TokenAuthentication):
    pass


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([SessionAuthentication], []),
        ([JWTAuthentication], ["realtime.W014"]),
        ([SessionAuthentication, OwnAuthentication], ["realtime.W014"]),
        ([TokenAuthentication], []),
        ([Extension, SessionAuthentication], []),
    ],
)
def test_it_wants_the_sites_own_views_to_refuse_ended_logins(monkeypatch, kinds, expected):
    monkeypatch.setattr(checks.api_settings, "DEFAULT_AUTHENTICATION_CLASSES", kinds)
    found = checks.check_ended_logins(None)
    assert [message.id for message in found] == expected
    if expected:
        assert found[0].msg.endswith(f"{kinds[-1].__module__}.{kinds[-1].__qualname__}.")


def test_it_wants_an_asgi_application(settings):
    assert ids(checks.check_asgi) == []
    settings.ASGI_APPLICATION = None
    assert ids(checks.check_asgi) == ["realtime.W008"]


@pytest.mark.parametrize(
    ("command", "app", "expected"),
    [
        ("runserver", "django.core", ["realtime.W015"]),
        ("runserver", "django.contrib.staticfiles", ["realtime.W015"]),
        ("runserver", "daphne", []),
        ("runserver", "mysite", []),
        ("check", "django.core", []),
        ("", "django.core", []),
    ],
)
def test_it_warns_of_a_runserver_without_sockets(monkeypatch, command, app, expected):
    """Their addresses were answered with 404, and nothing said why."""
    monkeypatch.setattr(installation.sys, "argv", ["manage.py", command] if command else ["manage.py"])
    monkeypatch.setattr(installation, "get_commands", lambda: {"runserver": app})
    assert ids(checks.check_runserver) == expected


@pytest.mark.parametrize(
    ("proxies", "limits", "expected"),
    [
        (0, {}, []),
        (2, {}, []),
        (None, {}, ["realtime.W009"]),
        (None, {"LOGINS_PER_MINUTE": 0}, ["realtime.W009"]),
        (None, {"LOGINS_PER_MINUTE": None, "LOGINS_PER_MINUTE_PER_ADDRESS": 0}, []),
    ],
)
def test_it_wants_addresses_that_nobody_can_make_up(realtime, settings, proxies, limits, expected):
    settings.REST_FRAMEWORK = {"NUM_PROXIES": proxies}
    realtime(**limits)
    assert ids(checks.check_proxies) == expected


def test_it_gives_each_finding_a_hint(realtime, layer, settings):
    realtime(ALLOWED_ORIGINS=["*"])
    layer(CORE)
    settings.ASGI_APPLICATION = None
    found = [*checks.check_layer(None), *checks.check_redis_timeout(None), *checks.check_origins(None)]
    assert [message.id for message in found if not message.hint] == []
