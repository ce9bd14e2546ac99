"""Typing over sockets: who hears it, and when it is over."""

import time
from types import SimpleNamespace

import pytest

from realtime.chat import rooms
from realtime.presence import typing_indicators
from realtime.protocol import commands
from realtime.sockets.handlers import on_typing
from realtime.sockets.node import get_node
from realtime.storage.database import run
from tests.clients.socket import texts, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("announcements")]


async def type_in(socket, context, is_typing=True, **fields):
    return await socket.ask("typing", data={"is_typing": is_typing, "context": context}, **fields)


def typing(frames):
    return [(f["data"]["context"], f["data"]["is_typing"]) for f in frames if f["type"] == "typing"]


async def test_it_announces_a_free_word_to_everybody(site, alice, bob):
    typist, tab, other = await site.connect(alice), await site.connect(alice), await site.connect(bob)
    assert (await type_in(typist, "post_123"))["type"] == "ack"
    assert await other.find("typing") == {
        "type": "typing",
        "data": {"user_id": alice.pk, "is_typing": True, "context": "post_123"},
    }
    await type_in(typist, "post_123", is_typing=False)
    assert (await other.find("typing"))["data"]["is_typing"] is False
    assert typing(await tab.settle()) == []


async def test_it_takes_general_for_no_context(site, alice, bob):
    typist, other = await site.connect(alice), await site.connect(bob)
    await typist.send({"type": "typing", "data": {"is_typing": True}})
    assert (await other.find("typing"))["data"]["context"] == "general"


async def test_it_sends_typing_to_a_room(site, alice, bob, carol, shared):
    typist, mate = await site.join(alice), await site.join(bob)
    tab, stranger = await site.join(alice), await site.connect(carol)
    await type_in(typist, "general")
    assert (await mate.find("typing"))["data"] == {"user_id": alice.pk, "is_typing": True, "context": "general"}
    assert typing(await tab.settle()) == typing(await stranger.settle()) == []


async def test_it_sends_typing_to_a_room_that_was_not_joined_on_this_socket(site, alice, bob, carol, shared):
    typist, mate, stranger = await site.connect(alice), await site.join(bob), await site.connect(carol)
    await type_in(typist, "general")
    assert (await mate.find("typing"))["data"]["is_typing"] is True
    assert typing(await stranger.settle()) == []


@pytest.mark.parametrize("private", [True, False])
async def test_it_announces_no_outsider(site, alice, bob, carol, private):
    await run(lambda: rooms.create_room(alice.pk, title="Secret", slug="secret", private=private))
    member, outsider, other = await site.join(alice, "secret"), await site.connect(carol), await site.connect(bob)
    assert (await type_in(outsider, "secret"))["type"] == "ack"
    await type_in(outsider, "aloud")
    assert typing([await other.find("typing")]) == [("aloud", True)]
    assert typing([await member.find("typing")]) == [("aloud", True)]


async def test_it_is_over_after_a_while_of_silence(site, alice, bob, shared, configure):
    configure(TYPING_SECONDS=0.3)
    typist, mate = await site.join(alice), await site.join(bob)
    await type_in(typist, "general")
    await type_in(typist, "post_123")
    heard = typing([await mate.find("typing") for _ in range(4)])
    for context in ("general", "post_123"):  # the first may be over before the second begins
        assert [is_typing for where, is_typing in heard if where == context] == [True, False]


@pytest.mark.parametrize("end", ["leave", "disconnect", "stop"])
async def test_it_is_over_once(site, alice, bob, shared, end):
    typist, mate = await site.join(alice), await site.join(bob)
    await type_in(typist, "general")
    await mate.find("typing", is_typing=True)
    match end:
        case "leave":
            await typist.ask("leave", room_id="general")
        case "disconnect":
            await typist.close()
        case "stop":
            await type_in(typist, "general", is_typing=False)
            await typist.close()
    assert (await mate.find("typing"))["data"]["is_typing"] is False
    await mate.find("user_status", user_id=alice.pk, status="offline") if end != "leave" else None
    assert typing(await mate.settle()) == []


async def test_it_lets_nobody_type_in_a_room_that_he_was_removed_from(site, alice, bob, shared):
    owner, removed = await site.join(alice), await site.join(bob)
    await run(rooms.remove_member, alice.pk, "general", bob.pk)
    assert (await type_in(removed, "general"))["type"] == "ack"
    await type_in(owner, "general")
    assert typing(await owner.settle()) == typing(await removed.settle()) == []


@pytest.mark.parametrize("word", ["a\0b", "多语言", "x" * 100, "Not A Slug", "../..", "%", "' OR 1=1 --"])
async def test_it_takes_any_word(site, alice, bob, word, monkeypatch):
    typist, other = await site.connect(alice), await site.connect(bob)
    # Not every database can be asked for every word: PostgreSQL raises for a NUL.
    monkeypatch.setattr(get_node(), "access", None)
    assert (await type_in(typist, word))["type"] == "ack"
    assert (await other.find("typing"))["data"]["context"] == word


async def test_it_announces_no_more_contexts_than_one_can_type_in(site, alice, bob, shared):
    typist, mate = await site.join(alice), await site.join(bob)
    for number in range(30):
        await type_in(typist, f"post_{number}")
    await mate.find("typing", context="post_19")
    await typist.ask("message", room_id="general", message="done")
    assert texts([await mate.find("chat")]) == ["done"]
    await typist.close()
    await mate.find("user_status", status="offline", user_id=alice.pk)


async def test_it_announces_no_typist_who_appears_offline(site, alice, bob):
    typist, observer = await site.connect(alice), await site.connect(bob)
    await typist.ask("presence", status="offline")
    await observer.find("user_status", status="offline")
    await typist.ask("typing", data={"is_typing": True, "context": "post_1"})
    await typist.ask("presence", status="away")
    frames = [await observer.find("user_status", status="online")]
    frames += await observer.settle()
    assert "typing" not in [frame["type"] for frame in frames]


async def test_it_says_nothing_of_free_words_beyond_the_limit(site, alice, bob, configure, monkeypatch):
    """No error answers them: they would be announced to everybody, and the end of typing still is."""
    configure(PRESENCE_BURST=2, PRESENCE_PER_SECOND=0.001, TYPING_SECONDS=600)
    typist, other = await site.connect(alice), await site.connect(bob)
    for is_typing in (True, True, True, False):
        assert (await type_in(typist, "post_1", is_typing))["type"] == "ack"
    heard = [await other.find("typing") for _ in range(2)]
    monkeypatch.setattr(typing_indicators, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 600))
    heard.append(await other.find("typing"))
    assert typing(heard) == [("post_1", True), ("post_1", True), ("post_1", False)]
    assert (await typist.ask("presence", status="busy"))["error_code"] == "RATE_LIMITED"
    await typist.send({"type": "typing", "data": {"is_typing": True, "context": "post_1"}})
    assert await typist.settle() == []


@pytest.mark.parametrize("context", ["general", "no-room"])
async def test_it_shows_nobody_who_left_while_the_room_was_looked_up(site, alice, shared, context):
    """Nobody ended that typing, and it was kept with its connection until it was over by itself."""
    typist, node = await site.connect(alice), get_node()
    (connection,) = node.hub.connections.values()
    command = commands.Typing(data=commands.TypingInput(is_typing=True, context=context))
    looking_up = on_typing(node, connection, command)
    await typist.close()
    await until(lambda: not node.hub.connections)
    await looking_up
    assert node.typing._shown == {}
