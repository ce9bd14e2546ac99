"""Web push: a function of the site's gets what readers have chosen to get in this way, and nothing else."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from notifications import explain, inbox, jobs, mute, notify, waking, web_push
from notifications.models import Delivery, Notification
from notifications.web_push import WebPush
from realtime.models import Room
from tests.notifications.choices import MIDNIGHT, NIGHT, Time, choose, register
from tests.notifications.mails import states
from tests.notifications.rows import sent
from tests.people import make_user

pytestmark = pytest.mark.django_db

passed: list[Sequence[WebPush]] = []
Commit = Callable[..., Any]


def take(pushes: Sequence[WebPush]) -> None:
    passed.append(pushes)


def refuse(pushes: Sequence[WebPush]) -> None:
    raise OSError("the push service is away")


@pytest.fixture(autouse=True)
def plug(settings: Any) -> None:
    passed.clear()
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": f"{__name__}.take"}


@pytest.fixture
def commit(django_capture_on_commit_callbacks: Any) -> Commit:
    """`notify` as it is when its transaction commits."""

    def run(*args: Any, **options: Any) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return notify(*args, **options)

    return run


@pytest.fixture
def fan(erin: Any) -> Any:
    """A reader who wants all kinds of people's notifications as web pushes."""
    choose(erin, web_push=True, categories={"social": {"web_push": True}})
    return erin


def why(row: Any) -> tuple[str, str]:
    row.refresh_from_db()
    found = next(found for found in explain(row, row.recipient) if found.channel == "web_push")
    return found.verdict, found.rule


def test_those_who_want_it_get_it_in_their_languages(commit: Commit, settings: Any, bob: Any) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "LANGUAGE": f"{__name__}.language_of"}
    readers = [make_user(name) for name in ("anna", "ben", "zh_chen", "dora")]
    for reader in readers[:3]:
        choose(reader, web_push=True, categories={"social": {"web_push": True}})
    assert commit(readers, "new_follower", actor=bob, link="/users/7", data={"n": 1}) == 4
    ids = dict(Notification.objects.values_list("recipient_id", "pk"))
    anna, ben, chen, _ = (reader.pk for reader in readers)
    assert passed == [
        [
            WebPush(
                ids={reader: ids[reader] for reader in of_language},
                language=language,
                type="new_follower",
                level="info",
                title=title,
                message=message,
                link="/users/7",
                data={"n": 1},
            )
            for of_language, language, title, message in (
                ((anna, ben), "en", "New follower", "bob followed you"),
                ((chen,), "zh-hans", "新粉丝", "用户 bob 关注了你"),
            )
        ]
    ]
    assert [why(row) for row in Notification.objects.order_by("pk")] == [("sent", "category")] * 3 + [
        ("off", "channel")
    ]


def language_of(user: Any) -> str:
    return "zh-hans" if user.username.startswith("zh") else "en"


def test_nothing_before_the_commit_and_nothing_after_a_rollback(
    fan: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        sent(fan, "mention", message="hello")
        with transaction.atomic():
            sent(fan, "mention", message="never")
            transaction.set_rollback(True)
        assert not passed
    assert [push.message for (push,) in passed] == ["hello"]


def test_it_is_off_without_a_function(commit: Commit, fan: Any, settings: Any) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": None}
    row = commit(fan, "mention", message="hello")
    assert (why(row), states()) == (("off", "site"), [])
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": f"{__name__}.take"}
    assert why(row) == ("off", "unknown")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"web_push": False}, ("off", "channel")),
        ({"types": {"mention": {"web_push": False}}}, ("off", "type")),
        ({"categories": {"social": {"web_push": None}}}, ("off", "default")),
    ],
)
def test_who_does_not_want_it(commit: Commit, fan: Any, choice: Any, expected: tuple[str, str]) -> None:
    choose(fan, **choice)
    row = commit(fan, "mention", message="hello")
    assert (passed, why(row)) == ([], expected)


def test_what_is_critical_goes_to_everybody(commit: Commit, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True, channels=["web_push"])
    row = commit(erin, "alarm")
    assert [push.title for (push,) in passed] == ["alarm"]
    assert why(row) == ("sent", "critical")


def test_what_is_silent_or_was_seen_already(commit: Commit, fan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why(commit(fan, "mention", message="hello", silent=True)) == ("off", "silent")
    monkeypatch.setattr("realtime.integration.find_present", lambda stream, keys: frozenset(keys))
    row = commit(fan, "mention", message="hello", unless_present="room.general")
    assert (passed, why(row)) == ([], ("off", "present"))


def test_what_waits_for_the_end_of_quiet_hours_is_one_push(commit: Commit, fan: Any, time: Time) -> None:
    time.set(MIDNIGHT)
    choose(fan, quiet_hours=[NIGHT])
    first, second, third = (commit(fan, "mention", message=text) for text in ("one", "two", "three"))
    assert (passed, why(first)) == ([], ("waiting", "quiet_hours"))
    inbox.act(fan.pk, "read", ids=[third.pk])
    web_push.send_due(time.pass_by(hours=6))
    assert not passed
    web_push.send_due(time.pass_by(hours=1))
    ((push,),) = passed
    assert (push.message, push.count, push.ids) == ("two", 2, {fan.pk: second.pk})
    assert [why(row) for row in (first, second, third)] == [("sent", "category")] * 2 + [("off", "read")]
    web_push.send_due(time.pass_by(hours=1))
    assert len(passed) == 1


def test_what_has_waited_is_one_push_however_much_waits_for_others(
    commit: Commit, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_push, "ROWS_AT_ONCE", 4)
    readers = [make_user(name) for name in ("anna", "ben", "chen")]
    for one in readers:
        choose(one, web_push=True, types={"mention": {"web_push": True}}, quiet_hours=[NIGHT])
    time.set(MIDNIGHT)
    for number in range(3):
        commit(readers, "mention", message=f"number {number}")
    assert not passed
    web_push.send_due(time.pass_by(hours=7))
    found = {reader: (push.count, push.message) for pushes in passed for push in pushes for reader in push.ids}
    assert [len(push.ids) for pushes in passed for push in pushes] == [1, 1, 1]
    assert found == {one.pk: (3, "number 2") for one in readers}


def test_mutes(commit: Commit, fan: Any, time: Time) -> None:
    room = Room.objects.create(slug="lunch")
    mute(fan, room)
    assert why(commit(fan, "mention", message="hello", target=room)) == ("off", "mute")
    choose(fan, muted_until=time.now + timedelta(days=1))
    row = commit(fan, "mention", message="hello")
    assert why(row) == ("waiting", "mute")
    choose(fan, muted_until=None)
    web_push.send_due(time.now)
    assert [push.message for (push,) in passed] == ["hello"]


def test_the_limit_of_pushes_is_for_them_too(commit: Commit, fan: Any, settings: Any, time: Time) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "PUSHES_PER_MINUTE": 1}
    rows = [commit(fan, "mention", message=text) for text in ("one", "two", "three")]
    assert [why(row) for row in rows] == [("sent", "category"), ("waiting", "limit"), ("waiting", "limit")]
    web_push.send_due(time.pass_by(minutes=1))
    assert [(push.message, push.count) for (push,) in passed] == [("one", 1), ("three", 2)]


def test_a_function_that_fails_disturbs_nothing(
    commit: Commit, fan: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": f"{__name__}.refuse"}
    row = commit(fan, "mention", message="hello")
    assert why(row) == ("off", "failed")
    assert "the push service is away" in Delivery.objects.get().error
    assert [record.message for record in caplog.records] == ["The function WEB_PUSH failed"]


def test_each_settles_with_its_time(commit: Commit, fan: Any, settings: Any, time: Time) -> None:
    def settled() -> tuple[str, Any, Any, str]:
        found = Delivery.objects.latest("pk")
        return found.state, found.sent_at, found.settled_at, found.lease

    row = commit(fan, "mention", message="sent")
    assert settled() == ("sent", time.now, time.now, "")
    Delivery.objects.update(state="queued", sent_at=None, settled_at=None)
    inbox.act(fan.pk, "read", ids=[row.pk])
    web_push.send_due(time.pass_by(hours=1))
    assert settled() == ("suppressed", None, time.now, "")
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": f"{__name__}.refuse"}
    commit(fan, "mention", message="failed")
    assert settled() == ("failed", None, time.now, "")
    choose(fan, types={"mention": {"web_push": False}})
    commit(fan, "mention", message="not wanted")
    assert settled() == ("suppressed", None, time.now, "")


def test_what_waits_for_a_function_that_the_site_removes(commit: Commit, fan: Any, settings: Any, time: Time) -> None:
    time.set(MIDNIGHT)
    choose(fan, quiet_hours=[NIGHT])
    row = commit(fan, "mention", message="hello")
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": None}
    assert why(row) == ("off", "site")
    web_push.send_due(time.pass_by(hours=7))
    assert (states(), why(row)) == ([("suppressed", "site")], ("off", "site"))


def test_who_was_disabled_meanwhile(fan: Any, time: Time) -> None:
    row = sent(fan, "mention", message="hello")
    fan.is_active = False
    fan.save()
    web_push.send_due(time.now)
    assert (passed, why(row)) == ([], ("off", "inactive"))


class ProcessEnds(BaseException):
    pass


def hang(pushes: Sequence[WebPush]) -> None:
    """As if the process ended before it returns."""
    passed.append(pushes)
    raise ProcessEnds


def test_a_function_that_never_returns(fan: Any, settings: Any, time: Time) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": f"{__name__}.hang"}
    row = sent(fan, "mention", message="hello")
    with pytest.raises(ProcessEnds):
        web_push.send_due(time.now)
    assert why(row) == ("waiting", "waiting")
    web_push.send_due(time.pass_by(minutes=9))
    assert (len(passed), states()) == (1, [("queued", "")])
    web_push.send_due(time.pass_by(minutes=1))
    assert (len(passed), why(row)) == (1, ("off", "failed"))
    found = Delivery.objects.get()
    assert (found.settled_at, found.lease, "has not returned" in found.error) == (time.now, "", True)


def test_other_jobs_leave_it_to_the_job_for_web_pushes(
    commit: Commit, fan: Any, time: Time, django_capture_on_commit_callbacks: Any
) -> None:
    """A function that hangs would stop them."""
    row = commit(fan, "mention", message="hello")
    inbox.act(fan.pk, "snooze", ids=[row.pk], until=time.now + timedelta(hours=1))
    time.pass_by(hours=1)
    passed.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert jobs.run_alone("wake") == ["wake"]
    row.refresh_from_db()
    assert (row.snoozed_until, passed) == (None, [])
    assert jobs.run_alone("web_pushes") == ["web_pushes"]
    assert [push.message for (push,) in passed] == ["hello"]


def test_a_function_that_returns_too_late(fan: Any, settings: Any, time: Time) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": f"{__name__}.wait"}
    meanwhile.append(lambda: web_push.send_due(time.pass_by(minutes=10)))
    row = sent(fan, "mention", message="hello")
    web_push.send_due(time.now)
    assert why(row) == ("off", "failed")


def test_a_group_that_grows_during_the_call_is_passed_on(
    commit: Commit, fan: Any, settings: Any, time: Time, alice: Any, bob: Any
) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": f"{__name__}.wait"}

    def grow_and_fail() -> None:
        sent(fan, "new_like", actor=bob, group_key="post")
        raise OSError("the push service is away")

    meanwhile.append(grow_and_fail)
    row = commit(fan, "new_like", actor=alice, group_key="post")
    web_push.send_due(time.now)
    assert [push.message for (push,) in passed] == ["alice liked your post", "bob and alice liked your post"]
    assert why(row) == ("sent", "category")


meanwhile: list[Callable[[], Any]] = []


def wait(pushes: Sequence[WebPush]) -> None:
    """Something happens before it returns, but only in the first call."""
    passed.append(pushes)
    if meanwhile:
        meanwhile.pop()()


def test_what_a_process_has_left_that_died(fan: Any, time: Time) -> None:
    row = sent(fan, "mention", message="hello")  # its hooks are never called
    assert (passed, why(row)) == ([], ("waiting", "waiting"))
    web_push.send_due(time.now)
    assert [push.ids for (push,) in passed] == [{fan.pk: row.pk}]


def test_a_group_that_grows_and_one_that_comes_back(
    commit: Commit, fan: Any, time: Time, alice: Any, bob: Any, django_capture_on_commit_callbacks: Any
) -> None:
    row = commit(fan, "new_like", actor=alice, group_key="post")
    commit(fan, "new_like", actor=bob, group_key="post")
    inbox.act(fan.pk, "snooze", ids=[row.pk], until=time.now + timedelta(hours=1))
    with django_capture_on_commit_callbacks(execute=True):
        waking.wake(time.pass_by(hours=1))
    assert [push.message for (push,) in passed] == [
        "alice liked your post",
        "bob and alice liked your post",
        "bob and alice liked your post",
    ]


def test_queries_do_not_grow_with_readers(commit: Commit, django_assert_max_num_queries: Any) -> None:
    readers = [make_user(f"r{number}") for number in range(30)]
    for reader in readers:
        choose(reader, web_push=True, categories={"social": {"web_push": True}})
    with django_assert_max_num_queries(40):
        commit(readers, "mention", message="hello")
    assert [len(push.ids) for (push,) in passed] == [30]
