"""Rights that change while sockets are open: what is revoked is gone at once, and the sockets get the reason."""

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from rest_framework.test import APIClient
from rest_framework_simplejwt.serializers import TokenRefreshSerializer
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from realtime import signals
from realtime.auth import tokens
from realtime.chat import rooms
from realtime.delivery import publishing
from realtime.models import Membership
from realtime.storage.database import run
from tests.people import client_for, make_user

pytestmark = pytest.mark.django_db(transaction=True)
DISABLED = (4403, "USER_DISABLED")
UNAUTHENTICATED = (4401, "UNAUTHENTICATED")


@pytest.fixture
def login(alice):
    return tokens.start_login(alice)


@pytest.fixture
def rotates(monkeypatch):
    monkeypatch.setattr(api_settings, "ROTATE_REFRESH_TOKENS", True)
    monkeypatch.setattr(api_settings, "BLACKLIST_AFTER_ROTATION", True)


@pytest.fixture
def ended(monkeypatch):
    """What was ended, in order: the arguments of `delivery`'s verbs."""
    calls = []
    for verb in ("disable_user", "unauthenticate_user", "disconnect_login", "unsubscribe", "close_stream"):
        monkeypatch.setattr(publishing, verb, lambda *args, verb=verb: calls.append((verb, *args)))
    return calls


async def is_undisturbed(socket):
    return not [frame for frame in await socket.settle() if frame["type"] not in ("user_status", "online_count")]


# Rooms


async def test_it_takes_a_room_from_who_is_removed(site, alice, bob, shared):
    owner, first, second = await site.join(alice), await site.join(bob), await site.join(bob)
    await run(rooms.remove_member, alice.pk, "general", bob.pk)
    for socket in (first, second):
        assert await socket.find("left") == {"type": "left", "room_id": "general", "reason": "REMOVED"}
    await owner.ask("message", room_id="general", message="He has gone")
    assert await is_undisturbed(first)


async def test_it_takes_a_deleted_room_from_everybody(site, alice, bob, shared):
    sockets = await site.join(alice), await site.join(bob)
    await run(shared.delete)
    for socket in sockets:
        await socket.find("left", room_id="general", reason="REMOVED")


async def test_it_needs_nothing_when_a_room_becomes_private(site, alice, bob, carol, shared):
    """Whoever is subscribed is a member: joining a public room makes one, and resuming it asks for one."""
    member, visitor = await site.join(bob), await site.join(carol)
    await run(rooms.remove_member, alice.pk, "general", carol.pk)
    await visitor.find("left")
    await run(rooms.update, alice.pk, "general", private=True)
    assert (await visitor.ask("join", room_id="general"))["error_code"] == "NOT_FOUND"
    assert (await visitor.ask("resume", streams={"room.general": 0}))["type"] == "error"
    await member.find("room_updated", room_id="general", private=True)
    assert await is_undisturbed(member)


async def test_it_finds_out_about_memberships_that_went_in_silence(site, alice, bob, shared, configure):
    configure(AUTH_RECHECK_SECONDS=0.1)
    removed, other = await site.join(bob), await site.join(alice)
    await run(lambda: Membership.objects.filter(user=bob)._raw_delete("default"))  # no signal is sent
    await removed.find("left", room_id="general", reason="REMOVED")
    assert await is_undisturbed(other)


# Users


@pytest.mark.parametrize("fields", [None, ["is_active"]])
async def test_it_closes_the_sockets_of_a_disabled_user(site, alice, bob, fields):
    sockets, other = [await site.connect(alice), await site.connect(alice)], await site.connect(bob)
    alice.is_active = False
    await run(alice.save, update_fields=fields)
    for socket in sockets:
        assert await socket.ending() == DISABLED
    assert await is_undisturbed(other)


async def test_it_closes_the_sockets_of_a_deleted_user(site, alice, shared):
    socket = await site.join(alice)
    await run(alice.delete)
    assert await socket.ending() == DISABLED


async def test_it_closes_the_sockets_when_the_password_is_changed(site, alice, bob):
    socket, other = await site.connect(alice), await site.connect(bob)
    alice.set_password("another")
    await run(alice.save)
    assert await socket.ending() == UNAUTHENTICATED
    assert await is_undisturbed(other)


def test_it_distinguishes_a_new_password_from_an_old_one(alice, ended):
    alice.first_name = "Alice"
    alice.save()
    alice.save(update_fields=["first_name"])
    get_user_model().objects.only("pk").get(pk=alice.pk).save()
    make_user("dora")
    assert ended == []
    alice.set_password("another")
    alice.save(update_fields=["first_name"])  # the password is not written
    assert ended == []
    alice.save(update_fields=["password"])
    alice.save()
    assert ended == [("unauthenticate_user", alice.pk)]


def test_it_costs_no_query_when_the_password_is_not_written(alice, django_assert_num_queries):
    with django_assert_num_queries(1):
        alice.save(update_fields=["last_login"])


def test_it_knows_the_users_proxies(alice, ended):
    class Person(type(alice)):
        class Meta:
            proxy = True
            app_label = "realtime"

    try:
        assert Person in signals._user_models()
    finally:
        Person._meta.apps.all_models["realtime"].pop("person")
        Person._meta.apps.clear_cache()


def test_it_says_it_once_for_all_of_a_user_or_a_room(alice, bob, shared, ended):
    bob_pk = bob.pk
    bob.delete()
    assert ended == [("disable_user", bob_pk)]
    ended.clear()
    room_pk = shared.pk
    shared.delete()
    assert ended == [("close_stream", "room.general", room_pk)]


async def test_it_waits_for_the_commit(site, alice):
    socket = await site.connect(alice)

    def disable_and_fail():
        with transaction.atomic():
            alice.is_active = False
            alice.save()
            raise KeyError

    with pytest.raises(KeyError):
        await run(disable_and_fail)
    assert await is_undisturbed(socket)


# Logins


async def test_it_closes_the_sockets_of_a_login_that_is_blacklisted(site, alice, login):
    """As the admin does, which knows of the stored token alone."""
    access = str(login.access_token)
    socket, other = await site.connect(access), await site.connect(alice)
    await run(lambda: BlacklistedToken.objects.create(token=OutstandingToken.objects.get(jti=login["jti"])))
    assert await socket.ending() == UNAUTHENTICATED
    assert await (await site.knock(access)).ending() == UNAUTHENTICATED
    assert await is_undisturbed(other)


def test_it_closes_them_from_the_admin(admin_client, login, ended):
    noted = OutstandingToken.objects.get(jti=login["jti"])
    answer = admin_client.post("/admin/token_blacklist/blacklistedtoken/add/", {"token": noted.pk})
    assert answer.status_code == 302
    assert ended == [("disconnect_login", login["realtime_login"])]


def test_it_closes_them_from_simplejwts_own_logout(login, ended):
    RefreshToken(str(login)).blacklist()
    RefreshToken(str(login), verify=False).blacklist()
    assert ended == [("disconnect_login", login["realtime_login"])]


async def test_it_keeps_the_sockets_when_a_token_is_rotated(site, alice, login, rotates):
    socket = await site.connect(str(login.access_token))

    def rotate(refresh):
        return APIClient().post("/api/v1/auth/refresh", {"refresh": refresh}, format="json").json()["refresh"]

    rotated = await run(rotate, str(login))
    assert await run(lambda: BlacklistedToken.objects.get().token.jti) == login["jti"]
    assert await is_undisturbed(socket)
    await run(lambda: RefreshToken(rotated).blacklist())
    assert await socket.ending() == UNAUTHENTICATED


def test_it_knows_a_rotation_by_simplejwts_own_view(login, rotates, ended):
    serializer = TokenRefreshSerializer(data={"refresh": str(login)})
    assert serializer.is_valid()
    assert RefreshToken(serializer.validated_data["refresh"])["realtime_login"] == login["realtime_login"]
    assert not tokens.is_rotating()
    assert ended == []


async def test_it_closes_the_sockets_at_a_logout(site, login):
    access = str(login.access_token)
    socket = await site.connect(access)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    assert (await run(client.post, "/api/v1/auth/logout")).status_code == 204
    assert await socket.ending() == UNAUTHENTICATED


def test_it_stores_a_login_with_its_name(alice, login):
    assert client_for(alice).get("/api/v1/rooms").status_code == 200
    noted = OutstandingToken.objects.get(jti=login["jti"])
    assert tokens.login_of(noted) == login["realtime_login"]
    for text in ("", "rubbish", "a.b.c"):
        noted.token = text
        assert tokens.login_of(noted) == login["jti"]
