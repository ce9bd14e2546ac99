"""Whom a new notification reaches at once: by what readers have chosen, and not more than so many in a minute."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from notifications import follow, inbox, mute, notify, routing
from notifications.clock import FOREVER
from notifications.models import Follow, Notification
from realtime.integration import StoreUnavailable
from realtime.models import Room
from tests.notifications.choices import MIDNIGHT, NIGHT, NOON, Time, choose, register
from tests.notifications.rows import pushed, row_of, sent

pytestmark = pytest.mark.django_db


@pytest.fixture
def room(db: None) -> Room:
    return Room.objects.create(slug="lunch")


def pushes(user: Any) -> int:
    return len(pushed(user, "notification"))


def withheld(row: Notification) -> tuple[str, Any]:
    row.refresh_from_db()
    return row.withheld_by, row.withheld_until


def test_a_reader_who_has_chosen_nothing_gets_it(bob: Any) -> None:
    row = sent(bob, "mention", message="hello")
    assert pushes(bob) == 1
    assert withheld(row) == ("", None)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"socket": False}, "channel"),
        ({"types": {"mention": {"socket": False}}}, "type"),
        ({"categories": {"social": {"socket": False}}}, "category"),
        ({"categories": {"social": {"socket": True}}, "types": {"mention": {"socket": False}}}, "type"),
    ],
)
def test_what_is_switched_off_is_stored_and_not_pushed(bob: Any, changes: Any, rule: str) -> None:
    choose(bob, **changes)
    row = sent(bob, "mention", message="hello")
    assert pushes(bob) == 0
    assert withheld(row) == (rule, None)
    assert inbox.counts(bob.pk).unread == 1


@pytest.mark.usefixtures("time")
@pytest.mark.parametrize(
    "changes",
    [
        {"mail": False},
        {"types": {"mention": {"mail": False}}},
        {"types": {"new_like": {"socket": False}}},
        {"categories": {"social": {"socket": False}}, "types": {"mention": {"socket": True}}},
        {"categories": {"orders": {"socket": False}}},
        {"muted_until": NOON},  # it is over now
        {"quiet_hours": [NIGHT]},
    ],
)
def test_other_switches_do_not_matter(bob: Any, changes: Any) -> None:
    choose(bob, **changes)
    sent(bob, "mention", message="hello")
    assert pushes(bob) == 1


def test_a_choice_can_be_taken_back(bob: Any) -> None:
    choose(bob, types={"mention": {"socket": False}})
    choose(bob, types={"mention": {"socket": None}})
    sent(bob, "mention", message="hello")
    assert pushes(bob) == 1


def test_quiet_hours_and_mutes_defer_it(alice: Any, bob: Any, carol: Any, time: Time) -> None:
    time.set(MIDNIGHT)
    choose(alice, quiet_hours=[NIGHT])
    choose(bob, muted_until=NOON)
    choose(carol, quiet_hours=[NIGHT], time_zone="Asia/Shanghai")  # there it is eight o'clock
    assert notify([alice, bob, carol], "mention", message="hello") == 3
    assert [pushes(user) for user in (alice, bob, carol)] == [0, 0, 1]
    assert withheld(row_of(alice)) == ("quiet_hours", MIDNIGHT + timedelta(hours=7))
    assert withheld(row_of(bob)) == ("mute", NOON)


def test_the_later_end_counts(bob: Any, time: Time) -> None:
    time.set(MIDNIGHT)
    choose(bob, quiet_hours=[NIGHT], muted_until=MIDNIGHT + timedelta(hours=1))
    row = sent(bob, "mention", message="hello")
    assert withheld(row) == ("quiet_hours", MIDNIGHT + timedelta(hours=7))


def test_the_sites_zone_counts_for_a_reader_who_has_none(bob: Any, time: Time, settings: Any) -> None:
    settings.TIME_ZONE = "America/New_York"
    time.set(MIDNIGHT + timedelta(hours=4))
    choose(bob, quiet_hours=[NIGHT])
    row = sent(bob, "mention", message="hello")
    assert withheld(row) == ("quiet_hours", MIDNIGHT + timedelta(hours=12))


def test_a_muted_object(alice: Any, bob: Any, room: Room, time: Time) -> None:
    mute(bob, room, NOON + timedelta(hours=1))
    mute(alice, room)
    follow(bob, room)
    for user in (alice, bob):
        sent(user, "mention", message="about it", target=room)
    assert (pushes(alice), pushes(bob)) == (0, 0)
    assert withheld(row_of(bob)) == ("mute", NOON + timedelta(hours=1))
    assert withheld(row_of(alice)) == ("mute", None)  # without an end
    assert FOREVER.year == 9999
    sent(bob, "mention", message="about something else")
    assert pushes(bob) == 1


def test_mutes_of_an_object_are_looked_up_by_its_readers(alice: Any, bob: Any, carol: Any, room: Room) -> None:
    """A million may follow it, or have muted it."""
    for user in (alice, bob):
        mute(user, room)
    with CaptureQueriesContext(connection) as asked:
        notify([bob, carol], "mention", message="x", target=room)
    assert (pushes(bob), pushes(carol)) == (0, 1)
    (sql,) = [query["sql"] for query in asked.captured_queries if Follow._meta.db_table in query["sql"]]
    assert '"user_id" IN (SELECT' in sql


def test_what_is_critical_ignores_all_of_it(bob: Any, time: Time, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True, category="social")
    time.set(MIDNIGHT)
    mute(bob, room)
    choose(bob, socket=False, muted_until=NOON, quiet_hours=[NIGHT], types={"alarm": {"socket": False}})
    row = sent(bob, "alarm", target=room)
    assert pushes(bob) == 1
    assert withheld(row) == ("", None)


def test_a_type_that_is_not_pushed_unless_it_is_chosen(alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "report", channels=["mail"])
    choose(bob, types={"report": {"socket": True}})
    notify([alice, bob], "report")
    assert (pushes(alice), pushes(bob)) == (0, 1)
    assert withheld(row_of(alice)) == ("default", None)


def test_a_group_that_grows_tells_of_its_last_push(alice: Any, bob: Any, carol: Any, time: Time) -> None:
    choose(bob, muted_until=NOON + timedelta(minutes=1))
    row = sent(bob, "new_like", actor=alice, group_key="like:7")
    assert withheld(row) == ("mute", NOON + timedelta(minutes=1))
    time.pass_by(minutes=2)
    sent(bob, "new_like", actor=carol, group_key="like:7")
    assert pushes(bob) == 1
    assert withheld(row) == ("", None)


# Who is there


def test_who_has_it_open_has_seen_it(alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.integration.find_present", lambda stream, keys: frozenset({bob.pk}))
    assert notify([alice, bob], "mention", message="hello", unless_present="room.general") == 2
    assert (pushes(alice), pushes(bob)) == (1, 0)
    row = row_of(bob)
    assert row.seen_at is not None
    assert row.read_at is None
    assert withheld(row) == ("present", None)


@pytest.mark.parametrize("case", ["pushed", "quiet", "present", "silent", "group"])
def test_notify_returns_what_is_stored(bob: Any, time: Time, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    options: dict[str, Any] = {"silent": {"silent": True}, "group": {"group_key": "g"}}.get(case, {})
    if case == "quiet":
        time.set(MIDNIGHT)
        choose(bob, quiet_hours=[NIGHT])
    if case == "present":
        monkeypatch.setattr("realtime.integration.find_present", lambda stream, keys: frozenset({bob.pk}))
        options["unless_present"] = "room.general"
    row = sent(bob, "mention", message="hello", **options)
    got = [{key: value for key, value in vars(one).items() if key != "_state"} for one in (row, row_of(bob))]
    assert got[0] == got[1]


def test_nobody_counts_as_present_while_that_cannot_be_known(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(stream: str, keys: Any) -> Any:
        raise StoreUnavailable("away")

    monkeypatch.setattr("realtime.integration.find_present", fail)
    sent(bob, "mention", message="hello", unless_present="room.general")
    assert pushes(bob) == 1


def test_only_a_room_can_be_open(bob: Any) -> None:
    with pytest.raises(ValueError, match="room"):
        notify(bob, "mention", message="hello", unless_present="topic.metrics")
    assert not Notification.objects.exists()


# Many


@pytest.mark.usefixtures("time")
def test_the_queries_are_those_of_pages_not_of_readers() -> None:
    users = get_user_model().objects
    users.bulk_create([users.model(username=f"user{number}") for number in range(1_500)])
    keys = list(users.values_list("pk", flat=True))
    for pk in keys[:300]:
        choose(pk, quiet_hours=[NIGHT], types={"mention": {"mail": False}})
    counts = []
    for number in (1_500, 20):
        with CaptureQueriesContext(connection) as queries:
            assert notify(keys[:number], "mention", message="hello") == number
        counts.append(len(queries))
    assert counts[0] - counts[1] <= 12
    assert Notification.objects.exclude(withheld_by="").count() == 0


def test_it_decides_for_whoever_the_rows_are_of(alice: Any, bob: Any, time: Time) -> None:
    time.set(MIDNIGHT)
    rows = [sent(user, "mention", message="hello") for user in (alice, bob)]
    choose(bob, quiet_hours=[NIGHT])
    assert routing.choose_pushed(rows, time.now) == rows[:1]
    assert withheld(rows[1])[0] == "quiet_hours"
