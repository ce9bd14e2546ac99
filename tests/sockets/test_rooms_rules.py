"""Sockets of one room have the commands, the limits and the credentials of every socket."""

import pytest

from realtime.delivery import publishing
from realtime.models import Message
from realtime.protocol.errors import ErrorCode
from realtime.storage.database import run
from tests.clients.socket import Ending, is_refused

pytestmark = pytest.mark.django_db(transaction=True)

TEXT, CONTENT = "/api/v1/ws/chat/", "/api/v1/ws/chat/rooms/"


async def test_it_knows_the_commands_that_keep_a_socket(site, alice, token, general):
    socket = await site.connect(alice, path=TEXT + "general")
    assert await socket.ask("ping", timestamp=7) == {"type": "pong", "timestamp": 7, "id": "ask-1"}
    assert (await socket.ask("pong"))["type"] == "ack"
    assert (await socket.ask("auth", token=token(alice)))["expires_at"]
    assert is_refused(await socket.ask("auth", token=""), ErrorCode.INVALID_MESSAGE)
    assert await run(Message.objects.count) == 0


@pytest.mark.parametrize("prefix", [TEXT, CONTENT])
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({}, "INVALID_MESSAGE"),
        ({"content": ""}, "INVALID_MESSAGE"),
        ({"content": 5}, "INVALID_MESSAGE"),
        ({"content": "x", "kind": "video"}, "INVALID_MESSAGE"),
        ({"content": "x" * 10_001}, "INVALID_MESSAGE"),
        ({"content": "n\0l"}, "INVALID_MESSAGE"),
        ({"type": "join", "room_id": "general"}, "UNKNOWN_MESSAGE_TYPE"),
        ({"type": "batch", "messages": []}, "UNKNOWN_MESSAGE_TYPE"),
        ({"type": 5}, "INVALID_MESSAGE"),
    ],
)
async def test_it_answers_what_is_wrong(site, alice, general, prefix, wrong, code):
    socket = await site.connect(alice, path=prefix + "general")
    await socket.send({"id": "c-1", **wrong})
    frame = await socket.receive()
    assert is_refused(frame, code)
    assert frame["id"] == "c-1"
    assert await run(Message.objects.count) == 0


async def test_it_has_the_limits_of_every_socket(site, alice, general, configure):
    configure(COMMANDS_BURST=3, COMMANDS_PER_SECOND=0.001, RATE_LIMIT_ERRORS=1, BAD_FRAMES=3, MAX_FRAME_BYTES=100)
    socket = await site.connect(alice, path=TEXT + "general")
    for _ in range(3):
        await socket.send("Hello!")
    await socket.send({"content": "one too many", "id": "c-4"})
    frame = await socket.find("error")
    assert is_refused(frame, ErrorCode.RATE_LIMITED)
    assert frame["id"] == "c-4"
    await socket.send("on and on")
    assert await socket.ending() == Ending(4429, "RATE_LIMITED")


async def test_it_counts_bad_frames(site, alice, general, configure):
    configure(BAD_FRAMES=2)
    socket = await site.connect(alice, path=TEXT + "general")
    await socket.send(b"binary")
    assert is_refused(await socket.receive(), ErrorCode.INVALID_MESSAGE)
    await socket.send("")
    assert await socket.ending() == Ending(4400, "TOO_MANY_ERRORS")


async def test_it_wants_a_credential(site, alice, token, general):
    late = await site.knock(path=TEXT + "general")
    await late.send("is anybody there?")
    await late.send({"type": "auth", "id": "a", "token": token(alice)})
    assert (await late.receive())["data"]["streams"] == {"room.general": 0}
    assert (await late.receive())["id"] == "a"
    assert await run(Message.objects.count) == 0
    unknown = await site.knock("no token", path=TEXT + "general")
    assert await unknown.ending() == Ending(4401, "UNAUTHENTICATED")


async def test_it_hears_nothing_but_its_room(site, alice, bob, general):
    reader = await site.connect(alice, path=TEXT + "general")
    other = await site.connect(bob)
    await other.ask("join", room_id="general")
    await other.ask("typing", data={"is_typing": True, "context": "general"})
    await other.ask("presence", status="busy")
    await other.ask("message", to_user_id=alice.pk, message="psst")
    await run(publishing.publish, "room.general", {"type": "topic_changed"})
    await run(publishing.send_to_user, alice.pk, {"type": "order_status_changed"})
    assert await reader.settle() == []


@pytest.mark.usefixtures("announcements")
async def test_it_counts_its_user_as_online(site, alice, bob, general):
    witness = await site.connect(bob)
    socket = await site.connect(alice, path=TEXT + "general")
    assert (await witness.find("user_status"))["data"]["user_id"] == alice.pk
    assert socket.greeting["online_count"] == 2
