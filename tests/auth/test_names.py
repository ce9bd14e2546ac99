"""The name under which users appear to others: the same everywhere, chosen by the site, and no address by default."""

import pytest
from django.contrib.auth import get_user_model
from django.utils.functional import Promise, lazystr

from realtime.auth.identity import load_identities
from realtime.auth.names import MAX_CHARS, default_name, display_name, name_all
from realtime.auth.tokens import parse_access
from tests.api.test_messages import write
from tests.people import client_for, make_token, make_user
from tests.sites.small import SITE, SmallSite

pytestmark = pytest.mark.django_db
AUTHENTICATION_QUERIES = 2


class Person:
    """A user with any names."""

    pk = 7

    def __init__(self, username, full=None, short=None):
        self.username = username
        if full is not None:
            self.get_full_name = full if callable(full) else lambda: full
        if short is not None:
            self.get_short_name = lambda: short

    def get_username(self):
        return self.username


@pytest.mark.parametrize(
    ("person", "name"),
    [
        (Person("alice", "Alice Liddell"), "alice"),
        (Person(4711), "4711"),
        (Person("@alice"), "@alice"),
        (Person("alice@home"), "alice@home"),
        (Person("a\0b\nc\ud800"), "a b c"),
        (Person("\u202ealice\u2066"), "alice"),  # the text behind such a name ran backwards
        (Person("x" * 151), "x" * 149 + "…"),
        (Person("bob@example.com"), "user-7"),
        (Person("bob@example.com", "Bob Builder"), "Bob Builder"),
        (Person("bob@example.com", " ", "Bob"), "Bob"),
        (Person("bob@example.com", "bob@example.com", "bob@example.com"), "user-7"),
        (Person("bob@example.com", "Bob <BOB@EXAMPLE.COM>"), "user-7"),
        (Person("bob@example.com", lambda: 1 / 0), "user-7"),
        (Person(None), "user-7"),
        (Person(None, "Bob Builder"), "Bob Builder"),
        (Person(""), "user-7"),
    ],
)
def test_the_default_is_the_username_unless_it_is_an_address(person, name):
    assert default_name(person) == name


@pytest.mark.parametrize("full", [None, "bob@intranet", "Bob"])
def test_where_users_log_in_with_addresses_no_username_is_shown(monkeypatch, full):
    monkeypatch.setattr(get_user_model(), "USERNAME_FIELD", "email")
    assert default_name(Person("bob@intranet", full)) == ("Bob" if full == "Bob" else "user-7")


def test_a_key_that_is_an_address_is_in_no_name():
    person = Person("bob@example.com")
    person.pk = "bob@example.com"
    name = default_name(person)
    assert name.startswith("user-")
    assert "bob" not in name
    assert name == default_name(person)


def nick(user):
    return user.first_name


def fail(_user):
    raise LookupError("no profile")


def give_nothing(_user):
    return None


def give_bytes(_user):
    return b"Al"


def give_blank(_user):
    return " \0 "


def give_lazy(_user):
    return lazystr("Al")


def give_much(_user):
    return "A" * 10_000


class Unwritable(Promise):
    def __str__(self):
        raise LookupError("no catalogue")


def give_unwritable(_user):
    return Unwritable()


@pytest.fixture
def choose(configure):
    def change(function):
        configure(DISPLAY_NAME=f"{__name__}.{function}")

    return change


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("nick", "Al"),
        ("give_lazy", "Al"),
        ("give_much", "A" * (MAX_CHARS - 1) + "…"),
        ("fail", "alice"),
        ("give_nothing", "alice"),
        ("give_bytes", "alice"),
        ("give_blank", "alice"),
        ("give_unwritable", "alice"),
    ],
)
def test_the_site_chooses_and_what_is_no_name_is_logged(alice, choose, caplog, function, name):
    alice.first_name = "Al"
    choose(function)
    assert display_name(alice) == name
    assert ("DISPLAY_NAME" in caplog.text) is (name == "alice")
    caplog.clear()


def test_a_handshake_has_the_name(alice, choose):
    alice.first_name = "Al"
    alice.save()
    choose("nick")
    (identity,) = load_identities([parse_access(make_token(alice))])
    assert identity.name == "Al"


def test_many_are_named_by_one_query(choose, django_assert_num_queries):
    for number in range(5):
        make_user(f"user-{number}", first_name=f"U{number}")
    # As a page may have loaded them: with too few columns, and some of them several times.
    users = [*get_user_model().objects.only("username"), *get_user_model().objects.only("username")]
    with django_assert_num_queries(0):
        assert set(name_all(users).values()) == {f"user-{number}" for number in range(5)}
    choose("nick")
    with django_assert_num_queries(1):
        assert set(name_all(users).values()) == {f"U{number}" for number in range(5)}
    with django_assert_num_queries(0):
        assert name_all([]) == {}


def test_members_and_history_have_the_name(alice, bob, shared, choose, django_assert_num_queries):
    write(shared, bob, 1, 2)
    write(shared, alice, 3)
    for user in (alice, bob):
        user.first_name = user.username.title()
        user.save()
    client = client_for(alice)
    choose("nick")
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 4):
        members = client.get("/api/v1/rooms/general/members").json()["members"]
    assert [member["username"] for member in members] == ["Alice", "Bob"]
    with django_assert_num_queries(AUTHENTICATION_QUERIES + 3):
        messages = client.get("/api/v1/rooms/general/messages").json()["messages"]
    assert [message["from_username"] for message in messages] == ["Alice", "Bob", "Bob"]


MODELS = """
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Company(models.Model):
    name = models.CharField(max_length=20)


class Visible(BaseUserManager):
    def get_queryset(self):
        return super().get_queryset().filter(hidden=False)


class Account(AbstractBaseUser):
    email = models.EmailField(unique=True)
    hidden = models.BooleanField(default=False)
    company = models.ForeignKey(Company, models.CASCADE, null=True)
    USERNAME_FIELD = "email"
    objects = Visible()

    def get_full_name(self):
        return self.email


def name(user):
    return f"{user.email[:3].title()} of {user.company.name}"


name.select_related = ("company",)
"""
TESTS = """
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import Client, TransactionTestCase, override_settings
from django.test.utils import CaptureQueriesContext
from rest_framework_simplejwt.tokens import AccessToken

import realtime
from accounts.models import Account, Company
from notifications import anotify
from realtime.models import Membership, Message
from realtime.testing import connect

NAMED = {"REALTIME": {"DISPLAY_NAME": "accounts.models.name"}}


class Names(TransactionTestCase):
    def setUp(self):
        acme = Company.objects.create(name="Acme")
        self.ann, self.ben, self.eve = (
            Account.objects.create(email=f"{name}.secret@example.com", company=acme) for name in ("ann", "ben", "eve")
        )

    def get(self, path):
        client = Client(headers={"authorization": f"Bearer {AccessToken.for_user(self.ben)}"})
        return client.get(f"/api/v1{path}").json()

    async def talk(self):
        \"\"\"All that ben receives.\"\"\"
        await realtime.acreate_room(self.ann, title="General")
        async with connect(self.ben) as his, connect(self.ben, path="/ws/chat/general") as text:
            async with connect(self.ann) as hers:
                await his.send({"type": "join", "room_id": "general"})
                await hers.send({"type": "join", "room_id": "general"})
                await his.expect("joined")
                await hers.expect("joined")
                await hers.send({"type": "message", "room_id": "general", "message": "Hello!"})
                await hers.send({"type": "message", "to_user_id": self.ben.pk, "message": "Psst!"})
                await hers.send({"type": "presence", "status": "away"})
                await hers.send({"type": "typing", "data": {"is_typing": True}})
                for message in ("Hello!", "Psst!"):
                    await his.expect("chat", message=message)
                await his.expect("presence")
                await his.expect("typing")
                await text.expect("message")
                await anotify(self.ben, "mention", actor=self.ann)
                await his.expect("notification")
                return [*his.frames, *text.frames], hers.frames[0]["data"]["message"]

    def rest(self):
        paths = ("/rooms/general/messages", "/messages", "/rooms/general/members", "/online")
        return [self.get(path) for path in paths]

    async def test_no_address_is_shown(self):
        frames, greeting = await self.talk()
        shown = str([frames, await sync_to_async(self.rest)()])
        self.assertNotIn("secret", shown)
        self.assertIn(f"'from_username': 'user-{self.ann.pk}'", shown)
        self.assertIn(f"user-{self.ann.pk} mentioned you", shown)
        self.assertEqual(greeting, f"Welcome, user-{self.ann.pk}!")

    @override_settings(**NAMED)
    async def test_the_name_of_the_site_is_shown_everywhere(self):
        frames, greeting = await self.talk()
        self.assertEqual(greeting, "Welcome, Ann of Acme!")
        names = [frame["data"]["from_username"] for frame in frames if frame["type"] == "chat"]
        self.assertEqual(names, ["Ann of Acme"] * 2)
        self.assertEqual([f["sender"] for f in frames if f["type"] == "message"], ["Ann of Acme"])
        (notification,) = [frame for frame in frames if frame["type"] == "notification"]
        self.assertEqual(notification["data"]["message"], "Ann of Acme mentioned you")
        room, direct, members, _ = await sync_to_async(self.rest)()
        self.assertEqual([message["from_username"] for message in room["messages"]], ["Ann of Acme"])
        self.assertEqual([message["from_username"] for message in direct["messages"]], ["Ann of Acme"])
        self.assertEqual([member["username"] for member in members["members"]], ["Ann of Acme", "Ben of Acme"])

    @override_settings(**NAMED)
    def test_a_page_asks_as_often_for_many_writers_as_for_one(self):
        room = realtime.create_room(self.ben, title="General")
        counts = []
        for number, user in enumerate([self.ann, self.eve]):
            Membership.objects.create(room=room, user=user)
            Message.objects.create(room=room, sender=user, text="Hello!", seq=number + 1)
            with CaptureQueriesContext(connection) as queries:
                self.get("/rooms/general/messages")
                self.get("/rooms/general/members")
            counts.append(len(queries))
        self.assertEqual(counts[0], counts[1])
        self.eve.hidden = True  # by the site's manager
        self.eve.save()
        self.assertEqual(self.get("/rooms/general/messages")["messages"][0]["from_username"], "Eve of Acme")
"""


@pytest.mark.process
def test_a_site_whose_users_log_in_with_addresses(tmp_path):
    settings = SITE["mysite/settings.py"].replace('"notifications",', '"notifications", "accounts",')
    settings += 'AUTH_USER_MODEL = "accounts.Account"\nREALTIME = {}\n'
    settings += 'CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}\n'
    files = {
        "mysite/settings.py": settings,
        "accounts/__init__.py": "",
        "accounts/models.py": MODELS,
        "tests.py": TESTS,
    }
    assert "Ran 3 tests" in SmallSite(tmp_path, files).run("django", "test", "tests")
