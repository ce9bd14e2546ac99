"""Every primary key names its stream: in frames, in addresses and in the log."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.auth.user_ids import MAX_NUMBER, wire_id
from realtime.protocol import commands
from realtime.protocol.frames import stamp
from realtime.protocol.streams import SITE, is_stream, room_stream, split_stream, topic_stream, user_stream
from tests.sites.small import SITE as FILES
from tests.sites.small import SmallSite

# All printable texts. A filter would throw so many away that hypothesis sometimes gives up.
PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
KEYS = st.text(PRINTABLE, min_size=1, max_size=255)


@pytest.mark.parametrize(
    ("key", "stream"),
    [
        (1, "user.1"),
        ("6fa459ea-ee8a-3ca4-94e3-1ed1ff4a3b0e", "user.6fa459ea-ee8a-3ca4-94e3-1ed1ff4a3b0e"),
        ("A_b-9", "user.A_b-9"),
        ("bob@example.com", "user.bob%40example.com"),
        ("auth0|5f7c", "user.auth0%7C5f7c"),
        ("CORP\\sam", "user.CORP%5Csam"),
        ("acme/bob", "user.acme%2Fbob"),
        ("a%b~c d", "user.a%25b%7Ec%20d"),
        ("张", "user.%E5%BC%A0"),
    ],
)
def test_the_names_of_streams(key, stream):
    assert user_stream(key) == stream


@given(KEYS, KEYS)
def test_a_name_is_a_stream_of_one_user_alone_and_valid_json(one, other):
    name = user_stream(one)
    assert is_stream(name)
    assert split_stream(name).kind == "user"
    assert len(name) <= 100
    assert (name == user_stream(other)) is (one == other)
    assert json.loads(stamp(b'{"type":"x"}', name, 7)) == {"type": "x", "stream": name, "seq": 7}


@pytest.mark.parametrize(
    "wrong", ["user.", "user.a b", 'user."', "user.a\n", "user." + "x" * 96, "room.a%40", "topic.a.b"]
)
def test_other_texts_are_no_streams(wrong):
    assert not is_stream(wrong)


def test_other_streams_are_named_as_before():
    assert [is_stream(name) for name in (SITE, room_stream("general"), topic_stream("Metrics"))] == [True] * 3


@pytest.mark.parametrize(
    ("pk", "expected"),
    [(7, 7), (MAX_NUMBER, MAX_NUMBER), (MAX_NUMBER + 1, str(MAX_NUMBER + 1)), (2**63 - 1, str(2**63 - 1)), ("a", "a")],
)
def test_numbers_that_not_every_client_can_read_are_texts(pk, expected):
    assert wire_id(pk) == expected


def test_a_command_takes_long_keys():
    decoded = commands.decode(json.dumps({"type": "message", "to_user_id": "x" * 255, "message": "Hello!"}))
    assert decoded.to_user_id == "x" * 255
    with pytest.raises(commands.Invalid):
        commands.decode(json.dumps({"type": "message", "to_user_id": "x" * 256, "message": "Hello!"}))


MODELS = """
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Account(AbstractBaseUser):
    key = models.{field}
    USERNAME_FIELD = "key"
    objects = BaseUserManager()
"""
TESTS = """
from asgiref.sync import sync_to_async
from django.db import transaction
from django.test import Client, TransactionTestCase, override_settings
from rest_framework_simplejwt.tokens import AccessToken

import realtime
from accounts.models import Account
from notifications import notify
from realtime.manager import manager
from realtime.models import Event
from realtime.presence import live
from realtime.testing import connect

KEYS = {keys}
WIRE = [key if isinstance(key, str) or key < 2**53 else str(key) for key in KEYS]


class Keys(TransactionTestCase):
    def setUp(self):
        self.users = [Account.objects.create(key=key) for key in KEYS]
        self.other = Account.objects.create(key=KEYS[0] + KEYS[0])

    def test_notifying_in_a_transaction(self):
        with transaction.atomic():
            for user in self.users:
                notify(user, "mention", actor=self.other)
                realtime.send_to_user(user.pk, {{"type": "order_sent"}})
        self.assertEqual(Event.objects.filter(seq__isnull=False).count(), 2 * len(KEYS))

    async def test_talking(self):
        async with connect(self.other) as sender:
            for user, key in zip(self.users, WIRE):
                async with connect(user) as socket:
                    self.assertEqual(socket.greeting["user_id"], key)
                    id = f"to {{key}}"[:64]
                    await sender.send({{"type": "message", "to_user_id": key, "message": "Hello!", "id": id}})
                    await sender.expect("ack", id=id)
                    await socket.expect("chat", message="Hello!", to_user_id=key)
                    self.assertTrue(await manager.ais_user_online(user))
                    self.assertTrue(await manager.ais_user_online(str(user.pk)))
                    self.assertIn(key, [one.user_id for one in (await live.afind_users()).users])
                async with connect(user, path="/api/v1/ws", resume=socket) as again:
                    self.assertEqual(again.greeting["user_id"], key)

    async def test_one_who_gets_the_key_of_another(self):
        for user in self.users:
            await sync_to_async(realtime.send_to_user)(user, {{"type": "secret"}})
            key = user.pk
            await user.adelete()
            new = await Account.objects.acreate(key=key)
            async with connect(new) as socket:
                stream = next(name for name in socket.greeting["streams"] if name != "site")
                await socket.send({{"type": "resume", "id": "r", "streams": {{stream: 0}}}})
                await socket.expect("resumed", id="r")
                self.assertNotIn("secret", [frame["type"] for frame in socket.frames])

    @override_settings(REALTIME={{}})
    def test_asking_over_rest(self):
        from urllib.parse import quote

        client = Client(headers={{"authorization": f"Bearer {{AccessToken.for_user(self.other)}}"}})
        for user, key in zip(self.users, WIRE):
            answer = client.get(f"/api/v1/status/{{quote(str(key), safe='')}}")
            self.assertEqual((answer.status_code, answer.json().get("user_id")), (200, key))

    @override_settings(REALTIME={{}})
    def test_half_a_surrogate_pair_over_rest(self):
        client = Client(headers={{"authorization": f"Bearer {{AccessToken.for_user(self.other)}}"}})
        realtime.create_room(self.other, title="Mine", slug="mine")
        given = {{"user_id": chr(0xD800)}}
        answer = client.post("/api/v1/rooms/mine/members", given, content_type="application/json")
        self.assertEqual(answer.status_code, 400, answer.content)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("field", "keys"),
    [
        (
            "CharField(primary_key=True, max_length=254)",
            ["bob@example.com", "auth0|5f7c", "CORP\\sam", "acme/bob", "x" * 100, "张三", 'a"b', "~" + "f" * 40, "a.b"],
        ),
        ("BigIntegerField(primary_key=True)", [844197938335842305, 2**53 - 1, 7]),
    ],
    ids=["texts", "large numbers"],
)
def test_users_with_any_key(tmp_path, field, keys):
    settings = FILES["mysite/settings.py"].replace('"notifications",', '"notifications", "accounts",')
    settings += 'AUTH_USER_MODEL = "accounts.Account"\nSIMPLE_JWT = {"USER_ID_FIELD": "pk"}\n'
    files = {
        "mysite/settings.py": settings,
        "accounts/__init__.py": "",
        "accounts/models.py": MODELS.format(field=field),
        "tests.py": TESTS.format(keys=keys),
    }
    assert "Ran 5 tests" in SmallSite(tmp_path, files).run("django", "test", "tests")
