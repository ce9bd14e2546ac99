"""Coming back over sockets: what was missed comes in order, and nothing live before it."""

import asyncio
import threading

import pytest
from django.db import OperationalError

from realtime.auth import access
from realtime.chat import rooms
from realtime.models import Event
from realtime.protocol.errors import ErrorCode
from realtime.recovery import resume
from realtime.storage import log
from realtime.storage.database import run
from tests.clients.socket import is_refused, texts, until
from tests.patience import PATIENCE_SECONDS
from tests.sockets.resuming import resume_with, write

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def late_reading(monkeypatch):
    """What is read for replays, and an event to set before anything of it is answered."""
    read, may_read, reads = resume.read_frames, threading.Event(), []

    def read_late(ranges):
        reads.append(ranges)
        assert may_read.wait(PATIENCE_SECONDS)
        return read(ranges)

    monkeypatch.setattr(resume, "read_frames", read_late)
    return reads, may_read


async def test_it_replays_what_came_after_the_position(site, alice, bob, shared):
    writer = await site.connect(alice)
    await write(writer, 5)
    reader = await site.connect(bob)
    frames, streams = await resume_with(reader, {"room.general": 2})
    assert texts(frames) == ["m3", "m4", "m5"]
    assert [frame["seq"] for frame in frames if frame["type"] == "chat"] == [3, 4, 5]
    assert streams == {"room.general": {"recovered": True, "seq": 5}}
    await write(writer, 1, start=6)
    assert texts([await reader.find("chat")]) == ["m6"]


async def test_it_replays_the_longest_messages_in_portions(site, configure, alice, bob, shared):
    """A hundred of them are 4 MB, more than may wait for a socket: one that kept up was closed as slow."""
    configure(MAX_FRAME_BYTES=131_072)
    writer, reader = await site.connect(alice), await site.connect(bob)
    for number in range(60):
        text = f"{number:02}" + "\U0001f600" * 9_998
        assert (await writer.ask("message", room_id="general", message=text))["type"] == "ack"
    frames, streams = await resume_with(reader, {"room.general": 0})
    assert [frame["data"]["message"][:2] for frame in frames] == [f"{number:02}" for number in range(60)]
    assert streams["room.general"] == {"recovered": True, "seq": 60}


async def test_it_replays_several_streams(site, alice, bob, shared):
    writer = await site.connect(alice)
    await write(writer, 2)
    await writer.ask("message", to_user_id=bob.pk, message="psst")
    reader = await site.connect(bob)
    frames, streams = await resume_with(reader, {"room.general": 0, f"user.{bob.pk}": 0, "site": 0})
    assert texts(frames) == ["m1", "m2", "psst"]
    assert {name: outcome["recovered"] for name, outcome in streams.items()} == dict.fromkeys(streams, True)


async def test_it_goes_on_without_a_gap_while_others_write(site, configure, alice, bob, shared):
    configure(COMMANDS_BURST=1_000)
    writer = await site.connect(alice)
    await write(writer, 150)
    reader = await site.connect(bob)
    writing = asyncio.create_task(write(writer, 60, start=151))
    frames, _streams = await resume_with(reader, {"room.general": 0})
    await writing
    frames += await reader.settle()
    assert [frame["seq"] for frame in frames if frame["type"] == "chat"] == list(range(1, 211))


async def test_it_holds_live_events_back(site, alice, bob, shared, late_reading):
    reads, may_read = late_reading
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


async def test_it_names_no_stream_whose_right_has_ended_meanwhile(site, alice, bob, shared, late_reading):
    reads, may_read = late_reading
    writer, reader = await site.connect(alice), await site.connect(bob)
    await write(writer, 3)
    await writer.ask("message", to_user_id=bob.pk, message="psst")
    await reader.settle()
    resuming = asyncio.create_task(resume_with(reader, {"room.general": 1, f"user.{bob.pk}": 0}))
    await until(lambda: reads)
    await run(rooms.remove_member, alice.pk, "general", bob.pk)
    may_read.set()
    frames, streams = await resuming
    assert [frame["type"] for frame in frames] == ["left", "chat", "error"]
    assert is_refused(frames[-1], ErrorCode.NOT_FOUND)
    assert frames[-1]["stream"] == "room.general"
    assert list(streams) == [f"user.{bob.pk}"]


async def test_it_forgets_no_stream_in_which_nothing_was_missed_yet(site, alice, bob, shared, late_reading):
    """While it waits for the events of one stream, the first one happens in another."""
    reads, may_read = late_reading
    writer, reader = await site.connect(alice), await site.connect(bob)
    await writer.ask("message", to_user_id=bob.pk, message="psst")
    await reader.settle()
    resuming = asyncio.create_task(resume_with(reader, {f"user.{bob.pk}": 0, "room.general": 0}))
    await until(lambda: reads)
    await write(writer, 1)
    may_read.set()
    frames, streams = await resuming
    assert texts(frames) == ["psst", "m1"]
    assert streams["room.general"]["seq"] == 1


@pytest.mark.parametrize(
    ("position", "stored", "keeps"),
    [(7, 3, 3), (0, 6, 2), (0, 12, 12), (5, 0, 0)],
    ids=["from the future", "older than the log", "too far back", "of an unknown stream"],
)
async def test_it_says_what_cannot_be_recovered(site, configure, alice, bob, shared, position, stored, keeps):
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


async def test_it_leaves_out_what_may_not_be_read(site, alice, bob, carol, shared):
    await run(rooms.create_room, alice.pk, title="Secret", slug="secret", private=True)
    reader = await site.connect(bob)
    nowhere = {"room.nowhere": 0, "room.\0": 0, "room.No Name": 0}  # a NUL, which PostgreSQL does not take
    wanted = {"room.secret": 0, **nowhere, f"user.{alice.pk}": 0, "nonsense": 0, "room.general": 0}
    frames, streams = await resume_with(reader, wanted)
    refused = [frame["stream"] for frame in frames if is_refused(frame, ErrorCode.NOT_FOUND)]
    assert refused == list(wanted)[:6]
    assert list(streams) == ["room.general"]


async def test_it_asks_for_membership_anew(site, alice, bob, shared):
    reader = await site.connect(bob)
    await run(rooms.remove_member, alice.pk, "general", bob.pk)
    frames, streams = await resume_with(reader, {"room.general": 0})
    assert is_refused(frames[-1], ErrorCode.NOT_FOUND)
    assert streams == {}


async def test_it_lets_resumes_wait_for_their_turn(site, configure, alice, bob, shared):
    configure(RESUMES_AT_ONCE=1)
    writer = await site.connect(alice)
    await write(writer, 5)
    readers = [await site.connect(bob) for _ in range(6)]
    answers = await asyncio.gather(*(resume_with(reader, {"room.general": 0}) for reader in readers))
    assert [texts(frames) for frames, _streams in answers] == [["m1", "m2", "m3", "m4", "m5"]] * 6


async def test_it_joins_a_room_from_a_position(site, alice, bob, shared):
    writer = await site.connect(alice)
    await write(writer, 3)
    reader = await site.connect(bob)
    joined = await reader.ask("join", room_id="general", since=1)
    assert (joined["recovered"], joined["seq"]) == (True, 3)
    assert texts(await reader.settle()) == ["m2", "m3"]
    again = await reader.ask("join", room_id="general", since=77)
    assert (again["recovered"], again["fetch"]) == (False, "/api/v1/rooms/general/messages?after=77")


async def test_it_looks_into_the_log_for_who_has_heard_more_than_this_process(site, alice, bob, shared):
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


async def test_it_sends_nothing_of_a_lost_stream_before_it_tells_where_that_is(
    site, configure, alice, bob, shared, late_reading
):
    configure(RESUME_MAX_EVENTS=2)
    reads, may_read = late_reading
    writer, reader = await site.connect(alice), await site.connect(bob)
    await write(writer, 4)
    await writer.ask("message", to_user_id=bob.pk, message="psst")
    await reader.settle()
    resuming = asyncio.create_task(resume_with(reader, {"room.general": 0, f"user.{bob.pk}": 0}))
    await until(lambda: reads)
    await write(writer, 1, start=5)
    may_read.set()
    frames, streams = await resuming
    assert texts(frames) == ["psst"]
    assert streams["room.general"] == {**streams["room.general"], "recovered": False, "seq": 5}
    await write(writer, 1, start=6)
    assert (await reader.find("chat"))["seq"] == 6


async def test_it_remembers_no_room_that_could_not_be_looked_up(site, alice, bob, shared, monkeypatch):
    find, away = access.find_access, [True]

    def find_later(wanted):
        if away.pop() if away else False:
            raise OperationalError("the database is away")
        return find(wanted)

    monkeypatch.setattr(access, "find_access", find_later)
    reader = await site.connect(bob)
    assert is_refused(await reader.ask("resume", streams={"room.general": 0}), ErrorCode.UNAVAILABLE)
    assert (await reader.ask("message", room_id="general", message="hello"))["type"] == "ack"


@pytest.mark.parametrize("rest", ["away", "pruned"])
async def test_it_closes_when_a_replay_cannot_be_finished(site, alice, bob, shared, monkeypatch, rest):
    read, reads = resume.read_frames, []

    def read_once(ranges):
        reads.append(ranges)
        if len(reads) == 1:
            return read(ranges)
        if rest == "away":
            raise OperationalError("the database is away")
        return [[] for _ in ranges]

    monkeypatch.setattr(resume, "CHUNK", 2)
    monkeypatch.setattr(resume, "read_frames", read_once)
    writer, reader = await site.connect(alice), await site.connect(bob)
    await write(writer, 3)
    joined = await reader.ask("join", room_id="general", since=0)
    assert (joined["recovered"], joined["seq"]) == (True, 3)
    assert texts([await reader.find("chat"), await reader.find("chat")]) == ["m1", "m2"]
    assert await reader.ending() == (1013, "OVERLOADED")


async def test_it_leaves_out_rooms_whose_names_no_database_takes(site, alice, bob, shared):
    await write(await site.connect(alice), 1)
    reader = await site.connect(bob)
    frames, streams = await resume_with(reader, {"room.a\0b": 0, "room.general": 0})
    (refused,) = (frame for frame in frames if frame["type"] == "error")
    assert is_refused(refused, ErrorCode.NOT_FOUND)
    assert streams == {"room.general": {"recovered": True, "seq": 1}}


async def test_it_joins_no_more_rooms_than_a_socket_may_have(site, alice, shared, configure):
    configure(MAX_ROOMS_PER_CONNECTION=1)
    await run(rooms.create_room, alice.pk, title="Other", slug="other")
    socket = await site.connect(alice)
    frame = {"type": "resume", "streams": {"room.general": 0, "room.other": 0}, "id": "r-1"}
    await socket.send(frame)
    refusal, resumed = await socket.find("error"), await socket.find("resumed")
    assert (refusal["error_code"], refusal["stream"], refusal["id"]) == ("CONFLICT", "room.other", "r-1")
    assert list(resumed["streams"]) == ["room.general"]
