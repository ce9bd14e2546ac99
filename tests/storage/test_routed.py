"""Which database the app uses. The sites of `tests.processes.test_databases` really have several."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connections
from django.db.models.signals import post_delete, post_save, pre_save
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

import realtime
from notifications import dispatching, inbox, notify
from notifications.announcements import audiences
from notifications.checks import check_one_database as check_database_of_notifications
from notifications.models import Announcement, Dispatch, Notification
from realtime import checks
from realtime.auth import tokens
from realtime.auth.users import all_users
from realtime.chat import rooms
from realtime.delivery import publishing
from realtime.models import Event, LastSeen, Membership, Room
from realtime.presence.last_seen import write_last_seen
from realtime.routing import asgi_application
from realtime.storage import log, retention, routed
from realtime.storage.database import run
from tests.people import client_for, make_token

pytestmark = pytest.mark.django_db(transaction=True)


class Router:
    """Sends models to the databases that a test names, by the names of their models or apps."""

    def __init__(self, reads=None, **writes):
        self.reads, self.writes = reads, writes

    def db_for_read(self, model, **hints):
        return self.reads

    def db_for_write(self, model, **hints):
        return self.writes.get(model.__name__, self.writes.get(model._meta.app_label))


@pytest.fixture
def no_replica(settings):
    """What is read from a replica fails: the replica does not exist."""
    settings.DATABASE_ROUTERS = [Router(reads="replica")]


def ids(messages):
    return [message.id for message in messages]


def test_it_is_the_one_to_which_the_routers_send_what_is_written(settings):
    assert routed.alias() == "default"
    settings.DATABASE_ROUTERS = [Router(reads="replica")]
    assert routed.alias() == "default"
    assert routed.connection.vendor == connections["default"].vendor
    settings.DATABASE_ROUTERS = [Router(realtime="rt")]
    assert routed.alias() == "rt"


def test_the_routers_are_asked_once(settings):
    asked = []

    class Asked(Router):
        def db_for_write(self, model, **hints):
            asked.append(model)

    settings.DATABASE_ROUTERS = [Asked()]
    for _ in range(3):
        log.append([("site", b"{}")])
    assert asked == [Event]


# A replica that lags behind


def test_rest_reads_what_was_written(alice, bob, no_replica):
    client, other = client_for(alice), client_for(bob)
    answers = [
        client.post("/api/v1/rooms", {"id": "tea", "title": "Tea"}),
        client.get("/api/v1/rooms/tea"),
        client.patch("/api/v1/rooms/tea", {"title": "More tea"}),
        client.get("/api/v1/rooms"),
        other.post("/api/v1/rooms/tea/members"),
        client.post("/api/v1/rooms/tea/members", {"user_id": bob.pk, "role": "owner"}),
        client.get("/api/v1/rooms/tea/members"),
        client.get("/api/v1/rooms/tea/messages"),
        client.get("/api/v1/messages"),
        client.get(f"/api/v1/messages?with={bob.pk}"),
        client.get(f"/api/v1/status/{bob.pk}"),
        client.get(f"/api/v1/status?user_ids={bob.pk}"),
        client.delete(f"/api/v1/rooms/tea/members/{bob.pk}"),
        client.delete("/api/v1/rooms/tea"),
        client.post("/api/v1/ws/ticket"),
        client.post("/api/v1/auth/logout"),
    ]
    expected = [201, 200, 200, 200, 201, 200, 200, 200, 200, 200, 200, 200, 204, 204, 200, 204]
    assert [answer.status_code for answer in answers] == expected
    assert client.get("/api/v1/rooms").status_code == 401


async def test_sockets_read_what_was_written(site, alice, bob, shared, no_replica):
    await realtime.apublish("site", {"type": "test", "n": 1})
    await realtime.apublish("site", {"type": "test", "n": 2})
    client = await run(client_for, alice)
    ticket = (await run(client.post, "/api/v1/ws/ticket")).json()["ticket"]
    hers = await site.connect(query={"ticket": ticket})
    hers.contract.site_types.add("test")
    assert hers.greeting["streams"]["site"] == 2
    resumed = await hers.ask("resume", streams={"site": 0})
    assert resumed["streams"]["site"] == {"recovered": True, "seq": 2}
    his = await site.join(bob)
    assert (await hers.ask("join", room_id="general"))["type"] == "joined"
    assert (await hers.ask("message", room_id="general", message="Hello!", id="c"))["type"] == "ack"
    assert (await hers.ask("message", room_id="general", message="Hello!", id="c"))["type"] == "ack"  # again
    assert (await hers.ask("message", to_user_id=bob.pk, message="Hello!"))["type"] == "ack"
    assert (await his.ask("read", room_id="general", seq=1))["type"] != "error"
    await run(rooms.remove_member, alice.pk, "general", bob.pk)
    await his.find("left", room_id="general", reason="REMOVED")
    await run(bob.delete)
    await his.find("disconnect", reason="USER_DISABLED")


async def test_rights_that_have_ended_are_not_read_from_a_replica(site, alice, bob, no_replica):
    claims = tokens.parse_access(make_token(alice))
    await run(tokens.revoke_login, claims.login)
    assert await run(tokens.revoked, [claims.login]) == {claims.login}
    refused = await site.knock(make_token(alice, realtime_login=claims.login))
    assert (await refused.ending()).code == 4401
    bob.is_active = False
    await run(bob.save)
    assert (await (await site.knock(bob)).ending()).code == 4403


def test_site_code_reads_what_was_written(alice, bob, general, no_replica):
    assert Room.objects.get(slug="general") == general
    membership = Membership.objects.get(room=general)
    assert membership.room == general
    membership.refresh_from_db()
    notify(bob.pk, "new_follower", actor=alice.pk)
    write_last_seen([str(bob.pk)])
    assert LastSeen.objects.get().user_id == bob.pk
    assert list(all_users().filter(pk=bob.pk)) == [bob]
    retention.prune(1)
    assert Notification.objects.get().recipient_id == bob.pk
    assert inbox.counts(bob.pk).unread == 1


def test_a_query_of_the_site_may_contain_ours(settings, alice, general):
    """Where users are read from a replica, the whole query is, with the tables that it joins."""
    users = get_user_model().objects.filter(pk__in=Membership.objects.filter(room=general).values("user"))
    assert str(users.using("default").query) == str(users.query)
    assert users.get() == alice


def test_a_token_that_was_blacklisted_by_its_key_ends_its_login(alice, monkeypatch, no_replica):
    ended = []
    monkeypatch.setattr(publishing, "disconnect_login", ended.append)
    refresh = tokens.start_login(alice)
    BlacklistedToken.objects.create(token_id=OutstandingToken.objects.using("default").get().pk)
    assert ended == [refresh["realtime_login"]]


def test_what_staff_send_to_groups_reaches_them(alice, bob, no_replica):
    """The groups of a moment ago were not in the replica: they counted as deleted, and nobody got anything."""
    editors = Group.objects.create(name="editors")
    editors.user_set.through.objects.create(group=editors, user=bob)
    draft = dispatching.Draft(type="new_follower", title="Tea", message="Is ready", actor=alice)
    chosen = dispatching.Chosen(audience="groups", groups=[editors])
    row = dispatching.start(draft, chosen, form_key="1", created_by=alice)
    dispatching.take_step(row.pk)
    row = Dispatch.objects.get(pk=row.pk)
    assert (row.state, row.stored, row.error) == (Dispatch.State.SENT, 1, "")
    announcement = Announcement.objects.create(audience="groups")
    announcement.groups.set([editors])
    assert audiences.count(announcement) == 1


# Several databases


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ({}, []),
        ({"realtime": "default", "auth": "default"}, []),
        ({"realtime": "rt"}, ["realtime.E010"]),
        ({"auth": "users"}, ["realtime.E010"]),
        ({"Message": "archive"}, ["realtime.E010"]),
        ({"realtime": "rt", "auth": "rt"}, []),
        ({"notifications": "rt"}, ["notifications.E005"]),
        ({"realtime": "rt", "auth": "rt", "notifications": "rt"}, []),
    ],
)
def test_everything_that_is_joined_is_in_one_database(settings, writes, expected):
    settings.DATABASE_ROUTERS = [Router(**writes)]
    needs_notifications = "notifications" in writes
    found = checks.check_one_database(None)
    assert ids(found) == ([] if needs_notifications else expected)
    if needs_notifications:
        assert ids(check_database_of_notifications()) == expected
    if found:
        with pytest.raises(ImproperlyConfigured, match="in the database"):
            asgi_application(None)


def test_it_names_what_is_apart(settings):
    settings.DATABASE_ROUTERS = [Router(realtime="rt")]
    (found,) = checks.check_one_database(None)
    assert found.msg == "The tables of realtime are in the database 'rt', but auth.User is in 'default'."


def test_copies_in_other_databases_change_nothing_here(alice, general, sent):
    """A site may copy a disabled user or a room to an archive: Django sends the same signals, with another `using`."""
    log.commit([("room.general", b"{}"), (f"user.{alice.pk}", b"{}")])
    alice.is_active = False
    copies = [(alice, {"update_fields": None}), (general, {}), (Membership.objects.get(), {})]
    for copy, more in copies:
        there = {"sender": type(copy), "instance": copy, "using": "archive", "raw": False, **more}
        pre_save.send(**there)
        post_save.send(created=True, **there)
        post_save.send(created=False, **there)
        post_delete.send(sender=type(copy), instance=copy, using="archive", origin=copy)
    assert sent == []
    assert Event.objects.count() == 2


# Fixtures


def test_what_a_fixture_loads_disturbs_nobody(alice, general, sent, tmp_path):
    log.commit([("room.general", b"{}")])
    alice.is_active = False
    get_user_model().objects.bulk_update([alice], ["is_active"])
    fixture = tmp_path / "all.json"
    call_command("dumpdata", "auth.user", "realtime", "token_blacklist", output=str(fixture), verbosity=0)
    call_command("loaddata", str(fixture), verbosity=0)
    assert sent == []
    assert Event.objects.filter(stream="room.general").count() == 1
