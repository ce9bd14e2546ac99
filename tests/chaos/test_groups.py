"""The verdict on groups: it is silent where they have what was sent, and names whatever is not as it should be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.groups import GROUP_SECONDS, GROUP_SECONDS_AT_MOST, Call, judge_groups
from tests.chaos.record import Group, Push, Record

ALICE, BOB, CAROL, DAVE, READER = 1, 2, 3, 4, 9
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STREAM = f"user.{READER}"
FIRST, SECOND = 20, 21  # ids of rows


def later(seconds):
    return NOON + timedelta(seconds=seconds)


class World:
    """Two rows of one group. The first is full; of Bob, something was withdrawn. In the second, nobody is named."""

    def __init__(self):
        self.calls = {}
        self.withdrawn = set()
        self.record = Record({}, {}, {}, {})
        self.record.pushes[STREAM] = []
        for number, actor in enumerate((ALICE, BOB, CAROL, DAVE, ALICE)):
            self.push(FIRST, actor, number)
        self.push(FIRST, None, 5)
        self.push(FIRST, CAROL, 6, has_dedupe_key=False)
        self.push(SECOND, None, 20, has_dedupe_key=False, is_known=False, ended=float("inf"))
        members = [("1", "k-0"), ("2", "k-1"), ("3", "k-2"), ("4", "k-3"), ("1", "k-4"), ("", "k-5"), ("3", "")]
        self.record.groups[FIRST] = Group(
            READER, "g", "k-6", 5, [CAROL, ALICE, DAVE], members, False, False, NOON, later(6)
        )
        self.record.groups[SECOND] = Group(READER, "g", "k-20", 1, [], [], True, False, later(20), later(20))

    def push(self, row, actor, number, **more):
        key = f"k-{number}"
        facts = {"has_dedupe_key": True, "is_known": True, "begun": number, "ended": number + 0.5, **more}
        self.calls[key] = Call(key, [READER], "g", actor, **facts)
        self.record.pushes[STREAM].append(Push(row, key, later(number)))

    def change(self, row, **changes):
        self.record.groups[row] = replace(self.record.groups[row], **changes)

    def judge(self):
        return list(judge_groups(self.record, self.calls, self.withdrawn))


@pytest.fixture
def world():
    return World()


def test_it_finds_nothing_where_all_is_well(world):
    assert world.judge() == []


def test_it_does_not_mind_what_nobody_knows(world):
    world.record.pushes[STREAM].pop()
    del world.record.groups[SECOND]
    world.change(FIRST, is_open=True)
    assert world.judge() == []


def test_it_names_one_person_less_when_something_was_withdrawn(world):
    world.withdrawn = {"k-3"}
    world.record.acts["changed", FIRST] = 1
    members = [member for member in world.record.groups[FIRST].members if member != ("4", "k-3")]
    world.change(FIRST, members=members, count=4, named=[CAROL, ALICE])
    assert world.judge() == []


def test_a_group_goes_with_the_last_of_it(world):
    world.withdrawn = {"k-20"}
    world.record.removed[STREAM] = [SECOND]
    del world.record.groups[SECOND]
    assert world.judge() == []


def count_too_few(world):
    world.change(FIRST, count=4)


def count_a_person_twice(world):
    world.change(FIRST, count=6)


def lose_a_member(world):
    world.record.groups[FIRST].members.pop()


def have_a_member_twice(world):
    world.record.groups[FIRST].members.append(("2", "k-1"))


def have_a_member_that_nobody_sent(world):
    world.record.groups[FIRST].members.append(("2", "k-7"))


def name_another_order(world):
    world.change(FIRST, named=[ALICE, CAROL, DAVE])


def name_who_came_before(world):
    world.change(FIRST, named=[CAROL, ALICE, BOB])


def name_too_few(world):
    world.change(FIRST, named=[CAROL, ALICE])


def name_too_many(world):
    world.change(FIRST, named=[CAROL, ALICE, DAVE, BOB])


def name_a_stranger(world):
    world.change(FIRST, named=[CAROL, ALICE, 7])


def name_who_was_withdrawn(world):
    world.withdrawn = {"k-3"}
    world.record.acts["changed", FIRST] = 1
    world.record.groups[FIRST].members.remove(("4", "k-3"))
    world.change(FIRST, count=4)


def withdraw_without_an_event(world):
    world.withdrawn = {"k-3"}
    world.record.groups[FIRST].members.remove(("4", "k-3"))
    world.change(FIRST, count=4, named=[CAROL, ALICE])


def lose_the_event_of_a_growth(world):
    del world.record.pushes[STREAM][1]


def tell_of_a_growth_twice(world):
    world.record.pushes[STREAM].append(world.record.pushes[STREAM][1])


def lose_a_row(world):
    del world.record.groups[FIRST]


def remove_a_row_that_has_more(world):
    world.record.removed[STREAM] = [SECOND]
    del world.record.groups[SECOND]


def store_a_row_of_nothing(world):
    world.record.groups[22] = world.record.groups[SECOND]


def grow_in_another_group(world):
    world.calls["k-1"] = replace(world.calls["k-1"], group="h")


def keep_the_texts_of_an_older_one(world):
    world.change(FIRST, newest="k-5")


def stand_below(world):
    world.change(FIRST, arrived_at=later(5))


def stay_where_it_was(world):
    world.record.pushes[STREAM][1] = replace(world.record.pushes[STREAM][1], arrived_at=NOON)


def grow_on_after_it_was_read(world):
    world.change(SECOND, is_closed_by_reader=True)


def close_too_early(world):
    world.change(SECOND, created_at=later(6 + GROUP_SECONDS - 0.1))
    world.change(FIRST, created_at=later(7 + GROUP_SECONDS - GROUP_SECONDS_AT_MOST))


@pytest.mark.parametrize(
    "spoil",
    [
        count_too_few,
        count_a_person_twice,
        lose_a_member,
        have_a_member_twice,
        have_a_member_that_nobody_sent,
        name_another_order,
        name_who_came_before,
        name_too_few,
        name_too_many,
        name_a_stranger,
        name_who_was_withdrawn,
        withdraw_without_an_event,
        lose_the_event_of_a_growth,
        tell_of_a_growth_twice,
        lose_a_row,
        remove_a_row_that_has_more,
        store_a_row_of_nothing,
        grow_in_another_group,
        keep_the_texts_of_an_older_one,
        stand_below,
        stay_where_it_was,
        grow_on_after_it_was_read,
        close_too_early,
    ],
)
def test_it_names_groups_that_are_not_as_they_should_be(world, spoil):
    spoil(world)
    assert world.judge()
