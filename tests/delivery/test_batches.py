"""The sink that gathers: when a batch leaves, what never waits, and what counts as waiting."""

import asyncio
from urllib.parse import parse_qs

import pytest

from realtime.delivery.batches import BatchSink, Wish, parse_wish
from realtime.protocol.errors import CloseCode, Closed
from realtime.protocol.outgoing import Frame
from tests.paper import body, open_connection


def gather(size=3, flush_seconds=60.0):
    connection, paper = open_connection()
    connection.sink = BatchSink(connection.sink, Wish(size, flush_seconds))
    connection.on_pause(False)
    return connection, paper


def numbers(paper):
    return [[inner["n"] for inner in frame["messages"]] for frame in paper.frames]


@pytest.mark.parametrize(
    ("query", "wish"),
    [
        ("token=x", None),
        ("flush_ms=10", None),
        ("batch", (10, 1.0)),
        ("batch=&flush_ms=", (10, 1.0)),
        ("batch=5", (5, 1.0)),
        ("batch=5&flush_ms=250", (5, 0.25)),
        ("batch=0&flush_ms=0", (1, 0.01)),
        ("batch=1001&flush_ms=60001", (1000, 60.0)),
        ("batch=-1&flush_ms=-1", (1, 0.01)),
        ("batch=ten&flush_ms=1e3", (10, 1.0)),
        ("batch=5&batch=6", (5, 1.0)),
        ("batch=" + "9" * 5000, (10, 1.0)),
    ],
)
def test_it_reads_what_is_asked_for(query, wish):
    read = parse_wish(parse_qs(query, keep_blank_values=True))
    assert read == (None if wish is None else Wish(*wish))


async def test_it_sends_when_there_are_enough():
    connection, paper = gather(3)
    for number in range(1, 5):
        connection.send(body(number))
    assert paper.writes == [[{"type": "batch", "messages": [{"type": "test", "n": n} for n in (1, 2, 3)]}]]
    assert connection.sink.queued_bytes() == len(body(4))


async def test_it_sends_when_it_is_time():
    connection, paper = gather(3, 0.01)
    for number in (1, 2):
        connection.send(body(number))
    await paper.until(lambda: paper.writes)
    connection.send(body(3))
    await paper.until(lambda: len(paper.writes) == 2)
    assert numbers(paper) == [[1, 2], [3]]


async def test_it_starts_the_time_with_the_first_of_a_batch():
    connection, paper = gather(2, 0.03)
    for number in (1, 2, 3):
        connection.send(body(number))  # the timer of the first batch went with it
    await paper.until(lambda: len(paper.writes) == 2)
    assert numbers(paper) == [[1, 2], [3]]


async def test_it_does_not_keep_prompt_frames_waiting():
    connection, paper = gather()
    connection.send(body(1))
    connection.send_all([Frame(body(2), prompt=True), Frame(body(3))])
    assert numbers(paper) == [[1, 2]]


async def test_it_sends_frames_that_go_alone_after_what_has_gathered():
    connection, paper = gather()
    connection.send_all([Frame(body(1)), Frame(body(2), alone=True), Frame(body(3))])
    assert [frame["type"] for frame in paper.frames] == ["batch", "test"]
    assert paper.frames[1]["n"] == 2


async def test_it_says_goodbye_after_what_has_gathered():
    connection, paper = gather()
    connection.send(body(1))
    connection.close(Closed(CloseCode.FORBIDDEN, "KICKED"))
    assert [frame["type"] for frame in paper.frames] == ["batch", "disconnect"]
    assert paper.closed == (4403, "KICKED")


async def test_it_holds_back_few_bytes(settings):
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 800}
    connection, paper = gather(1000)
    for number in range(100, 200):
        connection.send_all([Frame(body(number), droppable=True)])  # 23 bytes; five of them are more than an eighth
        assert connection.sink.queued_bytes() < 100
    assert numbers(paper) == [list(range(start, start + 5)) for start in range(100, 200, 5)]


async def test_it_drops_what_may_be_dropped_first(settings):
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 1000}
    connection, paper = gather(2)
    paper.waiting_bytes = 240
    connection.send(body(1))
    connection.send_all([Frame(body(2), droppable=True)])  # what has gathered is more than ten bytes
    connection.send(body(3))
    assert numbers(paper) == [[1, 3]]


async def test_it_closes_who_is_slow_by_all_that_waits(settings):
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 1000}
    connection, paper = gather()
    paper.waiting_bytes = 990
    connection.send(body(1))
    connection.send(body(2))
    assert paper.closed == (4413, "SLOW_CONSUMER")
    assert [frame["type"] for frame in paper.frames] == ["batch", "disconnect"]


async def test_it_forgets_what_nobody_is_there_for():
    connection, paper = gather(3, 0.01)
    connection.send(body(1))
    await connection.sink.drained()
    await asyncio.sleep(0.03)
    assert paper.writes == []
    assert connection.sink.queued_bytes() == 0
