"""Coming back over sockets: what was missed comes in order, and nothing live before it."""

import asyncio
import threading

import pytest
from django.db import OperationalError

from realtime import access, log, resume, rooms
from realtime.database import run
from realtime.errors import ErrorCode
from realtime.models import Event
from tests.sockets import is_refused, texts, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def general(alice, bob):
    room = rooms.create(alice.pk, title="General", slug="general")
    rooms.join(bob.pk, "general")
    return room


async def write(socket, count, start=1, slug="general"):
    for number in range(start, start + count):
        assert (await socket.ask("message", room_id=slug, message=f"m{number}"))["type"] == "ack"


async def resume_with(socket, streams):
    """The frames before `resumed`, and what it says."""
    await socket.send({"type": "resume", "id": "r", "streams": streams})
    frames = []
    while (frame := await socket.receive())["type"] != "resumed":
        frames.append(frame)
    assert frame["id"] == "r"
    return frames, frame["streams"]


async def test_it_replays_what_came_after_the_position(site, alice, bob, general):
    writer = await site.connect(alice)
    await write(writer, 5)
    reader = await site.connect(bob)
    frames, streams = await resume_with(reader, {"room.general": 2})
    assert texts(frames) == ["m3", "m4", "m5"]
    assert [frame["seq"] for frame in frames if frame["type"] == "chat"] == [3, 4, 5]
    assert streams == {"room.general": {"recovered": True, "seq": 5}}
    await write(writer, 1, start=6)
    assert texts([await reader.find("chat")]) == ["m6"]


async def test_it_replays_several_streams(site, alice, bob, general):
    writer = await site.connect(alice)
    await write(writer, 2)
    await writer.ask("message", to_user_id=bob.pk, message="psst")
    reader = await site.connect(bob)
    frames, streams = await resume_with(reader, {"room.general": 0, f"user.{bob.pk}": 0, "site": 0})
    assert texts(frames) == ["m1", "m2", "psst"]
    assert {name: outcome["recovered"] for name, outcome in streams.items()} == dict.fromkeys(streams, True)


async def test_it_goes_on_without_a_gap_while_others_write(site, alice, bob, general):
    writer = await site.connect(alice)
    await write(writer, 150)
    reader = await site.connect(bob)
    writing = asyncio.create_task(write(writer, 60, start=151))
    frames, _streams = await resume_with(reader, {"room.general": 0})
    await writing
    frames += await reader.settle()
    assert [frame["seq"] for frame in frames if frame["type"] == "chat"] == list(range(1, 211))


async def test_it_holds_live_events_back(site, alice, bob, general, monkeypatch):
    read, may_read, reads = resume.read_frames, threading.Event(), []

    def read_late(ranges):
        reads.append(ranges)
        assert may_read.wait(5)
        return read(ranges)

    monkeypatch.setattr(resume, "read_frames", read_late)
    writer, reader = await site.connect(alice), await site.connect(bob)
    await write(writer, 3)
    await reader.ask("join", room_id="general")
    resuming = asyncio.create_task(resume_with(reader, {"room.general": 1}))
    await until(lambda: reads)
    await write(writer, 1, start=4)
    may_read.set()
    frames, streams = await resuming
    assert texts(frames) == ["m2", "m3", "m4"]
    assert streams["room.general"]["seq"] == 4


@pytest.mark.parametrize(
    ("position", "stored", "keeps"),
    [(7, 3, 3), (0, 6, 2), (0, 12, 12), (5, 0, 0)],
    ids=["from the future", "older than the log", "too far back", "of an unknown stream"],
)
async def test_it_says_what_cannot_be_recovered(site, configure, alice, bob, general, position, stored, keeps):
    configure(RESUME_MAX_EVENTS=10)
    writer = await site.connect(alice)
    await write(writer, stored)
    await run(Event.objects.filter(seq__lte=stored - keeps).delete)
    reader = await site.connect(bob)
    frames, streams = await resume_with(reader, {"room.general": position})
    assert texts(frames) == []
    fetch = f"/api/v1/rooms/general/messages?after={position}"
    assert streams == {"room.general": {"recovered": False, "seq": stored, "fetch": fetch}}
    await write(writer, 1, start=99)
    assert texts([await reader.find("chat")]) == ["m99"]


async def test_it_leaves_out_what_may_not_be_read(site, alice, bob, carol, general):
    await run(rooms.create, alice.pk, title="Secret", slug="secret", private=True)
    reader = await site.connect(bob)
    wanted = {"room.secret": 0, "room.nowhere": 0, f"user.{alice.pk}": 0, "nonsense": 0, "room.general": 0}
    frames, streams = await resume_with(reader, wanted)
    refused = [frame["stream"] for frame in frames if is_refused(frame, ErrorCode.NOT_FOUND)]
    assert refused == list(wanted)[:4]
    assert list(streams) == ["room.general"]


async def test_it_asks_for_membership_anew(site, alice, bob, general):
    reader = await site.connect(bob)
    await run(rooms.remove_member, alice.pk, "general", bob.pk)
    frames, streams = await resume_with(reader, {"room.general": 0})
    assert is_refused(frames[-1], ErrorCode.NOT_FOUND)
    assert streams == {}


async def test_it_lets_resumes_wait_for_their_turn(site, configure, alice, bob, general):
    configure(RESUMES_AT_ONCE=1)
    writer = await site.connect(alice)
    await write(writer, 5)
    readers = [await site.connect(bob) for _ in range(6)]
    answers = await asyncio.gather(*(resume_with(reader, {"room.general": 0}) for reader in readers))
    assert [texts(frames) for frames, _streams in answers] == [["m1", "m2", "m3", "m4", "m5"]] * 6


async def test_it_joins_a_room_from_a_position(site, alice, bob, general):
    writer = await site.connect(alice)
    await write(writer, 3)
    reader = await site.connect(bob)
    joined = await reader.ask("join", room_id="general", since=1)
    assert (joined["recovered"], joined["seq"]) == (True, 3)
    assert texts(await reader.settle()) == ["m2", "m3"]
    again = await reader.ask("join", room_id="general", since=77)
    assert (again["recovered"], again["fetch"]) == (False, "/api/v1/rooms/general/messages?after=77")


async def leave_abruptly(socket):
    await socket.close()


async def test_it_takes_up_a_session(site, configure, alice, bob, general):
    configure(HEARTBEAT_SECONDS=0.2)
    writer, reader = await site.connect(alice), await site.connect(bob)
    await reader.ask("join", room_id="general")
    await write(writer, 1)
    await reader.find("chat")
    await answer_heartbeats(reader, 2)
    await write(writer, 1, start=2)
    await reader.find("chat", message="m2")  # sent, and not confirmed
    await leave_abruptly(reader)
    await write(writer, 1, start=3)
    back = await come_back(site, bob, reader.greeting["session_id"])
    assert texts([await back.find("chat"), await back.find("chat")]) == ["m2", "m3"]
    assert (await back.find("resumed"))["streams"]["room.general"] == {"recovered": True, "seq": 3}
    assert (await back.ask("message", room_id="general", message="again"))["type"] == "ack"


async def answer_heartbeats(socket, count):
    for _ in range(count):
        await socket.find("heartbeat")
        await socket.send({"type": "pong"})


async def come_back(site, user, session_id):
    """A socket that takes up a session, which is saved within a second."""
    await asyncio.sleep(1.1)
    return await site.connect(user, path=f"/api/v1/ws/reconnect/{session_id}")


async def test_it_knows_no_session_of_others_or_twice(site, alice, bob, general):
    reader = await site.connect(bob)
    id = reader.greeting["session_id"]
    await leave_abruptly(reader)
    foreign = await come_back(site, alice, id)
    assert is_refused(await foreign.find("error"), ErrorCode.NOT_FOUND)
    first = await site.connect(bob, path=f"/api/v1/ws/reconnect/{id}")
    assert await first.find("resumed")
    second = await site.connect(bob, path=f"/api/v1/ws/reconnect/{id}")
    assert is_refused(await second.find("error"), ErrorCode.NOT_FOUND)


async def test_it_forgets_a_room_that_was_left(site, alice, bob, general):
    reader = await site.connect(bob)
    await reader.ask("join", room_id="general")
    await reader.ask("leave", room_id="general")
    await leave_abruptly(reader)
    back = await come_back(site, bob, reader.greeting["session_id"])
    assert set((await back.find("resumed"))["streams"]) == {f"user.{bob.pk}", "site"}


async def test_it_looks_into_the_log_for_who_has_heard_more_than_this_process(site, alice, bob, general):
    writer, reader = await site.connect(alice), await site.connect(bob)
    await writer.ask("join", room_id="general")
    await write(writer, 1)
    (first,) = await run(log.missed, "room.general", 0, 1)
    # Another process stored one more, and its publication was lost.
    await run(log.commit, [("room.general", first.body.replace(b'"m1"', b'"m2"'))])
    frames, streams = await resume_with(reader, {"room.general": 2})
    assert texts(frames) == []
    assert streams == {"room.general": {"recovered": True, "seq": 2}}
    assert (await writer.find("chat", message="m2"))["seq"] == 2
    await write(writer, 1, start=3)
    assert (await reader.find("chat"))["seq"] == 3


async def test_it_counts_no_heartbeat_that_was_answered_before_the_replay(
    site, configure, alice, bob, general, monkeypatch
):
    configure(HEARTBEAT_SECONDS=0.2)
    read, may_read = resume.read_frames, threading.Event()

    def read_late(ranges):
        assert may_read.wait(5)
        return read(ranges)

    monkeypatch.setattr(resume, "read_frames", read_late)
    writer, reader = await site.connect(alice), await site.connect(bob)
    await write(writer, 3)
    await reader.ask("join", room_id="general")
    await reader.find("heartbeat")
    await reader.send({"type": "resume", "id": "r", "streams": {"room.general": 0}})
    await reader.send({"type": "pong"})
    await answer_heartbeats(reader, 2)
    may_read.set()
    await reader.find("resumed")
    await leave_abruptly(reader)
    back = await come_back(site, bob, reader.greeting["session_id"])
    assert texts([await back.find("chat") for _ in range(3)]) == ["m1", "m2", "m3"]


async def test_it_says_again_what_could_not_be_recovered(site, configure, alice, bob, general):
    configure(RESUME_MAX_EVENTS=2)
    writer, reader = await site.connect(alice), await site.connect(bob)
    await write(writer, 4)
    _frames, streams = await resume_with(reader, {"room.general": 1})
    await leave_abruptly(reader)  # perhaps it never heard that
    back = await come_back(site, bob, reader.greeting["session_id"])
    assert (await back.find("resumed"))["streams"]["room.general"] == streams["room.general"]


async def test_it_remembers_no_room_that_could_not_be_looked_up(site, alice, bob, general, monkeypatch):
    find, away = access.find_access, [True]

    def find_later(wanted):
        if away.pop() if away else False:
            raise OperationalError("the database is away")
        return find(wanted)

    monkeypatch.setattr(access, "find_access", find_later)
    reader = await site.connect(bob)
    assert is_refused(await reader.ask("resume", streams={"room.general": 0}), ErrorCode.UNAVAILABLE)
    assert (await reader.ask("message", room_id="general", message="hello"))["type"] == "ack"
