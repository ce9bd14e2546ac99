"""Django's sessions, by which a socket is opened: it reads them, leaves them as they are, and knows when they end."""

import os
import time
from datetime import timedelta
from importlib import import_module

import pytest
from django.contrib.auth import SESSION_KEY, login
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.backends.file import SessionStore as FileStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.signing import TimestampSigner, b62_encode
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from realtime.auth import cache_ages, sessions, tokens
from realtime.auth.identity import load_session
from realtime.protocol.errors import Refused

pytestmark = pytest.mark.django_db

STORED = ["db", "cached_db", "cache", "file"]
AGE = 1_209_600  # Django's default of SESSION_COOKIE_AGE


def path_of(engine):
    return f"django.contrib.sessions.backends.{engine}"


@pytest.fixture(params=[*STORED, "signed_cookies"])
def engine(request, settings, tmp_path, monkeypatch):
    """One of Django's engines; returns its name."""
    settings.SESSION_ENGINE = path_of(request.param)
    monkeypatch.setattr(FileStore, "_storage_path", str(tmp_path), raising=False)
    return request.param


@pytest.fixture
def log_in(engine, settings, client):
    """Logs a user in; returns the key of the session."""

    def start(user):
        client.force_login(user)
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    return start


def load(key):
    with CaptureQueriesContext(connection) as queries:
        identity = load_session(key)
    assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []
    return identity


def store(settings, key=None):
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def is_stored(settings, key):
    return bool(store(settings).exists(key))


@pytest.mark.parametrize(("fallbacks", "is_known"), [(True, True), (False, False)])
def test_a_socket_does_not_touch_the_session_of_an_old_key(log_in, alice, settings, engine, fallbacks, is_known):
    key = log_in(alice)
    was_stored = is_stored(settings, key)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if fallbacks else []
    settings.SECRET_KEY = "a new key that is long enough for everybody"
    identity = load(key)
    assert (identity is not None and identity.key == str(alice.pk)) == is_known
    assert is_stored(settings, key) == was_stored
    assert Session.objects.count() <= 1


def test_a_socket_does_not_touch_a_session_that_is_too_old(log_in, alice, settings, tmp_path):
    """Django would delete its file, and would make an empty one."""
    key = log_in(alice)
    settings.SESSION_COOKIE_AGE = -1
    before = sorted(tmp_path.iterdir())
    if settings.SESSION_ENGINE in (path_of("file"), path_of("signed_cookies")):
        assert load(key) is None
    assert sorted(tmp_path.iterdir()) == before


# When a session ends


def make_older(settings, engine, key, seconds):
    """As if the session had been saved some seconds ago."""
    if engine in ("db", "cached_db"):
        (row,) = Session.objects.all()
        Session.objects.update(expire_date=row.expire_date - timedelta(seconds=seconds))
    elif engine == "cache":
        cache.set(store(settings).cache_key_prefix + key, dict(store(settings, key).items()), AGE - seconds)
    elif engine == "file":
        path = store(settings, key)._key_to_file()
        os.utime(path, (time.time() - seconds,) * 2)


def test_it_ends_when_django_lets_it_end(log_in, alice, settings, engine, monkeypatch):
    """Not when it would end if the socket had saved it."""
    now = time.time()
    monkeypatch.setattr(TimestampSigner, "timestamp", lambda signer: b62_encode(int(now) - 100_000))
    key = log_in(alice)
    make_older(settings, engine, key, 100_000)
    identity = load(key)
    assert identity.expires_at == pytest.approx(now - 100_000 + AGE, abs=600)
    assert identity.session_key == ("" if engine == "signed_cookies" else key)


@pytest.mark.parametrize("expiry", [30_000, timedelta(seconds=30_000)])
def test_it_may_have_an_end_of_its_own(log_in, alice, settings, client, engine, expiry):
    log_in(alice)
    session = client.session
    session.set_expiry(expiry)
    session.save()
    identity = load(session.session_key)
    assert identity.expires_at == pytest.approx(time.time() + 30_000, abs=600)


def test_a_signed_cookie_ends_with_its_signature(client, alice, settings):
    """Django refuses it then, whatever the session says."""
    settings.SESSION_ENGINE = path_of("signed_cookies")
    client.force_login(alice)
    session = client.session
    session.set_expiry(10 * AGE)
    session.save()
    assert load(session.session_key).expires_at == pytest.approx(time.time() + AGE, abs=600)


@pytest.mark.parametrize("engine", STORED, indirect=True)
def test_many_are_asked_at_once(engine, settings, alice, django_assert_max_num_queries):
    keys = []
    for _ in range(3):
        session = store(settings)
        session[SESSION_KEY] = str(alice.pk)
        session.create()
        session.save()
        keys.append(session.session_key)
    store(settings, keys[1]).delete()
    with django_assert_max_num_queries(1):
        ends = sessions.find_ends([*keys, keys[0]])
    assert ends[1] is None
    assert ends[0] == pytest.approx(ends[3])
    assert ends[2] == pytest.approx(time.time() + AGE, abs=600)
    assert sessions.are_found_at_once() == (engine != "file")


def test_a_session_that_the_cache_alone_still_has_goes_on_as_it_does_for_django(client, alice, settings):
    settings.SESSION_ENGINE = path_of("cached_db")
    client.force_login(alice)
    Session.objects.all().delete()
    key = client.session.session_key
    assert sessions.find_ends([key]) == [pytest.approx(time.time() + AGE, abs=600)]
    assert load(key).expires_at == pytest.approx(time.time() + AGE, abs=600)


def test_a_cache_that_does_not_say_how_long_has_its_sessions_as_long_as_possible(client, alice, settings, monkeypatch):
    settings.SESSION_ENGINE = path_of("cache")
    client.force_login(alice)
    monkeypatch.setattr(cache_ages, "LocMemCache", str)
    monkeypatch.setattr(cache_ages, "RedisCache", str)
    assert load(client.session.session_key).expires_at == pytest.approx(time.time() + AGE, abs=600)


def test_a_cache_may_say_it_by_a_method_of_its_own():
    class Cache:
        def ttl(self, name):
            return {"a": 7, "b": 0, "c": None}[name]

    assert cache_ages.seconds_left(Cache(), ["a", "b", "c"]) == {"a": 7}


def test_a_cache_that_is_away_says_nothing(client, alice, settings, monkeypatch):
    settings.SESSION_ENGINE = path_of("cache")
    client.force_login(alice)
    key = client.session.session_key

    def fail(*_args):
        raise ConnectionError("away")

    monkeypatch.setattr(type(cache._connections[cache._alias]), "get_many", fail)
    with pytest.raises(Refused):
        sessions.find_ends([key])


# The name of its login


def test_the_login_keeps_its_name_when_the_session_changes(log_in, alice, client, engine):
    """A page may write to it, or give it another key."""
    name = load(log_in(alice)).login
    session = client.session
    session["basket"] = [1, 2, 3]
    session.cycle_key()
    session.save()
    assert load(session.session_key).login == name


def test_another_login_has_another_name(log_in, alice, client):
    first = load(log_in(alice)).login
    client.logout()
    assert load(log_in(alice)).login != first


def test_two_browsers_have_two_names(log_in, alice, settings):
    """Also within one second, when signed cookies are the same."""
    keys = [log_in(alice), None]
    browser = Client()
    browser.force_login(alice)
    keys[1] = browser.cookies[settings.SESSION_COOKIE_NAME].value
    assert len({load(key).login for key in keys}) == 2


def test_a_second_login_of_the_same_user_goes_on_with_the_first(log_in, alice):
    assert load(log_in(alice)).login == load(log_in(alice)).login


def test_a_session_from_before_is_named_after_its_key(log_in, alice, client):
    log_in(alice)
    session = client.session
    del session[sessions.LOGIN_KEY]
    session.save()
    assert load(session.session_key).login == tokens.cookie_login(session.session_key)


def test_a_login_without_a_session_writes_none(alice, settings):
    """knox and others send the signal for a request whose visitor has none."""
    request = HttpRequest()
    for session in (None, store(settings), {}):
        request.session = session
        user_logged_in.send(type(alice), request=request, user=alice)
        assert not session or list(session.keys()) == []


def test_a_site_may_go_on_with_a_session_after_its_logout(alice, settings):
    """It sends the signal and keeps the session. The next login has another name."""
    request = HttpRequest()
    request.session = store(settings)
    names = []
    for _ in range(2):
        login(request, alice, "django.contrib.auth.backends.ModelBackend")
        names.append(request.session[sessions.LOGIN_KEY])
        user_logged_out.send(type(alice), request=request, user=alice)
        del request.session[SESSION_KEY]
    assert len(set(names)) == 2


def test_a_logout_by_a_token_leaves_the_session_as_it_is(alice, settings):
    """knox sends the signal with a request of REST framework."""
    request = HttpRequest()
    request.session = store(settings)
    login(request, alice, "django.contrib.auth.backends.ModelBackend")
    request.session.save()
    request.auth = object()
    user_logged_out.send(type(alice), request=request, user=alice)
    assert load(request.session.session_key).key == str(alice.pk)
