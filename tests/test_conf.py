"""What a site may set, and how it is read."""

from dataclasses import fields

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


def test_it_refuses_what_it_does_not_know(settings):
    settings.REALTIME = {"HEARTBEATS": 7, "HEARTBEAT_SECONDS": 7, "A_TYPO": 1}
    with pytest.raises(ImproperlyConfigured, match="unknown keys: A_TYPO, HEARTBEATS"):
        conf.settings()


def test_it_reads_once_until_the_setting_changes(settings):
    settings.REALTIME = {"TICKET_SECONDS": 1}
    first = conf.settings()
    assert conf.settings() is first
    settings.LANGUAGE_CODE = "en"
    assert conf.settings() is first
    settings.REALTIME = {"TICKET_SECONDS": 2}
    assert conf.settings().ticket_seconds == 2


def test_it_knows_the_hosts_of_a_site_in_development(settings):
    settings.ALLOWED_HOSTS = ["example.com"]
    assert conf.allowed_hosts() == ["example.com"]
    settings.ALLOWED_HOSTS = []
    assert conf.allowed_hosts() == []
    settings.DEBUG = True
    assert conf.allowed_hosts() == [".localhost", "127.0.0.1", "[::1]"]


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
    assert conf.default_database()["ENGINE"] == settings.DATABASES["default"]["ENGINE"]
    settings.CHANNEL_LAYERS = {}
    assert conf.default_layer() == {}


def test_it_finds_the_asgi_application(settings):
    assert conf.has_asgi_application()
    assert conf.asgi_application_path() == "project.asgi:application"
    settings.ASGI_APPLICATION = None
    assert not conf.has_asgi_application()
    with pytest.raises(ImproperlyConfigured, match="ASGI_APPLICATION"):
        conf.asgi_application_path()
