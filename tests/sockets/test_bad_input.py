"""Everything that a client can say wrong, each with its answer; whoever sits beside it notices nothing."""

import asyncio
import json
from bisect import bisect_left

import msgspec
import pytest

from realtime.chat import rooms
from realtime.protocol.errors import ErrorCode
from tests.clients.socket import texts
from tests.contract.wrong_commands import NO_COMMAND, NO_SUCH_TYPE, NOT_JSON, VALID, names, wrong_commands
from tests.sites.in_process import TcpServer

pytestmark = pytest.mark.django_db(transaction=True)


def refused_commands(bob):
    """Commands of alice that are well formed and come to nothing."""
    hello = {"type": "message", "message": "Hello!"}
    yield {**hello}, ErrorCode.INVALID_MESSAGE
    yield {**hello, "room_id": None, "to_user_id": None}, ErrorCode.INVALID_MESSAGE
    yield {**hello, "room_id": "general", "to_user_id": bob.pk}, ErrorCode.INVALID_MESSAGE
    yield {**hello, "room_id": "secret"}, ErrorCode.NOT_FOUND
    yield {**hello, "room_id": "no-such-room"}, ErrorCode.NOT_FOUND
    yield {**hello, "room_id": rooms.direct_slug(bob.pk, bob.pk + 1)}, ErrorCode.NOT_FOUND
    yield {**hello, "room_id": "bobs"}, ErrorCode.FORBIDDEN
    yield {**hello, "to_user_id": 999_999}, ErrorCode.NOT_FOUND
    yield {**hello, "to_user_id": "' OR 1=1 --"}, ErrorCode.NOT_FOUND
    yield {**hello, "room_id": "bobs", "message": "x" * 10_000}, ErrorCode.FORBIDDEN
    yield {"type": "message", "room_id": "mine", "message": "x" * 10_001}, ErrorCode.INVALID_MESSAGE
    yield {"type": "message", "to_user_id": bob.pk, "message": "x" * 10_001}, ErrorCode.INVALID_MESSAGE
    yield {"type": "message", "room_id": "mine", "message": "a\0b"}, ErrorCode.INVALID_MESSAGE
    yield {"type": "message", "room_id": "mine", "message": "a", "id": "a\0b"}, ErrorCode.INVALID_MESSAGE
    yield {"type": "join", "room_id": "secret"}, ErrorCode.NOT_FOUND
    yield {"type": "join", "room_id": rooms.direct_slug(bob.pk, bob.pk + 1)}, ErrorCode.NOT_FOUND
    yield {"type": "leave", "room_id": "mine"}, ErrorCode.NOT_FOUND
    yield {"type": "leave", "room_id": "secret"}, ErrorCode.NOT_FOUND
    yield {"type": "presence", "status": "away", "data": {"x": "y" * 1024}}, ErrorCode.INVALID_MESSAGE
    yield {"type": "presence", "status": "away", "data": {"x": "多" * 400}}, ErrorCode.INVALID_MESSAGE


@pytest.fixture
def places(alice, bob):
    rooms.create_room(alice.pk, title="Mine", slug="mine")
    rooms.create_room(bob.pk, title="Bob's", slug="bobs")
    rooms.create_room(bob.pk, title="Secret", slug="secret", private=True)


@pytest.fixture
async def pair(site, alice, bob, places, configure):
    """The socket that misbehaves, and one beside it, without the limits on misbehaviour."""
    configure(BAD_FRAMES=1_000_000, COMMANDS_BURST=1_000_000)
    bad, other = await site.connect(alice), await site.connect(bob)
    await other.ask("join", room_id="bobs")
    return bad, other


async def refusal(pair, frame):
    """The error for a frame, after which both sockets still work."""
    bad, other = pair
    await bad.send(frame)
    answers, beside = await bad.settle(), await other.settle()
    assert [answer["type"] for answer in answers] == ["error"], (str(frame)[:80], answers)
    assert beside == [], beside
    return answers[0]


def test_it_knows_a_valid_example_of_each_command():
    assert set(VALID) == names()


@pytest.mark.parametrize(
    ("frames", "code"),
    [(NOT_JSON, ErrorCode.INVALID_JSON), (NO_COMMAND, ErrorCode.INVALID_MESSAGE)],
    ids=["not-json", "no-command"],
)
async def test_it_answers_what_is_no_command(pair, frames, code):
    for what, frame in frames.items():
        assert (await refusal(pair, frame))["error_code"] == code, what


async def test_it_answers_unknown_types_by_name(pair):
    for name in NO_SUCH_TYPE:
        error = await refusal(pair, {"type": name, "id": "c-1"})
        assert (error["error_code"], error["id"]) == (ErrorCode.UNKNOWN_MESSAGE_TYPE, "c-1"), name[:20]
        assert len(error["message"]) < 1000


async def test_it_answers_every_wrong_field(pair):
    for what, command, id in wrong_commands():
        error = await refusal(pair, command)
        assert (error["error_code"], error.get("id")) == (ErrorCode.INVALID_MESSAGE, id), (what, error)


async def test_it_answers_commands_that_come_to_nothing(pair, bob):
    for command, code in refused_commands(bob):
        error = await refusal(pair, {"id": "c-1", **command})
        assert (error["error_code"], error["id"]) == (code, command.get("id", "c-1")), command


def deepest_list() -> int:
    """How many lists within each other can be read; versions of Python differ."""
    depths = range(100, 20_000)
    return depths[bisect_left(depths, True, key=lambda depth: not is_readable("[" * depth + "]" * depth))] - 1


def is_readable(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except RecursionError:
        return False
    return True


async def test_it_bears_depths_at_which_reading_just_fails(pair):
    bad, other = pair
    limit = deepest_list()
    for depth in [*range(1, 200, 20), *range(300, 520, 40), *range(limit - 67, limit + 13, 3)]:
        for data in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            await bad.send('{"type":"presence","status":"away","data":{"x":' + data + "}}")
    assert all(frame["type"] != "connected" for frame in await bad.settle())
    await other.settle()


@pytest.mark.usefixtures("announcements")
@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64, -(2**63), -(2**64), 10**30, 0.1, 1e300, -0.0])
async def test_it_gives_numbers_back_or_refuses_them(pair, number):
    bad, other = pair
    pong = await bad.ask("ping", timestamp=number)
    assert pong["type"] == "pong"
    assert pong["timestamp"] == pytest.approx(number)
    ack = await bad.ask("presence", status="busy", data={"n": number})
    assert ack["type"] == "ack"
    assert (await other.find("presence"))["data"]["data"] == {"n": pytest.approx(number)}


async def test_it_ignores_what_it_does_not_know(pair):
    bad, _ = pair
    pong = await bad.ask("ping", timestamp="t", more={"type": "auth", "deep": [[[]]]}, user_id=1)
    assert pong == {"type": "pong", "timestamp": "t", "id": pong["id"]}
    assert (await bad.ask("message", room_id="mine", message="I", from_user_id=999, sender="bob"))["type"] == "ack"


async def test_it_takes_frames_of_just_the_size(pair):
    bad, other = pair
    frame = {"type": "ping", "timestamp": ""}
    for filling in ("x", "多"):
        room = 65_536 - len(json.dumps(frame, ensure_ascii=False).encode())
        stamp = filling * (room // len(filling.encode())) + "x" * (room % len(filling.encode()))
        text = json.dumps({**frame, "timestamp": stamp}, ensure_ascii=False)
        assert len(text.encode()) == 65_536
        await bad.send(text)
        assert (await bad.find("pong"))["timestamp"] == stamp
    await other.settle()


@pytest.mark.parametrize("size", [65_537, 100_000, 1_000_000, 8_000_000])
@pytest.mark.parametrize("filling", ["x", "多"])
async def test_it_closes_for_a_frame_that_is_too_large(pair, size, filling):
    bad, other = pair
    frame = '{"type":"ping","timestamp":"%s"}'
    room = size - len(frame) + 2
    await bad.send(frame % (filling * (room // len(filling.encode())) + "x" * (room % len(filling.encode()))))
    assert await bad.ending() == (1009, "FRAME_TOO_LARGE")
    await other.settle()


@pytest.mark.parametrize("site", [TcpServer], indirect=True, ids=["direct"])
async def test_it_limits_binary_frames_too(pair):
    bad, other = pair
    await bad.send(b"x" * 65_537)
    assert await bad.ending() == (1009, "FRAME_TOO_LARGE")
    await other.settle()


async def test_it_closes_after_twenty_bad_frames(site, alice, bob):
    bad, other = await site.connect(alice), await site.connect(bob)
    for number in range(30):
        await bad.send(b"\0" if number % 2 else "nope")
    errors = [await bad.find("error") for _ in range(20)]
    assert {error["error_code"] for error in errors} == {"INVALID_JSON", "INVALID_MESSAGE"}
    assert await bad.ending() == (4400, "TOO_MANY_ERRORS")
    await other.settle()


async def test_it_slows_down_a_flood_and_ends_it(site, alice, bob):
    flood, other = await site.connect(alice), await site.connect(bob)

    async def pour():
        for number in range(10_000):
            await flood.send({"type": "ping", "id": str(number), "timestamp": number})
            if number % 500 == 0:
                await other.settle()

    pouring = asyncio.create_task(pour())
    pongs = []
    while (frame := await flood.receive())["type"] != "error":
        pongs += [frame["timestamp"]] if frame["type"] == "pong" else []
    assert pongs == list(range(len(pongs)))
    assert len(pongs) >= 200
    assert (frame["error_code"], frame["id"]) == (ErrorCode.RATE_LIMITED, str(len(pongs)))
    assert await flood.ending() == (4429, "RATE_LIMITED")
    await pouring
    await other.settle()


async def test_it_counts_the_commands_of_a_user_not_of_a_socket(site, alice, bob, configure):
    configure(COMMANDS_BURST=10, COMMANDS_PER_SECOND=0.001)
    first, second, other = await site.connect(alice), await site.connect(alice), await site.connect(bob)
    for _ in range(15):
        for socket in (first, second):
            await socket.send({"type": "ping"})
    await first.find("error", error_code="RATE_LIMITED")
    await second.find("error", error_code="RATE_LIMITED")
    await other.settle()


async def test_it_stores_what_was_sent_just_before_leaving(site, alice, bob, places):
    other = await site.connect(bob)
    await other.ask("join", room_id="mine")
    for number in range(5):
        leaver = await site.connect(alice)
        await leaver.send({"type": "join", "room_id": "mine"})
        await leaver.send({"type": "message", "room_id": "mine", "message": str(number)})
        await leaver.settle()
        await leaver.send({"type": "message", "room_id": "mine", "message": f"{number}, gone"})
        await leaver.send({"type": "join", "room_id": "bobs"})
        await leaver.close()
    said = texts([await other.find("chat") for _ in range(10)])
    assert said == [text for number in range(5) for text in (str(number), f"{number}, gone")]


@pytest.mark.parametrize("site", [TcpServer], indirect=True, ids=["direct"])
@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b'{"type":"ping","timestamp":"\xff"}',
        b'{"type":"ping","nobody looks here":"\xed\xa0\x80"}',
        b'{"type":"ping","\xc0\xaf":1}',
        b'{"type":"ping"}\xe5\xa4',
    ],
)
async def test_it_closes_for_text_that_is_not_utf_8(pair, site, data):
    bad, other = pair
    stranger = await site.knock()
    for socket in (bad, stranger):
        await socket.connection.send(data, text=True)
        assert (await socket.ending()).code == 1007
    await other.settle()
