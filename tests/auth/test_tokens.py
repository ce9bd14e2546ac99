"""Tokens and tickets: what is believed, what is revoked, what works once."""

from datetime import timedelta
from functools import partial

import jwt
import pytest
from django.conf import settings
from django.utils import timezone
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, SlidingToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from realtime.auth import tickets, tokens
from realtime.auth.received_tokens import skewed_backend
from realtime.models import Ticket
from realtime.protocol.errors import CloseCode, Closed
from tests.people import access_for, make_user
from tests.racing import at_once

pytestmark = pytest.mark.django_db

OTHER_KEY = "another key that is long enough for the algorithm"


def aged(token):
    token.set_exp(lifetime=-timedelta(hours=1))
    return str(token)


def resigned(token, key=settings.SECRET_KEY, algorithm="HS256", **claims):
    payload = {**token.payload, **claims}
    return jwt.encode({name: value for name, value in payload.items() if value is not None}, key, algorithm)


def nested_header():
    depth = 200_000
    return f"{jwt.utils.base64url_encode(b'[' * depth + b']' * depth).decode()}.e30.c2ln"


def test_it_reads_an_access_token_without_asking_the_database(django_assert_num_queries):
    user = make_user("alice")
    refresh = tokens.start_login(user)
    token = refresh.access_token
    with django_assert_num_queries(0):
        claims = tokens.parse_access(str(token))
    assert claims.user_id == str(user.pk)
    assert claims.login == refresh["realtime_login"]
    assert claims.jti == token["jti"]
    assert claims.expires_at.timestamp() == token["exp"]
    assert claims.password_hash == get_md5_hash_password(user.password)


def test_it_names_the_login_by_the_tokens_own_id_where_it_has_no_other():
    token = AccessToken.for_user(make_user("alice"))
    assert tokens.parse_access(str(token)).login == token["jti"]


@pytest.mark.parametrize("name", ["x" * 64, "x" * 65, "x" * 300, "a\0b", "\ud800", {"of": "the site"}, 17])
def test_a_login_of_the_site_may_have_any_name(name):
    user = make_user("alice")
    refresh, other = tokens.start_login(user), tokens.start_login(user)
    refresh["realtime_login"], other["realtime_login"] = name, f"{name} too"
    OutstandingToken.objects.filter(jti=refresh["jti"]).update(token=str(refresh))
    claims = tokens.parse_access(str(refresh.access_token))
    assert len(claims.login) <= 64
    ticket = tickets.redeem(tickets.issue(user.pk, claims))
    assert ticket.token_login == claims.login == tokens.to_claims(refresh).login
    assert tokens.login_of(OutstandingToken.objects.get(jti=refresh["jti"])) == claims.login
    tokens.end_login(refresh)
    assert tokens.revoked([claims.login, tokens.to_claims(other).login]) == {claims.login}


BAD_TOKENS = {
    "empty": lambda user: "",
    "rubbish": lambda user: "rubbish",
    "not ascii": lambda user: "ключ.ключ.ключ",
    "a lone surrogate": lambda user: "\ud800.a.b",
    "a header nested too deep": lambda user: nested_header(),
    "truncated": lambda user: str(access_for(user))[:-5],
    "a refresh token": lambda user: str(RefreshToken.for_user(user)),
    "a sliding token": lambda user: str(SlidingToken.for_user(user)),
    "an expired refresh token": lambda user: aged(RefreshToken.for_user(user)),
    "another key": lambda user: resigned(access_for(user), OTHER_KEY),
    "another key and expired": lambda user: resigned(access_for(user), OTHER_KEY, exp=1),
    "another algorithm": lambda user: resigned(access_for(user), settings.SECRET_KEY.ljust(64), "HS512"),
    "no algorithm": lambda user: resigned(access_for(user), None, "none"),
    "no user": lambda user: resigned(access_for(user), user_id=None),
    "an empty user": lambda user: resigned(access_for(user), user_id=""),
    "no user and expired": lambda user: resigned(access_for(user), user_id=None, exp=1),
    "no end": lambda user: resigned(access_for(user), exp=None),
    "no id": lambda user: resigned(access_for(user), jti=None),
    "not yet valid": lambda user: resigned(access_for(user), nbf=2**33),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_it_refuses_a_bad_token(name):
    token = BAD_TOKENS[name](make_user("alice"))
    with pytest.raises(Closed) as refusal:
        tokens.parse_access(token)
    assert (refusal.value.code, refusal.value.reason) == (CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED")


def test_it_says_so_when_a_token_is_only_too_old():
    with pytest.raises(Closed) as refusal:
        tokens.parse_access(aged(access_for(make_user("alice"))))
    assert (refusal.value.code, refusal.value.reason) == (CloseCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


def test_it_carries_the_password_where_the_site_wants_it_checked(monkeypatch):
    monkeypatch.setattr(api_settings, "CHECK_REVOKE_TOKEN", True)
    user = make_user("alice")
    claims = tokens.parse_access(str(access_for(user)))
    assert claims.password_hash == get_md5_hash_password(user.password)
    assert tokens.matches_password(claims, user)
    user.set_password("changed")
    assert not tokens.matches_password(claims, user)


def test_it_refuses_tokens_from_before_the_site_wanted_the_password_checked(monkeypatch):
    monkeypatch.setattr(api_settings, "CHECK_REVOKE_TOKEN", False)
    token = str(access_for(make_user("alice")))
    monkeypatch.setattr(api_settings, "CHECK_REVOKE_TOKEN", True)
    with pytest.raises(Closed):
        tokens.parse_access(token)


def test_it_finds_what_is_revoked_by_one_query(django_assert_num_queries):
    user = make_user("alice")
    ended, other = tokens.start_login(user), tokens.start_login(user)
    tokens.end_login(ended)
    with django_assert_num_queries(1):
        names = [token[claim] for token in (ended, other) for claim in ("realtime_login", "jti")]
        found = tokens.revoked([*names, "unknown"])
    assert found == {ended["realtime_login"], ended["jti"]}


def test_it_ends_a_session_once_however_often_it_is_asked():
    refresh = tokens.start_login(make_user("alice"))
    tokens.end_login(refresh)
    tokens.end_login(refresh)
    assert BlacklistedToken.objects.count() == 2


def test_it_keeps_a_revocation_longer_than_any_token_of_the_login():
    """A rotated refresh token outlives the one that was shown at the logout."""
    refresh = tokens.start_login(make_user("alice"))
    refresh.set_exp(lifetime=timedelta(minutes=1))
    tokens.end_login(refresh)
    noted = BlacklistedToken.objects.get(token__jti=refresh["realtime_login"]).token
    assert noted.expires_at > timezone.now() + api_settings.REFRESH_TOKEN_LIFETIME - timedelta(minutes=1)


def test_it_revokes_nothing_where_the_site_has_no_blacklist(monkeypatch, django_assert_num_queries):
    refresh = tokens.start_login(make_user("alice"))
    monkeypatch.setattr("realtime.auth.tokens.can_revoke", lambda: False)
    with django_assert_num_queries(0):
        tokens.end_login(refresh)
        tokens.revoke_login(refresh["realtime_login"])
        assert tokens.revoked([refresh["realtime_login"]]) == set()


def test_it_redeems_a_ticket_once():
    user = make_user("alice")
    claims = tokens.parse_access(str(access_for(user)))
    ticket = tickets.issue(user.pk, claims)
    redeemed = tickets.redeem(ticket)
    assert (redeemed.user_id, redeemed.token_login) == (user.pk, claims.login)
    assert redeemed.token_expires_at == claims.expires_at
    assert tickets.redeem(ticket) is None


def test_it_issues_tickets_to_those_who_came_with_a_cookie():
    redeemed = tickets.redeem(tickets.issue(make_user("alice").pk, None))
    assert (redeemed.token_login, redeemed.token_expires_at) == ("", None)


def test_it_stores_no_ticket_only_its_digest():
    ticket = tickets.issue(make_user("alice").pk, None)
    assert len(ticket) >= 43  # 256 bits
    assert ticket not in str(Ticket.objects.values())


@pytest.mark.parametrize("ticket", ["", "unknown", "\0", "\ud800", "x" * 10_000])
def test_it_knows_no_such_ticket(ticket):
    assert tickets.redeem(ticket) is None


def test_it_refuses_an_expired_ticket_and_clears_it_away():
    user = make_user("alice")
    ticket = tickets.issue(user.pk, None)
    Ticket.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert tickets.redeem(ticket) is None
    tickets.issue(user.pk, None)
    assert Ticket.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_lets_one_of_two_have_the_ticket():
    ticket = tickets.issue(make_user("alice").pk, None)
    redeem = partial(tickets.redeem, ticket)
    assert {type(won) for won in at_once(redeem, redeem)} == {Ticket, type(None)}


@pytest.mark.django_db(transaction=True)
def test_it_ends_a_session_when_two_say_so_at_once():
    refresh = tokens.start_login(make_user("alice"))
    end = partial(tokens.end_login, refresh)
    assert at_once(end, end) == [None, None]
    assert tokens.revoked([refresh["realtime_login"], refresh["jti"]]) == {refresh["realtime_login"], refresh["jti"]}


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize("read", [tokens.parse_access, tokens.verify_refresh], ids=["access", "refresh"])
def test_it_accepts_a_token_of_a_machine_whose_clock_is_a_little_ahead(read, claim):
    def issued_in(seconds):
        refresh = tokens.start_login(make_user(f"user-{seconds}"))
        token = refresh if read is tokens.verify_refresh else refresh.access_token
        token[claim] = int(timezone.now().timestamp() + seconds)
        return str(token)

    read(issued_in(5))
    for seconds in (3_600, 10**10):
        with pytest.raises(Closed) as refusal:
            read(issued_in(seconds))
        assert (refusal.value.code, refusal.value.reason) == (CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED")


def test_a_clock_ahead_does_not_make_a_token_last_longer():
    access = access_for(make_user("alice"))
    access["iat"] = int(timezone.now().timestamp() + 5)
    with pytest.raises(Closed):
        tokens.parse_access(aged(access))
    with pytest.raises(Closed):
        tokens.parse_access(resigned(access, OTHER_KEY))


def test_a_socket_lasts_as_long_as_its_token_is_accepted(monkeypatch):
    monkeypatch.setattr(skewed_backend(), "leeway", 3_600 * 2)
    access = access_for(make_user("alice"))
    claims = tokens.parse_access(aged(access))  # ended an hour ago
    assert claims.expires_at.timestamp() == access["exp"] + 3_600 * 2


@pytest.mark.parametrize(
    "claims",
    [{"exp": 10**20}, {"exp": -(10**20)}, {"exp": "123"}, {"exp": 1e300}, {"jti": "a\0b"}, {"jti": "\ud800"}],
)
def test_a_claim_that_cannot_be_is_refused(claims):
    """Whoever else signs with the site's key may write such a thing; it was an error of the server."""
    login = tokens.start_login(make_user("alice"))
    for token, read in ((login.access_token, tokens.parse_access), (login, tokens.verify_refresh)):
        with pytest.raises(Closed, match="UNAUTHENTICATED"):
            read(resigned(token, **claims))


def test_a_refresh_token_without_an_id_is_refused():
    with pytest.raises(Closed, match="UNAUTHENTICATED"):
        tokens.verify_refresh(resigned(tokens.start_login(make_user("alice")), jti=None))
