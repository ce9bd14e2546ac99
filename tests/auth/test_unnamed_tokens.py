"""Pairs that were made by a program without this application: no token of them names its login."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, SlidingToken

from realtime.auth import tokens
from realtime.auth.identity import load_identities
from realtime.auth.outstanding import find_refreshes
from realtime.delivery.blacklist import end_login_of
from realtime.sockets.node import get_node
from realtime.sockets.recheck import recheck
from realtime.storage.database import run
from realtime.testing import connect, other_process
from tests.people import make_user

pytestmark = pytest.mark.django_db(transaction=True)

UNAUTHENTICATED = (4401, "UNAUTHENTICATED")


class Pair:
    """A pair that was made some seconds ago."""

    def __init__(self, user, age=0):
        self.user, self.at = user, ago(age)
        refresh = RefreshToken.for_user(user)
        del refresh.payload["realtime_login"]
        refresh.set_iat(at_time=self.at)
        self.refresh, self.jti = str(refresh), refresh["jti"]
        OutstandingToken.objects.filter(jti=self.jti).update(token=self.refresh, created_at=self.at)
        self.access = self.renew(self.at)

    def renew(self, at):
        """Another access token of the same login."""
        access = AccessToken.for_user(self.user)
        access.set_iat(at_time=at)
        return str(access)

    def row(self):
        return OutstandingToken.objects.get(jti=self.jti)

    def log_out(self):
        RefreshToken(self.refresh).blacklist()

    def log_out_some_time_ago(self):
        """As the node's clock does, which finds a row that is older."""
        (row,) = BlacklistedToken.objects.bulk_create([BlacklistedToken(token=self.row())])
        row.blacklisted_at = ago(2000)
        end_login_of(row)


def ago(seconds):
    return timezone.now() - timedelta(seconds=seconds)


def rest(access):
    return APIClient(headers={"authorization": f"Bearer {access}"})


def is_good(access):
    return rest(access).get("/api/v1/rooms").status_code == 200


async def test_a_logout_ends_what_was_issued_before(site, alice, bob):
    pair, others = await run(Pair, alice, 20), await run(Pair, bob, 20)
    named = await run(lambda: str(tokens.start_login(alice).access_token))
    renewed = pair.renew(ago(10))
    ticket = (await run(rest(pair.access).post, "/api/v1/ws/ticket")).json()["ticket"]
    unused = (await run(rest(pair.access).post, "/api/v1/ws/ticket")).json()["ticket"]
    ended = [await site.connect(pair.access), await site.connect(renewed), await site.connect(query={"ticket": ticket})]
    stay = [await site.connect(others.access), await site.connect(named)]
    await run(pair.log_out)
    assert [await socket.ending() for socket in ended] == [UNAUTHENTICATED] * 3
    for how in ({"token": pair.access}, {"token": renewed}, {"ticket": unused}):
        assert await (await site.knock(query=how)).ending() == UNAUTHENTICATED
    assert not await run(is_good, pair.access)
    assert [await socket.settle() for socket in stay] == [[], []]
    assert await run(is_good, others.access)


async def test_what_is_issued_after_it_is_good(site, alice):
    pair = await run(Pair, alice)
    await run(pair.log_out)
    later = pair.renew(ago(-2))
    await site.connect(later)
    assert await run(is_good, later)


async def test_another_client_goes_on_with_its_refresh_token_at_once(site, alice):
    pair, other = await run(Pair, alice, 20), await run(Pair, alice, 20)
    await run(pair.log_out)
    assert not await run(is_good, other.access)
    answer = await run(APIClient().post, "/api/v1/auth/refresh", {"refresh": other.refresh})
    await site.connect(answer.json()["access"])


async def test_a_second_logout_moves_the_moment(alice):
    first, second = await run(Pair, alice, 20), await run(Pair, alice, 20)
    await run(first.log_out)
    between = second.renew(ago(-3))
    assert await run(is_good, between)
    marker = BlacklistedToken.objects.filter(token__jti__startswith="unnamed.")
    await run(lambda: marker.update(blacklisted_at=ago(5000)))
    await run(second.log_out)
    assert await run(lambda: marker.get().blacklisted_at) > ago(2000)
    assert not await run(is_good, first.access)


async def test_an_older_moment_changes_nothing(alice):
    first, second = await run(Pair, alice, 20), await run(Pair, alice, 20)
    await run(first.log_out)
    marker = BlacklistedToken.objects.filter(token__jti__startswith="unnamed.")
    later = ago(-5000)
    await run(lambda: marker.update(blacklisted_at=later))
    await run(second.log_out)
    assert await run(lambda: marker.get().blacklisted_at) == later


async def test_the_recheck_finds_a_logout_whose_order_was_lost(site, alice, monkeypatch):
    pair = await run(Pair, alice, 5000)
    older, newer = await site.connect(pair.access), await site.connect(pair.renew(ago(0)))
    monkeypatch.setattr("realtime.delivery.publishing._obey_on_commit", lambda control: None)
    await run(pair.log_out)
    marker = BlacklistedToken.objects.filter(token__jti__startswith="unnamed.")
    await run(lambda: marker.update(blacklisted_at=ago(2000)))
    await recheck(get_node().hub)
    assert await older.ending() == UNAUTHENTICATED
    assert await newer.settle() == []


async def test_nobody_enters_during_the_logout(site, alice, monkeypatch):
    pair = await run(Pair, alice, 20)
    todo = [pair.log_out]

    def load_late(batch):
        found = load_identities(batch)
        while todo:
            todo.pop()()
        return found

    monkeypatch.setattr(get_node().loader, "_work", load_late)
    assert await (await site.knock(pair.access)).ending() == UNAUTHENTICATED


async def test_every_process_hears_of_it(alice):
    pair = await run(Pair, alice, 5000)
    old, new = [{"query": {"token": access}} for access in (pair.access, pair.renew(ago(0)))]
    async with (
        other_process() as other,
        connect(**old) as here,
        connect(**old, process=other) as there,
        connect(**new, process=other) as later,
    ):
        for socket in (here, there, later):
            await socket.expect("connected")
        await other.run(pair.log_out_some_time_ago)
        for socket in (here, there):
            await socket.expect_closed(4401, "UNAUTHENTICATED")
        await later.send({"type": "ping"})
        await later.expect("pong")


async def test_a_new_token_of_another_kind_makes_the_socket_independent(site, alice, token):
    pair = await run(Pair, alice, 20)
    socket = await site.connect(pair.access)
    assert (await socket.ask("auth", token=token(alice)))["type"] == "ack"
    await run(pair.log_out)
    assert await socket.settle() == []


def test_the_user_is_the_one_whom_the_sites_field_names(monkeypatch, alice):
    monkeypatch.setattr(api_settings, "USER_ID_FIELD", "username")
    make_user(str(alice.pk))
    pair = Pair(alice, 20)
    other = Pair(make_user("zoe"), 20)
    pair.log_out()
    assert not is_good(pair.access)
    assert is_good(other.access)


def test_other_tokens_are_their_own_login(alice, monkeypatch):
    monkeypatch.setattr(api_settings, "AUTH_TOKEN_CLASSES", (SlidingToken,))
    sliding = SlidingToken.for_user(alice)
    Pair(alice, 20).log_out()
    assert is_good(sliding)
    sliding.blacklist()
    assert not is_good(sliding)


# Which refresh token an access token was made from


def log_out(access):
    assert rest(access).post("/api/v1/auth/logout").status_code == 204


def is_live(pair):
    return not BlacklistedToken.objects.filter(token__jti=pair.jti).exists()


def test_an_access_token_ends_the_refresh_token_of_its_moment(alice):
    pair, other = Pair(alice, 20), Pair(alice, 40)
    log_out(pair.access)
    assert (is_live(pair), is_live(other)) == (False, True)


def test_a_renewed_one_ends_the_only_refresh_token_there_is(alice):
    pair = Pair(alice, 40)
    log_out(pair.renew(ago(10)))
    assert not is_live(pair)
    assert not is_good(pair.access)


def test_one_that_may_be_of_several_ends_alone(alice):
    pairs = [Pair(alice, 40), Pair(alice, 60)]
    access = pairs[0].renew(ago(10))
    log_out(access)
    assert not is_good(access)
    assert all(is_live(pair) for pair in pairs)


def test_one_of_nobody_has_none(alice):
    assert find_refreshes("not-a-key", [], 1) == []
    pair = Pair(alice, 20)
    OutstandingToken.objects.filter(jti=pair.jti).update(created_at=None)
    assert [noted.jti for noted in find_refreshes(str(alice.pk), [], 1)] == [pair.jti]


def test_a_token_without_a_time_counts_as_old(alice):
    access = AccessToken.for_user(alice)
    del access.payload["iat"]
    assert is_good(access)
    Pair(alice).log_out()
    assert not is_good(access)
