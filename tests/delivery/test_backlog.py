"""What waits for the channel layer stays small, whatever it is, and nothing that matters is forgotten."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.delivery import backlog
from realtime.delivery.backlog import COME_BACK, PORTION_BYTES, SMALL_BYTES, WAITING_BYTES, Backlog
from realtime.delivery.envelopes import Control, Envelope, Passing, pack

SIZES = [0, 100, PORTION_BYTES // 4, PORTION_BYTES, 2 * PORTION_BYTES, WAITING_BYTES]
BODIES = [bytes(size) for size in SIZES]  # made once
bodies = st.lists(st.sampled_from(BODIES), max_size=30)


def kick(user):
    return Control("disconnect", user=str(user), code=4403, reason="KICKED")


def take_all(waiting):
    portions = []
    while waiting:
        portions.append(waiting.take())
    return portions


def joined(portions, kind):
    return list(itertools.chain.from_iterable(getattr(portion, kind) for portion in portions))


@settings(deadline=None)  # a busy machine takes its time for megabytes
@given(bodies)
def test_it_sends_every_event_or_where_its_stream_stands(given_bodies):
    waiting = Backlog()
    events = [(f"room.{n % 3}", n, body) for n, body in enumerate(given_bodies, start=1)]
    waiting.add(Envelope(events=events))
    assert waiting.bytes <= WAITING_BYTES + 3 * SMALL_BYTES
    portions = take_all(waiting)
    sent, positions = joined(portions, "events"), {}
    for portion in portions:
        positions |= portion.positions
    numbers = [seq for _, seq, _ in sent]
    assert sent == [event for event in events if event[1] in numbers]
    assert all(seq in numbers or positions[stream] >= seq for stream, seq, _ in events)
    assert waiting.bytes == 0


def test_it_has_room_for_the_notifications_of_a_large_commit():
    waiting = Backlog()
    events = [(f"user.{n}", 1, bytes(500)) for n in range(10_000)]
    waiting.add(Envelope(events=events))
    assert joined(take_all(waiting), "events") == events


@settings(deadline=None)  # a busy machine takes its time for megabytes
@given(bodies)
def test_it_never_makes_a_portion_larger_than_its_first_item(given_bodies):
    waiting = Backlog()
    waiting.add(Envelope(passing=[Passing(body) for body in given_bodies], events=[("site", 1, BODIES[2])]))
    for portion in take_all(waiting):
        sizes = [len(body) for _, _, body in portion.events] + [len(passing.body) for passing in portion.passing]
        assert sum(sizes) <= PORTION_BYTES or len(sizes) == 1


def test_it_keeps_the_newest_of_what_is_not_stored():
    waiting = Backlog()
    frames = [Passing(b"%d" % n + bytes(PORTION_BYTES)) for n in range(20)]
    for frame in frames:
        waiting.add(Envelope(passing=[frame]))
    assert waiting.bytes <= WAITING_BYTES
    assert joined(take_all(waiting), "passing") == frames[-15:]


def test_it_leaves_out_a_frame_that_no_other_process_could_take(caplog):
    waiting = Backlog()
    waiting.add(Envelope(passing=[Passing(b"small"), Passing(bytes(WAITING_BYTES)), Passing(b"small")]))
    assert [passing.body for passing in joined(take_all(waiting), "passing")] == [b"small", b"small"]
    assert "too large for other processes" in caplog.text


def test_it_counts_the_users_that_a_frame_is_for():
    waiting = Backlog()
    waiting.add(Envelope(passing=[Passing(b"{}", users=tuple(str(10_000_000 + n) for n in range(30_000)))] * 40))
    assert waiting.bytes <= WAITING_BYTES
    assert all(len(pack(portion)) <= PORTION_BYTES for portion in take_all(waiting))


def test_it_keeps_where_streams_stand_when_a_portion_could_not_be_sent():
    waiting = Backlog()
    waiting.add(Envelope([("site", 7, bytes(PORTION_BYTES)), ("room.a", 2, b"{}")], [Passing(b"1")], [kick(1)], beat=4))
    failed = [waiting.take(), waiting.take()]
    waiting.add(Envelope([("site", 8, b"{}")], [Passing(b"2")], [kick(2)], beat=5))
    for portion in reversed(failed):
        waiting.put_back(portion)
    waiting.add(Envelope([("site", 9, b"{}"), ("room.b", 1, b"{}")]))
    sent = take_all(waiting)
    assert sent[-1] == Envelope(events=[("room.b", 1, b"{}")], positions={"site": 9, "room.a": 2})
    assert joined(sent[:-1], "events") == []
    assert joined(sent, "passing") == [Passing(b"1"), Passing(b"2")]
    assert (joined(sent, "controls"), sent[0].beat) == ([kick(1), kick(2)], 5)


def test_it_keeps_the_highest_position():
    waiting = Backlog()
    waiting.put_back(Envelope(positions={"site": 9}))
    waiting.put_back(Envelope(events=[("site", 7, b"{}")]))
    assert waiting.take().positions == {"site": 9}


def test_it_has_every_position_compared_when_too_many_streams_wait(monkeypatch):
    monkeypatch.setattr(backlog, "WAITING_POSITIONS", 10)
    waiting = Backlog()
    waiting.put_back(Envelope(events=[(f"user.{n}", 1, b"{}") for n in range(12)]))
    assert waiting
    assert waiting.take() == Envelope(compares=True)
    waiting.put_back(Envelope(compares=True))
    waiting.put_back(Envelope(events=[("user.1", 2, b"{}")]))
    assert take_all(waiting) == [Envelope(compares=True)]


def test_it_keeps_each_control_once_and_first():
    waiting = Backlog()
    for _ in range(1_000):
        waiting.add(Envelope(controls=[kick(1), kick(2)], events=[("site", 1, bytes(PORTION_BYTES // 2))]))
    portions = take_all(waiting)
    assert portions[0].controls == [kick(1), kick(2)]
    assert joined(portions, "controls") == [kick(1), kick(2)]


def order_of(portions):
    """What a receiver does, in order: it delivers events and frames, obeys controls, and then reads the log."""
    done = []
    for portion in portions:
        done += [seq for _, seq, _ in portion.events]
        done += [passing.body for passing in portion.passing]
        done += [control.user for control in portion.controls]
        done += list(portion.positions.values())
        done += ["compares"] * portion.compares
    return done


@pytest.mark.parametrize("put_back", [False, True])
def test_what_is_published_after_a_control_is_delivered_after_it(put_back):
    """And what was published before it, before it: a goodbye precedes the disconnection."""
    waiting = Backlog()
    parts = [
        Envelope(passing=[Passing(b"one")]),
        Envelope(controls=[kick("a")]),
        Envelope(passing=[Passing(b"two")]),
        Envelope(controls=[kick("b"), kick("a")]),
        Envelope(controls=[kick("c")]),
        Envelope(events=[("site", 1, b"{}")]),
        Envelope(controls=[kick("d")]),
        Envelope(events=[("site", 2, b"{}")], compares=True),
    ]
    if put_back:
        waiting.add(parts[0])
        portion = waiting.take()
    for part in parts[put_back:]:
        waiting.add(part)
    if put_back:
        waiting.put_back(portion)
    # When something is put back, the events that wait leave only the position of their stream.
    rest = ["d", "compares"] if put_back else [1, "d", "compares", 2]
    assert order_of(take_all(waiting)) == [b"one", "a", b"two", "b", "c", *rest]


def test_a_position_waits_for_all_controls():
    """Whoever gets it reads the log, which has what was published after them."""
    waiting = Backlog()
    waiting.add(Envelope(events=[("site", 1, b"{}")], controls=[kick("a")]))
    waiting.put_back(Envelope(events=[("room.a", 1, b"{}")]))
    waiting.add(Envelope(events=[("room.b", 7, b"{}"), ("room.a", 3, b"{}")], controls=[kick("b")]))
    assert order_of(take_all(waiting))[-3:] == ["b", 3, 1]


def test_it_sends_many_controls_in_portions():
    waiting = Backlog()
    controls = [kick(n) for n in range(20_000)]
    waiting.add(Envelope(controls=controls))
    portions = take_all(waiting)
    assert joined(portions, "controls") == controls
    assert all(len(pack(portion)) <= PORTION_BYTES for portion in portions)


@pytest.mark.parametrize("put_back", [False, True])
def test_it_asks_everybody_to_come_back_when_too_many_rights_have_ended(monkeypatch, put_back):
    monkeypatch.setattr(backlog, "WAITING_CONTROLS", 3)
    waiting = Backlog()
    waiting.add(Envelope(controls=[kick(n) for n in range(3)]))
    if put_back:
        portion = waiting.take()
        waiting.add(Envelope(controls=[kick(3)]))
        waiting.put_back(portion)
    else:
        waiting.add(Envelope(controls=[kick(3)]))
    waiting.add(Envelope(controls=[kick(4)]))
    assert joined(take_all(waiting), "controls") == [COME_BACK]
