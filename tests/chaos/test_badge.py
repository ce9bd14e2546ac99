"""What a client of the chaos shows as its counts, after what it was told."""

import pytest

from tests.chaos.badge import MOST_COUNTED, Badge


def at(second):
    return f"2026-01-01T12:00:{second:02}.000000Z"


def notification(id, second, created=None):
    created_at = at(second if created is None else created)
    item = {"id": id, "created_at": created_at, "arrived_at": at(second), "seen_at": None}
    return {"type": "notification", "data": item, "timestamp": at(second)}


def listed(id, arrived, seen=None):
    return {"id": id, "arrived_at": at(arrived), "seen_at": None if seen is None else at(seen)}


def inbox(unread, unseen, second, act="read", ids=(1,)):
    data = {"unread": unread, "unseen": unseen, "act": act, "notification_ids": list(ids)}
    return {"type": "inbox", "data": data, "timestamp": at(second)}


def removed(unread, unseen, second):
    return {**inbox(unread, unseen, second), "type": "notification_removed"}


def show(*frames):
    badge = Badge()
    for frame in frames:
        badge.take(frame)
    return f"{badge.unread}, {badge.unseen}"


@pytest.mark.parametrize(
    ("frames", "shown"),
    [
        ([notification(1, 1), notification(2, 2)], "2, 2"),
        ([notification(1, 1), inbox(7, 5, 2), notification(2, 3)], "8, 6"),
        ([notification(1, 1), removed(7, 5, 2)], "7, 5"),
        # A group has grown: it was counted, and is so still.
        ([notification(1, 1), notification(1, 2, created=1)], "1, 1"),
        # It had been seen; or was seen after it had grown, and the frame says that later.
        ([notification(1, 1), inbox(1, 0, 2, "seen"), notification(1, 3, created=1)], "1, 0 to 1"),
        # It may have been counted already.
        ([notification(1, 1), inbox(7, 5, 4), notification(2, 3)], "7 to 8, 5 to 6"),
        ([notification(1, 1), inbox(7, 5, 4), notification(2, 5, created=3)], "7 to 8, 5 to 6"),
        ([inbox(MOST_COUNTED, 99, 1), notification(2, 2), notification(3, 3)], "100, 100"),
    ],
)
def test_it_counts_as_the_protocol_says(frames, shown):
    assert show(*frames) == shown


def test_it_counts_on_from_a_list():
    badge = Badge()
    badge.take(notification(1, 1))
    badge.take_list({"unread": 3, "unseen": 2}, [listed(2, 1, seen=1), listed(3, 2)], at(5))
    badge.take(notification(3, 6, created=2))
    assert f"{badge.unread}, {badge.unseen}" == "3, 2"
    badge.take(notification(4, 7))
    assert f"{badge.unread}, {badge.unseen}" == "4, 3"


def test_a_list_may_be_ahead_of_counts_that_come_after_it():
    badge = Badge()
    badge.take_list({"unread": 2, "unseen": 2}, [listed(1, 3), listed(2, 6)], at(7))
    badge.take(inbox(0, 0, 2))
    for second in (3, 4, 6):
        badge.take(notification(1 if second == 3 else 2, second, created=second if second == 3 else 4))
    assert f"{badge.unread}, {badge.unseen}" == "0 to 3, 0 to 3"
    badge.take(notification(2, 8, created=4))
    assert f"{badge.unread}, {badge.unseen}" == "0 to 3, 0 to 3"


def test_it_knows_nothing_of_more_than_a_hundred():
    badge = Badge()
    badge.take(inbox(MOST_COUNTED, 0, 1))
    assert badge.unread.has(250)
    assert not badge.unread.has(99)
