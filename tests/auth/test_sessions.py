"""Django's sessions, by which a socket is opened: it reads them, and leaves them as they are."""

from importlib import import_module

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext

from realtime.auth.identity import load_session

pytestmark = pytest.mark.django_db

ENGINES = [f"django.contrib.sessions.backends.{name}" for name in ("db", "cached_db", "cache", "signed_cookies")]


@pytest.fixture(params=ENGINES)
def log_in(request, settings, client):
    """Logs a user in, with one of Django's engines; returns the key of the session."""
    settings.SESSION_ENGINE = request.param

    def start(user):
        client.force_login(user)
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    return start


def load(key):
    with CaptureQueriesContext(connection) as queries:
        identity = load_session(key)
    assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []
    return identity


def is_stored(settings, key):
    return import_module(settings.SESSION_ENGINE).SessionStore(key).exists(key)


@pytest.mark.parametrize(("fallbacks", "is_known"), [(True, True), (False, False)])
def test_a_socket_does_not_touch_the_session_of_an_old_key(log_in, alice, settings, fallbacks, is_known):
    key = log_in(alice)
    was_stored = is_stored(settings, key)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if fallbacks else []
    settings.SECRET_KEY = "a new key that is long enough for everybody"
    identity = load(key)
    assert (identity is not None and identity.key == str(alice.pk)) == is_known
    assert is_stored(settings, key) == was_stored
    assert Session.objects.count() <= 1
