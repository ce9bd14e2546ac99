"""Tokens over sockets: everything that can be wrong with one, logins that end, and sockets that outlive their token."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from rest_framework_simplejwt.tokens import RefreshToken

from realtime.auth import tickets, tokens
from realtime.auth.tokens import Claims
from realtime.delivery import publishing
from realtime.protocol.frames import format_epoch
from realtime.sockets.node import get_node
from realtime.storage.database import run
from tests.people import make_token

pytestmark = pytest.mark.django_db(transaction=True)


def sign(claims, key="another key, that is long enough for the algorithm", **options):
    return jwt.encode(claims, key, **options)


def bad_tokens(user):
    """(what is wrong, a token, the reason of the refusal)"""
    good = make_token(user)
    head, body, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    past = int(time.time()) - 10
    yield "refresh token", _refresh(user), "UNAUTHENTICATED"
    yield "expired", make_token(user, exp=past), "TOKEN_EXPIRED"
    yield "expired, foreign", sign({**claims, "exp": past}), "UNAUTHENTICATED"
    yield "expired refresh token", _refresh(user, exp=past), "UNAUTHENTICATED"
    yield "foreign signature", sign(claims), "UNAUTHENTICATED"
    yield "truncated", good[:-10], "UNAUTHENTICATED"
    yield "no signature", f"{head}.{body}.", "UNAUTHENTICATED"
    yield "alg none", f"{none}.{body}.", "UNAUTHENTICATED"
    yield "alg none, signed", f"{none}.{body}.{signature}", "UNAUTHENTICATED"
    yield "another algorithm", sign(claims, "k" * 64, algorithm="HS512"), "UNAUTHENTICATED"
    yield (
        "swapped body",
        f"{head}.{sign({**claims, 'user_id': str(user.pk + 1)}).split('.')[1]}.{signature}",
        "UNAUTHENTICATED",
    )
    yield "nobody", make_token(user, user_id=""), "UNAUTHENTICATED"
    yield "no such user", make_token(user, user_id="999999"), "UNAUTHENTICATED"
    yield "strange user", make_token(user, user_id="1 OR 1=1"), "UNAUTHENTICATED"
    yield "no id", make_token(user, jti=""), "UNAUTHENTICATED"
    yield "another type", make_token(user, token_type="sliding"), "UNAUTHENTICATED"
    for word in ("x", "...", "a.b.c", "é" * 20, "\0", "{}", "." * 5000, "Bearer " + good):
        yield repr(word[:10]), word, "UNAUTHENTICATED"


def _refresh(user, **claims):
    refresh = RefreshToken()
    for name, value in {"user_id": str(user.pk), **claims}.items():
        refresh[name] = value
    return str(refresh)


async def test_it_refuses_bad_tokens(site, alice):
    for what, token, reason in bad_tokens(alice):
        assert await (await site.knock(token)).ending() == (4401, reason), what
        first = await site.knock()
        await first.send({"type": "auth", "token": token})
        assert await first.ending() == (4401, reason), what


async def test_it_closes_for_a_bad_token_of_an_open_socket(site, alice):
    for what, token, reason in bad_tokens(alice):
        socket = await site.connect(alice)
        await socket.send({"type": "auth", "token": token})
        assert await socket.ending() == (4401, reason), what


async def test_it_refuses_a_login_that_has_ended(site, alice):
    refresh = await run(tokens.start_login, alice)
    access = str(refresh.access_token)
    live, other = await site.connect(access), await site.connect(alice)
    await run(tokens.end_login, refresh)
    assert await (await site.knock(access)).ending() == (4401, "UNAUTHENTICATED")
    await run(publishing.disconnect_login, refresh["realtime_login"])
    assert await live.ending() == (4401, "UNAUTHENTICATED")
    assert await other.settle() == []


async def test_it_refuses_users_who_are_gone_or_disabled(site, alice, bob, token):
    tokens_of_both = token(alice), token(bob)
    await run(alice.delete)
    bob.is_active = False
    await run(bob.save)
    deleted, disabled = [await site.knock(token) for token in tokens_of_both]
    assert await deleted.ending() == (4401, "UNAUTHENTICATED")
    assert await disabled.ending() == (4403, "USER_DISABLED")


async def test_it_finds_out_about_users_who_were_disabled(site, alice, bob, configure):
    configure(AUTH_RECHECK_SECONDS=0.1)
    disabled, other = await site.connect(alice), await site.connect(bob)
    await run(type(alice).objects.filter(pk=alice.pk).update, is_active=False)  # no signal is sent
    assert await disabled.ending() == (4403, "USER_DISABLED")
    await other.settle()


async def test_it_extends_a_socket_in_place(site, alice, bob, token, configure):
    configure(AUTH_EXPIRING_SECONDS=3_600)
    soon = datetime.now(UTC) + timedelta(seconds=600)
    ticket = await run(tickets.issue, alice.pk, Claims(str(alice.pk), "", "j", soon, None))
    socket = await site.connect(query={"ticket": ticket})
    assert (await socket.find("auth_expiring"))["data"]["expires_at"] == format_epoch(soon.timestamp())
    refused = await socket.ask("auth", token=token(bob))
    assert refused["error_code"] == "FORBIDDEN"
    ack = await socket.ask("auth", token=token(alice, exp=2_000_000_000))
    assert ack["expires_at"] == "2033-05-18T03:33:20.000000Z"
    (connection,) = get_node().hub.connections.values()
    assert connection.end_timer is None  # nothing is going to happen when the first token ends
    assert await socket.settle() == []


async def test_a_token_that_ends_just_as_soon_is_not_asked_for_in_a_loop(site, alice, token, configure):
    """A client with a cache sent the same token again, and was warned at once."""
    configure(AUTH_EXPIRING_SECONDS=3_600)
    ends = int(time.time()) + 600
    same = token(alice, exp=ends)
    socket = await site.connect(same)
    await socket.find("auth_expiring")
    for credential in (same, same, token(alice, exp=ends + 1)):
        assert (await socket.ask("auth", token=credential))["type"] == "ack"
    await socket.settle()
    assert [frame["type"] for frame in socket.frames].count("auth_expiring") == 1
    (connection,) = get_node().hub.connections.values()
    connection.expires_at = time.time() + 2  # as if nearly all of it had passed
    get_node().clock.watch_end(connection)
    await socket.find("auth_expiring")  # by now, the client may have a later one


async def test_it_warns_and_closes_when_the_token_ends(site, alice, configure):
    configure(AUTH_EXPIRING_SECONDS=599.5)
    ends = datetime.now(UTC) + timedelta(seconds=600)
    ticket = await run(tickets.issue, alice.pk, Claims(str(alice.pk), "", "j", ends, None))
    socket = await site.connect(query={"ticket": ticket})
    warning = (await socket.find("auth_expiring"))["data"]
    assert datetime.now(UTC) >= ends - timedelta(seconds=599.5)
    assert warning["expires_at"] == format_epoch(ends.timestamp())
    (connection,) = get_node().hub.connections.values()
    connection.expires_at = time.time() + 0.3  # as if nearly all of it had passed
    get_node().clock.watch_end(connection)
    assert await socket.ending() == (4401, "TOKEN_EXPIRED")
    assert time.time() >= connection.expires_at
