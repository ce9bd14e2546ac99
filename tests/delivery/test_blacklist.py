"""Tokens that were blacklisted without a signal: whose login ends by that, and when."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken
from rest_framework_simplejwt.views import TokenRefreshView

from realtime.auth import tokens
from realtime.delivery import blacklist
from realtime.delivery.blacklist import SilentRows
from realtime.storage.database import run
from tests.people import make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rotates(monkeypatch):
    monkeypatch.setattr(api_settings, "ROTATE_REFRESH_TOKENS", True)
    monkeypatch.setattr(api_settings, "BLACKLIST_AFTER_ROTATION", True)


@pytest.fixture
def rows():
    """Those that a process has seen: it has looked once."""
    rows = SilentRows()
    rows.look()
    return rows


def end_in_silence(*refreshes):
    noted = OutstandingToken.objects.filter(jti__in=[refresh["jti"] for refresh in refreshes])
    return BlacklistedToken.objects.bulk_create([BlacklistedToken(token=token) for token in noted])


def is_good(access):
    client = APIClient(headers={"authorization": f"Bearer {access}"})
    return client.get("/api/v1/rooms").status_code == 200


def twice(rows):
    rows.look()
    rows.look()


def unnamed(user, age):
    """A pair of a program without this application; returns the refresh token, and an access token."""
    refresh, at = RefreshToken.for_user(user), timezone.now() - timedelta(seconds=age)
    del refresh.payload["realtime_login"]
    OutstandingToken.objects.filter(jti=refresh["jti"]).update(token=str(refresh), created_at=at)
    access = AccessToken.for_user(user)
    access.set_iat(at_time=at)
    return refresh, access


async def test_sockets_and_rest_notice_it_within_the_time_of_a_recheck(site, alice, bob, configure):
    configure(AUTH_RECHECK_SECONDS=0.1)
    refresh = await run(tokens.start_login, alice)
    access = str(refresh.access_token)
    socket, other = await site.connect(access), await site.connect(bob)
    await run(end_in_silence, refresh)
    assert await socket.ending() == (4401, "UNAUTHENTICATED")
    assert not await run(is_good, access)
    assert await (await site.knock(access)).ending() == (4401, "UNAUTHENTICATED")
    assert await other.settle() == []


def test_all_of_a_user_end_together(alice, rows):
    logins = [tokens.start_login(alice) for _ in range(3)]
    end_in_silence(*logins)
    twice(rows)
    assert [is_good(login.access_token) for login in logins] == [False] * 3


def test_a_row_is_judged_when_it_is_seen_again(alice, rows):
    refresh = tokens.start_login(alice)
    end_in_silence(refresh)
    rows.look()
    assert is_good(refresh.access_token)
    rows.look()
    assert not is_good(refresh.access_token)


def test_a_rotation_is_no_logout(alice, rows, rotates, monkeypatch):
    """Also one by a program that announces nothing: its successor is found."""
    refresh = tokens.start_login(alice)
    monkeypatch.setattr(blacklist, "end_login_of", lambda row: pytest.fail("that was a rotation"))
    successor = RefreshToken(str(refresh))
    end_in_silence(refresh)
    rows.look()  # between the two steps of the rotation
    successor.set_jti()
    successor.outstand()
    twice(rows)
    assert is_good(successor.access_token)


def test_after_a_rotation_the_newest_token_is_the_login(alice, rows, rotates):
    refresh = tokens.start_login(alice)
    view = TokenRefreshView.as_view()
    answer = view(APIRequestFactory().post("/", {"refresh": str(refresh)}, format="json")).data
    twice(rows)
    assert is_good(refresh.access_token)
    end_in_silence(RefreshToken(answer["refresh"]))
    twice(rows)
    assert not is_good(refresh.access_token)
    assert not is_good(answer["access"])


def test_where_rotations_blacklist_nothing_any_row_is_a_logout(alice, rows, rotates, monkeypatch):
    monkeypatch.setattr(api_settings, "BLACKLIST_AFTER_ROTATION", False)
    refresh = tokens.start_login(alice)
    view = TokenRefreshView.as_view()
    answer = view(APIRequestFactory().post("/", {"refresh": str(refresh)}, format="json")).data
    end_in_silence(RefreshToken(answer["refresh"]))
    twice(rows)
    assert not is_good(refresh.access_token)
    assert view(APIRequestFactory().post("/", {"refresh": str(refresh)}, format="json")).status_code == 401


def test_a_logout_with_a_signal_is_ended_once(alice, rows, monkeypatch):
    tokens.end_login(tokens.start_login(alice))
    monkeypatch.setattr(blacklist, "end_login_of", lambda row: pytest.fail("it has ended already"))
    twice(rows)


def test_it_costs_three_queries_and_then_one(alice, rows, django_assert_num_queries):
    end_in_silence(*[tokens.start_login(alice) for _ in range(5)])
    with django_assert_num_queries(3):
        rows.look()
    twice(rows)
    twice(rows)
    with django_assert_num_queries(1):
        rows.look()


def test_it_looks_at_a_part_at_a_time(alice, rows, monkeypatch):
    monkeypatch.setattr(blacklist, "CHUNK", 2)
    logins = [tokens.start_login(alice) for _ in range(5)]
    end_in_silence(*logins)
    twice(rows)
    assert [is_good(login.access_token) for login in logins] == [False] * 5


def test_a_new_process_looks_back_as_far_as_a_token_may_reach(alice, bob, monkeypatch):
    monkeypatch.setattr(api_settings, "ACCESS_TOKEN_LIFETIME", timedelta(hours=1))
    recent, old = tokens.start_login(alice), tokens.start_login(bob)
    end_in_silence(old)
    BlacklistedToken.objects.update(blacklisted_at=timezone.now() - timedelta(hours=2))
    end_in_silence(recent)
    twice(SilentRows())
    assert (is_good(recent.access_token), is_good(old.access_token)) == (False, True)


def test_a_row_may_appear_after_one_with_a_higher_key(alice, bob, rows):
    """Its transaction took longer."""
    late, early = tokens.start_login(alice), tokens.start_login(bob)
    (row,) = end_in_silence(late)
    BlacklistedToken.objects.filter(pk=row.pk).delete()
    end_in_silence(early)
    twice(rows)
    BlacklistedToken.objects.bulk_create([BlacklistedToken(pk=row.pk, token=row.token)])
    twice(rows)
    assert not is_good(late.access_token)


def test_it_forgets_rows_that_are_old(alice, rows, monkeypatch):
    end_in_silence(tokens.start_login(alice))
    twice(rows)
    assert rows._judged
    monkeypatch.setattr(blacklist, "OVERLAP_SECONDS", -1)
    twice(rows)
    assert rows._judged == set()
    assert len(rows._looks) == 1


def test_it_looks_nowhere_without_a_blacklist(rows, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(tokens, "can_revoke", lambda: False)
    with django_assert_num_queries(0):
        rows.look()


# Pairs that do not name their login


def test_an_unnamed_pair_ends_as_well(alice, rows):
    refresh, access = unnamed(alice, 20)
    _, other = unnamed(make_user("zoe"), 20)
    end_in_silence(refresh)
    twice(rows)
    assert (is_good(access), is_good(other)) == (False, True)


def test_it_ends_what_was_issued_until_the_logout_not_until_the_look(alice, rows):
    refresh, access = unnamed(alice, 20)
    end_in_silence(refresh)
    BlacklistedToken.objects.update(blacklisted_at=timezone.now() - timedelta(seconds=10))
    _, later = unnamed(alice, 2)
    twice(rows)
    assert (is_good(access), is_good(later)) == (False, True)


def test_a_rotation_of_an_unnamed_pair_is_no_logout(alice, rows):
    refresh, access = unnamed(alice, 20)
    (row,) = end_in_silence(refresh)
    rows.look()
    successor, _ = unnamed(alice, 0)
    OutstandingToken.objects.filter(jti=successor["jti"]).update(created_at=row.blacklisted_at)
    rows.look()
    assert is_good(access)


def test_a_pair_of_nobody_ends_alone(alice, rows):
    refresh, access = unnamed(alice, 20)
    OutstandingToken.objects.update(user=None)
    end_in_silence(refresh)
    twice(rows)
    assert is_good(access)  # nobody knows whose it is
