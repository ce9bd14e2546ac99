"""`manage.py open_socket`: it answers heartbeats, so that a socket lasts as long as its terminal is open."""

import json

import pytest
from django.core.management import CommandError, call_command
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from realtime.auth import tickets
from realtime.models import Ticket
from realtime.server import terminal
from realtime.server.terminal import AnsweringConnection
from tests.patience import PATIENCE_SECONDS

HEARTBEAT = '{"type":"heartbeat","timestamp":"…"}'
CHAT = '{"type":"chat","data":{"message":"heartbeat"}}'
# What the server sends, how many answers it gets, and what is shown.
FRAMES = [
    (HEARTBEAT, 1, False),
    (CHAT, 0, True),
    (f'{{"type":"batch","messages":[{CHAT},{HEARTBEAT}]}}', 1, True),
    (f'{{"type":"batch","messages":[{CHAT}]}}', 0, True),
    ('{"status":"ok","message_id":7}', 0, True),
    ('{"type":"site","messages":[{"type":"heartbeat"}]}', 0, True),
]


@pytest.mark.parametrize(("frame", "answers", "shown"), FRAMES)
async def test_it_answers_heartbeats_and_shows_the_rest(frame, answers, shown):
    got = []

    async def talk(socket):
        await socket.send(frame)
        await socket.send('{"type":"last"}')
        async for answer in socket:
            got.append(json.loads(answer))

    async with serve(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        seen = []
        async with connect(
            f"ws://127.0.0.1:{port}",
            create_connection=AnsweringConnection,
            open_timeout=PATIENCE_SECONDS,
            proxy=None,
        ) as client:
            async for text in client:
                seen.append(text)
                if "last" in text:
                    break
    assert got == [{"type": "pong"}] * answers
    assert seen == [frame, '{"type":"last"}'][not shown :]


@pytest.fixture
def opened(monkeypatch):
    """The addresses of the sockets that were opened."""
    addresses = []

    async def open_client(address, **_options):
        addresses.append(address)

    monkeypatch.setattr(terminal, "interactive_client", open_client)
    return addresses


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["ws://127.0.0.1:8000/api/v1/ws", "wss://example.com/api/v1/ws?batch=10"])
def test_it_opens_one_socket_with_a_ticket_that_does_not_expire(alice, opened, url):
    call_command("open_socket", "alice", url=url)
    (address,) = opened
    assert address.startswith(url)
    ticket = Ticket.objects.get()
    assert (ticket.user, ticket.token_expires_at) == (alice, None)
    assert tickets.redeem(address.partition("ticket=")[2]) == ticket


@pytest.mark.django_db
def test_a_site_without_tickets(alice, opened, configure):
    configure(CREDENTIALS=["session"])
    with pytest.raises(CommandError, match="add `ticket`"):
        call_command("open_socket", "alice")
    assert opened == []


@pytest.mark.django_db
def test_it_knows_nobody_of_that_name(opened):
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        call_command("open_socket", "nobody")
    assert opened == []
