"""What a site may set, and how it is read."""

from dataclasses import fields
from typing import get_type_hints

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured

from realtime import conf


def test_it_has_defaults(settings):
    del settings.REALTIME
    conf.clear_cache()  # pytest-django sends no signal for a deletion
    assert conf.settings() == conf.Settings()
    settings.REALTIME = {}
    assert conf.settings() == conf.Settings()


def test_it_takes_every_key(settings):
    values = {field.name: getattr(conf.Settings(), field.name) for field in fields(conf.Settings)}
    settings.REALTIME = {name.upper(): value for name, value in values.items()}
    assert conf.settings() == conf.Settings()


def test_it_takes_what_the_site_says(settings):
    settings.REALTIME = {"HEARTBEAT_SECONDS": 7, "CREDENTIALS": ["ticket"], "REDIS_URL": "redis://other"}
    found = conf.settings()
    assert (found.heartbeat_seconds, found.credentials, found.redis_url) == (7, ("ticket",), "redis://other")
    assert found.ticket_seconds == conf.Settings().ticket_seconds
    hash(found)


@pytest.mark.parametrize(("given", "count"), [("3", 3), ("", 1), ("0", 1), ("-2", 1), ("two", 1), ("²", 1)])
def test_the_number_of_workers(monkeypatch, given, count):
    monkeypatch.setenv("WEB_CONCURRENCY", given)
    assert conf.worker_count() == count


def test_it_refuses_what_it_does_not_know(settings):
    settings.REALTIME = {"HEARTBEATS": 7, "HEARTBEAT_SECONDS": 7, "A_TYPO": 1}
    with pytest.raises(ImproperlyConfigured, match=r"unknown key: HEARTBEATS\. .* unknown key: A_TYPO\."):
        conf.settings()


@pytest.mark.parametrize(("key", "right"), [("heartbeat_seconds", "HEARTBEAT_SECONDS"), ("Redis_Url", "REDIS_URL")])
def test_it_wants_keys_in_upper_case(settings, key, right):
    settings.REALTIME = {key: "7"}
    with pytest.raises(ImproperlyConfigured, match=rf"^REALTIME has an unknown key: {key}\. Write {right}\.$"):
        conf.settings()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("localhost:6379", "'localhost:6379'"),
        (7, "7"),
        ("me:secret@localhost", "a text that may contain a password"),
        ("localhost?password=secret", "a text that may contain a password"),
    ],
)
def test_it_says_what_is_wrong_with_an_address_and_shows_no_password(settings, value, shown):
    settings.REALTIME = {"REDIS_URL": value}
    (problem,) = conf.find_problems()
    assert problem.endswith(f", not {shown}.")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HEARTBEAT_SECONDS", "25"),
        ("HEARTBEAT_SECONDS", "\udcff"),  # from the environment
        ("HEARTBEAT_SECONDS", 0),
        ("HEARTBEAT_SECONDS", -1),
        ("HEARTBEAT_SECONDS", True),
        ("HEARTBEAT_SECONDS", None),
        ("HEARTBEAT_SECONDS", float("nan")),
        ("HEARTBEAT_SECONDS", float("inf")),
        ("HEARTBEAT_MISSES", 0.5),
        ("EVENT_DAYS", -1),
        ("EVENT_DAYS", 36_501),
        ("EVENT_DAYS", 1_000_000),
        ("MAX_MESSAGE_CHARS", None),
        ("MAX_MESSAGE_CHARS", 0),
        ("MAX_MESSAGE_CHARS", 1.5),
        ("LOGINS_PER_MINUTE", -1),
        ("LOGINS_PER_MINUTE", "10/m"),
        ("CREDENTIALS", "ticket"),
        ("CREDENTIALS", ("tickets",)),
        ("CREDENTIALS", ()),
        ("ALLOWED_ORIGINS", "https://*.example.com"),
        ("ALLOWED_ORIGINS", ["https://app.example.com/"]),
        ("ALLOWED_ORIGINS", ["https://app.example.com/page"]),
        ("ALLOWED_ORIGINS", ["app.example.com"]),
        ("ALLOWED_ORIGINS", ["https://[::1"]),
        ("ALLOWED_ORIGINS", ["https://::1"]),
        ("ALLOWED_ORIGINS", ["https://app.example.com:99999"]),
        ("ALLOWED_ORIGINS", ["https://app.example.com:port"]),
        ("ALLOWED_ORIGINS", ["https://app.*.com"]),
        ("ALLOWED_ORIGINS", ["https://a.example b.example"]),
        ("ALLOWED_ORIGINS", ["https://a.example\n"]),
        ("ALLOWED_ORIGINS", [None]),
        ("ALLOWED_ORIGINS", iter(["https://app.example.com"])),
        ("ALLOWED_ORIGINS", {"https://app.example.com": True}),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", None),
        ("KEY_PREFIX", "my site"),
        ("KEY_PREFIX", ""),
        ("PRESENCE_AUDIENCE", "friends"),
        ("PRESENCE_AUDIENCE", "everyone\n"),
        ("PRESENCE_AUDIENCE", None),
        ("PRESENCE_VISIBLE", "everyone"),
        ("PRESENCE_VISIBLE", None),
        ("DISPLAY_NAME", "full_name"),
        ("DISPLAY_NAME", "mysite.users."),
        ("DISPLAY_NAME", str.title),
        ("ISOLATED_WORKERS", 1),
        ("ISOLATED_WORKERS", "no"),
    ],
)
def test_it_refuses_a_wrong_value_and_names_its_key(settings, key, value):
    settings.REALTIME = {key: value}
    with pytest.raises(ImproperlyConfigured, match=rf"^REALTIME\['{key}'\] must be .+, not .+\.$"):
        conf.settings()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("HEARTBEAT_SECONDS", 25, 25),
        ("HEARTBEAT_SECONDS", 0.5, 0.5),
        ("EVENT_DAYS", 0, 0),
        ("EVENT_DAYS", 36_500, 36_500),
        ("LOGINS_PER_MINUTE", None, None),
        ("LOGINS_PER_MINUTE", 0, 0),
        ("MAX_CONNECTIONS", 0, 0),
        ("CREDENTIALS", ["ticket", "session"], ("ticket", "session")),
        ("ALLOWED_ORIGINS", ["https://*.example.com", "http://[::1]:5173", "*"], None),
        ("ALLOWED_ORIGINS", {"capacitor://localhost"}, ("capacitor://localhost",)),
        ("REDIS_URL", "rediss://user:pass@example.com/0?ssl_cert_reqs=none", None),
        ("REDIS_URL", "unix:///run/redis.sock", None),
        ("PRESENCE_AUDIENCE", "mysite.people.friends_of", None),
        ("DISPLAY_NAME", "mysite.users.display_name", None),
        ("DISPLAY_NAME", "", None),
    ],
)
def test_it_takes_a_right_value(settings, key, value, expected):
    settings.REALTIME = {key: value}
    found = getattr(conf.settings(), key.lower())
    assert found == (expected if expected is not None or value is None else type(found)(value))


def test_it_names_all_that_is_wrong_and_no_password(settings):
    settings.REALTIME = {"HEARTBEAT_SECONDS": "25", "TYPO": 1, "REDIS_URL": "http://:secret@example.com"}
    problems = conf.find_problems()
    assert [problem.split()[0] for problem in problems] == [
        "REALTIME['HEARTBEAT_SECONDS']",
        "REALTIME",
        "REALTIME['REDIS_URL']",
    ]
    assert "secret" not in " ".join(problems)


def test_it_wants_a_dictionary(settings):
    settings.REALTIME = [("HEARTBEAT_SECONDS", 25)]
    with pytest.raises(ImproperlyConfigured, match="must be a dictionary, not list"):
        conf.settings()


def test_every_default_is_valid_and_every_type_has_words():
    kinds = get_type_hints(conf.Settings, include_extras=True)
    for field in fields(conf.Settings):
        assert msgspec.convert(field.default, kinds[field.name]) == field.default
        assert conf.describe(kinds[field.name])


def test_it_reads_once_until_the_setting_changes(settings):
    settings.REALTIME = {"TICKET_SECONDS": 1}
    first = conf.settings()
    assert conf.settings() is first
    settings.LANGUAGE_CODE = "en"
    assert conf.settings() is first
    settings.REALTIME = {"TICKET_SECONDS": 2}
    assert conf.settings().ticket_seconds == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (("HTTP_X_FORWARDED_PROTO", "https"), (b"x-forwarded-proto", "https")),
        (("HTTP_X_SSL", "on"), (b"x-ssl", "on")),
    ],
)
def test_it_reads_the_proxys_header_as_a_scope_spells_it(settings, given, expected):
    settings.SECURE_PROXY_SSL_HEADER = given
    assert conf.proxy_ssl_header() == expected


def test_it_reads_the_sites_own_settings(settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com"]
    settings.SESSION_COOKIE_NAME = "crumb"
    assert conf.trusted_origins() == ("https://*.example.com",)
    assert conf.session_cookie_name() == "crumb"
    assert conf.session_engine() == settings.SESSION_ENGINE
    assert conf.database("default")["ENGINE"] == settings.DATABASES["default"]["ENGINE"]
    settings.CHANNEL_LAYERS = {}
    assert conf.default_layer() == {}


def test_it_finds_the_asgi_application(settings):
    assert conf.has_asgi_application()
    assert conf.asgi_application_path() == "project.asgi:application"
    settings.ASGI_APPLICATION = None
    assert not conf.has_asgi_application()
    with pytest.raises(ImproperlyConfigured, match="ASGI_APPLICATION"):
        conf.asgi_application_path()
