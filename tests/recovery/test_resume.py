"""What is replayed to a client that comes back, and what it gets if that cannot be replayed."""

import asyncio
from types import SimpleNamespace

import pytest
from msgspec import UNSET

from realtime.delivery.addresses import where_to_fetch
from realtime.delivery.feed import EarlyBytes, Feed
from realtime.protocol.errors import CloseCode, Closed
from realtime.protocol.frames import StreamOutcome, stamp
from realtime.protocol.outgoing import Frame
from realtime.recovery import resume
from realtime.recovery.resume import Resumer
from realtime.storage.database import DatabaseUnavailable
from tests.paper import PaperLog, body, open_connection

MAX_EVENTS = 10


@pytest.fixture(autouse=True)
def few_events(settings, monkeypatch):
    settings.REALTIME = {**settings.REALTIME, "RESUME_MAX_EVENTS": MAX_EVENTS}
    monkeypatch.setattr(resume, "CHUNK", 4)


class Return:
    """A client of a room's stream that comes back to a process."""

    def __init__(self, monkeypatch, heard, *, stored=None, lost=(), stream="room.general"):
        """The process has heard events up to `heard`, the log has them up to `stored` without the `lost` ones."""
        self.log = PaperLog(heard if stored is None else stored, pruned=lost)
        self.feed = Feed(stream, self.log.missed, EarlyBytes())
        self.feed.start(heard)
        self.reads = []  # how many events each reading asked for
        self.failures = []  # raised by readings, in order; None for one that works
        self.answered = []  # what was known when the first frame was about to be sent
        self.connection, self.socket = open_connection()
        self.connection.subscriptions.ask(stream)
        monkeypatch.setattr(resume, "read_frames", self._read)
        hub = SimpleNamespace(detach=lambda connection, feed: None)
        self._resumer = Resumer(hub, None, lambda connection, feed: None)

    def _read(self, ranges):
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        return [self._frames(each.stream, each.after, each.until) for each in ranges]

    def _frames(self, stream, after, until):
        self.reads.append(until - after)
        kept = [seq for seq in range(after + 1, until + 1) if seq not in self.log._pruned]
        return [Frame(stamp(body(seq), stream, seq), seq=seq) for seq in kept]

    async def replay(self, since):
        def before(outcome):
            self.answered.append((outcome.recovered, list(self.socket.seqs)))

        return await self._resumer.replay(self.connection, self.feed, since, before)


@pytest.mark.parametrize(("heard", "since"), [(0, 0), (5, 5), (5, 4), (5, 2), (9, 1), (MAX_EVENTS, 0), (500, 490)])
async def test_it_replays_what_was_missed(monkeypatch, heard, since):
    client = Return(monkeypatch, heard)
    assert await client.replay(since) == StreamOutcome(True, heard)
    assert client.socket.seqs == list(range(since + 1, heard + 1))
    assert client.answered == [(True, [])]


@pytest.mark.parametrize(
    ("heard", "since", "lost"),
    [
        (5, 7, ()),
        (0, 1, ()),
        (MAX_EVENTS + 1, 0, ()),
        (500, 489, ()),
        (5, 2, (3,)),
        (5, 2, (1, 2, 3, 4, 5)),
    ],
    ids=["from the future", "of an unknown stream", "one too far back", "too far back", "just pruned", "all pruned"],
)
async def test_it_says_where_the_history_is_when_the_gap_cannot_be_closed(monkeypatch, heard, since, lost):
    client = Return(monkeypatch, heard, lost=lost)
    outcome = StreamOutcome(False, heard, f"/api/v1/rooms/general/messages?after={since}")
    assert await client.replay(since) == outcome
    assert client.socket.frames == []
    assert client.answered == [(False, [])]


async def test_it_names_no_address_of_a_stream_without_a_history(monkeypatch):
    client = Return(monkeypatch, 5, stream="site")
    assert await client.replay(7) == StreamOutcome(False, 5, UNSET)


async def test_it_asks_the_log_about_a_client_that_knows_more_than_the_process(monkeypatch):
    """Another process has sent it events that this one has not heard of yet."""
    client = Return(monkeypatch, 5, stored=9)
    assert await client.replay(7) == StreamOutcome(True, 9)
    assert client.socket.seqs == [8, 9]


async def test_it_reads_a_little_at_a_time(monkeypatch):
    client = Return(monkeypatch, 10)
    await client.replay(0)
    assert client.reads == [4, 4, 2]


async def test_it_reads_nothing_where_nothing_was_missed(monkeypatch):
    client = Return(monkeypatch, 5)
    await client.replay(5)
    assert client.reads == []


@pytest.mark.parametrize("rest", ["pruned", "away"])
async def test_it_closes_a_replay_that_cannot_go_on(monkeypatch, rest):
    """The client already got `recovered`: it has to come back, and nothing may follow the hole."""
    client = Return(monkeypatch, 10, lost=(5,) if rest == "pruned" else ())
    client.failures = [None, DatabaseUnavailable()] if rest == "away" else []
    with pytest.raises(Closed) as closed:
        await client.replay(0)
    assert closed.value.code == CloseCode.OVERLOADED
    assert client.socket.seqs == [1, 2, 3, 4]
    assert client.answered == [(True, [])]


async def test_it_sends_nothing_more_when_the_right_has_ended(monkeypatch):
    client = Return(monkeypatch, 10)
    read = client._frames

    def end_right(*asked):
        client.connection.subscriptions.remove(client.feed.name)
        return read(*asked)

    await client.replay(9)
    client._frames = end_right
    await client.replay(0)
    assert client.socket.seqs == [10]


async def test_it_sends_nothing_when_the_right_ends_while_it_waits_for_room(monkeypatch):
    client = Return(monkeypatch, 5)
    client.socket.waiting_bytes = 1

    async def end_right():
        client.connection.subscriptions.remove(client.feed.name)
        client.socket.waiting_bytes = 0

    monkeypatch.setattr(client.socket, "wait_writable", end_right)
    await client.replay(0)
    assert client.socket.frames == []


async def test_it_closes_a_client_that_makes_no_room(monkeypatch, settings):
    settings.REALTIME = {**settings.REALTIME, "HEARTBEAT_SECONDS": 0.01}
    client = Return(monkeypatch, 5)
    client.socket.waiting_bytes = 1
    with pytest.raises(Closed) as closed:
        await client.replay(0)
    assert closed.value.code == CloseCode.SLOW_CONSUMER


async def test_it_goes_on_if_there_is_room_when_the_time_is_over(monkeypatch, settings):
    """As in a process that stood still: the client had made room, and that was noticed in the same turn."""
    settings.REALTIME = {**settings.REALTIME, "HEARTBEAT_SECONDS": 0.01}
    client = Return(monkeypatch, 5)
    client.socket.waiting_bytes = 1

    async def notice_late():
        try:
            await asyncio.Event().wait()
        finally:
            client.socket.waiting_bytes = 0

    monkeypatch.setattr(client.socket, "wait_writable", notice_late)
    await client.replay(0)
    assert client.socket.seqs == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("stream", "address"),
    [
        ("room.general", "/api/v1/rooms/general/messages?after=7"),
        ("user.1", "/api/v1/messages?after=7"),
        ("topic.metrics", None),
        ("site", None),
    ],
)
def test_it_knows_where_a_history_is(stream, address):
    assert where_to_fetch(stream, 7) == address
