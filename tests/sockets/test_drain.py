"""How the sockets of a process that stops are closed: when in the window, and when clients are to come back."""

from types import SimpleNamespace

import pytest

from realtime.sockets import drain
from realtime.sockets.drain import LOOK_SECONDS, RETIRE_SECONDS, START_MS, Drain, close_at_once, close_in_turn


@pytest.fixture
def clock(monkeypatch):
    """Stands still but for what is slept."""

    async def sleep(seconds):
        clock.now += seconds

    clock = SimpleNamespace(now=100.0, time=lambda: clock.now, sleep=sleep)
    monkeypatch.setattr(drain, "asyncio", SimpleNamespace(get_running_loop=lambda: clock, sleep=sleep))
    return clock


def open_sockets(clock, count):
    """Sockets, and what becomes of them: the moment, and the advice in ms."""
    closings = []
    close = SimpleNamespace(close=lambda closed: closings.append((clock.now - 100.0, closed.retry_after_ms)))
    return [close] * count, closings


async def go_on():
    return True


async def test_they_are_closed_evenly_over_the_window(clock, settings):
    settings.REALTIME = {**settings.REALTIME, "RESTART_WINDOW_SECONDS": 2}
    sockets, closings = open_sockets(clock, 8)
    assert await close_in_turn(sockets, go_on) == []
    assert [moment for moment, _ in closings] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75])
    assert all(0 <= delay < 2_000 for _, delay in closings)


async def test_thousands_are_closed_some_at_a_time(clock, settings):
    settings.REALTIME = {**settings.REALTIME, "RESTART_WINDOW_SECONDS": 2}
    sockets, closings = open_sockets(clock, 4_000)
    assert await close_in_turn(sockets, go_on) == []
    late = [moment - place * 2 / 4_000 for place, (moment, _) in enumerate(closings)]
    assert min(late) >= -drain.STEP_SECONDS
    assert max(late) < 1e-9


async def test_those_that_are_left_are_closed_at_once_when_the_last_of_the_others_stops(clock, settings):
    """A worker that heard of the stop a second later kept clients at a process that went, too, for the whole window."""
    settings.REALTIME = {**settings.REALTIME, "RESTART_WINDOW_SECONDS": 10}
    sockets, closings = open_sockets(clock, 20)

    async def look():
        return clock.now < 102.9

    drain = Drain(dict(enumerate(sockets)), SimpleNamespace(has_others=look))
    await drain._close_all()
    assert not drain.has_others
    moments = [moment for moment, _ in closings]
    in_turn = [RETIRE_SECONDS + place * 0.5 for place in range(6)]
    assert moments[:6] == pytest.approx(in_turn, abs=LOOK_SECONDS)
    assert moments[6:] == pytest.approx([RETIRE_SECONDS + 3.0] * 14, abs=LOOK_SECONDS)
    assert all(START_MS <= delay < 10_000 for _, delay in closings[6:])


async def test_they_are_closed_at_once_where_nobody_goes_on(clock, settings):
    settings.REALTIME = {**settings.REALTIME, "RESTART_WINDOW_SECONDS": 600}
    sockets, closings = open_sockets(clock, 8)
    await close_at_once(sockets)
    assert {moment for moment, _ in closings} == {0.0}
    assert all(START_MS <= delay < 600_000 for _, delay in closings)


@pytest.mark.parametrize(
    ("looks", "closed_at", "has_others"),
    [(1, 0.0, False), (3, 2 * LOOK_SECONDS, False), (1_000_000, RETIRE_SECONDS + LOOK_SECONDS / 2, True)],
    ids=["alone", "the others stop as well", "others go on"],
)
async def test_it_waits_for_others_only_until_they_stop_as_well(clock, looks, closed_at, has_others):
    sockets, closings = open_sockets(clock, 1)
    seen = []

    async def look():
        seen.append(clock.now)
        return len(seen) < looks

    drain = Drain(dict(enumerate(sockets)), SimpleNamespace(has_others=look))
    await drain._close_all()
    assert drain.has_others == has_others
    assert [moment for moment, _ in closings] == pytest.approx([closed_at], abs=LOOK_SECONDS / 2)
