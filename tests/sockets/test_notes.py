"""Sockets for notes to oneself: what is sent is stored, and nothing else happens."""

from functools import partial

import pytest

from realtime.chat import history
from realtime.chat.history import Cursors
from realtime.models import Event, Message, Room
from realtime.protocol.errors import ErrorCode
from realtime.storage.database import run
from tests.clients.socket import Ending, is_refused
from tests.people import client_for

pytestmark = pytest.mark.django_db(transaction=True)

FORBIDDEN = Ending(4403, "FORBIDDEN")


def listed(user):
    return client_for(user).get(f"/api/v1/messages?with={user.pk}").json()["messages"]


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_it_stores_what_it_is_sent(site, alice, prefix):
    socket = await site.connect(alice, path=f"{prefix}/ws/db/{alice.pk}")
    assert socket.greeting["streams"] == {}
    ids = []
    for text in ("Milk", "Bread"):
        await socket.send({"content": text, "user_id": 4711})
        saved = await socket.receive()
        assert saved == {"status": "saved", "message_id": saved["message_id"]}
        ids.append(saved["message_id"])
    stored = await run(lambda: list(Message.objects.order_by("seq")))
    assert [(each.pk, each.text, each.sender_id, each.recipient_id) for each in stored] == [
        (ids[0], "Milk", alice.pk, alice.pk),
        (ids[1], "Bread", alice.pk, alice.pk),
    ]
    assert [each.recipient_seq for each in stored] == [each.seq for each in stored] == [1, 2]
    assert await run(Event.objects.count) == 2
    assert await socket.settle() == []


async def test_its_notes_are_messages_to_oneself(site, alice, bob):
    main, stranger = await site.connect(alice), await site.connect(bob)
    socket = await site.connect(alice, path=f"/ws/db/{alice.pk}")
    await socket.send({"content": "a.png", "kind": "image", "id": "n-1"})
    saved = await socket.receive()
    assert saved == {"status": "saved", "message_id": saved["message_id"], "id": "n-1"}
    chat = await main.find("chat")
    assert (chat["stream"], chat["seq"], chat["data"]["to_user_id"]) == (f"user.{alice.pk}", 1, alice.pk)
    assert [message["message_id"] for message in await run(listed, alice)] == [saved["message_id"]]
    page = await run(partial(history.list_all_direct, alice.pk, Cursors()))
    assert [(item.message, item.kind, item.seq) for item in page.messages] == [("a.png", "image", 1)]
    assert await stranger.settle() == []
    room = await run(Room.objects.get)
    assert (room.direct, room.private, await run(room.memberships.count)) == (True, True, 1)


async def test_it_stores_a_repeated_note_once(site, alice):
    socket = await site.connect(alice, path=f"/ws/db/{alice.pk}")
    for _ in range(2):
        await socket.send({"content": "once", "id": "n-1"})
    assert await socket.receive() == await socket.receive()
    assert await run(Message.objects.count) == 1


async def test_notes_and_direct_messages_share_a_stream(site, alice, bob):
    notes, main = await site.connect(alice, path=f"/ws/db/{alice.pk}"), await site.connect(alice)
    await main.ask("message", to_user_id=bob.pk, message="one")
    await notes.send({"content": "two"})
    await notes.receive()
    await main.ask("message", to_user_id=bob.pk, message="three")
    page = await run(partial(history.list_all_direct, alice.pk, Cursors()))
    assert [(item.message, item.seq) for item in reversed(page.messages)] == [("one", 1), ("two", 2), ("three", 3)]


async def test_writing_to_oneself_is_only_for_notes(site, alice):
    notes, main = await site.connect(alice, path=f"/ws/db/{alice.pk}"), await site.connect(alice)
    await notes.send({"content": "Milk"})
    await notes.receive()
    answer = await main.ask("message", to_user_id=alice.pk, message="Milk")
    assert is_refused(answer, ErrorCode.INVALID_MESSAGE)
    answer = await main.ask("note", message="Milk")
    assert is_refused(answer, ErrorCode.UNKNOWN_MESSAGE_TYPE)


async def test_it_is_for_ones_own_notes(site, alice, bob):
    for id in (bob.pk, 999_999, "me", f"0{alice.pk}"):
        assert await (await site.knock(alice, path=f"/ws/db/{id}")).ending() == FORBIDDEN


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("Milk", ErrorCode.INVALID_JSON),
        ("[]", ErrorCode.INVALID_MESSAGE),
        ({}, ErrorCode.INVALID_MESSAGE),
        ({"content": ""}, ErrorCode.INVALID_MESSAGE),
        ({"content": 7}, ErrorCode.INVALID_MESSAGE),
        ({"content": "\0"}, ErrorCode.INVALID_MESSAGE),
        ({"type": "join", "room_id": "general"}, ErrorCode.UNKNOWN_MESSAGE_TYPE),
        (b"\0", ErrorCode.INVALID_MESSAGE),
    ],
)
async def test_it_survives_what_is_no_note(site, alice, wrong, code):
    socket = await site.connect(alice, path=f"/ws/db/{alice.pk}")
    await socket.send(wrong)
    assert is_refused(await socket.receive(), code)
    await socket.send({"content": "Milk"})
    assert (await socket.receive())["status"] == "saved"


async def test_it_answers_pings_and_takes_a_new_token(site, alice, token):
    socket = await site.connect(alice, path=f"/ws/db/{alice.pk}")
    assert (await socket.ask("ping"))["type"] == "pong"
    assert (await socket.ask("auth", token=token(alice)))["type"] == "ack"


async def test_its_session_can_be_taken_up(site, alice):
    socket = await site.connect(alice, path=f"/ws/db/{alice.pk}")
    session = socket.greeting["session_id"]
    await socket.close()
    again = await site.connect(alice, path=f"/ws/reconnect/{session}")
    assert (await again.find("resumed"))["streams"] == {}
