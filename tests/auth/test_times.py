"""Times are moments, whatever the site's USE_TZ and TIME_ZONE are."""

import time
from datetime import UTC, datetime

import pytest
from rest_framework_simplejwt.tokens import AccessToken

from realtime.auth import tickets, tokens
from realtime.auth.identity import load_session
from realtime.storage.database import run
from tests.people import make_token

pytestmark = pytest.mark.django_db(transaction=True)


# The clocks change in none of them: that would be between now and the end of a session, and an hour would come twice.
@pytest.fixture(params=["Asia/Shanghai", "America/Bogota", "UTC"])
def local_times(request, settings):
    settings.USE_TZ = False
    settings.TIME_ZONE = request.param


def moment(text):
    return datetime.fromisoformat(text).timestamp()


async def test_a_socket_ends_with_its_token(site, alice, local_times):
    token = make_token(alice)
    socket = await site.connect(query={"token": token})
    assert moment(socket.greeting["expires_at"]) == AccessToken(token)["exp"]


async def test_a_socket_ends_with_the_token_of_its_ticket(site, alice, local_times):
    claims = tokens.parse_access(make_token(alice))
    ticket = await run(tickets.issue, alice.pk, claims)
    socket = await site.connect(query={"ticket": ticket})
    assert moment(socket.greeting["expires_at"]) == claims.expires_at.timestamp()


def test_a_socket_ends_with_its_session(client, alice, local_times):
    client.force_login(alice)
    identity = load_session(client.session.session_key)
    assert identity.expires_at == pytest.approx(time.time() + client.session.get_expiry_age(), abs=60)


async def test_a_repeated_message_has_the_same_time(site, alice, shared, local_times):
    socket = await site.connect(alice)
    first, second = [await socket.ask("message", room_id="general", message="Hello!", id="c-1") for _ in range(2)]
    assert first == second
    assert abs(moment(first["timestamp"]) - time.time()) < 600


async def test_a_ticket_is_issued_for_a_token_that_lasts_as_long_as_there_are_years(site, alice, local_times):
    """East of UTC its end is a moment of the year 10000, which was an error of the server."""
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    token = AccessToken.for_user(alice)
    token.payload["exp"] = int(end.timestamp())
    ticket = await run(tickets.issue, alice.pk, tokens.parse_access(str(token)))
    socket = await site.connect(query={"ticket": ticket})
    assert moment("9999-12-01T00:00:00Z") < moment(socket.greeting["expires_at"]) <= end.timestamp()
