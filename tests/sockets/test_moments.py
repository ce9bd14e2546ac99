"""Rights that end in the moment of a handshake or of an `auth`: after the look-up, before the socket can be found."""

import pytest
from django.test import Client
from rest_framework_simplejwt.settings import api_settings

from realtime.auth import identity, tickets, tokens
from realtime.delivery import publishing
from realtime.sockets import node, recheck
from realtime.storage.database import run
from tests.people import make_user

pytestmark = pytest.mark.django_db(transaction=True)

DISABLED = (4403, "USER_DISABLED")
UNAUTHENTICATED = (4401, "UNAUTHENTICATED")
ENDINGS = {"disabled": DISABLED, "deleted": DISABLED, "new password": UNAUTHENTICATED, "logout": UNAUTHENTICATED}


class Login:
    """A user with a token, a ticket and a session cookie, and how each of them ends."""

    def __init__(self, site, name="zoe"):
        self.user = make_user(name)
        self.browser = Client()
        self.browser.force_login(self.user)
        self.refresh = tokens.start_login(self.user)
        self.access = str(self.refresh.access_token)
        claims = tokens.parse_access(self.access)
        self.ticket = tickets.issue(self.user.pk, claims, tokens.hash_password(self.user))
        self.cookie = {
            "cookie": f"sessionid={self.browser.cookies['sessionid'].value}",
            "origin": f"http://{site.host}",
        }

    def how(self, carrier):
        """Arguments of `knock`."""
        named = {"token": {"token": self.access}, "ticket": {"ticket": self.ticket}}
        return {"headers": self.cookie} if carrier == "session" else {"query": named.get(carrier, {})}

    def end(self, how, carrier=""):
        if how == "disabled":
            self.user.is_active = False
            self.user.save()
        elif how == "deleted":
            self.user.delete()
        elif how == "new password":
            self.user.set_password("another")
            self.user.save()
        elif carrier == "session":
            self.browser.logout()
        else:
            tokens.end_login(self.refresh)


@pytest.fixture
def after_look_up(monkeypatch):
    """`after_look_up(act)`: calls `act` once, when a user has been looked up and the answer is not there yet."""

    todo = []

    def then_act(function):
        def look_up(given):
            found = function(given)
            while todo:
                todo.pop()()
            return found

        return look_up

    monkeypatch.setattr(node, "load_identities", then_act(node.load_identities))
    monkeypatch.setattr(identity, "load_session", then_act(identity.load_session))
    return todo.append


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.parametrize("carrier", ["token", "ticket", "session", "command"])
async def test_it_lets_nobody_in_whose_right_ends_in_the_moment_of_the_handshake(site, after_look_up, carrier, how):
    login = await run(Login, site)
    after_look_up(lambda: login.end(how, carrier))
    socket = await site.knock(**login.how(carrier))
    if carrier == "command":
        await socket.send({"type": "auth", "token": login.access})
    assert await socket.ending() == ENDINGS[how]
    assert node.get_node().hub.connections == {}


async def test_it_looks_once_where_nothing_of_the_user_has_ended(site, after_look_up, monkeypatch):
    login, other = await run(Login, site), await run(Login, site, "other")
    after_look_up(lambda: other.end("disabled"))
    monkeypatch.setattr(node, "check", lambda connections: pytest.fail("looked up again"))
    assert (await (await site.connect(**login.how("token"))).ask("ping"))["type"] == "pong"


async def test_it_lets_in_who_is_only_kicked(site, after_look_up):
    """The second look-up decides, not the control."""
    login = await run(Login, site)
    after_look_up(lambda: publishing.disconnect_user(login.user.pk))
    assert (await (await site.connect(**login.how("token"))).ask("ping"))["type"] == "pong"


@pytest.mark.parametrize("how", ["new password", "logout"])
async def test_it_extends_no_socket_with_a_token_that_ends_in_that_moment(site, after_look_up, how):
    login = await run(Login, site)
    socket = await site.connect(**login.how("session"))
    after_look_up(lambda: login.end(how))
    await socket.send({"type": "auth", "token": login.access})
    assert await socket.ending() == UNAUTHENTICATED


@pytest.mark.parametrize("carrier", ["token", "ticket", "session"])
async def test_a_new_password_ends_what_was_issued_before(site, carrier):
    login = await run(Login, site)
    await run(login.end, "new password")
    socket = await site.knock(**login.how(carrier))
    if carrier == "session":  # the cookie counts as nobody's
        await socket.send({"type": "auth", "token": login.access})
    assert await socket.ending() == UNAUTHENTICATED


async def test_a_logout_ends_the_tickets_of_the_session(site):
    login = await run(Login, site)
    ticket = (await run(login.browser.post, "/api/v1/ws/ticket")).json()["ticket"]
    await run(login.end, "logout", "session")
    assert await (await site.knock(query={"ticket": ticket})).ending() == UNAUTHENTICATED


async def test_it_finds_out_about_a_new_password_that_was_set_in_silence(site, alice, bob, configure):
    configure(AUTH_RECHECK_SECONDS=0.1)
    changed, other = await site.connect(alice), await site.connect(bob)
    await run(type(alice).objects.filter(pk=alice.pk).update, password="!another")  # no signal is sent
    assert await changed.ending() == UNAUTHENTICATED
    await other.settle()


async def test_a_new_token_brings_the_new_password_to_the_recheck(site, alice, token):
    """Otherwise the recheck would close a socket that has shown a token of the new password."""
    socket = await site.connect(alice)
    await run(type(alice).objects.filter(pk=alice.pk).update, password="!another")
    await run(alice.refresh_from_db)
    assert (await socket.ask("auth", token=token(alice)))["type"] == "ack"
    await recheck.recheck(node.get_node().hub)
    assert (await socket.ask("ping"))["type"] == "pong"


async def test_it_needs_no_blacklist_to_end_a_login_in_that_moment(site, after_look_up, monkeypatch):
    login = await run(Login, site)
    monkeypatch.setattr(tokens, "can_revoke", lambda: False)
    after_look_up(lambda: login.end("logout", "session"))
    assert await (await site.knock(**login.how("session"))).ending() == UNAUTHENTICATED


def test_its_site_checks_passwords():
    assert api_settings.CHECK_REVOKE_TOKEN
