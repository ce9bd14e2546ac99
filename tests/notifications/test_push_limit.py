"""Not more pushes to one reader than so many in a minute: the rest is withheld, and its rows are kept."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from notifications import inbox, notify
from notifications.models import Notification
from tests.notifications.choices import NOON, Time, choose, register
from tests.notifications.rows import pushed, row_of, sent

pytestmark = pytest.mark.django_db


def pushes(user: Any) -> int:
    return len(pushed(user, "notification"))


@pytest.fixture
def three_a_minute(settings: Any) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "PUSHES_PER_MINUTE": 3}


@pytest.mark.usefixtures("three_a_minute")
def test_too_many_in_a_minute_are_stored_and_not_pushed(alice: Any, bob: Any, time: Time) -> None:
    time.set(NOON + timedelta(seconds=20))
    for number in range(5):
        notify([alice, bob] if number < 2 else bob, "mention", message=str(number))
    assert (pushes(alice), pushes(bob)) == (2, 3)
    rows = Notification.objects.filter(recipient=bob).order_by("pk")
    assert [row.withheld_by for row in rows] == ["", "", "", "limit", "limit"]
    assert rows[4].withheld_until == NOON + timedelta(minutes=1)
    assert inbox.counts(bob.pk).unread == 5
    time.pass_by(seconds=61)
    sent(bob, "mention", message="later")
    assert pushes(bob) == 4


@pytest.mark.usefixtures("three_a_minute")
def test_every_push_of_a_group_counts(bob: Any, time: Time) -> None:
    fans = [get_user_model().objects.create_user(f"fan{number}") for number in range(6)]
    for fan in fans:
        sent(bob, "new_like", actor=fan, group_key="like:7")
        time.pass_by(seconds=1)
    assert pushes(bob) == 3
    row = row_of(bob)
    assert (row.group_count, row.burst, row.withheld_by) == (6, 6, "limit")
    sent(bob, "mention", message="another one")
    assert pushes(bob) == 3
    time.pass_by(seconds=61)
    sent(bob, "new_like", actor=fans[0], group_key="like:7")
    assert pushes(bob) == 4
    assert row_of_group(bob).burst == 1


def row_of_group(user: Any) -> Notification:
    return Notification.objects.get(recipient=user, group_key="like:7")


@pytest.mark.usefixtures("three_a_minute")
def test_what_was_not_pushed_for_another_reason_does_not_count(bob: Any) -> None:
    choose(bob, types={"new_like": {"socket": False}})
    for _ in range(5):
        sent(bob, "new_like", message="off")
        sent(bob, "mention", message="silent", silent=True)
    for _ in range(3):
        sent(bob, "mention", message="hello")
    assert pushes(bob) == 3


@pytest.mark.usefixtures("three_a_minute")
@pytest.mark.parametrize("quiet", [(1, 2, 3, 4), (0, 1, 2, 3)])
@pytest.mark.parametrize("options", [{"silent": True}, {"unless_present": "room.general"}])
def test_growths_of_a_group_that_are_not_pushed_do_not_count(
    bob: Any, time: Time, monkeypatch: pytest.MonkeyPatch, quiet: tuple[int, ...], options: dict[str, Any]
) -> None:
    monkeypatch.setattr("realtime.integration.find_present", lambda stream, keys: frozenset({bob.pk}))
    for number in range(6):
        fan = get_user_model().objects.create_user(f"fan{number}")
        sent(bob, "new_like", actor=fan, group_key="like:7", **(options if number in quiet else {}))
    row = row_of(bob)
    assert (pushes(bob), row.group_count, row.burst) == (2, 6, 2)
    for _ in range(2):
        sent(bob, "mention", message="hello")
    assert pushes(bob) == 3


@pytest.mark.usefixtures("three_a_minute")
def test_what_is_critical_is_never_too_much(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True)
    for _ in range(5):
        sent(bob, "alarm")
    assert pushes(bob) == 5


@pytest.mark.parametrize("limit", [0, None])
def test_without_a_limit(bob: Any, settings: Any, limit: Any) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "PUSHES_PER_MINUTE": limit}
    for _ in range(100):
        sent(bob, "mention", message="hello")
    assert pushes(bob) == 100
