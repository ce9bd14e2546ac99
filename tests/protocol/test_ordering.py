"""Whatever happens on the way: each number once, in order."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.ordering import Sequencer

LAST = 12
# Any order, with anything missing and anything twice.
arrivals = st.lists(st.integers(1, LAST), max_size=3 * LAST)


def name(seq):
    return f"event {seq}"


def accept_all(order, numbers):
    """Give the numbers to `order`; returns those that came out."""
    out = []
    for seq in numbers:
        ready = order.accept(seq, name(seq))
        assert [item for _, item in ready] == [name(number) for number, _ in ready]
        out += [number for number, _ in ready]
    return out


def fill(order):
    """Accept what `gap` names until it names nothing."""
    out = []
    while (gap := order.gap()) is not None:
        first, last = gap
        assert first <= last
        out += accept_all(order, range(first, last + 1))
    return out


@given(arrivals)
def test_it_gives_each_once_and_in_order(numbers):
    order = Sequencer(0)
    out = accept_all(order, numbers)
    out += fill(order)
    assert out == list(range(1, max(numbers, default=0) + 1))
    assert not order.held


@given(arrivals, st.data())
def test_it_may_be_filled_at_any_moment(numbers, data):
    order, out = Sequencer(0), []
    for seq in numbers:
        out += accept_all(order, [seq])
        if data.draw(st.booleans()):
            out += fill(order)
    out += fill(order)
    assert out == list(range(1, max(numbers, default=0) + 1))


@given(arrivals, arrivals, st.integers(0, LAST))
def test_it_starts_after_the_position_it_is_given(early, late, position):
    order = Sequencer()
    assert accept_all(order, early) == []
    assert order.gap() is None
    out = [seq for seq, _ in order.start(position)]
    out += accept_all(order, late)
    out += fill(order)
    assert out == list(range(position + 1, max(*early, *late, position, position) + 1))


@given(arrivals, st.integers(0, LAST), st.integers(0, LAST))
def test_it_starts_once(numbers, position, again):
    order = Sequencer()
    order.start(position)
    accept_all(order, numbers)
    before = order.position
    assert order.start(again) == []
    assert order.position == before


@given(arrivals, st.integers(0, LAST + 2), arrivals)
def test_it_gives_up_on_what_the_log_no_longer_has(before, position, after):
    order = Sequencer(0)
    out = accept_all(order, before)
    out += [seq for seq, _ in order.skip_to(position)]
    # What came is given out, though what should have come before it never will.
    assert out[: len({seq for seq in before if seq <= position})] == sorted({seq for seq in before if seq <= position})
    assert order.position >= position
    assert all(seq > order.position + 1 for seq in order.held)
    out += accept_all(order, after) + fill(order)
    assert out == sorted(set(out))
    assert set(range(position + 1, max(*before, *after, 0, 0) + 1)) <= set(out)


def test_it_goes_nowhere_before_it_has_started():
    order = Sequencer()
    order.accept(3, "three")
    assert order.skip_to(2) == []
    assert (order.position, order.gap()) == (None, None)
    assert order.start(2) == [(3, "three")]


def test_it_names_the_first_hole_only():
    order = Sequencer(10)
    accept_all(order, [13, 14, 20])
    assert order.gap() == (11, 12)
    assert accept_all(order, [12, 11]) == [11, 12, 13, 14]
    assert order.gap() == (15, 19)


def test_it_keeps_the_first_of_two_with_the_same_number():
    order = Sequencer(0)
    order.accept(2, "first")
    order.accept(2, "second")
    assert order.accept(1, "one") == [(1, "one"), (2, "first")]
