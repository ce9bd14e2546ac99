"""Groups: notifications with one key become one row, which counts people. Repeats are stored once."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import override

from notifications import inbox, notify, texts, withdraw
from notifications.inbox.lists import Place
from notifications.models import GroupMember, Notification
from realtime.protocol.frames import format_time
from tests.notifications.choices import MIDNIGHT, NIGHT, Time, choose, register
from tests.notifications.mails import Office
from tests.notifications.rows import pushed, row_of, sent
from tests.patience import PATIENCE_SECONDS
from tests.racing import at_once, somebody_waits, wait_until
from tests.sites.processes import ROOT

pytestmark = pytest.mark.django_db


def people(count: int) -> list[Any]:
    users = get_user_model().objects
    return [users.create_user(f"user{number}") for number in range(count)]


def like(reader: Any, actor: Any, **options: Any) -> Any:
    return notify(reader, "new_like", actor=actor, group_key="like:7", **options)


def test_a_group_is_one_row_that_counts_people(bob: Any) -> None:
    fans = people(5)
    for fan in [*fans, *fans]:
        like(bob, fan)
    row = row_of(bob)
    assert row.group_count == 5
    assert row.render().message == "user4 and 4 others liked your post"
    assert [person["name"] for person in row.group_actors] == ["user4", "user3", "user2"]
    frames = pushed(bob, "notification")
    assert len(frames) == 10
    assert {frame["data"]["id"] for frame in frames} == {row.pk}
    assert frames[-1]["data"]["group"] == {
        "count": 5,
        "last": [{"user_id": fan.pk, "name": fan.username} for fan in (fans[4], fans[3], fans[2])],
    }
    assert frames[0]["data"]["group"] is None


@pytest.mark.parametrize("seconds", [0, 20])
def test_a_group_that_grows_moves_beyond_its_place_also_if_who_lets_it_grow_had_to_wait(
    bob: Any, time: Time, seconds: int
) -> None:
    """The moment of a notification is the one at which site code sent it, and the row may be locked by another then."""
    fans = people(3)
    like(bob, fans[0])
    time.pass_by(seconds=30)
    like(bob, fans[1])
    before = row_of(bob).arrived_at
    time.pass_by(seconds=-seconds)
    like(bob, fans[2])
    row = row_of(bob)
    assert (before, row.group_count) == (time.now + timedelta(seconds=seconds), 3)
    assert row.arrived_at > before
    assert pushed(bob, "notification")[-1]["data"]["arrived_at"] == format_time(row.arrived_at)
    inbox.act(bob.pk, "read", place=Place(before, row.pk))
    assert not row_of(bob).is_read  # the reader has not seen it since it has grown


@pytest.mark.parametrize(
    ("names", "count", "english", "chinese"),
    [
        (["Bob"], 1, "Bob", "Bob"),
        (["Bob", "Carol"], 2, "Bob and Carol", "Bob 和 Carol"),
        (["Bob", "Carol", "Dan"], 3, "Bob, Carol and Dan", "Bob、Carol 和 Dan"),
        (["Bob", "Carol", "Dan"], 4, "Bob and 3 others", "Bob 和另外 3 人"),
        (["Bob"], 2, "Bob and 1 other", "Bob 和另外 1 人"),
        ([], 2, "2 people", "2 人"),
    ],
)
def test_people_are_named(names: list[str], count: int, english: str, chinese: str) -> None:
    assert texts.name_people(names, count) == english
    with override("zh-hans"):
        assert texts.name_people(names, count) == chinese


def test_without_an_actor_it_counts_notifications(bob: Any) -> None:
    for _ in range(3):
        notify(bob, "order_status_changed", order_id=1, status="sent", group_key="orders")
    assert row_of(bob).group_count == 3


def test_each_reader_has_a_group_of_their_own(alice: Any, bob: Any) -> None:
    fans = people(2)
    like([alice, bob], fans[0])
    like(bob, fans[1])
    assert [row_of(user).group_count for user in (alice, bob)] == [1, 2]


def test_it_comes_back_to_the_top_unseen(bob: Any) -> None:
    fans = people(2)
    like(bob, fans[0])
    other = sent(bob, "mention", actor=fans[0])
    inbox.act(bob.pk, "seen")
    like(bob, fans[1])
    rows = inbox.page(bob.pk, inbox.Filters(), None, 10)
    assert [row.pk for row in rows][-1] == other.pk
    assert inbox.counts(bob.pk).unseen == 1


def test_a_group_has_one_type(bob: Any) -> None:
    fans = people(2)
    for fan in fans:
        for name in ("new_like", "new_comment"):
            sent(bob, name, actor=fan, group_key="post:7")
    rows = Notification.objects.filter(recipient=bob).order_by("pk")
    assert [(row.type, row.group_count) for row in rows] == [("new_like", 2), ("new_comment", 2)]
    assert [row.render().message for row in rows] == [
        "user1 and user0 liked your post",
        "user1 and user0 commented on your post",
    ]


def test_it_grows_for_readers_who_are_present_too_and_is_seen(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fans = people(4)
    like(bob, fans[0])
    monkeypatch.setattr("realtime.integration.find_present", lambda stream, keys: frozenset({bob.pk}))
    for fan in fans[1:3]:
        like(bob, fan, unless_present="room.general")
    row = row_of(bob)
    assert (row.group_count, row.withheld_by) == (3, "present")
    assert row.seen_at == row.arrived_at
    assert len(pushed(bob, "notification")) == 1
    like(bob, fans[3])
    row = row_of(bob)
    assert (row.group_count, row.withheld_by, row.seen_at) == (4, "", None)
    assert len(pushed(bob, "notification")) == 2


def test_what_waits_for_a_summary_still_does_when_its_reader_is_present(
    bob: Any, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.set(MIDNIGHT)
    choose(bob, quiet_hours=[NIGHT])
    fans = people(2)
    like(bob, fans[0])
    until = row_of(bob).withheld_until
    monkeypatch.setattr("realtime.integration.find_present", lambda stream, keys: frozenset({bob.pk}))
    like(bob, fans[1], unless_present="room.general")
    row = row_of(bob)
    assert (row.group_count, row.withheld_by, row.withheld_until) == (2, "quiet_hours", until)


@pytest.mark.parametrize("silent", [(True, False), (False, True)])
def test_a_group_is_silent_if_all_in_it_are(office: Office, erin: Any, silent: tuple[bool, bool]) -> None:
    for fan, is_silent in zip(people(2), silent, strict=True):
        like(erin, fan, silent=is_silent)
    assert len(pushed(erin, "notification")) == 1
    assert len(office.send(minutes=30)) == 1
    assert not row_of(erin).silent


@pytest.mark.parametrize("act", ["read", "archive", "delete"])
def test_what_its_reader_has_dealt_with_grows_no_more(bob: Any, act: Any) -> None:
    fans = people(2)
    like(bob, fans[0])
    inbox.act(bob.pk, act)
    like(bob, fans[1])
    new = Notification.objects.latest("id")
    assert Notification.objects.filter(recipient=bob).count() == 2
    assert (new.group_count, new.read_at) == (1, None)


@pytest.mark.parametrize("act", ["read", "archive", "delete", "snooze"])
def test_it_grows_again_when_that_is_undone(bob: Any, act: Any) -> None:
    fans = people(2)
    like(bob, fans[0])
    until = timezone.now() + timedelta(hours=1) if act == "snooze" else None
    inbox.undo(bob.pk, inbox.act(bob.pk, act, until=until).undo)
    like(bob, fans[1])
    assert row_of(bob).group_count == 2


def test_it_grows_again_when_all_that_has_closed_it_is_undone(bob: Any) -> None:
    fans = people(2)
    like(bob, fans[0])
    read, archived = inbox.act(bob.pk, "read"), inbox.act(bob.pk, "archive")
    inbox.undo(bob.pk, read.undo)
    assert not row_of(bob).group_open
    inbox.undo(bob.pk, archived.undo)
    assert row_of(bob).group_open


def test_undoing_an_act_that_has_not_closed_it_does_not_let_it_grow(bob: Any) -> None:
    fans = people(2)
    like(bob, fans[0])
    inbox.act(bob.pk, "read")
    inbox.act(bob.pk, "unread")
    inbox.undo(bob.pk, inbox.act(bob.pk, "read").undo)
    assert not row_of(bob).group_open
    inbox.undo(bob.pk, inbox.act(bob.pk, "archive").undo)
    like(bob, fans[1])
    assert Notification.objects.filter(recipient=bob).count() == 2


def test_it_grows_again_when_acts_are_undone_one_after_the_other(bob: Any) -> None:
    like(bob, *people(1))
    first, unread = inbox.act(bob.pk, "read"), inbox.act(bob.pk, "unread")
    inbox.undo(bob.pk, unread.undo)
    assert not row_of(bob).group_open
    inbox.undo(bob.pk, first.undo)
    assert row_of(bob).group_open


def test_what_an_action_was_taken_of_grows_no_more(bob: Any) -> None:
    fans = people(2)
    row = like(bob, fans[0])
    archived = inbox.act(bob.pk, "archive")
    assert inbox.take_action(bob.pk, row.pk, "accept")
    inbox.act(bob.pk, "unread")
    read = inbox.act(bob.pk, "read")
    for outcome in (read, archived):
        assert inbox.undo(bob.pk, outcome.undo).changed == 1
        assert not row_of(bob).group_open
    like(bob, fans[1])
    new = Notification.objects.latest("pk")
    assert (new.group_count, new.action, Notification.objects.filter(recipient=bob).count()) == (1, "", 2)


def test_of_several_with_one_key_only_the_newest_grows_again(bob: Any) -> None:
    fans = people(3)
    like(bob, fans[0])
    Notification.objects.update(group_open=False)  # it was too old
    like(bob, fans[1])
    all_read = inbox.act(bob.pk, "read")
    assert inbox.undo(bob.pk, all_read.undo).changed == 2
    assert list(Notification.objects.order_by("pk").values_list("group_open", flat=True)) == [False, True]
    newest = inbox.act(bob.pk, "read", ids=[Notification.objects.latest("pk").pk])
    like(bob, fans[2])
    assert inbox.undo(bob.pk, newest.undo).changed == 1
    assert list(Notification.objects.order_by("pk").values_list("group_open", flat=True)) == [False, False, True]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_undoing_while_a_new_group_begins(bob: Any) -> None:
    fans = people(2)
    like(bob, fans[0])
    undo = inbox.act(bob.pk, "read").undo
    is_sent = threading.Event()

    def begin() -> None:
        with transaction.atomic():
            like(bob, fans[1])
            is_sent.set()
            wait_until(somebody_waits)

    def come_between() -> Any:
        assert is_sent.wait(PATIENCE_SECONDS)
        return inbox.undo(bob.pk, undo).changed

    assert at_once(begin, come_between) == [None, 1]
    rows = Notification.objects.order_by("pk").values_list("group_open", "read_at")
    assert list(rows) == [(False, None), (True, None)]


@pytest.mark.parametrize(("column", "seconds"), [("arrived_at", 3_601), ("created_at", 86_401)])
def test_a_group_ends(bob: Any, column: str, seconds: int) -> None:
    fans = people(2)
    like(bob, fans[0])
    Notification.objects.update(**{column: timezone.now() - timedelta(seconds=seconds)})
    like(bob, fans[1])
    assert sorted(Notification.objects.values_list("group_count", flat=True)) == [1, 1]


def test_a_repeat_is_not_stored(alice: Any, bob: Any) -> None:
    first = sent(bob, "mention", actor=alice, dedupe_key="comment:7")
    assert notify(bob, "mention", actor=alice, dedupe_key="comment:7") is None
    assert notify([alice, bob], "mention", message="hello", dedupe_key="comment:7") == 1
    assert row_of(bob).pk == first.pk
    assert len(pushed(bob)) == 1


@pytest.mark.parametrize("with_actor", [True, False])
def test_a_repeat_does_not_let_a_group_grow(bob: Any, with_actor: bool) -> None:
    fans = people(2)

    def like_once(number: int, key: str) -> Any:
        actor = fans[number] if with_actor else None
        texts = {} if with_actor else {"title": "Liked", "message": "x"}
        return notify(bob, "mention", actor=actor, group_key="like:7", dedupe_key=key, **texts)

    first = like_once(0, "a")
    assert like_once(0, "a") is None
    assert like_once(1, "b").pk == first.pk
    assert like_once(1, "b") is None
    assert like_once(0, "a") is None  # it is not the newest any more
    assert row_of(bob).group_count == 2
    inbox.act(bob.pk, "read")
    assert like_once(1, "b") is None  # the group is closed: it would be a second row
    assert like_once(0, "c").group_count == 1
    assert len(pushed(bob, "notification")) == 3


@pytest.mark.parametrize("group", ["", "offers"])
@pytest.mark.parametrize("is_read", [True, False])
def test_what_has_expired_is_no_repeat(
    bob: Any, time: Time, monkeypatch: pytest.MonkeyPatch, group: str, is_read: bool
) -> None:
    """It is there until the job deletes it."""
    register(monkeypatch, "offer", time_to_live=timedelta(hours=1))
    for _ in range(2):
        first = sent(bob, "offer", group_key=group, dedupe_key="k")
        if is_read:
            inbox.act(bob.pk, "read")
        assert notify(bob, "offer", group_key=group, dedupe_key="k") is None
        time.pass_by(hours=1)
    assert inbox.page(bob.pk, inbox.Filters(), None, 10) == []
    assert sent(bob, "offer", group_key=group, dedupe_key="k") != first
    assert (Notification.objects.count(), Notification.objects.latest("pk").group_count) == (3, 1)
    withdraw(dedupe_key="k")
    assert not Notification.objects.existing().exists()


def test_what_has_expired_in_a_group_with_others_is_no_repeat(
    bob: Any, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "offer", time_to_live=timedelta(hours=1))
    for key in ("a", "b"):
        sent(bob, "offer", group_key="offers", dedupe_key=key)
    time.pass_by(hours=1)
    for key in ("a", "b"):
        assert notify(bob, "offer", group_key="offers", dedupe_key=key)
        assert notify(bob, "offer", group_key="offers", dedupe_key=key) is None
    assert Notification.objects.latest("pk").group_count == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("groups", [["one"], ["one", "other", ""]])
def test_of_several_at_once_with_one_key_one_is_stored(bob: Any, groups: list[str]) -> None:
    def send(group: str) -> Any:
        return notify(bob, "mention", message="x", group_key=group, dedupe_key="once")

    results = at_once(*[partial(send, group) for group in groups * (6 // len(groups))])
    assert [result for result in results if result is not None] == [row_of(bob)]
    assert row_of(bob).group_count == 1


LIKES = """
import sys
import django
django.setup()
from django.contrib.auth import get_user_model
from django.db import connection
from notifications import notify

connection.settings_dict["NAME"] = sys.argv[1]
users = get_user_model().objects.in_bulk([int(pk) for pk in sys.argv[2:]])
print("ready", flush=True)
sys.stdin.readline()
for fan in sys.argv[3:]:
    notify(users[int(sys.argv[2])], "new_like", actor=users[int(fan)], group_key="like:7", silent=True)
"""


@contextmanager
def liking(reader: Any, fans: list[int]) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that is ready to let these people like something, as soon as it gets a line."""
    arguments = [str(connection.settings_dict["NAME"]), str(reader.pk), *map(str, fans)]
    command, pipe = [sys.executable, "-c", LIKES, *arguments], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.django_db(transaction=True)
def test_a_thousand_likes_by_two_processes_are_counted_exactly(bob: Any) -> None:
    get_user_model().objects.bulk_create([get_user_model()(username=f"fan{number}") for number in range(900)])
    fans = list(get_user_model().objects.exclude(pk=bob.pk).order_by("pk").values_list("pk", flat=True))
    both, first, second = fans[:100], fans[100:500], fans[500:]
    with liking(bob, [*both, *first]) as one, liking(bob, [*both, *second]) as other:
        assert [process.communicate()[0] for process in started(one, other)] == ["", ""]
        assert (one.returncode, other.returncode) == (0, 0)
    row = row_of(bob)
    assert row.group_count == GroupMember.objects.count() == 900
    named = [person["user_id"] for person in row.group_actors]
    assert len(set(named)) == 3
    # Nobody knows which process came last, but each of them named its people in order.
    for own in (first, second):
        newest = [pk for pk in named if pk in own]
        assert newest == own[::-1][: len(newest)]


def started(*processes: subprocess.Popen[str]) -> tuple[subprocess.Popen[str], ...]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes
