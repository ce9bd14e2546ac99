"""Direct messages over sockets: events of both users' streams."""

from functools import partial

import pytest

from realtime import history
from realtime.database import run
from realtime.errors import ErrorCode
from realtime.history import Cursors
from realtime.models import Room
from tests.people import make_user
from tests.sockets import is_refused, texts

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_sends_a_direct_message_to_all_sockets_of_both(site, alice, bob, carol):
    alices = [await site.connect(alice) for _ in range(2)]
    bobs = [await site.connect(bob) for _ in range(2)]
    stranger = await site.connect(carol)
    ack = await alices[0].ask("message", to_user_id=bob.pk, message="Hello!", id="c-1")
    for socket, stream in [*((s, f"user.{bob.pk}") for s in bobs), (alices[1], f"user.{alice.pk}")]:
        frame = await socket.find("chat")
        data = frame["data"]
        assert (frame["stream"], frame["seq"]) == (stream, 1)
        assert (data["to_user_id"], data["from_user_id"], data["message_id"], data["client_id"]) == (
            bob.pk,
            alice.pk,
            ack["message_id"],
            "c-1",
        )
    assert texts(await stranger.settle()) == []


async def test_it_answers_direct_messages_in_order(site, alice, bob):
    first, second = await site.connect(alice), await site.connect(bob)
    for number in range(10):
        writer, reader = (first, bob) if number % 2 else (second, alice)
        assert (await writer.ask("message", to_user_id=reader.pk, message=str(number)))["type"] == "ack"
    page = await run(partial(history.read_direct, alice.pk, bob.pk, Cursors()))
    assert [message.message for message in reversed(page.messages)] == [str(number) for number in range(10)]


async def test_it_takes_an_id_as_a_string_too(site, alice, bob):
    writer, reader = await site.connect(alice), await site.connect(bob)
    assert (await writer.ask("message", to_user_id=str(bob.pk), message="Hello!"))["type"] == "ack"
    assert (await reader.find("chat"))["data"]["to_user_id"] == bob.pk


async def test_it_refuses_to_write_to_nobody(site, alice):
    writer = await site.connect(alice)
    gone = await run(partial(make_user, "gone", is_active=False))
    for nobody in (999_999, 2**63 - 1, "no-number", "1e3", "\0", str(2**70), gone.pk):
        answer = await writer.ask("message", to_user_id=nobody, message="Hello!")
        assert is_refused(answer, ErrorCode.NOT_FOUND), nobody
    assert is_refused(await writer.ask("message", to_user_id=alice.pk, message="I"), ErrorCode.INVALID_MESSAGE)


async def test_it_finds_a_new_place_when_the_conversation_was_deleted(site, alice, bob):
    writer = await site.connect(alice)
    await writer.ask("message", to_user_id=bob.pk, message="one")
    await run(Room.objects.filter(direct=True).delete)
    assert is_refused(await writer.ask("message", to_user_id=bob.pk, message="two"), ErrorCode.NOT_FOUND)
    assert (await writer.ask("message", to_user_id=bob.pk, message="three"))["type"] == "ack"
