"""A room with the id of a deleted one, while the order that ends the old subscriptions is lost."""

import pytest

from realtime.chat import rooms
from realtime.delivery import publishing
from realtime.storage.database import run
from tests.clients.socket import Ending, texts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def lost_orders(monkeypatch):
    monkeypatch.setattr(publishing, "close_stream", lambda stream, room: None)


async def make_again(alice):
    await run(rooms.delete, alice.pk, "general")
    await run(rooms.create_room, alice.pk, title="General again", slug="general", private=True)


async def test_members_of_the_first_do_not_hear_the_second(site, alice, bob, general):
    writer, reader, one_room = (
        await site.connect(alice),
        await site.join(bob),
        await site.connect(bob, path="/api/v1/ws/chat/general"),
    )
    await writer.ask("message", room_id="general", message="first")
    await make_again(alice)
    await writer.ask("message", room_id="general", message="secret")
    assert await reader.find("left") == {"type": "left", "room_id": "general", "reason": "REMOVED"}
    assert texts(reader.events("room.general")) == ["first"]
    assert await one_room.ending() == Ending(4403, "FORBIDDEN")
    assert "secret" not in str(one_room.frames)


@pytest.mark.parametrize("since", [0, 1, 2])
async def test_a_position_in_the_first_is_none_in_the_second(site, alice, general, since):
    socket = await site.join(alice)
    for text in ("one", "two"):
        await socket.ask("message", room_id="general", message=text)
    await make_again(alice)
    back = await site.connect(alice)
    await back.ask("message", room_id="general", message="three")
    expected = {"recovered": False, "seq": 4, "fetch": f"/api/v1/rooms/general/messages?after={since}"}
    assert (await back.ask("resume", streams={"room.general": since}))["streams"] == {"room.general": expected}
    assert (await back.ask("resume", streams={"room.general": 4}))["streams"]["room.general"]["recovered"]
    assert (await back.ask("leave", room_id="general"))["type"] == "left"
    joined = await back.ask("join", room_id="general", since=since)
    assert (joined["recovered"], joined["seq"]) == (False, 4)


async def test_nobody_who_was_in_the_first_alone_resumes_the_second(site, alice, bob, general):
    socket = await site.join(bob)
    await make_again(alice)
    error = await socket.ask("resume", streams={"room.general": 0})
    assert (error["error_code"], error["stream"]) == ("NOT_FOUND", "room.general")
    assert (await socket.find("resumed"))["streams"] == {}


async def test_what_members_have_read_begins_with_the_second(site, alice, general):
    await (await site.join(alice)).ask("message", room_id="general", message="first")
    await make_again(alice)
    await (await site.connect(alice)).ask("message", room_id="general", message="second")
    room = await run(rooms.get_visible, alice.pk, "general")
    assert (room.last_seq, room.last_read_seq) == (3, 2)


async def test_a_member_of_both_joins_the_second_on_the_same_socket(site, alice, general):
    socket = await site.join(alice)
    await socket.ask("message", room_id="general", message="first")
    await make_again(alice)
    joined = await socket.ask("join", room_id="general")
    assert (joined["title"], joined["seq"]) == ("General again", 2)
    await socket.ask("message", room_id="general", message="second")
    assert texts(socket.events("room.general")) == ["first", "second"]
    assert socket.has("left", reason="REMOVED")  # from the first room
