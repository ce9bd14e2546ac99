"""A stream's events reach its sockets in order, each once, whatever the bus does to them."""

import asyncio
import random

import pytest

from realtime.delivery import feed as feeds
from realtime.delivery.fanout import FEW
from realtime.delivery.feed import EarlyBytes, Feed
from realtime.storage.database import DatabaseUnavailable
from realtime.storage.log import READ_CHUNK
from tests.paper import PaperLog, body, open_connection


@pytest.fixture(autouse=True)
def short_waits(settings, monkeypatch):
    settings.REALTIME = {**settings.REALTIME, "GAP_WAIT_MS": 1}
    monkeypatch.setattr(feeds, "RETRY_SECONDS", 0.01)


def open_feed(log, position=0, early=None):
    feed = Feed("site", log.missed, early or EarlyBytes())
    if position is not None:
        feed.start(position)
    connection, socket = open_connection()
    feed.fanout.add(connection)
    return feed, socket


def accept(feed, *seqs):
    for seq in seqs:
        feed.accept(seq, body(seq))


async def settle(feed):
    """Wait until nothing is missing any more."""
    while feed._filler is not None:
        await asyncio.wait([feed._filler])


async def test_it_stamps_and_sends_at_once_what_comes_in_order():
    log = PaperLog(2)
    feed, socket = open_feed(log)
    accept(feed, 1, 2)
    assert socket.frames == [{"type": "test", "n": seq, "stream": "site", "seq": seq} for seq in (1, 2)]
    assert log.asked == []


@pytest.mark.parametrize("seed", range(20))
async def test_it_survives_loss_repetition_and_reordering(seed):
    chance = random.Random(seed)
    log = PaperLog(40)
    feed, socket = open_feed(log)
    arriving = [seq for seq in range(1, 41) for _ in range(chance.choice([0, 1, 1, 2]))]
    chance.shuffle(arriving)
    for seq in arriving:
        accept(feed, seq)
        if chance.random() < 0.3:
            await asyncio.sleep(0)  # the filler may run in between
    feed.advance_to(40)
    await settle(feed)
    assert socket.seqs == list(range(1, 41))


async def test_it_lets_crossing_publications_settle_by_themselves(settings):
    settings.REALTIME = {**settings.REALTIME, "GAP_WAIT_MS": 50}
    log = PaperLog(3)
    feed, socket = open_feed(log)
    accept(feed, 2, 3)
    assert socket.seqs == []
    accept(feed, 1)
    await settle(feed)
    assert socket.seqs == [1, 2, 3]
    assert log.asked == []


async def test_it_fetches_the_hole_alone():
    log = PaperLog(9)
    feed, socket = open_feed(log, position=3)
    accept(feed, 4, 7, 9)
    await settle(feed)
    assert socket.seqs == [4, 5, 6, 7, 8, 9]
    assert log.asked == [(4, 6), (7, 8)]


async def test_it_fetches_the_last_event_when_the_log_is_compared():
    log = PaperLog(5)
    feed, socket = open_feed(log, position=4)
    feed.advance_to(5)
    await settle(feed)
    feed.advance_to(5)
    feed.advance_to(4)  # read before the event, compared after it
    await settle(feed)
    assert socket.seqs == [5]
    assert log.asked == [(4, 5)]


async def test_it_remembers_a_comparison_made_while_a_hole_is_filled():
    log = PaperLog(9)
    feed, socket = open_feed(log)
    accept(feed, 3)
    feed.advance_to(9)
    await settle(feed)
    assert socket.seqs == list(range(1, 10))


async def test_it_passes_over_what_is_pruned():
    log = PaperLog(8, pruned=[1, 2, 4])
    feed, socket = open_feed(log)
    accept(feed, 6)
    await settle(feed)
    assert socket.seqs == [3, 5, 6]
    accept(feed, 7)
    assert socket.seqs == [3, 5, 6, 7]


async def test_it_does_not_wait_for_an_end_that_is_pruned():
    log = PaperLog(4, pruned=[3, 4])
    feed, socket = open_feed(log)
    feed.advance_to(4)
    await settle(feed)
    assert socket.seqs == [1, 2]
    assert feed.position == 4


async def test_it_fetches_a_long_hole_in_pieces():
    last = 2 * READ_CHUNK + 10
    log = PaperLog(last)
    feed, socket = open_feed(log)
    accept(feed, last)
    await settle(feed)
    assert socket.seqs == list(range(1, last + 1))
    assert log.asked == [(0, READ_CHUNK), (READ_CHUNK, 2 * READ_CHUNK), (2 * READ_CHUNK, last - 1)]


async def test_it_holds_everything_while_the_database_is_away():
    log = PaperLog(5, failures=[DatabaseUnavailable(), DatabaseUnavailable()])
    feed, socket = open_feed(log)
    accept(feed, 2, 3)
    filler = feed._filler
    while len(log.asked) < 2:
        await asyncio.wait([filler], timeout=0.001)
    assert socket.seqs == []
    accept(feed, 5)
    await settle(feed)
    assert socket.seqs == [1, 2, 3, 4, 5]


async def test_it_delivers_live_events_that_arrive_while_it_fetches():
    log = PaperLog(4)
    feed, socket = open_feed(log)
    release = asyncio.Event()

    async def missed(*asked):
        await release.wait()
        return await log.missed(*asked)

    feed._missed = missed
    accept(feed, 3)
    accept(feed, 1, 2, 4)
    assert socket.seqs == [1, 2, 3, 4]
    release.set()
    await settle(feed)
    assert socket.seqs == [1, 2, 3, 4]


async def test_it_holds_what_comes_before_its_position_is_known():
    feed, socket = open_feed(PaperLog(9), position=None)
    accept(feed, 8, 7)
    assert socket.seqs == []
    assert feed._filler is None
    feed.start(6)
    assert socket.seqs == [7, 8]


async def test_it_fills_a_hole_between_its_position_and_what_it_held():
    log = PaperLog(9)
    feed, socket = open_feed(log, position=None)
    accept(feed, 9)
    feed.start(6)
    await settle(feed)
    assert socket.seqs == [7, 8, 9]


async def test_it_stops_fetching_when_it_is_forgotten():
    log = PaperLog(3)
    feed, socket = open_feed(log)
    accept(feed, 3)
    filler = feed._filler
    feed.stop()
    await asyncio.wait([filler])
    assert socket.seqs == []
    assert log.asked == []


async def test_it_holds_little_of_what_comes_early(monkeypatch):
    """The rest is read from the log when it is its turn. All feeds share the room, and give it back."""
    monkeypatch.setattr(feeds, "EARLY_BYTES", 3 * len(body(10)))
    early = EarlyBytes()
    (one, socket), (two, _) = open_feed(PaperLog(19), early=early), open_feed(PaperLog(19), early=early)
    accept(one, *range(11, 20))
    accept(two, 13)
    assert len(one.order.held) == 3
    assert (early.left, len(two.order.held)) == (0, 0)
    await settle(one)
    await settle(two)
    assert socket.seqs == list(range(1, 20))
    assert two.position == 13
    assert early.left == feeds.EARLY_BYTES


async def test_it_gives_its_room_back_when_it_is_forgotten():
    feed, _ = open_feed(PaperLog(9), position=None, early=(early := EarlyBytes()))
    accept(feed, 8, 7)
    assert early.left < feeds.EARLY_BYTES
    feed.stop()
    assert early.left == feeds.EARLY_BYTES


async def test_it_reads_what_it_let_go_before_its_position_was_known(monkeypatch):
    monkeypatch.setattr(feeds, "EARLY_BYTES", 0)
    feed, socket = open_feed(PaperLog(9), position=None)
    accept(feed, 9)
    feed.start(6)
    await settle(feed)
    assert socket.seqs == [7, 8, 9]


async def test_it_goes_on_where_a_reading_ended(monkeypatch):
    """One reading may return fewer events than were asked for, because they are large."""
    log = PaperLog(7, pruned=[6, 7])

    async def read_two(*asked):
        return (await log.missed(*asked))[:2]

    feed, socket = open_feed(log)
    feed._missed = read_two
    feed.advance_to(7)
    await settle(feed)
    assert (socket.seqs, feed.position) == ([1, 2, 3, 4, 5], 7)
    again, socket = open_feed(log)
    again._missed = read_two
    await again.catch_up()
    assert socket.seqs == [1, 2, 3, 4, 5]


async def test_it_never_goes_back_to_an_older_position():
    """Positions come from several processes, and from the log: the last to arrive need not be the highest."""
    feed, socket = open_feed(PaperLog(5))
    feed.advance_to(5)
    feed.advance_to(3)
    await settle(feed)
    assert socket.seqs == [1, 2, 3, 4, 5]


async def test_it_does_not_count_as_sent_what_gathers_behind_a_write():
    """A heartbeat overtakes what gathers, so its answer says nothing of that; a session would leave it out."""
    feed, socket = open_feed(PaperLog(4))
    for _ in range(FEW):
        feed.fanout.add(open_connection()[0])
    accept(feed, 1, 2, 3)
    assert (feed.position, feed.sent_position, socket.seqs) == (3, 1, [1])
    await socket.until_seq(3)
    assert feed.sent_position == 3
