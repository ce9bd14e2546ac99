"""Sessions over sockets: a socket that takes one up goes on from what is known to have arrived."""

import threading
from dataclasses import replace

import pytest

from realtime.protocol.errors import ErrorCode
from realtime.recovery import resume
from realtime.recovery.sessions import open_store
from realtime.recovery.sessions.store import Session
from realtime.sockets import node
from tests.clients.socket import is_refused, texts, until
from tests.patience import PATIENCE_SECONDS
from tests.sockets.resuming import resume_with, write

pytestmark = pytest.mark.django_db(transaction=True)
QUICK_HEARTBEATS = {"HEARTBEAT_SECONDS": 0.2, "HEARTBEAT_MISSES": 3_000}  # nobody who is slow is taken for gone


async def leave_abruptly(socket):
    await socket.close()


async def answer_heartbeats(socket, count):
    for _ in range(count):
        await socket.find("heartbeat")
        await socket.send({"type": "pong"})


async def come_back(site, user, session_id):
    """A socket that takes up a session, at once."""
    return await site.connect(user, path=f"/api/v1/ws/reconnect/{session_id}")


async def test_it_takes_up_a_session(site, configure, alice, bob, shared):
    configure(**QUICK_HEARTBEATS)
    writer, reader = await site.connect(alice), await site.connect(bob)
    await reader.ask("join", room_id="general")
    await write(writer, 1)
    await reader.find("chat")
    (connection,) = node.get_node().hub.users[str(bob.pk)]
    while connection.subscriptions.positions.confirmed.get("room.general") != 1:
        await answer_heartbeats(
            reader, 1
        )  # those before the message were skipped, and each answer counts for the oldest
    await write(writer, 1, start=2)
    await reader.find("chat", message="m2")  # sent, and not confirmed
    await leave_abruptly(reader)
    await write(writer, 1, start=3)
    back = await come_back(site, bob, reader.greeting["session_id"])
    assert texts([await back.find("chat"), await back.find("chat")]) == ["m2", "m3"]
    assert (await back.find("resumed"))["streams"]["room.general"] == {"recovered": True, "seq": 3}
    assert (await back.ask("message", room_id="general", message="again"))["type"] == "ack"


async def test_it_knows_no_session_of_others(site, alice, bob, shared):
    reader = await site.connect(bob)
    await leave_abruptly(reader)
    foreign = await come_back(site, alice, reader.greeting["session_id"])
    assert is_refused(await foreign.find("error"), ErrorCode.NOT_FOUND)


async def test_it_gives_up_a_session_when_its_client_has_confirmed_the_next_one(site, configure, bob, monkeypatch):
    monkeypatch.setattr(node, "SAVE_SECONDS", 0.01)
    configure(**QUICK_HEARTBEATS)
    reader = await site.connect(bob)
    await leave_abruptly(reader)
    back = await come_back(site, bob, reader.greeting["session_id"])
    await back.find("resumed")
    successions = node.get_node().keeper._successions
    await until(lambda: successions)
    while successions:
        await answer_heartbeats(back, 1)
        await back.settle()
    await until(lambda: not node.get_node().keeper._over)
    late = await come_back(site, bob, reader.greeting["session_id"])
    assert is_refused(await late.find("error"), ErrorCode.NOT_FOUND)
    await leave_abruptly(back)
    assert await (await come_back(site, bob, back.greeting["session_id"])).find("resumed")


CUTS = ["before the greeting", "after the greeting", "in the replay", "before the first pong", "not at all"]


@pytest.mark.parametrize("cut", CUTS)
async def test_it_takes_up_a_session_again_whose_next_socket_was_cut(site, alice, bob, shared, monkeypatch, cut):
    """Also with the session of the socket that was cut, and while that one is still open, as if half dead."""
    read, may_read, reads = resume.read_frames, threading.Event(), []

    def read_late(ranges):
        reads.extend(ranges)
        assert may_read.wait(PATIENCE_SECONDS)
        return read(ranges)

    if cut == "in the replay":
        monkeypatch.setattr(resume, "read_frames", read_late)
    writer, reader = await site.connect(alice), await site.connect(bob)
    await reader.ask("join", room_id="general")
    await leave_abruptly(reader)
    await write(writer, 3)
    id = reader.greeting["session_id"]
    first = await site.knock(bob, path=f"/api/v1/ws/reconnect/{id}")
    if cut != "before the greeting":
        first.greeting = (await first.find("connected"))["data"]
    if cut == "in the replay":
        await until(lambda: reads)
    elif cut in CUTS[3:]:
        await first.find("resumed")
    if cut != "not at all":
        await leave_abruptly(first)
    may_read.set()
    ids = [id] if cut == "before the greeting" else [id, first.greeting["session_id"]]
    backs = [await come_back(site, bob, again) for again in ids]
    for back in backs:
        assert texts([await back.find("chat") for _ in range(3)]) == ["m1", "m2", "m3"]
        assert (await back.find("resumed"))["streams"]["room.general"] == {"recovered": True, "seq": 3}
    await write(writer, 1, start=4)
    for socket in [*backs, *([first] if cut == "not at all" else [])]:
        assert (await socket.find("chat"))["seq"] == 4


async def test_it_takes_up_a_session_without_streams(site, bob):
    """Its process may have died just after it had saved the session of a socket that was being opened."""
    await site.connect(bob)
    keeper = node.get_node().keeper
    await keeper._store.save({"empty": Session(str(bob.pk), {})})
    back = await come_back(site, bob, "empty")
    assert (await back.find("resumed"))["streams"] == {}


async def test_it_forgets_a_room_that_was_left(site, alice, bob, shared):
    reader = await site.connect(bob)
    await reader.ask("join", room_id="general")
    await reader.ask("leave", room_id="general")
    await leave_abruptly(reader)
    back = await come_back(site, bob, reader.greeting["session_id"])
    assert set((await back.find("resumed"))["streams"]) == {f"user.{bob.pk}", "site"}


async def test_it_counts_no_heartbeat_that_was_answered_before_the_replay(
    site, configure, alice, bob, shared, monkeypatch
):
    configure(**QUICK_HEARTBEATS)
    read, may_read = resume.read_frames, threading.Event()

    def read_late(ranges):
        assert may_read.wait(PATIENCE_SECONDS)
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


async def test_it_says_again_what_could_not_be_recovered(site, configure, alice, bob, shared):
    configure(RESUME_MAX_EVENTS=2)
    writer, reader = await site.connect(alice), await site.connect(bob)
    await write(writer, 4)
    _frames, streams = await resume_with(reader, {"room.general": 1})
    await leave_abruptly(reader)  # perhaps it never heard that
    back = await come_back(site, bob, reader.greeting["session_id"])
    assert (await back.find("resumed"))["streams"]["room.general"] == streams["room.general"]


async def test_it_keeps_the_session_of_a_socket_to_which_nothing_happens(site, configure, bob, monkeypatch):
    """It is saved again and again, so its life never ends. The store's clock is not what is tested: it forgets late."""
    monkeypatch.setattr(node, "open_sessions", lambda conf: open_store(replace(conf, session_seconds=600)))
    monkeypatch.setattr(node, "SAVE_SECONDS", 0.01)
    configure(SESSION_SECONDS=0.3)
    reader = await site.connect(bob)
    store, saved = node.get_node().keeper._store, []
    save = store.save

    async def save_and_note(sessions):
        await save(sessions)
        saved.extend(sessions)

    monkeypatch.setattr(store, "save", save_and_note)
    await until(lambda: saved.count(reader.greeting["session_id"]) >= 3)
    back = await come_back(site, bob, reader.greeting["session_id"])  # as if its process had been killed
    assert await back.find("resumed")
