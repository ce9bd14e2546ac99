"""Which changes of who is online have been heard of, whatever became of their announcements."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol import census
from realtime.protocol.census import LOST_SECONDS, Census, Heard, LastChanges, Roll

START, LAST = 100, 112
# Any order, with anything missing and anything twice.
arrivals = st.lists(st.integers(START + 1, LAST), max_size=36)


def open_roll(position=START):
    roll = Roll()
    assert not roll.note(Census(0, position), 0.0)
    return roll


@given(arrivals)
def test_each_change_is_new_once(versions):
    roll = open_roll()
    new = [version for version in versions if roll.hear(version) is Heard.NEW]
    assert sorted(new) == sorted(set(versions))


@given(arrivals)
def test_it_notices_what_has_been_lost_and_nothing_else(versions):
    roll = open_roll()
    for version in versions:
        roll.hear(version)
    assert not roll.note(Census(1, LAST), 10.0)
    is_complete = set(versions) == set(range(START + 1, LAST + 1))
    assert roll.note(Census(1, LAST), 10.0 + LOST_SECONDS) is not is_complete


@given(arrivals, arrivals, st.integers(START, LAST))
def test_what_was_given_up_is_late_and_everything_else_is_repeated_or_new(before, after, settled):
    roll = open_roll()
    heard = {version for version in before if roll.hear(version) is Heard.NEW}
    roll.settle(settled)
    for version in after:
        if version in heard:
            assert roll.hear(version) is Heard.REPEATED
        else:
            assert roll.hear(version) is (Heard.LATE if version <= settled else Heard.NEW)
        heard.add(version)


def test_changes_from_before_the_first_answer_are_not_waited_for():
    roll = open_roll(position=1_000_000)
    assert not roll.note(Census(3, 1_000_000), 100.0)
    # One may be on its way, and is heard once. Sockets whose greeting is older want it.
    assert [roll.hear(1_000_000) for _ in range(2)] == [Heard.NEW, Heard.REPEATED]
    assert roll.hear(1_000_001) is Heard.NEW
    assert not roll.note(Census(3, 1_000_001), 200.0)


def test_a_change_that_is_heard_before_the_first_answer_is_not_missing():
    roll = Roll()
    assert [roll.hear(version) for version in (7, 5, 5)] == [Heard.NEW, Heard.NEW, Heard.REPEATED]
    for now in (0.0, 10.0):
        assert not roll.note(Census(3, 6), now)
        assert not roll.note(Census(4, 7), now)
    assert roll.census == Census(4, 7)
    assert [roll.hear(version) for version in (7, 6, 5)] == [Heard.REPEATED, Heard.NEW, Heard.REPEATED]


def test_an_answer_that_was_overtaken_changes_nothing():
    roll = open_roll()
    roll.note(Census(5, 109), 0.0)
    roll.note(Census(4, 108), 0.0)
    assert roll.census == Census(5, 109)


def test_a_change_on_its_way_is_not_lost():
    roll = open_roll()
    for version in range(START + 1, START + 100):
        # The store tells of each change before it is announced.
        assert not roll.note(Census(version, version), 2.0 * version)
        roll.hear(version)


def test_a_count_settles_what_was_lost():
    roll = open_roll()
    roll.note(Census(2, 102), 0.0)
    assert roll.note(Census(2, 102), LOST_SECONDS)
    roll.settle(102)
    assert not roll.note(Census(2, 102), LOST_SECONDS)
    assert not roll.note(Census(2, 102), 100.0)


def test_numbers_that_begin_again_far_away_are_settled():
    """The store has lost its data."""
    roll = open_roll()
    roll.hear(START + 1)
    for version in (10**15 + 1, 10**15 + 2):
        assert roll.hear(version) is Heard.NEW
    roll.note(Census(2, 10**15 + 2), 0.0)
    assert roll.note(Census(2, 10**15 + 2), LOST_SECONDS)
    roll.settle(10**15 + 2)
    assert roll.hear(10**15 + 3) is Heard.NEW
    assert not roll.note(Census(3, 10**15 + 3), 100.0)


def test_a_store_may_begin_with_any_number():
    """The first change of an empty Redis has the time as its number."""
    roll = Roll()
    assert not roll.note(Census(0, 0), 0.0)
    assert roll.hear(10**15) is Heard.NEW
    for now in (0.0, LOST_SECONDS, 100.0):
        assert not roll.note(Census(1, 10**15), now)
    assert [roll.hear(10**15 + 1), roll.hear(10**15)] == [Heard.NEW, Heard.REPEATED]
    assert not roll.note(Census(2, 10**15 + 1), 200.0)


def test_a_store_that_has_gone_back_is_believed():
    roll = open_roll()
    for version in range(101, 106):
        roll.hear(version)
    roll.note(Census(5, 105), 0.0)
    roll.restart(Census(3, 103))
    assert roll.census == Census(3, 103)
    assert roll.hear(104) is Heard.NEW


def test_it_does_not_remember_any_number_of_changes(monkeypatch):
    monkeypatch.setattr(census, "MOST_EARLY", 3)
    roll = open_roll()
    for version in range(102, 107):
        assert roll.hear(version) is Heard.NEW
    assert len(roll._early) <= 3
    assert roll.note(Census(6, 106), 0.0)  # a count is needed at once
    roll.settle(106)
    assert not roll.note(Census(6, 106), 0.0)
    assert roll.hear(107) is Heard.NEW


def test_a_change_is_outdated_when_a_later_one_of_the_same_user_was_told():
    last = LastChanges()
    told = [("a", 5), ("b", 4), ("a", 5), ("a", 3), ("a", 7), ("a", 6)]
    new, repeated, outdated = Heard.NEW, Heard.REPEATED, Heard.OUTDATED
    assert [last.hear(*change) for change in told] == [new, new, repeated, outdated, new, outdated]
    last.clear()
    assert last.hear("a", 1) is new


def test_it_remembers_the_users_who_were_told_of_last():
    last = LastChanges(limit=2)
    for change in [("a", 1), ("b", 2), ("a", 3), ("c", 4)]:
        assert last.hear(*change) is Heard.NEW
    assert last.hear("a", 2) is Heard.OUTDATED
    assert last.hear("b", 1) is Heard.NEW  # was forgotten
