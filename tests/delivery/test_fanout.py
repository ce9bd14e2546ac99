"""Joined writes: at once when quiet, together under load, in order always."""

import asyncio
from types import SimpleNamespace

import pytest

from realtime.delivery import fanout
from realtime.delivery.fanout import FEW, Fanout, write_all
from realtime.protocol.outgoing import Frame
from tests.paper import body, open_connection


def frame(number, **options):
    return Frame(body(number), **options)


def numbers(socket):
    return [[f["n"] for f in write] for write in socket.writes]


@pytest.fixture(autouse=True)
def long_pause(monkeypatch):
    """Long enough for everything in a test to fall into one pause."""
    monkeypatch.setattr(fanout, "PAUSE_SECONDS", 0.05)


async def open_fanout(sockets=FEW + 1):
    sending, papers = Fanout(), []
    sending._pause = fanout.PAUSE_SECONDS
    for user in range(sockets):
        connection, paper = open_connection(str(user))
        sending.add(connection)
        papers.append(paper)
    return sending, papers


def gone(paper, last):
    return paper.until(lambda: any(f.get("n") == last for f in paper.frames))


async def test_it_sends_the_first_at_once_and_joins_what_follows():
    sending, papers = await open_fanout()
    for number in range(1, 6):
        sending.send(frame(number))
    assert [numbers(paper) for paper in papers] == [[[1]]] * len(papers)
    await gone(papers[0], 5)
    assert [numbers(paper) for paper in papers] == [[[1], [2, 3, 4, 5]]] * len(papers)


async def test_it_gathers_nothing_for_a_few():
    sending, papers = await open_fanout(FEW)
    for number in range(1, 4):
        sending.send(frame(number))
    assert [numbers(paper) for paper in papers] == [[[1], [2], [3]]] * FEW


async def test_it_is_quiet_again_after_a_pause_without_frames():
    sending, papers = await open_fanout()
    sending.send(frame(1))
    assert sending._timer is not None
    sending._timer.cancel()
    sending._flush()  # the pause is over and nothing came
    sending.send(frame(2))
    assert numbers(papers[0]) == [[1], [2]]


async def test_it_waits_half_as_long_as_writing_takes(monkeypatch):
    sending, _ = await open_fanout()
    sending._started = 100.0
    for now, pause in [(100.0, 0.05), (101.0, 0.5)]:
        monkeypatch.setattr(fanout.time, "monotonic", lambda now=now: now)
        sending._measure()
        assert sending._pause == pause


async def test_it_is_not_silent_because_the_process_stood_still(monkeypatch):
    """For forty seconds in the middle of a write: messages of the room then waited for twenty."""
    sending, papers = await open_fanout()
    now = iter([100.0, 140.0])
    monkeypatch.setattr(fanout, "time", SimpleNamespace(monotonic=lambda: next(now, 140.0)))
    sending.send(frame(1))
    await asyncio.sleep(0)
    assert sending._pause <= 0.5
    sending.send(frame(2))
    await gone(papers[0], 2)
    sending.send(frame(3))
    await gone(papers[0], 3)


async def test_it_leaves_out_the_excluded_user_only():
    sending, papers = await open_fanout()
    sending.send(frame(1))
    sending.send(frame(2, exclude="3"))
    sending.send(frame(3, exclude="4"))
    sending.send(frame(4))
    await gone(papers[8], 4)
    assert numbers(papers[3]) == [[1], [3, 4]]
    assert numbers(papers[4]) == [[1], [2, 4]]
    assert numbers(papers[5]) == [[1], [2, 3, 4]]


async def test_it_writes_nothing_to_one_who_is_excluded_from_everything():
    connection, paper = open_connection("7")
    write_all({connection}, [frame(1, exclude="7")])
    assert paper.writes == []


async def test_it_drops_what_may_be_dropped_first(settings):
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 1000}
    connection, paper = open_connection()
    connection.on_pause(True)
    frames = [frame(1), frame(2, droppable=True), frame(3)]
    for waiting in (250, 251, 1000):
        paper.waiting_bytes = waiting
        write_all({connection}, frames)
    write_all({connection}, [frame(4, droppable=True)])
    assert numbers(paper) == [[1, 2, 3], [1, 3], [1, 3]]
    assert paper.closed is None


async def test_it_closes_a_slow_consumer_and_goes_on_with_the_others(settings):
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 1000}
    sending, papers = await open_fanout()
    slow = next(c for c in sending.connections if c.user_key == "2")
    slow.on_pause(True)
    papers[2].waiting_bytes = 1001
    sending.send(frame(1))
    sending.send(frame(2))
    await gone(papers[0], 2)
    assert papers[2].closed == (4413, "SLOW_CONSUMER")
    said = {"type": "disconnect", "code": 4413, "reason": "SLOW_CONSUMER", "reconnect": True, "retry_after_ms": 0}
    assert papers[2].writes == [[said]]
    assert numbers(papers[1]) == [[1], [2]]


async def test_it_looks_at_what_waits_only_while_the_transport_is_full(settings):
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 1000}
    connection, paper = open_connection()
    connection.on_pause(True)
    connection.on_pause(False)
    paper.waiting_bytes = 900
    write_all({connection}, [frame(1, droppable=True)])
    assert numbers(paper) == [[1]]


async def test_it_gives_a_newcomer_only_what_comes_after_him():
    sending, papers = await open_fanout()
    sending.send(frame(1))
    sending.send(frame(2))
    connection, paper = open_connection("99")
    sending.add(connection)
    assert numbers(papers[0]) == [[1], [2]]  # what had gathered is on its way: he must not get it
    sending.send(frame(3))
    await gone(paper, 3)
    assert numbers(paper) == [[3]]
    assert numbers(papers[0]) == [[1], [2], [3]]


async def test_it_survives_a_socket_that_leaves_while_it_is_written_to():
    sending, papers = await open_fanout()
    first, second = sorted(sending.connections, key=lambda c: c.user_key)[:2]
    first.fast_write = lambda data: sending.connections.discard(second)
    sending.send(frame(1))
    assert second not in sending.connections
    assert numbers(papers[8]) == [[1]]
