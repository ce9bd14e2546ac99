"""What a client leaves behind when it goes: nothing is read for it any more, and nobody waits for it."""

import asyncio
import threading

import pytest

from realtime.auth import access
from realtime.models import Message
from realtime.protocol import topics
from realtime.protocol.errors import ErrorCode
from realtime.recovery import resume
from realtime.sockets.node import get_node
from realtime.storage.database import run
from tests.clients.socket import is_refused, texts, until
from tests.patience import PATIENCE_SECONDS
from tests.sockets.resuming import resume_with, write

pytestmark = pytest.mark.django_db(transaction=True)


class Gate:
    """Database work that is noted, and does not end before the test says so."""

    def __init__(self, work):
        self.asked = []
        self.open = threading.Event()
        self._work = work

    def __call__(self, items):
        self.asked += items
        assert self.open.wait(PATIENCE_SECONDS)
        return self._work(items)


@pytest.fixture
def reading(monkeypatch):
    gate = Gate(resume.read_frames)
    monkeypatch.setattr(resume, "read_frames", gate)
    monkeypatch.setattr(resume, "CHUNK", 2)
    yield gate
    gate.open.set()


@pytest.fixture
def asking(monkeypatch):
    gate = Gate(access.find_access)
    monkeypatch.setattr(access, "find_access", gate)
    yield gate
    gate.open.set()


@pytest.fixture
def stored_topic(no_topics):
    topics.topic("stored", durable=True)


RESUME = {"type": "resume", "streams": {"room.general": 0}}
JOIN = {"type": "join", "room_id": "general", "since": 0}
SUBSCRIBE = {"type": "subscribe", "topic": "stored", "since": 0}


@pytest.mark.parametrize("command", [RESUME, JOIN, SUBSCRIBE], ids=["resume", "join", "subscribe"])
async def test_it_gives_up_its_place_in_the_queue(site, configure, bob, shared, stored_topic, command):
    configure(RESUMES_AT_ONCE=1)
    sockets = [await site.connect(bob) for _ in range(3)]
    turns = get_node().resumer._turns
    async with turns.turn("somebody else"):
        for socket in sockets:
            await socket.send(command)
        await until(lambda: turns._count == 3)
        for socket in sockets:
            await socket.close()
        await until(lambda: turns._count == 0)
    await until(lambda: not get_node().errands._tasks)


async def test_it_gives_up_its_turn(site, configure, alice, bob, shared, reading):
    """The events after those that are being read are not read for a client that has gone."""
    configure(RESUMES_AT_ONCE=1)
    await write(await site.connect(alice), 6)
    reader, gone = await site.connect(alice), await site.connect(bob)
    await gone.send(RESUME)
    await until(lambda: reading.asked)
    await gone.close()
    await until(lambda: not get_node().errands._tasks)
    reading.open.set()
    frames, _streams = await resume_with(reader, {"room.general": 4})
    assert texts(frames) == ["m5", "m6"]
    assert [asked.after for asked in reading.asked] == [0, 4]


async def test_it_gives_up_the_replay_of_its_session(site, configure, alice, bob, shared, reading):
    configure(RESUMES_AT_ONCE=1)
    first = await site.connect(bob)
    await first.ask("join", room_id="general")
    await first.close()
    await write(await site.connect(alice), 6)
    path = f"/api/v1/ws/reconnect/{first.greeting['session_id']}"
    gone = await site.connect(bob, path=path)
    await until(lambda: reading.asked)
    await gone.close()
    await until(lambda: not get_node().errands._tasks)
    reading.open.set()
    back = await site.connect(bob, path=path)
    assert texts([await back.find("chat") for _ in range(6)]) == [f"m{n}" for n in range(1, 7)]
    assert [asked.after for asked in reading.asked if asked.stream == "room.general"] == [0, 0, 2, 4]


async def test_its_rights_are_not_looked_up(site, bob, shared, asking):
    busy, gone, stays = [await site.connect(bob) for _ in range(3)]
    await busy.send({"type": "resume", "streams": {"room.busy": 0}})
    await until(lambda: asking.asked)
    await gone.send({"type": "resume", "streams": {f"room.r{n}": 0 for n in range(200)}})
    await until(lambda: len(get_node().access._waiting) == 200)
    await gone.close()
    await until(lambda: len(get_node().errands._tasks) == 1)
    await stays.send({"type": "resume", "streams": {"room.general": 0}, "id": "r"})
    await until(lambda: len(get_node().access._waiting) == 201)
    asking.open.set()
    assert list((await stays.find("resumed"))["streams"]) == ["room.general"]
    assert [slug for _user, slug in asking.asked] == ["busy", "general"]


async def test_it_leaves_a_message_behind_that_it_has_sent(site, alice, bob, shared, asking):
    """The client closes as soon as it has sent; where the message goes is still being looked up."""
    gone = await site.connect(bob)
    await gone.send({"type": "message", "room_id": "general", "message": "bye"})
    await until(lambda: asking.asked)
    closing = asyncio.create_task(gone.close())
    await until(lambda: len(get_node().hub.connections) == 0)
    asking.open.set()
    await closing
    reader = await site.connect(alice)
    frames, _streams = await resume_with(reader, {"room.general": 0})
    if not texts(frames):
        assert (await reader.find("chat"))["data"]["message"] == "bye"
    assert await run(Message.objects.count) == 1


async def test_it_refuses_sockets_for_which_there_is_no_room(site, configure, bob, shared):
    configure(RESUMES_AT_ONCE=1, MAX_WAITING_RESUMES_PER_USER=1, RETRY_AFTER_MS=1_500)
    waiting, refused = await site.connect(bob), await site.connect(bob)
    turns = get_node().resumer._turns
    async with turns.turn("somebody else"):
        await waiting.send({**RESUME, "id": "r"})
        await until(lambda: turns._count == 1)
        for command in (RESUME, JOIN):
            error = await refused.ask(**command)
            assert is_refused(error, ErrorCode.RATE_LIMITED)
            assert error["retry_after_ms"] == 1_500
        back = await site.connect(bob, path=f"/api/v1/ws/reconnect/{refused.greeting['session_id']}")
        assert await back.ending() == (1013, "OVERLOADED")
    assert await waiting.find("resumed", id="r")
    assert (await refused.ask(**RESUME))["type"] == "resumed"


async def test_it_refuses_everybody_when_there_is_no_room_at_all(site, configure, alice, bob, shared):
    configure(RESUMES_AT_ONCE=1, MAX_WAITING_RESUMES=1)
    waiting, refused = await site.connect(bob), await site.connect(alice)
    turns = get_node().resumer._turns
    async with turns.turn("somebody else"):
        await waiting.send({**RESUME, "id": "r"})
        await until(lambda: turns._count == 1)
        assert is_refused(await refused.ask(**RESUME), ErrorCode.UNAVAILABLE)
    assert await waiting.find("resumed", id="r")
