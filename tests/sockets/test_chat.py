"""Rooms and direct messages over sockets: who may write, what arrives where, in which order, how often."""

import asyncio
from functools import partial

import pytest
from django.db import connection

from realtime.chat import history, rooms
from realtime.chat.history import Cursors
from realtime.models import Message
from realtime.protocol.errors import ErrorCode
from realtime.storage import database
from realtime.storage.database import run
from tests.clients.socket import is_refused, texts
from tests.sites.commit_proxy import CommitProxy

pytestmark = pytest.mark.django_db(transaction=True)


async def write(socket, message, slug="general", **fields):
    return await socket.ask("message", room_id=slug, message=message, **fields)


async def test_it_says_where_a_joined_room_stands(site, alice, general):
    socket = await site.connect(alice)
    joined = await socket.ask("join", room_id="general")
    assert joined == {
        "type": "joined",
        "room_id": "general",
        "title": "General",
        "role": "owner",
        "seq": 0,
        "id": joined["id"],
    }
    assert (await write(socket, "one"))["seq"] == 1
    assert (await socket.ask("join", room_id="general"))["seq"] == 1


async def test_it_sends_a_message_to_the_room(site, alice, bob, general):
    writer, reader = await site.join(alice), await site.join(bob)
    ack = await write(writer, "Hello!", id="c-1", kind="image", timestamp="2001-01-01T00:00:00Z")
    frame = await reader.find("chat")
    assert frame["data"] == {
        "from_user_id": alice.pk,
        "from_username": "alice",
        "message": "Hello!",
        "timestamp": ack["timestamp"],
        "message_id": ack["message_id"],
        "kind": "image",
        "room_id": "general",
        "client_id": "c-1",
    }
    assert (frame["stream"], frame["seq"]) == ("room.general", ack["seq"])
    assert frame["timestamp"] == ack["timestamp"] > "2002"


async def test_it_acknowledges_after_the_commit(site, alice, general):
    ack = await write(await site.join(alice), "kept", id="c-1")
    stored = await run(lambda: Message.objects.get(pk=ack["message_id"]))
    assert (stored.text, stored.seq, stored.client_id, stored.sender_id) == ("kept", ack["seq"], "c-1", alice.pk)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite always answers")
async def test_it_delivers_what_was_committed_without_an_answer(site, alice, bob, general, monkeypatch):
    async with CommitProxy(monkeypatch) as proxy:
        writer, reader = await site.join(alice), await site.join(bob)
        proxy.lose = "answer"
        assert (await write(writer, "kept"))["seq"] == 1
        assert texts([await reader.find("chat")]) == ["kept"]
        proxy.lose = "request"
        assert is_refused(await write(writer, "lost", id="c-1"), ErrorCode.UNAVAILABLE)
        assert (await write(writer, "lost", id="c-1"))["seq"] == 2
        assert texts([await reader.find("chat")]) == ["lost"]
        await asyncio.to_thread(database.shutdown)


async def test_it_sends_to_the_sender_as_well(site, alice, general):
    first, second = await site.join(alice), await site.join(alice)
    await first.send({"type": "message", "room_id": "general", "message": "Hello!"})
    for socket in (first, second):
        assert texts([await socket.find("chat")]) == ["Hello!"]


async def test_it_stores_and_delivers_a_repeated_message_once(site, alice, bob, general):
    writer, tab, reader = await site.join(alice), await site.join(alice), await site.join(bob)
    same = partial(write, message="once", id="c-1")
    acks = [await same(writer), await same(writer), await same(tab)]
    assert len({(ack["message_id"], ack["seq"], ack["timestamp"]) for ack in acks}) == 1
    await write(writer, "next")
    assert texts([await reader.find("chat"), await reader.find("chat")]) == ["once", "next"]


async def test_it_stores_repeats_of_one_moment_once(site, alice, bob, general):
    writer, reader = await site.join(alice), await site.join(bob)
    for _ in range(10):
        await writer.send({"type": "message", "id": "c-1", "room_id": "general", "message": "once"})
    acks = [await writer.find("ack") for _ in range(10)]
    assert {ack["message_id"] for ack in acks} == {acks[0]["message_id"]}
    await write(writer, "next")
    assert texts([await reader.find("chat"), await reader.find("chat")]) == ["once", "next"]


async def test_it_refuses_an_id_for_something_else(site, alice, bob, general):
    writer = await site.join(alice)
    await write(writer, "one", id="c-1")
    assert is_refused(await write(writer, "two", id="c-1"), ErrorCode.CONFLICT)
    elsewhere = await writer.ask("message", to_user_id=bob.pk, message="one", id="c-1")
    assert is_refused(elsewhere, ErrorCode.CONFLICT)
    assert (await write(await site.join(bob), "one", id="c-1"))["type"] == "ack"  # ids are each user's own


async def test_it_keeps_one_order_for_many_writers(site, alice, bob, carol, general, configure):
    configure(COMMANDS_BURST=1000)
    sockets = [await site.join(user) for user in (alice, bob, carol, alice) for _ in range(5)]
    wanted = {f"{number}-{turn}" for number in range(20) for turn in range(25)}

    async def talk(number, socket):
        for turn in range(25):
            message = f"{number}-{turn}"
            await socket.send({"type": "message", "id": message, "room_id": "general", "message": message})

    async def listen(socket):
        # That there is no hole in `seq` is checked with every frame.
        return texts([await socket.find("chat") for _ in wanted])

    heard, *_ = await asyncio.gather(
        asyncio.gather(*(listen(socket) for socket in sockets)),
        *(talk(number, socket) for number, socket in enumerate(sockets)),
    )
    assert set(heard[0]) == wanted
    assert all(order == heard[0] for order in heard)
    for number in range(20):
        assert [text for text in heard[0] if text.startswith(f"{number}-")] == [f"{number}-{n}" for n in range(25)]
    page = await run(history.list_room, alice.pk, "general", Cursors(limit=500))
    assert [message.message for message in reversed(page.messages)] == heard[0]


async def test_it_keeps_no_frame_of_before_for_who_joins_in_a_burst(site, alice, bob, general, configure):
    configure(COMMANDS_BURST=1000)
    crowd = [await site.join(alice) for _ in range(10)]  # enough that frames gather
    late = await site.connect(bob)

    async def burst():
        for number in range(150):
            await crowd[0].send({"type": "message", "room_id": "general", "message": str(number)})

    async def come_and_go():
        for _ in range(30):
            joined = await late.ask("join", room_id="general")
            again = await late.ask("join", room_id="general")
            assert again["seq"] >= joined["seq"]
            await late.ask("leave", room_id="general")

    await asyncio.gather(burst(), come_and_go())


async def test_it_says_history_as_it_was_sent(site, alice, bob, general):
    writer = await site.join(alice)
    words = ["plain", "  spaces  ", "多语言 🎉", 'quo"te \\ \n\t', "a" * 10_000]
    for word in words:
        await write(writer, word)
    reader = await site.join(bob)
    page = await run(history.list_room, bob.pk, "general", Cursors())
    assert [message.message for message in reversed(page.messages)] == words
    assert texts(await reader.settle()) == []  # what came before is history


async def test_it_forgets_who_leaves(site, alice, bob, general):
    writer, reader = await site.join(alice), await site.join(bob)
    assert (await reader.ask("leave", room_id="general"))["room_id"] == "general"
    await write(writer, "unheard")
    assert texts(await reader.settle()) == []
    assert is_refused(await reader.ask("leave", room_id="general"), ErrorCode.NOT_FOUND)
    assert (await write(reader, "still a member"))["type"] == "ack"


async def test_it_lets_members_write_without_joining(site, alice, bob, general, secret):
    reader, writer = await site.join(alice, "secret"), await site.connect(bob)
    assert (await write(writer, "Hello!", "secret"))["type"] == "ack"
    assert texts([await reader.find("chat")]) == ["Hello!"]


async def test_it_refuses_outsiders_of_a_public_room(site, alice, bob, general):
    reader, outsider = await site.join(alice), await site.connect(bob)
    assert is_refused(await write(outsider, "Hello!"), ErrorCode.FORBIDDEN)
    assert texts(await reader.settle()) == []
    assert (await outsider.ask("join", room_id="general"))["role"] == "member"
    assert (await write(outsider, "Hello!"))["type"] == "ack"


async def test_it_hides_a_private_room_from_outsiders(site, carol, secret):
    outsider = await site.connect(carol)
    hidden = await outsider.ask("join", room_id="secret")
    unknown = await outsider.ask("join", room_id="no-such-room")
    assert is_refused(hidden, ErrorCode.NOT_FOUND)
    assert hidden["message"] == unknown["message"]
    assert is_refused(await write(outsider, "Hello!", "secret"), ErrorCode.NOT_FOUND)
    assert is_refused(await write(outsider, "Hello!", "no-such-room"), ErrorCode.NOT_FOUND)


async def test_it_lets_members_into_a_private_room(site, alice, bob, secret):
    reader, writer = await site.join(alice, "secret"), await site.join(bob, "secret")
    await write(writer, "Hello!", "secret")
    assert texts([await reader.find("chat")]) == ["Hello!"]


async def test_it_takes_a_room_from_the_live_sockets_of_who_is_removed(site, alice, bob, general):
    owner, first, second = await site.join(alice), await site.join(bob), await site.join(bob)
    await run(rooms.remove_member, alice.pk, "general", bob.pk)
    await write(owner, "among us")
    for socket in (first, second):
        assert texts(await socket.settle()) == []
        assert is_refused(await write(socket, "Hello?"), ErrorCode.FORBIDDEN)
    assert texts(await owner.settle()) == []


@pytest.mark.parametrize("verb", ["remove", "delete"])
async def test_it_does_not_let_in_who_is_removed_while_joining(site, alice, bob, secret, monkeypatch, verb):
    removals = {"remove": partial(rooms.remove_member, alice.pk, "secret"), "delete": lambda _: secret.delete()}
    lose = removals[verb]
    reader = await site.connect(bob)
    owner = await site.join(alice, "secret")

    join_room = rooms.join

    def join_and_lose(user_id, slug):
        joined = join_room(user_id, slug)
        lose(user_id)
        return joined

    monkeypatch.setattr(rooms, "join", join_and_lose)
    assert is_refused(await reader.ask("join", room_id="secret"), ErrorCode.NOT_FOUND)
    assert is_refused(await write(reader, "Hello?", "secret"), ErrorCode.NOT_FOUND)
    await owner.send({"type": "message", "room_id": "secret", "message": "among us"})
    await owner.settle()
    assert texts(await reader.settle()) == []


async def test_it_ends_a_deleted_room(site, alice, bob, general):
    owner, reader = await site.join(alice), await site.join(bob)
    await run(rooms.delete, alice.pk, "general")
    for socket in (owner, reader):
        assert is_refused(await write(socket, "Hello?"), ErrorCode.NOT_FOUND)


async def test_a_message_is_no_larger_than_what_may_wait_for_a_socket(site, configure, alice, general):
    """It was stored, and closed each socket to which it was replayed, whenever that came back."""
    configure(MAX_QUEUED_BYTES=20_000)
    socket = await site.join(alice)
    assert is_refused(await socket.ask("message", room_id="general", message="好" * 3_334), "INVALID_MESSAGE")
    assert (await socket.ask("message", room_id="general", message="好" * 3_333))["type"] == "ack"
