"""A feed goes on only where its stream does: not with another room's events, and not with numbers given twice."""

import asyncio

import pytest
from django.db import OperationalError

from realtime.chat import rooms
from realtime.delivery import feed, hub, review
from realtime.delivery.envelopes import Control, Envelope, Passing
from realtime.models import Event, Room, Stream
from realtime.storage import database, log, numbering
from realtime.storage.database import run
from tests.paper import body, open_connection
from tests.patience import PATIENCE_SECONDS
from tests.people import make_user

pytestmark = pytest.mark.django_db(transaction=True)
STREAM = "room.plans"


@pytest.fixture(autouse=True)
def short_waits(settings, monkeypatch):
    settings.REALTIME = {**settings.REALTIME, "GAP_WAIT_MS": 1}
    monkeypatch.setattr(feed, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(review, "DOUBT_SECONDS", 0.01)


@pytest.fixture
async def process():
    """The hub of a process that hears nothing from the others."""
    process = hub.Hub()
    yield process
    await process.stop()
    database.shutdown()


@pytest.fixture
def owner():
    return make_user("owner").pk


def make_room(owner):
    return rooms.create_room(owner, title="Plans", slug="plans", private=True)


def make_again(room, owner):
    room.delete()
    return make_room(owner)


async def join(process, room, user="1", stream=STREAM):
    """A socket whose right to the stream was looked up when it belonged to `room`, a primary key or 0."""
    connection, socket = open_connection(user)
    process.register(connection)
    connection.subscriptions.ask(stream)
    connection.subscriptions.grant(stream, room or -1)
    async with process.open_feeds([stream], connection) as feeds:
        process.attach(connection, feeds[0])
    return connection, socket


async def write(*texts, stream=STREAM):
    events = await run(log.commit, [(stream, b'{"type":"test","text":"%s"}' % text.encode()) for text in texts])
    return [tuple(event) for event in events]


def heard(socket):
    return [frame["text"] for frame in socket.frames if frame["type"] == "test"]


def types(socket):
    return [frame["type"] for frame in socket.frames]


async def until(socket, type):
    await socket.until(lambda: type in types(socket))


async def settle(process):
    """Wait until no feed is looking into the log any more."""
    while tasks := {process._reviewer._doubting, *(feed._filler for feed in process.feeds.values())} - {None}:
        await asyncio.wait(tasks)


# Rooms that take over a name


async def test_it_gives_the_events_of_a_room_to_nobody_who_was_in_an_earlier_one(process, owner):
    room = await run(make_room, owner)
    _, old = await join(process, room.pk)
    process.take(Envelope(events=await write("first")))
    await run(make_again, room, owner)
    process.take(Envelope(events=await write("secret", "secret")))
    assert heard(old) == ["first"]
    await until(old, "left")
    assert old.frames[-1] == {"type": "left", "room_id": "plans", "reason": "REMOVED"}
    process.take(Envelope(events=await write("secret")))
    assert heard(old) == ["first"]
    assert process.feeds == {}


async def test_it_does_so_however_the_room_was_deleted_and_made(process, owner):
    room = await run(make_room, owner)
    _, old = await join(process, room.pk)
    process.take(Envelope(events=await write("first")))

    def replace():
        """Without signals."""
        room.memberships.all().delete()
        Room.objects.filter(pk=room.pk)._raw_delete("default")
        return Room.objects.bulk_create([Room(slug="plans", private=True)])

    await run(replace)
    process.take(Envelope(events=await write("secret")))
    await until(old, "left")
    assert heard(old) == ["first"]


async def test_it_ends_the_subscriptions_to_a_room_that_has_gone_at_the_next_comparison(process, owner):
    room = await run(make_room, owner)
    (one, old), (_, other) = await join(process, room.pk), await join(process, 0, "2", "site")
    await run(room.delete)
    await process.compare_positions()
    assert types(old) == ["left"]
    assert STREAM not in one.subscriptions
    assert list(process.feeds) == ["site"]
    assert other.frames == []


async def test_it_goes_on_for_a_member_of_the_new_room(process, owner):
    """The join is the first that this process hears of the new room."""
    room = await run(make_room, owner)
    _, old = await join(process, room.pk)
    process.take(Envelope(events=await write("first")))
    again = await run(make_again, room, owner)
    _, new = await join(process, again.pk, "2")
    assert types(old) == ["test", "left"]
    process.take(Envelope(events=await write("second")))
    assert (heard(old), heard(new)) == (["first"], ["second"])
    assert new.seqs == [3]  # 2 belongs to neither room
    await settle(process)
    assert types(new) == ["test"]


async def test_it_does_not_subscribe_with_a_right_to_an_earlier_room(process, owner):
    """The right was looked up before the room was deleted, and the position after another one was made."""
    room = await run(make_room, owner)
    first = room.pk
    again = await run(make_again, room, owner)
    _, new = await join(process, again.pk)
    late, socket = await join(process, first, "2")
    assert STREAM not in late.subscriptions
    assert types(socket) == ["left"]
    process.take(Envelope(events=await write("secret")))
    assert (heard(new), heard(socket)) == (["secret"], [])


async def test_it_does_not_attach_after_a_room_has_changed(process, owner):
    """The room changes while a client replays, after its feed was opened."""
    room = await run(make_room, owner)
    connection, socket = open_connection()
    process.register(connection)
    connection.subscriptions.ask(STREAM)
    connection.subscriptions.grant(STREAM, room.pk)
    async with process.open_feeds([STREAM], connection) as (opened,):
        again = await run(make_again, room, owner)
        await join(process, again.pk, "2")
        assert not process.attach(connection, opened)
        assert STREAM not in connection.subscriptions
    assert types(socket) == ["left"]


async def test_it_holds_everything_while_nobody_can_say_whose_the_events_are(process, owner, monkeypatch):
    room = await run(make_room, owner)
    _, old = await join(process, room.pk)
    process.take(Envelope(events=await write("first")))
    await run(make_again, room, owner)
    read, tries = numbering.standings, []

    def read_later(streams):
        tries.append(streams)
        if len(tries) < 3:
            raise OperationalError("the database is away")
        return read(streams)

    monkeypatch.setattr(numbering, "standings", read_later)
    process.take(Envelope(events=await write("secret")))
    await until(old, "left")
    assert len(tries) >= 3
    assert heard(old) == ["first"]


async def test_an_order_that_arrives_late_does_not_concern_the_next_room(process, owner):
    room = await run(make_room, owner)
    first = room.pk
    again = await run(make_again, room, owner)
    member, socket = await join(process, again.pk)
    asking, _ = open_connection("2")
    process.register(asking)
    asking.subscriptions.ask(STREAM)  # nobody knows yet to which of the two rooms
    for control in (
        Control("unsubscribe", stream=STREAM, room=first),
        Control("unsubscribe", user="1", stream=STREAM, room=first),
    ):
        process.take(Envelope(controls=[control]))
    assert STREAM in member.subscriptions
    assert STREAM not in asking.subscriptions
    assert socket.frames == []
    process.take(Envelope(controls=[Control("unsubscribe", stream=STREAM, room=again.pk)]))
    assert types(socket) == ["left"]


async def test_it_passes_nothing_on_from_an_earlier_room(process, owner):
    room = await run(make_room, owner)
    first = room.pk
    again = await run(make_again, room, owner)
    _, socket = await join(process, again.pk)
    for pk in (first, again.pk):
        process.take(Envelope(passing=[Passing(b'{"type":"typing"}', stream=STREAM, room=pk)]))
    assert types(socket) == ["typing"]


# A log that went back


def go_back(position):
    """What a restored database looks like."""
    Stream.objects.filter(name="site").update(last_seq=position)
    Event.objects.filter(stream="site", seq__gt=position).delete()
    if not position:
        Stream.objects.filter(name="site").delete()


@pytest.mark.parametrize("kept", [0, 2])
async def test_it_starts_again_after_the_numbers_that_clients_know(process, kept):
    _, socket = await join(process, 0, stream="site")
    process.take(Envelope(events=await write("1", "2", "3", "4", "5", stream="site")))
    await run(go_back, kept)
    await process.compare_positions()
    await until(socket, "resumed")
    assert socket.frames[-1] == {"type": "resumed", "streams": {"site": {"recovered": False, "seq": 6}}}
    process.take(Envelope(events=await write("new", stream="site")))
    assert (heard(socket)[-1], socket.seqs[-1]) == ("new", 7)
    # Nobody can continue from a number before that: the first of the events is missing.
    assert await run(log.missed, "site", 0, 6) == []


async def test_it_notices_as_soon_as_a_number_is_given_again(process):
    _, socket = await join(process, 0, stream="site")
    process.take(Envelope(events=await write("1", "2", "3", stream="site")))
    await run(go_back, 1)
    process.take(Envelope(events=await write("other", stream="site")))
    await until(socket, "resumed")
    assert socket.frames[-1]["streams"]["site"] == {"recovered": False, "seq": 4}
    assert heard(socket) == ["1", "2", "3"]


async def test_it_notices_even_if_the_log_has_overtaken_it_again(process):
    _, socket = await join(process, 0, stream="site")
    process.take(Envelope(events=await write("1", "2", "3", stream="site")))
    await run(go_back, 1)
    events = await write("other 2", "other 3", "other 4", stream="site")
    process.take(Envelope(events=events[:1]))
    await until(socket, "resumed")
    assert socket.frames[-1]["streams"]["site"] == {"recovered": False, "seq": 5}
    assert "other 3" not in heard(socket)


@pytest.mark.parametrize("away", [False, True])
async def test_it_notices_even_if_the_feed_has_gone_on_before_it_could_look(process, monkeypatch, away):
    """It rests after an earlier doubt, or the database is away. The feed's newest event is the log's own by then."""
    look, looked = process._reviewer._look_closely, asyncio.Event()

    async def look_once(noted):
        if away and not looked.is_set():
            looked.set()
            raise database.DatabaseUnavailable
        await look(noted)
        looked.set()

    monkeypatch.setattr(process._reviewer, "_look_closely", look_once)
    monkeypatch.setattr(review, "DOUBT_SECONDS", 0.2)
    _, socket = await join(process, 0, stream="site")
    events = await write("1", "2", "3", stream="site")
    process.take(Envelope(events=events))
    if not away:
        process.take(Envelope(events=events))
        await looked.wait()
    await run(go_back, 1)
    process.take(Envelope(events=await write("other 2", "other 3", "other 4", "other 5", stream="site")))
    await until(socket, "resumed")
    assert heard(socket) == ["1", "2", "3", "other 4", "other 5"]
    assert socket.frames[-1]["streams"]["site"] == {"recovered": False, "seq": 6}


async def test_the_other_processes_notice_that_the_numbers_go_on_elsewhere(process):
    other = hub.Hub()
    (_, far), (_, near) = await join(process, 0, stream="site"), await join(other, 0, stream="site")
    events = await write("1", "2", "3", stream="site")
    process.take(Envelope(events=events))
    other.take(Envelope(events=events[:1]))  # it had not heard the others yet
    await run(go_back, 1)
    await process.compare_positions()
    events = await write("new", stream="site")
    for each in (process, other):
        each.take(Envelope(events=events))
    await near.until_seq(5)
    assert types(near) == ["test", "resumed", "test"]
    await far.until_seq(5)
    await other.stop()


async def test_it_looks_at_a_few_feeds_at_a_time(process, monkeypatch):
    """Of each, an event is read."""
    monkeypatch.setattr(review, "DOUBTED_AT_ONCE", 2)
    look_up, looked = review._look_up, []

    def note(noted):
        looked.append({was.feed.name for was in noted})
        if len(looked) == 2:
            raise database.DatabaseUnavailable
        return look_up(noted)

    monkeypatch.setattr(review, "_look_up", note)
    names = {f"topic.{number}" for number in range(5)}
    await run(log.commit, [(name, body(1)) for name in sorted(names)])
    for name in names:
        await join(process, 0, stream=name)
    for name in names:
        process._reviewer.doubt(process.feeds[name])
    await settle(process)
    assert [len(some) for some in looked] == [2, 2, 2, 1]
    assert set().union(looked[0], *looked[2:]) == names


async def test_it_takes_repeated_events_for_what_they_are(process):
    _, socket = await join(process, 0, stream="site")
    events = await write("1", "2", "3", stream="site")
    process.take(Envelope(events=events))
    process.take(Envelope(events=events))
    await settle(process)
    process.take(Envelope(events=await write("4", stream="site")))
    assert socket.seqs == [1, 2, 3, 4]
    assert types(socket) == ["test"] * 4


async def test_it_compares_with_what_it_had_before_the_log_was_read(process, monkeypatch):
    """An event that is delivered while the log is read makes the feed newer than the answer."""
    _, socket = await join(process, 0, stream="site")
    read = numbering.standings

    def read_early(streams):
        found = read(streams)
        events = log.commit([("site", body(1))])
        asyncio.run_coroutine_threadsafe(take(events), process.loop).result(PATIENCE_SECONDS)
        return found

    async def take(events):
        process.take(Envelope(events=[tuple(event) for event in events]))

    monkeypatch.setattr(numbering, "standings", read_early)
    await process.compare_positions()
    assert types(socket) == ["test"]
    assert await run(read, ["site"]) == {"site": (1, 0)}
