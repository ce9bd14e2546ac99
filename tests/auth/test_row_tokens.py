"""Tokens that are rows: of rest_framework.authtoken, knox and a model of the site's own. Their end is a logout."""

import pytest

from tests.sites.small import SITE, SmallSite

# As knox makes it: several tokens for a user, known by a digest, some of them with an end.
KNOX = """
from django.conf import settings
from django.db import models


class AbstractAuthToken(models.Model):
    digest = models.CharField(max_length=128, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="auth_token_set")
    expiry = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class AuthToken(AbstractAuthToken):
    pass
"""
KNOX_AUTH = """
from rest_framework.authentication import BaseAuthentication
from knox.models import AuthToken


class TokenAuthentication(BaseAuthentication):
    def authenticate(self, request):
        word, _, digest = request.headers.get("Authorization", "").partition(" ")
        found = AuthToken.objects.filter(digest=digest).first() if word == "Knox" else None
        return (found.user, found) if found else None

    def authenticate_header(self, request):
        return "Knox"
"""
DEVICES = """
from django.conf import settings
from django.db import models
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed


class Device(models.Model):
    key = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)


class DeviceAuthentication(TokenAuthentication):
    keyword = "Device"
    model = Device


class Scanner(models.Model):
    key = models.CharField(max_length=40, unique=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    lent_to = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")


class Badge(models.Model):
    key = models.CharField(max_length=40, unique=True)
    scanner = models.ForeignKey(Scanner, models.CASCADE)


class ScannerAuthentication(TokenAuthentication):
    keyword = "Scanner"
    model = Scanner

    def authenticate_credentials(self, key):
        found = self.model.objects.filter(key=key).first()
        if found is None:
            raise AuthenticationFailed
        return self.find_user(found), found

    def find_user(self, found):
        return found.lent_to or found.owner


class BadgeAuthentication(ScannerAuthentication):
    keyword = "Badge"
    model = Badge

    def find_user(self, found):
        return found.scanner.owner


class BossAuthentication(ScannerAuthentication):
    # Of another user than those whom the row names.
    keyword = "Boss"

    def find_user(self, found):
        from django.contrib.auth import get_user_model
        return get_user_model().objects.get(username="carl")


class KeyAuthentication(BaseAuthentication):
    # Nobody but the site knows what this is, and when it ends.
    def authenticate(self, request):
        word, _, name = request.headers.get("Authorization", "").partition(" ")
        if word != "Key":
            return None
        from django.contrib.auth import get_user_model
        name, _, ends = name.partition("@")
        return get_user_model().objects.get(username=name), {"key": name, **({"exp": int(ends)} if ends else {})}
"""
SETTINGS = """
INSTALLED_APPS += ["rest_framework.authtoken", "knox", "devices"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
]
REST_FRAMEWORK = {"NUM_PROXIES": 0, "DEFAULT_AUTHENTICATION_CLASSES": [
    "rest_framework.authentication.SessionAuthentication", "rest_framework.authentication.TokenAuthentication",
    "knox.auth.TokenAuthentication", "devices.models.DeviceAuthentication", "devices.models.KeyAuthentication",
    "devices.models.ScannerAuthentication", "devices.models.BadgeAuthentication", "devices.models.BossAuthentication",
]}
"""
TESTS = """
from datetime import UTC, datetime, timedelta

from asgiref.sync import sync_to_async
from devices.models import Badge, Device, Scanner
from django.contrib.auth import get_user_model
from django.test import TransactionTestCase
from knox.models import AuthToken
from rest_framework.authtoken.models import Token, TokenProxy
from rest_framework.test import APIClient

from realtime.auth import identity
from realtime.models import Ticket
from realtime.sockets import node
from realtime.sockets.node import get_node
from realtime.sockets.recheck import recheck
from realtime.testing import connect

TICKET, LOGOUT, ROOMS = "/api/v1/ws/ticket", "/api/v1/auth/logout", "/api/v1/rooms"


def user(name):
    return get_user_model().objects.create_user(name, password="correct horse")


user_named = sync_to_async(user)


@sync_to_async
def post(header, path):
    return APIClient(headers={"authorization": header}).post(path)


async def get_ticket(header):
    answer = await post(header, TICKET)
    assert answer.status_code == 200, answer.json()
    return {"query": {"ticket": answer.json()["ticket"]}}


class RowTokens(TransactionTestCase):
    def setUp(self):
        self.anna, self.ben = user("anna"), user("ben")
        self.token = Token.objects.create(user=self.anna)
        self.first, self.second = [AuthToken.objects.create(digest=c * 128, user=self.anna) for c in "ab"]
        self.device = Device.objects.create(key="d" * 40, user=self.anna)
        self.others = Token.objects.create(user=self.ben)
        self.headers = [f"Token {self.token.key}", f"Knox {self.first.digest}", f"Device {self.device.key}"]

    async def assert_ended(self, socket, header):
        await socket.expect_closed(4401, "UNAUTHENTICATED")
        self.assertEqual((await post(header, TICKET)).status_code, 401)

    async def test_a_deleted_token_ends_its_sockets(self):
        rows = [self.token, self.first]
        for header, row in zip(self.headers, rows):
            async with connect(**await get_ticket(header)) as socket:
                async with connect(**await get_ticket(f"Token {self.others.key}")) as other:
                    await socket.expect("connected")
                    self.assertIsNone(socket.greeting["expires_at"])
                    unused = await get_ticket(header)
                    await row.adelete()
                    await self.assert_ended(socket, header)
                    await other.expect("connected")
                    await other.send({"type": "ping"})
                    await other.expect("pong")
            async with connect(**unused) as late:
                await late.expect_closed(4401, "UNAUTHENTICATED")

    async def test_the_admin_and_queries_delete_tokens_as_well(self):
        for delete in (
            lambda: TokenProxy.objects.get(user=self.anna).delete(),
            lambda: Token.objects.filter(user=self.anna).delete(),
        ):
            token, _ = await Token.objects.aget_or_create(user=self.anna)
            async with connect(**await get_ticket(f"Token {token.key}")) as socket:
                await socket.expect("connected")
                await sync_to_async(delete)()
                await self.assert_ended(socket, f"Token {token.key}")

    async def test_a_token_that_is_replaced_in_silence(self):
        async with connect(**await get_ticket(self.headers[0])) as socket:
            await socket.expect("connected")
            await recheck(get_node().hub)
            await socket.send({"type": "ping"})
            await socket.expect("pong")
            await Token.objects.filter(user=self.anna).aupdate(key="e" * 40)
            await recheck(get_node().hub)
            await self.assert_ended(socket, self.headers[0])

    async def test_one_of_several_tokens(self):
        async with connect(**await get_ticket(self.headers[1])) as socket:
            await socket.expect("connected")
            await self.second.adelete()
            await recheck(get_node().hub)
            await socket.send({"type": "ping"})
            await socket.expect("pong")

    async def test_a_model_of_the_sites_own_is_found_by_the_recheck(self):
        async with connect(**await get_ticket(self.headers[2])) as socket:
            await socket.expect("connected")
            await recheck(get_node().hub)
            await socket.send({"type": "ping"})
            await socket.expect("pong")
            await Device.objects.aupdate(key="f" * 40)
            await recheck(get_node().hub)
            await self.assert_ended(socket, self.headers[2])

    async def test_a_model_of_the_sites_own_may_name_its_user_as_it_likes(self):
        scanner = await Scanner.objects.acreate(key="s", owner=self.anna)
        for change in ({"lent_to": self.ben}, {"key": "t"}):
            async with connect(**await get_ticket("Scanner s")) as socket:
                await socket.expect("connected")
                await recheck(get_node().hub)
                await socket.send({"type": "ping"})
                await socket.expect("pong")
                await Scanner.objects.aupdate(**change)
                await recheck(get_node().hub)
                if "key" in change:
                    await self.assert_ended(socket, "Scanner s")

    async def test_what_does_not_name_its_user_opens_sockets_as_well(self):
        await user_named("carl")
        scanner = await Scanner.objects.acreate(key="s", owner=self.anna)
        await Badge.objects.acreate(key="b", scanner=scanner)
        for header in ("Badge b", "Boss s"):
            async with connect(**await get_ticket(header)) as socket:
                await socket.expect("connected")
                await recheck(get_node().hub)
                await socket.send({"type": "ping"})
                await socket.expect("pong")

    async def test_a_token_has_an_end(self):
        ends = datetime.now(UTC) + timedelta(hours=1)
        await AuthToken.objects.filter(pk=self.first.pk).aupdate(expiry=ends)
        async with connect(**await get_ticket(self.headers[1])) as socket:
            await socket.expect("connected")
            self.assertEqual(datetime.fromisoformat(socket.greeting["expires_at"]), ends)
        async with connect(**await get_ticket("Key anna@2000000000")) as socket:
            await socket.expect("connected")
            self.assertEqual(socket.greeting["expires_at"], "2033-05-18T03:33:20.000000Z")

    async def test_our_logout_deletes_the_token(self):
        for header in self.headers[:2]:
            async with connect(**await get_ticket(header)) as socket:
                await socket.expect("connected")
                self.assertEqual((await post(header, LOGOUT)).status_code, 204)
                await self.assert_ended(socket, header)
        self.assertEqual(await AuthToken.objects.acount(), 1)

    async def test_nobody_enters_during_a_logout(self):
        how = await get_ticket(self.headers[0])
        load, token = node.load_identities, self.token

        def load_late(batch):
            found = load(batch)
            token.delete()
            return found

        node.load_identities = load_late
        try:
            async with connect(**how) as socket:
                await socket.expect_closed(4401, "UNAUTHENTICATED")
        finally:
            node.load_identities = load

    async def test_what_cannot_be_ended_is_not_called_ended(self):
        for header in ("Key anna", self.headers[2]):
            answer = await post(header, LOGOUT)
            self.assertEqual((answer.status_code, answer.json()["code"]), (400, "INVALID_MESSAGE"))
            self.assertEqual((await post(header, TICKET)).status_code, 200)
        async with connect(**await get_ticket("Key anna")) as socket:
            await socket.expect("connected")

    def test_a_session_of_somebody_else_beside_a_token(self):
        client = APIClient(headers={"authorization": self.headers[0]})
        client.force_login(self.ben)
        # REST framework takes the first that it finds, and nothing else is ended.
        self.assertEqual(client.post(TICKET).status_code, 200)
        self.assertEqual(str(Ticket.objects.get().user), "ben")
        self.assertEqual(client.post(LOGOUT).status_code, 204)
        self.assertTrue(Token.objects.filter(pk=self.token.pk).exists())
        self.assertEqual(client.post(TICKET).status_code, 200)
        self.assertEqual(str(Ticket.objects.get(token_login__startswith="row.").user), "anna")

    def test_a_session_of_nobody_beside_a_key(self):
        client = APIClient(headers={"authorization": "Key anna"})
        session = client.session
        session["basket"] = [1]
        session.save()
        self.assertEqual(client.post(TICKET).status_code, 200)
        self.assertEqual(Ticket.objects.get().token_login, "")
        self.assertEqual(client.post(LOGOUT).status_code, 400)
        self.assertEqual(client.session["basket"], [1])

    def test_a_batch_costs_one_query_more(self):
        client = APIClient(headers={"authorization": self.headers[0]})
        claims = [identity.redeem_ticket(client.post(TICKET).json()["ticket"]) for _ in range(5)]
        # Users, revocations, and one for each model of tokens.
        with self.assertNumQueries(6):
            found = identity.load_identities(claims)
        self.assertEqual({one.key for one in found}, {str(self.anna.pk)})
"""


@pytest.mark.process
def test_a_login_lasts_as_long_as_its_row(tmp_path):
    files = {
        "mysite/settings.py": SITE["mysite/settings.py"] + SETTINGS,
        "knox/__init__.py": "",
        "knox/models.py": KNOX,
        "knox/auth.py": KNOX_AUTH,
        "devices/__init__.py": "",
        "devices/models.py": DEVICES,
        "tests.py": TESTS,
    }
    assert "Ran 14 tests" in SmallSite(tmp_path, files).run("django", "test", "tests")
