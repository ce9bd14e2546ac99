"""Direct messages over sockets: events of both users' streams."""

from functools import partial

import pytest

from notifications import notify
from realtime.chat import history
from realtime.chat.direct import find_cached_pair
from realtime.chat.history import Cursors
from realtime.chat.rooms import direct_slug
from realtime.models import Event, Room
from realtime.protocol.errors import ErrorCode
from realtime.sockets.node import get_node
from realtime.storage.database import run
from tests.clients.socket import is_refused, texts
from tests.people import client_for, make_user
from tests.sockets.resuming import resume_with

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
    page = await run(partial(history.list_direct, alice.pk, bob.pk, Cursors()))
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


@pytest.mark.parametrize("lost", ["too far back", "pruned"])
@pytest.mark.parametrize("way", ["forward", "backward"])
async def test_what_cannot_be_resumed_is_fetched(site, configure, alice, bob, carol, lost, way):
    """The address in `fetch` works as it is, and each missed message comes once, whichever way one pages."""
    configure(RESUME_MAX_EVENTS=3 if lost == "too far back" else 1_000)
    await converse(site, alice, bob, carol, range(6))
    await run(partial(notify, alice, "new_follower", actor=bob))  # takes a `seq`, and is no message
    await converse(site, alice, bob, carol, range(6, 12))
    missed = f"user.{alice.pk}"
    if lost == "pruned":
        await run(Event.objects.filter(stream=missed).delete)
    _frames, streams = await resume_with(await site.connect(alice), {missed: 2})
    assert streams[missed] == {"recovered": False, "seq": 13, "fetch": "/api/v1/messages?after=2"}
    client = await run(partial(client_for, alice))
    found = await run(partial(page_through, client, streams[missed], way))
    expected = [*((number + 1, str(number)) for number in range(2, 6)), *((n + 2, str(n)) for n in range(6, 12))]
    assert found == expected


async def converse(site, alice, bob, carol, numbers):
    """In turns: bob to alice, alice to carol, carol to alice."""
    users = (alice, bob, carol)
    sockets = {user: await site.connect(user) for user in users}
    for number in numbers:
        writer, reader = ((bob, alice), (alice, carol), (carol, alice))[number % 3]
        said = {"to_user_id": reader.pk, "message": str(number), "id": f"m-{number}"}
        assert (await sockets[writer].ask("message", **said))["type"] == "ack"
    for socket in sockets.values():
        await socket.close()


def page_through(client, outcome, way):
    """What a client does with `fetch`, three messages at a time: their `seq`s and texts, oldest first."""
    fetch, found = outcome["fetch"], []
    address = fetch if way == "forward" else f"{fetch}&before={outcome['seq'] + 1}"
    while address is not None:
        page = client.get(f"{address}&limit=3").json()
        shown = [(item["seq"], item["message"]) for item in page["messages"]]
        found = [*found, *reversed(shown)] if way == "forward" else [*reversed(shown), *found]
        if way == "forward":
            following = page["next_after"]
            address = None if following is None else f"/api/v1/messages?after={following}"
        else:
            following = page["next_before"]
            address = None if following is None else f"{fetch}&before={following}"
    return found


async def test_it_forgets_a_deleted_conversation_for_both_and_no_other(site, alice, bob, carol):
    writer, partner = await site.connect(alice), await site.connect(bob)
    for socket, to in ((writer, bob), (partner, alice), (writer, carol)):
        await socket.ask("message", to_user_id=to.pk, message="one")
    await run(Room.objects.filter(slug=direct_slug(alice.pk, bob.pk)).delete)
    assert is_refused(await writer.ask("message", to_user_id=bob.pk, message="two"), ErrorCode.NOT_FOUND)
    assert (await partner.ask("message", to_user_id=alice.pk, message="two"))["type"] == "ack"
    assert find_cached_pair(str(alice.pk), carol.pk, get_node().hub.registry.ended_users) is not None


async def test_it_writes_to_nobody_who_was_disabled_after_the_first_message(site, alice, bob, carol):
    """The answer is that for an unknown user. What was written before can still be read."""
    writer = await site.connect(alice)
    for reader in (bob, carol):
        await writer.ask("message", to_user_id=reader.pk, message="one")
    bob.is_active = False
    await run(bob.save)
    answers = [await writer.ask("message", to_user_id=nobody, message="two", id="x") for nobody in (bob.pk, 999_999)]
    assert is_refused(answers[0], ErrorCode.NOT_FOUND)
    assert [{**answer, "timestamp": ""} for answer in answers] == [{**answers[1], "timestamp": ""}] * 2
    assert (await writer.ask("message", to_user_id=carol.pk, message="two"))["type"] == "ack"
    page = await run(partial(history.list_direct, alice.pk, bob.pk, Cursors()))
    assert [item.message for item in page.messages] == ["one"]
    bob.is_active = True
    await run(bob.save)
    assert (await writer.ask("message", to_user_id=bob.pk, message="three"))["type"] == "ack"


async def test_it_asks_again_after_a_while_whether_a_user_is_active(site, alice, bob, configure):
    configure(AUTH_RECHECK_SECONDS=0.000001)
    writer = await site.connect(alice)
    await writer.ask("message", to_user_id=bob.pk, message="one")
    await run(type(bob).objects.filter(pk=bob.pk).update, is_active=False)  # no signal is sent
    assert is_refused(await writer.ask("message", to_user_id=bob.pk, message="two"), ErrorCode.NOT_FOUND)
