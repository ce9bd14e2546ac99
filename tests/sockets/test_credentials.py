"""Who opens a socket: every credential of the protocol, in its order, and everything that is wrong with one."""

import pytest
from django.contrib.auth import get_user_model
from django.db.models.functions import Now
from django.test import Client

from realtime.auth import tickets, tokens
from realtime.auth.credentials import Credential, find_credential
from realtime.models import Ticket
from realtime.storage.database import run
from tests.people import make_token
from tests.sites.in_process import Refusal

pytestmark = pytest.mark.django_db(transaction=True)

CARRIERS = ("token", "ticket", "subprotocol", "authorization", "session")


@pytest.fixture
def log_in():
    """Session cookies: `log_in(user)`."""

    def make(user):
        client = Client()
        client.force_login(user)
        return client.cookies["sessionid"].value

    return make


@pytest.fixture
def sessions(log_in, alice, bob):
    return {user.pk: log_in(user) for user in (alice, bob)}


@pytest.fixture
def carry(site, sessions):
    """How a handshake carries a user's credential: `await carry("ticket", alice)` gives arguments of `knock`."""

    async def make(carrier, user):
        token = make_token(user)
        match carrier:
            case "token":
                return {"query": {"token": token}}
            case "ticket":
                return {"query": {"ticket": await run(tickets.issue, user.pk, None)}}
            case "subprotocol":
                return {"subprotocols": ["realtime.v1", f"bearer.{token}"]}
            case "authorization":
                return {"headers": {"authorization": f"Bearer {token}"}}
        return {"headers": {"cookie": f"sessionid={sessions[user.pk]}", "origin": f"http://{site.host}"}}

    return make


def merge(first, second):
    names = ("query", "headers")
    both = {name: {**second.get(name, {}), **first.get(name, {})} for name in names}
    return {**both, "subprotocols": first.get("subprotocols") or second.get("subprotocols") or []}


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_it_takes_each_credential(site, carry, alice, carrier):
    socket = await site.connect(**await carry(carrier, alice))
    assert socket.greeting["user_id"] == alice.pk


async def test_it_lets_the_first_credential_decide(site, carry, alice, bob):
    for place, carrier in enumerate(CARRIERS):
        for later in CARRIERS[place + 1 :]:
            how = merge(await carry(carrier, alice), await carry(later, bob))
            socket = await site.connect(**how)
            assert socket.greeting["user_id"] == alice.pk, (carrier, later)
            await socket.close()


async def test_it_does_not_pass_over_a_bad_credential(site, carry, alice):
    for later in CARRIERS[1:]:
        socket = await site.knock(**merge({"query": {"token": "bad"}}, await carry(later, alice)))
        assert await socket.ending() == (4401, "UNAUTHENTICATED"), later


@pytest.mark.parametrize("accepted", CARRIERS)
async def test_it_takes_what_the_settings_accept(site, carry, alice, bob, configure, accepted):
    configure(CREDENTIALS=[accepted])
    for carrier in CARRIERS:
        how = await carry(carrier, alice)
        if carrier == accepted:
            assert (await site.connect(**how)).greeting["user_id"] == alice.pk
        else:
            assert await (await site.knock(**how)).ending() == (4401, "UNAUTHENTICATED"), carrier


async def test_it_answers_with_its_subprotocol_alone(site, carry, alice):
    socket = await site.connect(**await carry("subprotocol", alice))
    assert socket.subprotocol == "realtime.v1"
    assert (await site.connect(alice)).subprotocol is None


async def test_it_takes_a_ticket_once(site, carry, alice):
    how = await carry("ticket", alice)
    await site.connect(**how)
    assert await (await site.knock(**how)).ending() == (4401, "UNAUTHENTICATED")


async def test_it_refuses_an_old_ticket(site, carry, alice):
    how = await carry("ticket", alice)
    await Ticket.objects.aupdate(expires_at=Now())
    assert await (await site.knock(**how)).ending() == (4401, "UNAUTHENTICATED")


async def test_it_refuses_a_ticket_of_a_login_that_has_ended(site, alice):
    refresh = await run(tokens.start_login, alice)
    claims = tokens.parse_access(str(refresh.access_token))
    ticket = await run(tickets.issue, alice.pk, claims)
    await run(tokens.end_login, refresh)
    assert await (await site.knock(query={"ticket": ticket})).ending() == (4401, "UNAUTHENTICATED")


async def test_it_trusts_a_cookie_only_with_an_allowed_origin(site, sessions, alice, configure):
    configure(AUTH_TIMEOUT_SECONDS=0.1)
    cookie = {"cookie": f"sessionid={sessions[alice.pk]}"}
    assert await (await site.knock(headers=cookie)).ending() == (4401, "AUTH_TIMEOUT")
    for origin in ("http://evil.example", "null", f"https://{site.host}", "http://testserver:81"):
        with pytest.raises(Refusal) as refusal:
            await site.knock(headers={**cookie, "origin": origin})
        assert refusal.value.status == 403
    own = {**cookie, "origin": f"http://{site.host}"}
    assert (await site.connect(headers=own)).greeting["expires_at"] is not None


def test_it_finds_the_session_where_cookies_come_in_several_headers():
    """As browsers send them over HTTP/2. Only the last header was looked at."""
    headers = [(b"cookie", b"sessionid=abc"), (b"cookie", b"theme=dark")]
    assert find_credential({"headers": headers}, trusted_page=True) == Credential("session", "abc")


async def test_it_takes_a_cookie_with_a_nul_for_none(site, alice, token):
    """PostgreSQL refuses such a text: it was logged as an error of ours, and the socket closed with 1011."""
    headers = {"cookie": r'sessionid="\000abcdefgh"', "origin": f"http://{site.host}"}
    socket = await site.knock(headers=headers)
    await socket.send({"type": "auth", "token": token(alice)})
    assert (await socket.receive())["data"]["user_id"] == alice.pk


async def test_it_asks_for_a_token_where_the_cookie_is_nobodys(site, alice, token):
    headers = {"cookie": 'sessionid=unknown; broken="', "origin": f"http://{site.host}"}
    socket = await site.knock(headers=headers)
    await socket.send({"type": "auth", "token": token(alice)})
    assert (await socket.receive())["data"]["user_id"] == alice.pk


async def test_it_refuses_a_foreign_page_whatever_it_brings(site, alice, caplog):
    with pytest.raises(Refusal) as refusal:
        await site.knock(alice, headers={"origin": "http://evil.example"})
    assert refusal.value.status == 403
    why = f"ORIGIN_NOT_ALLOWED (Django takes the site for 'http://{site.host}')"
    expected = f"A handshake for '/api/v1/ws' from 'http://evil.example' was refused (403): {why}"
    assert [record.getMessage() for record in caplog.records] == [expected]
    await site.connect(alice, headers={"origin": f"http://{site.host}"})


async def test_the_log_says_with_what_an_origin_was_compared(site, alice, caplog, settings):
    """The page is the site's own, and the proxy has not passed the scheme, or a host that Django knows."""
    origin = f"https://{site.host}"
    with pytest.raises(Refusal):
        await site.knock(alice, headers={"origin": origin})
    settings.ALLOWED_HOSTS = ["example.com"]
    with pytest.raises(Refusal):
        await site.knock(alice, headers={"origin": origin})
    first, second = [record.getMessage() for record in caplog.records]
    assert first.endswith(f"ORIGIN_NOT_ALLOWED (Django takes the site for 'http://{site.host}')")
    assert second.endswith("ORIGIN_NOT_ALLOWED (the Host is not in ALLOWED_HOSTS)")


@pytest.mark.parametrize("way", ["Django", "the admin", "REST"])
async def test_it_closes_the_sockets_of_a_session_that_is_logged_out(site, alice, way):
    """Those of its cookie and those of its tickets; not those of another login."""
    browser, other = Client(), Client()
    await run(get_user_model().objects.update, is_staff=True)  # nobody else can leave the admin
    await run(lambda: (browser.force_login(alice), other.force_login(alice)))
    ticket = (await run(browser.post, "/api/v1/ws/ticket")).json()["ticket"]
    ended = [await site.connect(headers=by_cookie(site, browser)), await site.connect(query={"ticket": ticket})]
    stay = [await site.connect(headers=by_cookie(site, other)), await site.connect(alice)]
    paths = {"the admin": "/admin/logout/", "REST": "/api/v1/auth/logout"}
    await run(browser.logout if way == "Django" else lambda: browser.post(paths[way]))
    assert [await socket.ending() for socket in ended] == [(4401, "UNAUTHENTICATED")] * 2
    assert [(await socket.ask("ping"))["type"] for socket in stay] == ["pong"] * 2


def by_cookie(site, client):
    return {"cookie": f"sessionid={client.cookies['sessionid'].value}", "origin": f"http://{site.host}"}
