"""A socket that was opened with a session cookie lasts as long as the session, also when that is prolonged."""

import time
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.file import SessionStore as FileStore
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from realtime.auth import sessions
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.sockets.node import get_node
from realtime.sockets.recheck import recheck
from realtime.storage.database import run
from tests.clients.socket import until

pytestmark = pytest.mark.django_db(transaction=True)

STORED = ["db", "cached_db", "cache", "file"]
TOKEN_EXPIRED, OUTDATED = (4401, "TOKEN_EXPIRED"), (4410, "SESSION_OUTDATED")
UNAUTHENTICATED = (4401, "UNAUTHENTICATED")


class Visit:
    """A browser that is logged in, and its socket."""

    def __init__(self, site, browser):
        self.site, self.browser = site, browser

    def headers(self):
        return {"cookie": f"sessionid={self.browser.cookies['sessionid'].value}", "origin": f"http://{self.site.host}"}

    async def open(self):
        self.socket = await self.site.connect(headers=self.headers())
        self.connection = get_node().hub.connections[self.socket.greeting["connection_id"]]
        return self

    def change(self, expiry=None, **values):
        """As a page does that writes to the session."""
        session = self.browser.session
        session.update(values)
        if expiry is not None:
            session.set_expiry(expiry)
        session.save()
        self.browser.cookies["sessionid"] = session.session_key

    def come_to_its_end(self, left=0.0):
        """As if the time of the session, as it was when the socket was opened, had passed."""
        self.connection.expires_at = time.time() + left
        get_node().clock.watch_end(self.connection)


@pytest.fixture
def visit(site, alice, settings, configure, tmp_path, monkeypatch):
    """`await visit(engine)`: a socket by one of Django's kinds of sessions."""
    configure(AUTH_EXPIRING_SECONDS=1000)
    monkeypatch.setattr(FileStore, "_storage_path", str(tmp_path), raising=False)

    async def start(engine="db"):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        browser = Client()
        await run(browser.force_login, alice)
        return await Visit(site, browser).open()

    return start


@pytest.mark.parametrize("engine", STORED)
async def test_it_stays_when_the_session_was_prolonged(visit, engine):
    here = await visit(engine)
    await run(here.change, 4_000_000)
    here.come_to_its_end()
    await until(lambda: here.connection.expires_at > time.time() + 3_000_000)
    assert await here.socket.settle() == []
    assert here.connection.end_timer is None


@pytest.mark.parametrize("engine", STORED)
async def test_it_is_not_warned_when_the_session_was_prolonged(visit, engine):
    here = await visit(engine)
    here.come_to_its_end(left=900)
    await until(lambda: here.connection.expires_at > time.time() + 100_000)
    assert await here.socket.settle() == []


async def test_it_is_warned_when_the_session_is_about_to_end(visit):
    here = await visit()
    ends = timezone.now() + timedelta(seconds=900)
    await run(lambda: Session.objects.update(expire_date=ends))
    here.come_to_its_end(left=900)
    warning = (await here.socket.find("auth_expiring"))["data"]
    assert warning["expires_at"].startswith(f"{ends:%Y-%m-%dT%H:%M:%S}")


@pytest.mark.parametrize("engine", STORED)
async def test_it_ends_with_the_session(visit, engine):
    """A session whose time has passed counts as gone for a cache."""
    here = await visit(engine)
    if engine in ("db", "cached_db"):
        await run(lambda: Session.objects.update(expire_date=timezone.now()))
    else:
        await run(here.browser.session.delete)
    here.come_to_its_end()
    assert await here.socket.ending() == TOKEN_EXPIRED
    assert not here.socket.contract.goodbye.reconnect


async def test_a_signed_cookie_may_have_been_renewed(visit):
    """The server does not see that. The client comes back with the cookie that it has."""
    here = await visit("signed_cookies")
    await run(here.change, None, basket=[1])
    here.come_to_its_end()
    assert await here.socket.ending() == OUTDATED
    assert here.socket.contract.goodbye.reconnect
    await here.open()
    assert (await here.socket.ask("ping"))["type"] == "pong"


@pytest.mark.parametrize("engine", ["db", "signed_cookies"])
async def test_the_session_of_a_ticket_may_have_been_prolonged(visit, site, engine):
    here = await visit(engine)
    ticket = (await run(here.browser.post, "/api/v1/ws/ticket")).json()["ticket"]
    here.socket = await site.connect(query={"ticket": ticket})
    here.connection = get_node().hub.connections[here.socket.greeting["connection_id"]]
    assert here.connection.expires_at == pytest.approx(time.time() + 1_209_600, abs=600)
    here.come_to_its_end()
    assert await here.socket.ending() == OUTDATED


async def test_a_token_makes_it_last_as_long_as_the_token(visit, alice, token):
    here = await visit()
    ack = await here.socket.ask("auth", token=token(alice, exp=2_000_000_000))
    assert ack["expires_at"].startswith("2033-05-18")
    await run(lambda: Session.objects.update(expire_date=timezone.now()))
    await recheck(get_node().hub, get_node().clock.watch_end)
    assert await here.socket.settle() == []
    here.come_to_its_end()
    assert await here.socket.ending() == TOKEN_EXPIRED


async def test_a_token_that_comes_during_the_look_counts(visit, alice, token, monkeypatch):
    here = await visit()
    asked, clock = [], get_node().clock

    async def look(key):
        asked.append(key)
        ack = await here.socket.ask("auth", token=token(alice, exp=2_000_000_000))
        assert ack["type"] == "ack"
        return time.time() - 1

    monkeypatch.setattr(clock._session_ends, "submit", look)
    here.come_to_its_end()
    await until(lambda: asked and not clock._asking)
    assert here.connection.expires_at == 2_000_000_000
    assert await here.socket.settle() == []


@pytest.mark.parametrize("error", [Refused(ErrorCode.UNAVAILABLE, Reason.TRY_AGAIN), ConnectionError("away")])
async def test_it_comes_back_when_nobody_knows_whether_the_session_goes_on(visit, monkeypatch, error):
    here = await visit()

    async def fail(key):
        raise error

    monkeypatch.setattr(get_node().clock._session_ends, "submit", fail)
    here.come_to_its_end(left=900)
    assert (await here.socket.find("auth_expiring"))["type"] == "auth_expiring"  # as far as it is known
    here.come_to_its_end()
    assert await here.socket.ending() == (1013, "OVERLOADED")


async def test_many_that_end_together_are_looked_up_together(visit, monkeypatch):
    here, there = await visit(), await visit()
    looked = []
    find_ends = sessions.find_ends

    def note(keys):
        looked.append(len(keys))
        return find_ends(keys)

    monkeypatch.setattr(get_node().clock._session_ends, "_work", note)
    for one in (here, there):
        one.come_to_its_end()
    await until(lambda: all(one.connection.expires_at > time.time() + 100_000 for one in (here, there)))
    assert looked == [2]


async def test_a_socket_that_leaves_during_the_look_has_no_timer(visit, monkeypatch):
    here = await visit()
    clock = get_node().clock
    asked = []

    async def look(key):
        asked.append(key)
        await here.socket.close()
        await until(lambda: not get_node().hub.connections)
        return time.time() + 900

    monkeypatch.setattr(clock._session_ends, "submit", look)
    here.come_to_its_end()
    await until(lambda: asked and not clock._asking)
    assert here.connection.end_timer is None


# What the recheck sees meanwhile


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache"])
async def test_the_recheck_follows_the_session(visit, engine):
    here = await visit(engine)
    for seconds in (4_000_000, 1500):
        await run(here.change, seconds)
        await recheck(get_node().hub, get_node().clock.watch_end)
        assert here.connection.expires_at == pytest.approx(time.time() + seconds, abs=300)
    assert here.connection.end_timer is not None
    assert await here.socket.settle() == []


async def test_the_recheck_ends_it_with_a_session_that_was_shortened(visit):
    here = await visit()
    await run(lambda: Session.objects.update(expire_date=timezone.now()))
    await recheck(get_node().hub, get_node().clock.watch_end)
    assert await here.socket.ending() == TOKEN_EXPIRED


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache"])
async def test_a_session_may_go_on_under_another_key(visit, engine):
    """As after a change of SECRET_KEY, or of a user's privileges."""
    here = await visit(engine)
    session = here.browser.session
    await run(session.cycle_key)
    here.browser.cookies["sessionid"] = session.session_key
    await recheck(get_node().hub, get_node().clock.watch_end)
    assert await here.socket.ending() == OUTDATED
    await here.open()
    assert (await here.socket.ask("ping"))["type"] == "pong"


async def test_a_session_that_was_deleted_lets_nobody_come_back(visit, configure):
    configure(AUTH_RECHECK_SECONDS=0.1, CREDENTIALS=["session"])
    here = await visit()
    await run(lambda: Session.objects.all().delete())
    assert await here.socket.ending() == OUTDATED
    assert await (await here.site.knock(headers=here.headers())).ending() == UNAUTHENTICATED


@pytest.mark.parametrize("engine", ["file", "signed_cookies"])
async def test_the_recheck_reads_no_session_by_itself(visit, engine, monkeypatch):
    here = await visit(engine)
    monkeypatch.setattr(sessions, "open_session", lambda key: pytest.fail("that costs too much"))
    await recheck(get_node().hub, get_node().clock.watch_end)
    assert await here.socket.settle() == []


async def test_the_recheck_does_the_rest_while_the_cache_is_away(visit, alice, monkeypatch):
    here = await visit("cache")

    def fail(kind, keys):
        raise Refused(ErrorCode.UNAVAILABLE, Reason.TRY_AGAIN)

    monkeypatch.setattr(sessions, "_find_cached", fail)
    await recheck(get_node().hub, get_node().clock.watch_end)
    assert await here.socket.settle() == []
    await run(type(alice).objects.filter(pk=alice.pk).update, is_active=False)
    await recheck(get_node().hub, get_node().clock.watch_end)
    assert await here.socket.ending() == (4403, "USER_DISABLED")


# Logouts


@pytest.mark.parametrize("engine", [*STORED, "signed_cookies"])
@pytest.mark.parametrize("change", ["a page writes", "another key", "another key of the site"])
async def test_a_logout_finds_the_sockets_of_a_session_that_has_changed(visit, settings, configure, engine, change):
    configure(CREDENTIALS=["session"])
    here = await visit(engine)
    if change == "a page writes":
        await run(here.change, None, basket=[1, 2, 3])
    elif change == "another key":
        session = here.browser.session
        await run(lambda: (session.cycle_key(), session.save()))
        here.browser.cookies["sessionid"] = session.session_key
    else:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "a new key that is long enough for everybody"
        await run(here.browser.get, "/admin/")  # Django moves the session to another key
    last = here.headers()
    await run(here.browser.logout)
    assert await here.socket.ending() == UNAUTHENTICATED
    assert await (await here.site.knock(headers=last)).ending() == UNAUTHENTICATED
