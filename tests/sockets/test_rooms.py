"""Sockets of one room and of notifications: their shapes, the same rights and rules as on the main socket."""

import pytest
from django.db import OperationalError

from realtime.chat import rooms
from realtime.delivery import publishing
from realtime.models import Membership, Message
from realtime.protocol.errors import ErrorCode
from realtime.sockets.node import get_node
from realtime.storage import log
from realtime.storage.database import run
from tests.clients.socket import Ending, is_refused

pytestmark = pytest.mark.django_db(transaction=True)

TEXT, CONTENT = "/api/v1/ws/chat/", "/api/v1/ws/chat/rooms/"
ROOM_PATHS = [
    prefix + path
    for prefix in ("", "/api/v1")
    for path in ("/ws/chat/", "/ws/chat/rooms/", "/ws/advanced/", "/ws/with_heartbeat/", "/ws/resilient/")
]
FORBIDDEN = Ending(4403, "FORBIDDEN")


async def find_accepted(socket):
    while "status" not in (frame := await socket.receive()):
        pass
    return frame


async def test_it_says_plain_text_in_the_room(site, alice, bob, general):
    writer, reader = await site.connect(alice, path=TEXT + "general"), await site.connect(bob, path=TEXT + "general")
    await writer.send("Hello!")
    accepted = await find_accepted(writer)
    said = await reader.find("message")
    assert said == {
        "type": "message",
        "content": "Hello!",
        "timestamp": said["timestamp"],
        "room_id": "general",
        "message_id": accepted["message_id"],
        "sender": "alice",
        "seq": 1,
    }
    assert accepted == {"status": "ok", "message_id": said["message_id"]}
    stored = await run(lambda: Message.objects.get(pk=said["message_id"]))
    assert (stored.text, stored.sender_id, stored.kind) == ("Hello!", alice.pk, "text")


async def test_it_sends_to_the_sender_too(site, alice, general):
    socket = await site.connect(alice, path=TEXT + "general")
    await socket.send("Hello!")
    frames = [await socket.receive(), await socket.receive()]
    assert {frame.get("type") for frame in frames} == {None, "message"}
    assert {frame["message_id"] for frame in frames} == {frames[0]["message_id"]}


@pytest.mark.parametrize("kind", ["text", "image", "notification"])
async def test_the_type_of_a_message_can_be_its_kind(site, alice, bob, general, kind):
    path = "/ws/advanced/general"
    writer, reader = await site.connect(alice, path=path), await site.connect(bob, path=path)
    await writer.send({"type": kind, "content": "a.png", "sender_id": 4711, "timestamp": "never", "id": "c-1"})
    told = await reader.find(kind)
    assert (told["content"], told["sender_id"], told["sender"]) == ("a.png", alice.pk, "alice")
    assert told["timestamp"] != "never"
    stored = await run(lambda: Message.objects.get(pk=told["message_id"]))
    assert (stored.text, stored.sender_id, stored.kind) == ("a.png", alice.pk, kind)
    assert (await writer.find("ack"))["message_id"] == told["message_id"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("Hello!", ErrorCode.INVALID_JSON),
        ("[]", ErrorCode.INVALID_MESSAGE),
        ({"content": "x"}, ErrorCode.INVALID_MESSAGE),
        ({"type": "text"}, ErrorCode.INVALID_MESSAGE),
        ({"type": "text", "content": ""}, ErrorCode.INVALID_MESSAGE),
        ({"type": "text", "content": 1}, ErrorCode.INVALID_MESSAGE),
        ({"type": 1, "content": "x"}, ErrorCode.INVALID_MESSAGE),
        ({"type": "video", "content": "x"}, ErrorCode.UNKNOWN_MESSAGE_TYPE),
        ({"type": "join", "room_id": "general"}, ErrorCode.UNKNOWN_MESSAGE_TYPE),
    ],
)
async def test_a_message_without_a_kind_is_answered_and_survived(site, alice, general, wrong, code):
    socket = await site.connect(alice, path="/ws/advanced/general")
    await socket.send(wrong)
    assert is_refused(await socket.receive(), code)
    await socket.send({"type": "text", "content": "Still here"})
    assert (await socket.find("text"))["content"] == "Still here"


async def test_it_takes_content_with_a_kind_and_believes_no_sender(site, alice, bob, general):
    writer, reader = await site.connect(alice, path=TEXT + "general"), await site.connect(bob, path=TEXT + "general")
    await writer.send({"content": "a.png", "kind": "image", "sender": "mallory", "id": "c-1"})
    accepted = await find_accepted(writer)
    said = await reader.find("message")
    assert (said["content"], said["kind"], said["sender"]) == ("a.png", "image", "alice")
    assert accepted == {"status": "ok", "message_id": said["message_id"], "id": "c-1"}


@pytest.mark.parametrize("text", ["42", '"quoted"', "[1]", "null", "{this}", '{"content": "cut o', "  多语言 🎉 "])
async def test_it_says_what_is_no_object_as_it_is(site, alice, general, text):
    socket = await site.connect(alice, path=TEXT + "general")
    await socket.send(text)
    assert (await socket.find("message"))["content"] == text


async def test_it_stores_a_repeated_message_once(site, alice, general):
    socket = await site.connect(alice, path=TEXT + "general")
    for _ in range(2):
        await socket.send({"content": "once", "id": "c-1"})
    accepted = [await find_accepted(socket) for _ in range(2)]
    assert accepted[0] == accepted[1]
    assert await run(Message.objects.count) == 1


async def test_it_says_content_in_the_second_form(site, alice, bob, general):
    writer = await site.connect(alice, path=CONTENT + "general")
    reader = await site.connect(bob, path=CONTENT + "general")
    await writer.send({"content": "Hello!", "sender": "mallory"})
    for socket in (writer, reader):
        said = await socket.receive()
        assert said == {
            "type": "chat",
            "room_id": "general",
            "content": "Hello!",
            "sender": "alice",
            "timestamp": said["timestamp"],
            "message_id": said["message_id"],
            "seq": 1,
        }
    assert await writer.settle() == []
    await writer.send({"content": "again", "id": "c-2"})
    assert (await writer.find("ack"))["id"] == "c-2"


async def test_it_refuses_what_is_no_object_in_the_second_form(site, alice, general):
    socket = await site.connect(alice, path=CONTENT + "general")
    for text, code in [("Hello!", "INVALID_JSON"), ("[1]", "INVALID_MESSAGE"), ('"quoted"', "INVALID_MESSAGE")]:
        await socket.send(text)
        assert is_refused(await socket.receive(), code)


async def test_it_shares_its_messages_with_every_kind_of_socket(site, alice, bob, carol, general):
    main = await site.connect(alice)
    await main.ask("join", room_id="general")
    text, content = await site.connect(bob, path=TEXT + "general"), await site.connect(carol, path=CONTENT + "general")
    await main.send({"type": "message", "room_id": "general", "message": "one"})
    await text.send("two")
    await content.send({"content": "three"})
    chats = [await main.find("chat") for _ in range(3)]
    words = ["one", "two", "three"]
    assert {chat["data"]["message"] for chat in chats} == set(words)
    order = [chat["data"]["message"] for chat in chats]
    assert [(await text.find("message"))["content"] for _ in words] == order
    assert [(await content.find("chat"))["content"] for _ in words] == order


async def test_it_reaches_a_crowd_of_mixed_sockets_in_order(site, alice, bob, general, configure):
    configure(COMMANDS_BURST=1000)
    crowd = [await site.connect(alice, path=TEXT + "general") for _ in range(9)]
    crowd += [await site.connect(bob, path=CONTENT + "general") for _ in range(9)]
    writer = await site.connect(bob)
    for number in range(60):
        await writer.send({"type": "message", "room_id": "general", "message": str(number)})
    for socket in crowd:
        word = "message" if crowd.index(socket) < 9 else "chat"
        assert [(await socket.find(word))["content"] for _ in range(60)] == [str(n) for n in range(60)]


@pytest.mark.parametrize("prefix", ROOM_PATHS)
async def test_it_greets_with_the_room_alone(site, alice, bob, general, prefix):
    await run(publishing.publish, "room.general", {"type": "topic_changed"})
    socket = await site.connect(bob, path=prefix + "general")
    assert socket.greeting["streams"] == {"room.general": 1}
    assert socket.greeting["user_id"] == bob.pk
    assert await run(Membership.objects.filter(user=bob.pk).count) == 1


@pytest.mark.parametrize("prefix", [TEXT, CONTENT, "/ws/advanced/"])
@pytest.mark.parametrize("slug", ["secret", "no-such-room", "General", "a%20room", "x" * 65, "n%00l"])
async def test_it_refuses_rooms_that_one_may_not_join(site, carol, secret, prefix, slug):
    socket = await site.knock(carol, path=prefix + slug)
    assert await socket.ending() == FORBIDDEN
    assert socket.contract.positions is None  # it was not greeted


async def test_it_announces_nobody_who_is_refused(site, alice, carol, secret, configure):
    configure(PRESENCE_GRACE_SECONDS=0.05)
    witness = await site.connect(alice)
    assert await (await site.knock(carol, path=TEXT + "secret")).ending() == FORBIDDEN
    assert await witness.settle() == []
    assert (await site.connect(alice)).greeting["online_count"] == 1


async def test_it_lets_members_into_a_private_room(site, alice, bob, secret):
    writer, reader = await site.connect(alice, path=TEXT + "secret"), await site.connect(bob, path=TEXT + "secret")
    await writer.send("psst")
    assert (await reader.find("message"))["content"] == "psst"


@pytest.mark.parametrize("path", [TEXT, CONTENT])
async def test_it_closes_when_the_room_is_taken_away(site, alice, bob, general, path):
    owner, member = await site.connect(alice, path=path + "general"), await site.connect(bob, path=path + "general")
    await run(rooms.remove_member, alice.pk, "general", bob.pk)
    assert await member.ending() == FORBIDDEN
    await owner.settle()
    await run(rooms.delete, alice.pk, "general")
    assert await owner.ending() == FORBIDDEN


async def test_it_does_not_let_in_who_is_removed_while_joining(site, alice, bob, secret, monkeypatch):
    await site.connect(alice)  # the hub is there to hear of it
    join = rooms.join

    def join_and_lose(user_id, slug):
        joined = join(user_id, slug)
        if user_id == bob.pk:
            rooms.remove_member(alice.pk, slug, user_id)
        return joined

    monkeypatch.setattr(rooms, "join", join_and_lose)
    socket = await site.knock(bob, path=TEXT + "secret")
    assert await socket.ending() == FORBIDDEN


async def test_it_goes_on_where_a_room_socket_was(site, alice, bob, general):
    reader = await site.connect(alice, path=TEXT + "general")
    session = reader.greeting["session_id"]
    await reader.close()
    await get_node().keeper.save()
    other = await site.connect(bob, path=TEXT + "general")
    await other.send("missed")
    await find_accepted(other)
    again = await site.connect(alice, path=f"/api/v1/ws/reconnect/{session}")
    assert (await again.find("chat"))["data"]["message"] == "missed"
    assert "room.general" in (await again.find("resumed"))["streams"]


async def test_it_writes_to_a_room_whose_feed_could_not_be_opened(site, alice, general, monkeypatch):
    """The membership was there, the database went away before the position was read: the room was one without a key."""
    read, away = log.positions, [True]

    def read_later(streams):
        if away and "room.general" in streams:
            away.pop()
            raise OperationalError("the database is away")
        return read(streams)

    monkeypatch.setattr(log, "positions", read_later)
    socket = await site.connect(alice)
    assert is_refused(await socket.ask("join", room_id="general"), ErrorCode.UNAVAILABLE)
    assert (await socket.ask("message", room_id="general", message="hello"))["type"] == "ack"
