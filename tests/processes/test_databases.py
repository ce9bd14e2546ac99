"""Sites with several databases, or with an engine of their own: what works there, and what does not start."""

import pytest

from tests.sites.processes import Postgres
from tests.sites.small import SmallSite, settings_with

pytestmark = pytest.mark.process

BEGIN = """
import sys
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client, TransactionTestCase
from rest_framework_simplejwt.tokens import AccessToken

import realtime
from notifications import anotify, notify
from realtime.chat import rooms
from realtime.models import Event, Room
from realtime.testing import connect

def client_for(user):
    headers = {"authorization": f"Bearer {AccessToken.for_user(user)}", "content-type": "application/json"}
    return Client(headers=headers)

async def said(sender, receiver, text):
    await sender.send({"type": "message", "room_id": "general", "message": text, "id": text})
    await sender.expect("ack", id=text)
    await receiver.expect("chat", message=text)
"""

REPLICA = """
DATABASES["replica"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "replica.sqlite3", "TEST": {"MIGRATE": False}}
DATABASE_ROUTERS = ["mysite.routers.Router"]
"""
REPLICA_ROUTER = """
class Router:
    def db_for_read(self, model, **hints):
        return "replica"
    def db_for_write(self, model, **hints):
        return "default"
"""
WITH_A_REPLICA = """
class Replica(TransactionTestCase):
    databases = {"default", "replica"}

    def setUp(self):
        # The replica has one of the users, and nothing else.
        self.alice, self.bob = (User.objects.create_user(name) for name in ("alice", "bob"))
        User.objects.using("replica").bulk_create([self.alice])

    async def test_rest_and_sockets(self):
        alice, bob = client_for(self.alice), client_for(self.bob)
        post = sync_to_async(alice.post)
        made = await post("/api/v1/rooms", {"id": "general", "title": "General"}, content_type="application/json")
        self.assertEqual(made.status_code, 201, made.content)
        joined = await sync_to_async(bob.post)("/api/v1/rooms/general/members")
        self.assertEqual(joined.json()["username"], "bob")
        ticket = (await post("/api/v1/ws/ticket")).json()["ticket"]
        async with connect(query={"ticket": ticket}) as hers, connect(self.bob) as his:
            await hers.expect("connected", user_id=self.alice.pk)
            for socket in (hers, his):
                await socket.send({"type": "join", "room_id": "general"})
                await socket.expect("joined")
            await said(hers, his, "Hello!")
        await realtime.apublish("site", {"type": "news"})
        await anotify(self.bob.pk, "new_follower", actor=self.alice.pk)
        async with connect(self.bob, resume=his) as again:
            await again.expect("news")
            await again.expect("notification")
        history = await sync_to_async(bob.get)("/api/v1/rooms/general/messages")
        self.assertEqual([message["message"] for message in history.json()["messages"]], ["Hello!"])

    async def test_ended_rights(self):
        async with connect(self.bob) as his:
            login = his.greeting["user_id"]
            self.bob.is_active = False
            await sync_to_async(self.bob.save)()
            await his.expect_closed(4403)
        async with connect(self.bob) as his:
            await his.expect_closed(4403)

    def test_a_copy_in_another_database(self):
        room = realtime.create_room(self.alice, title="General")
        realtime.publish(room.stream, {"type": "news"})
        room.save(using="replica")
        self.assertEqual(Event.objects.filter(stream=room.stream).count(), 1)
        room.delete(using="replica")
        self.assertEqual(Event.objects.filter(stream=room.stream).count(), 1)
"""

MAIN = """
DATABASES = {"default": {}, "main": DATABASES["default"]}
DATABASES["main"]["TEST"]["DEPENDENCIES"] = []  # Django's would be the default
DATABASE_ROUTERS = ["mysite.routers.Router"]
"""
MAIN_ROUTER = """
class Router:
    def db_for_read(self, model, **hints):
        return "main"
    db_for_write = db_for_read
"""
ELSEWHERE = """
class Elsewhere(TransactionTestCase):
    databases = {Event.objects.db}

    def setUp(self):
        self.alice, self.bob = (User.objects.create_user(name) for name in ("alice", "bob"))
        self.room = realtime.create_room(self.alice, title="General")
        rooms.add_member(self.alice.pk, "general", self.bob.pk)

    def test_transactions(self):
        alias = Event.objects.db
        with self.assertRaises(ZeroDivisionError), transaction.atomic(using=alias):
            realtime.publish("site", {"type": "lost"})
            notify(self.bob, "new_follower", actor=self.alice)
            1 / 0
        self.assertEqual(Event.objects.count(), 0)
        with transaction.atomic(using=alias):
            realtime.publish("site", {"type": "kept"})
            notify(self.bob, "new_follower", actor=self.alice)
            self.assertEqual(Event.objects.filter(seq=None).count(), 2)
        self.assertEqual(Event.objects.filter(seq=1).count(), 2)
        transaction.set_autocommit(False, using=alias)
        try:
            realtime.publish("site", {"type": "kept"})
            transaction.commit(using=alias)
            realtime.publish("site", {"type": "lost"})
            transaction.rollback(using=alias)
        finally:
            transaction.set_autocommit(True, using=alias)
        stored = sorted(Event.objects.values_list("stream", "seq"))
        self.assertEqual(stored, [("site", 1), ("site", 2), (f"user.{self.bob.pk}", 1)])

    async def test_sockets(self):
        async with connect(self.alice, credential="ticket") as hers, connect(self.bob) as his:
            for socket in (hers, his):
                await socket.send({"type": "join", "room_id": "general"})
                await socket.expect("joined")
            await said(hers, his, "Hello!")
            await anotify(self.bob, "new_follower", actor=self.alice)
            await his.expect("notification")
            await sync_to_async(rooms.remove_member)(self.alice.pk, "general", self.bob.pk)
            await his.expect("left", reason="REMOVED")

    def test_rest(self):
        client = client_for(self.alice)
        for path in ("rooms", "rooms/general", "rooms/general/members", "rooms/general/messages", "messages"):
            self.assertEqual(client.get(f"/api/v1/{path}").status_code, 200, path)
"""
SUBCLASS = 'DATABASES["default"]["ENGINE"] = "mysite.backend"\n'
BACKEND = "from django.db.backends.{}.base import *\n"


def run(site, count, database_url=""):
    """The site's tests pass, and the checks that Django runs before them."""
    output = site.run("django", "test", "tests", database_url=database_url)
    assert f"Ran {count} tests" in output
    assert "E002" not in output


def on_each(site, count, database, cluster_template):
    if database == "sqlite3":
        run(site, count)
    else:
        with Postgres(cluster_template) as postgres:
            run(site, count, postgres.url)


def test_a_replica_that_lags_behind(tmp_path):
    files = {"mysite/routers.py": REPLICA_ROUTER, "tests.py": BEGIN + WITH_A_REPLICA}
    run(SmallSite(tmp_path, {**settings_with(more=REPLICA), **files}), 3)


@pytest.mark.parametrize("database", ["sqlite3", "postgresql"])
def test_a_database_that_is_not_the_default(tmp_path, database, cluster_template):
    files = {"mysite/routers.py": MAIN_ROUTER, "tests.py": BEGIN + ELSEWHERE}
    site = SmallSite(tmp_path, {**settings_with(more=MAIN), **files})
    on_each(site, 3, database, cluster_template)


@pytest.mark.parametrize("database", ["sqlite3", "postgresql"])
def test_an_engine_of_the_sites_own(tmp_path, database, cluster_template):
    files = {
        "mysite/backend/__init__.py": "",
        "mysite/backend/base.py": BACKEND.format(database),
        "tests.py": BEGIN + ELSEWHERE,
    }
    site = SmallSite(tmp_path, {**settings_with(more=SUBCLASS), **files})
    on_each(site, 3, database, cluster_template)


def test_users_in_another_database(tmp_path):
    router = REPLICA_ROUTER.replace('return "default"', 'return "rt" if model._meta.app_label == "realtime" else None')
    settings = settings_with(more=REPLICA.replace("replica", "rt"))
    site = SmallSite(tmp_path, {**settings, "mysite/routers.py": router.replace("replica", "rt")})
    said = "The tables of realtime are in the database 'rt', but auth.User is in 'default'."
    assert said in site.run("django", "check", code=1)
    assert said in site.run("mysite.asgi", code=1)


def test_a_schema_for_each_tenant(tmp_path):
    settings = settings_with(more='INSTALLED_APPS.insert(0, "django_tenants")')
    site = SmallSite(tmp_path, {**settings, "django_tenants/__init__.py": ""})
    assert "A site with a schema for each tenant" in site.run("django", "check", code=1)
    assert "A site with a schema for each tenant" in site.run("mysite.asgi", code=1)
