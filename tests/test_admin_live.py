"""The page "Live" of the admin: what each right shows, searching, and disconnecting a user."""

import asyncio
import re
import sys
from types import ModuleType
from urllib.parse import urlencode

import pytest
from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import include, path, set_script_prefix
from django.utils import translation

from realtime import admin as pages
from realtime.delivery.envelopes import Control
from realtime.models import Live
from realtime.presence import live, online
from realtime.presence.attendance import lookup
from realtime.presence.attendance.memory import MemoryAttendance
from realtime.presence.attendance.store import Attendance
from realtime.presence.memory import MemoryPresence
from realtime.presence.store import StoreUnavailable
from tests.people import make_user

pytestmark = pytest.mark.django_db

PAGE, DISCONNECT = "/admin/realtime/live/", "/admin/realtime/live/disconnect/"
PARTS = {"view_live_users": live.USERS, "view_live_processes": live.PROCESSES, "view_live_rooms": live.ROOMS}
PROCESS = "web-1-4711-00ff"


@pytest.fixture(autouse=True)
def stores(monkeypatch):
    """Empty stores of the test's own."""
    presence = MemoryPresence(lease_seconds=600, grace_seconds=600)
    attendance = MemoryAttendance(lease_seconds=600)
    monkeypatch.setattr(online, "loop_store", lambda: presence)
    monkeypatch.setattr(lookup, "loop_store", lambda: attendance)
    return presence, attendance


def report(stores, sockets, rooms=()):
    """A process has these sockets of users. `rooms` are what is open: slug, user, sockets."""
    presence, attendance = stores

    async def work():
        await presence.sync(PROCESS, {str(user.pk): count for user, count in sockets.items()})
        await attendance.begin(PROCESS)
        await attendance.report(PROCESS, [Attendance(f"room.{slug}", str(user.pk), n) for slug, user, n in rooms])

    asyncio.run(work())


def browser(*rights, name="clerk", **fields):
    user = make_user(name, **{"is_staff": True, **fields})
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(user)
    return client


def text_of(answer):
    assert answer.status_code == 200
    return answer.content.decode()


def rows_of(page):
    """The rows of all tables, without the markup. The templates of rows are left out."""
    page = re.sub(r"<template>.*?</template>", "", page, flags=re.DOTALL)
    rows = re.findall(r'<tr data-key="[^"]*">(.*?)</tr>', page, re.DOTALL)
    return [" ".join(re.sub(r"<(\w+)[^>]* hidden>[^<]*</\1>|<[^>]*>", " ", row).split()) for row in rows]


def test_each_part_needs_its_right(stores, alice, bob, secret):
    report(stores, {alice: 2, bob: 1}, [("secret", bob, 1), ("gone", bob, 1)])
    rows = {
        "view_live_users": ["bob online 1", "alice online 2"],
        "view_live_processes": ["web-1 4711 2 3"],
        "view_live_rooms": ["secret Secret private 1"],
    }
    for right, topic in PARTS.items():
        page = text_of(browser(right, name=right).get(PAGE))
        assert re.findall(r'data-topic="([^"]*)"', page) == [topic]
        assert rows_of(page) == rows[right]
        assert "Disconnect" not in page
    page = text_of(browser(*PARTS, "disconnect_user", name="boss").get(PAGE))
    assert rows_of(page) == [
        "bob online 1 Disconnect…",
        "alice online 2 Disconnect…",
        *rows["view_live_processes"],
        *rows["view_live_rooms"],
    ]
    assert f'href="{DISCONNECT}?user={bob.pk}"' in page
    assert 'data-count="online_count">2<' in page
    assert 'data-count="sockets">3<' in page


def test_nobody_else_sees_it(alice):
    for client in (browser("disconnect_user", "view_room"), browser(*PARTS, name="no staff", is_staff=False), Client()):
        assert client.get(PAGE).status_code in (302, 403)
        assert "/admin/realtime/live/" not in client.get("/admin/").content.decode()
    assert browser(name="none").get(DISCONNECT, {"user": alice.pk}).status_code == 403
    assert 'href="/admin/realtime/live/"' in text_of(browser("view_live_rooms", name="one").get("/admin/"))


@pytest.mark.django_db(transaction=True)
def test_it_disconnects_a_user_and_writes_that_down(stores, bob, sent):
    client = browser("disconnect_user", "view_live_users")
    question = text_of(client.get(DISCONNECT, {"user": bob.pk}))
    assert "Close all sockets of bob" in question
    assert not sent
    answer = client.post(DISCONNECT, {"user": bob.pk}, follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "All sockets of bob were closed." in text_of(answer)
    assert [c for e in sent for c in e.controls] == [
        Control("disconnect", user=str(bob.pk), code=4403, reason="KICKED")
    ]
    (entry,) = LogEntry.objects.all()
    assert (entry.user.get_username(), entry.get_edited_object(), entry.get_change_message()) == (
        "clerk",
        bob,
        "All sockets were closed.",
    )
    # Somebody who does not see the page comes to the start page.
    answer = browser("disconnect_user", name="other").post(DISCONNECT, {"user": bob.pk})
    assert answer.url == "/admin/"


@pytest.mark.parametrize("client", ["visitor", "user", "staff", "without token"])
def test_others_disconnect_nobody(bob, sent, client):
    clients = {
        "visitor": Client(),
        "user": browser("disconnect_user", name="user", is_staff=False),
        "staff": browser(*PARTS, name="staff"),
        "without token": Client(enforce_csrf_checks=True),
    }
    clients["without token"].force_login(make_user("boss", is_staff=True, is_superuser=True))
    assert clients[client].post(DISCONNECT, {"user": bob.pk}).status_code in (302, 403)
    assert not sent
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("wrong", ["", "0", "x", "1_0", "-1", "9" * 40, "1\0", "\ud800", "%ff", "' OR 1=1"])
def test_there_is_no_such_user(wrong, sent):
    client = browser("disconnect_user")
    given = wrong.encode(errors="surrogatepass")
    assert client.get(DISCONNECT, {"user": given}).status_code == 404
    form = "application/x-www-form-urlencoded"  # else Django's client would post each byte as a number
    assert client.post(DISCONNECT, urlencode({"user": given}), content_type=form).status_code == 404
    assert client.post(DISCONNECT).status_code == 404
    assert not sent


def test_a_search_finds_users_whether_they_are_online_or_not(stores, alice, bob, carol, monkeypatch):
    report(stores, {alice: 1, bob: 1, carol: 1})
    asyncio.run(stores[0].set_status(str(carol.pk), "offline", b""))
    report(stores, {alice: 0})
    client = browser("view_live_users")
    assert rows_of(text_of(client.get(PAGE))) == ["bob online 1", "alice leaving 0"]
    monkeypatch.setattr(pages.live, "MOST_FOUND", 2)
    assert rows_of(text_of(client.get(PAGE, {"q": "A"}))) == ["alice leaving 0", "carol offline 0"]
    for strange in ("\0bob", "bob" + " " * 500):
        assert rows_of(text_of(client.get(PAGE, {"q": strange}))) == ["bob online 1"]
    for nobody in ("nobody", "%", "\ud800".encode(errors="surrogatepass"), "<script>", "x" * 10_000):
        page = text_of(client.get(PAGE, {"q": nobody}))
        assert rows_of(page) == []
        assert "Nobody has such a name." in page
        assert "<script>" not in page
    # Without the right to see users, there is nothing to search.
    assert rows_of(text_of(browser("view_live_rooms", name="other").get(PAGE, {"q": "bob"}))) == []


def test_it_asks_as_often_for_many_as_for_one(stores, alice, bob, carol, secret, django_assert_num_queries):
    client = browser(*PARTS)
    report(stores, {alice: 1}, [("secret", bob, 1)])
    with django_assert_num_queries(12, exact=False) as before:
        client.get(PAGE)
    report(stores, {alice: 1, bob: 1, carol: 1}, [("secret", bob, 1), ("other", alice, 2)])
    with django_assert_num_queries(len(before)):
        assert len(rows_of(text_of(client.get(PAGE)))) == 5


@pytest.mark.parametrize("error", [StoreUnavailable(), TimeoutError()])
def test_it_says_that_redis_is_away(stores, monkeypatch, error):
    async def fail(*_):
        raise error

    monkeypatch.setattr(online, "_ask", fail)
    monkeypatch.setattr(lookup, "_ask", fail)
    client = browser(*PARTS)
    for term in ("", "bob"):
        page = text_of(client.get(PAGE, {"q": term}))
        assert len(re.findall(r'live-away">', page)) == 3
        assert "Nobody" not in re.sub(r"<p[^>]* hidden>[^<]*</p>", "", page)


@pytest.mark.parametrize(
    ("credentials", "socket", "ticket"),
    [
        (["ticket", "session"], "/api/v1/ws", ""),
        (["ticket", "token"], "/api/v1/ws", "/api/v1/ws/ticket"),
        (["authorization"], "", ""),
    ],
)
def test_the_script_learns_how_to_open_a_socket(configure, credentials, socket, ticket):
    configure(CREDENTIALS=credentials)
    page = text_of(browser("view_live_users").get(PAGE))
    assert f'data-socket="{socket}" data-ticket="{ticket}"' in page
    assert ("realtime/live.js" in page) is bool(socket)


def test_it_works_under_a_prefix_and_in_another_admin(stores, bob, settings, monkeypatch):
    report(stores, {bob: 1})
    office = AdminSite(name="office")
    office.register(Live, pages.LiveAdmin)
    office.register(get_user_model())
    urls = ModuleType("urls_of_an_office")
    urls.urlpatterns = [path("back/office/", office.urls), path("rt/", include("realtime.urls"))]
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    settings.ROOT_URLCONF = urls.__name__
    client = browser("view_live_users", "disconnect_user")
    set_script_prefix("/app/")  # as a request under FORCE_SCRIPT_NAME does
    try:
        page = text_of(client.get("/back/office/realtime/live/"))
        question = text_of(client.get("/back/office/realtime/live/disconnect/", {"user": bob.pk}))
    finally:
        set_script_prefix("/")
    assert 'data-socket="/app/api/v1/ws"' in page
    assert f'href="/app/back/office/realtime/live/disconnect/?user={bob.pk}"' in page
    assert 'href="/app/back/office/realtime/live/"' in question
    assert "/admin/" not in re.sub(r"/static/[^\"]*", "", page + question)


def test_it_speaks_chinese(stores, bob):
    report(stores, {bob: 1})
    client = browser("view_live_users", "disconnect_user")
    page = text_of(client.get(PAGE, headers={"accept-language": "zh-hans"}))
    with translation.override("zh-hans"):
        status = translation.gettext("online")
    assert status != "online"
    assert rows_of(page)[0].startswith(f"bob {status} 1 ")


def test_keys_stay_as_they_are_where_numbers_have_separators(stores, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    person = make_user("person", pk=1_234_567)
    report(stores, {person: 1})
    client = browser("view_live_users", "disconnect_user")
    page = text_of(client.get(PAGE)) + text_of(client.get(DISCONNECT, {"user": person.pk}))
    for written in ('data-key="1234567"', "?user=1234567", 'name="user" value="1234567"'):
        assert written in page


def test_there_is_no_script_or_style_in_the_page(stores, alice):
    page = text_of(browser(*PARTS, "disconnect_user", is_superuser=True).get(PAGE))
    main = page[page.index('id="content-main"') :]
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|javascript:", main)
