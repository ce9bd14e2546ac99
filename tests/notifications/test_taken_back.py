"""What was not sent because of something that its reader takes back is decided once more: mails and web pushes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction

from notifications import explain, follow, inbox, mute, notify, summaries, unmute, web_push
from notifications.mailing import claims, queue, sending
from notifications.models import Delivery, Notification, Reader
from realtime.models import Room
from tests.notifications.choices import MIDNIGHT, NIGHT, NOON, Time, choose
from tests.notifications.mails import LATER, Office, states
from tests.notifications.rows import sent
from tests.patience import PATIENCE_SECONDS
from tests.racing import at_once, somebody_waits, wait_until

pytestmark = pytest.mark.django_db

passed: list[Any] = []


def take(pushes: Any) -> None:
    passed.extend(pushes)


def why(row: Notification, channel: str = "mail") -> tuple[str, str]:
    row.refresh_from_db()
    found = next(found for found in explain(row, row.recipient) if found.channel == channel)
    return found.verdict, found.rule


TAKING_BACK: list[tuple[Any, str, Any]] = [
    ("read", "read", "unread"),
    ("archive", "archived", "unarchive"),
    ("read", "read", "undo"),
    ("archive", "archived", "undo"),
    ("delete", "deleted", "undo"),
]


@pytest.mark.parametrize("of_all", [False, True])
@pytest.mark.parametrize(("act", "reason", "back"), TAKING_BACK)
def test_acts(
    office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch, act: Any, reason: str, back: Any, of_all: bool
) -> None:
    row, other = sent(erin, "mention", message="hello"), sent(erin, "mention", message="other")
    if of_all:
        monkeypatch.setattr(inbox.acts, "IDS_AT_ONCE", 0)
    done = inbox.act(erin.pk, act, ids=None if of_all else [row.pk])
    inbox.act(erin.pk, "read", ids=[other.pk])
    assert office.send(minutes=5) == []
    assert why(row) == ("off", reason)
    if back == "undo":
        inbox.undo(erin.pk, done.undo)
    else:
        inbox.act(erin.pk, back, ids=[row.pk])
    assert why(row) == ("waiting", "away")
    found = Delivery.objects.get(notification=row)
    assert (found.settled_at, found.due_at) == (None, office.time.now)
    (mail,) = office.send(seconds=5)
    assert "hello" in mail.body
    assert why(row) == ("sent", "default")


def test_staff_take_something_back(office: Office, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    inbox.act(erin.pk, "archive")
    office.send(minutes=5)
    assert inbox.mark_all("unarchive", Notification.objects.filter(pk=row.pk)) == 1
    assert len(office.send()) == 1


def test_what_is_both_read_and_archived_stays_so(office: Office, erin: Any) -> None:
    sent(erin, "mention", message="hello")
    inbox.act(erin.pk, "read")
    inbox.act(erin.pk, "archive")
    office.send(minutes=5)
    inbox.act(erin.pk, "unarchive")
    assert states() == [("suppressed", "read")]


def test_what_was_sent_or_is_in_another_round_is_not_sent_again(office: Office, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    assert len(office.send(minutes=5)) == 1
    inbox.act(erin.pk, "read")
    inbox.act(erin.pk, "unread")
    assert states() == [("sent", "")]
    Delivery.objects.update(state="suppressed", reason="read")
    Delivery.objects.create(notification=row, user=erin, due_at=LATER, round=2, state="sent")
    inbox.act(erin.pk, "read")
    inbox.act(erin.pk, "unread")
    assert states() == [("suppressed", "read"), ("sent", "")]


def test_what_comes_back_from_a_snooze_early_does_not_wait(office: Office, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    inbox.act(erin.pk, "snooze", ids=[row.pk], until=office.time.now + timedelta(days=9))
    office.send(minutes=5)
    assert states() == [("queued", "snoozed")]
    inbox.act(erin.pk, "unsnooze", ids=[row.pk])
    assert len(office.send()) == 1


@pytest.mark.parametrize("muted", ["object", "all"])
def test_a_mute_without_an_end(office: Office, erin: Any, muted: str) -> None:
    room = Room.objects.create(slug="lunch")
    follow(erin, room)
    row = sent(erin, "mention", message="hello", target=room)
    if muted == "object":
        mute(erin, room)
    else:
        choose(erin, muted_until=office.time.now.replace(year=9999))
    assert office.send(minutes=5) == []
    assert why(row) == ("off", "mute")
    choose(erin, away_minutes=5)
    assert states() == [("suppressed", "mute")]
    if muted == "object":
        unmute(erin, room)
    else:
        choose(erin, muted_until=None)
    assert why(row) == ("waiting", "away")
    assert len(office.send()) == 1


def test_a_mute_that_becomes_shorter(office: Office, erin: Any) -> None:
    room, now = Room.objects.create(slug="lunch"), office.time.now
    mute(erin, room, now + timedelta(days=9))
    row = sent(erin, "mention", message="hello", target=room)
    office.send(minutes=5)
    mute(erin, room, now + timedelta(hours=1))
    assert office.send() == []
    assert why(row) == ("waiting", "mute")
    assert len(office.send(hours=1)) == 1


def test_web_pushes(settings: Any, time: Time, erin: Any, django_capture_on_commit_callbacks: Any) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": f"{__name__}.take"}
    passed.clear()
    time.set(MIDNIGHT)
    choose(erin, web_push=True, quiet_hours=[NIGHT], categories={"social": {"web_push": True}})
    rows = [sent(erin, "mention", message=text) for text in ("one", "two")]
    inbox.act(erin.pk, "read", ids=[rows[0].pk])
    inbox.act(erin.pk, "snooze", ids=[rows[1].pk], until=time.now + timedelta(days=9))
    web_push.send_due(time.pass_by(hours=7))
    assert [why(row, "web_push") for row in rows] == [("off", "read"), ("off", "snoozed")]
    inbox.act(erin.pk, "unread", ids=[rows[0].pk])
    inbox.act(erin.pk, "unsnooze", ids=[rows[1].pk])
    web_push.send_due(time.now)
    assert [(push.message, push.count) for push in passed] == [("two", 2)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_stored_first", [True, False])
def test_while_a_worker_suppresses_the_mail(
    office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch, is_stored_first: bool
) -> None:
    """It has looked at the notification before the reader takes the act back, and stores that afterwards."""
    row = sent(erin, "mention", message="hello")
    inbox.act(erin.pk, "read")
    settle = claims.settle

    def take_back() -> None:
        inbox.act(erin.pk, "unread", ids=[row.pk])

    def settle_late(claimed: Any, deliveries: Any) -> set[int]:
        if not is_stored_first:
            take_back()
        own = settle(claimed, deliveries)
        if is_stored_first:
            take_back()
        return own

    monkeypatch.setattr(claims, "settle", settle_late)
    claimed = claims.claim(office.time.pass_by(minutes=5))
    assert claimed is not None
    sending._settle_checked(claimed, sending.check(claimed.deliveries, office.time.now))
    assert states() == [("queued", "")]


def choose_long_mute(erin: Any, room: Any, now: Any) -> Callable[[], Any]:
    choose(erin, muted_until=now + timedelta(days=9))
    return partial(choose, erin, muted_until=None)


def choose_mute_without_end(erin: Any, room: Any, now: Any) -> Callable[[], Any]:
    choose(erin, muted_until=now.replace(year=9999))
    return partial(choose, erin, muted_until=None)


def choose_mute_of_the_object(erin: Any, room: Any, now: Any) -> Callable[[], Any]:
    follow(erin, room)
    mute(erin, room)
    return partial(unmute, erin, room)


def choose_quiet_hours(erin: Any, room: Any, now: Any) -> Callable[[], Any]:
    choose(erin, quiet_hours=[{**NIGHT, "start": "11:00"}])
    return partial(choose, erin, quiet_hours=[])


def choose_digest(erin: Any, room: Any, now: Any) -> Callable[[], Any]:
    choose(erin, digest="daily")
    Reader.objects.update(mailed_at=now)
    return partial(choose, erin, digest="off")


# Each makes a mail wait, and returns how its reader takes that back.
CHOICES = [
    choose_long_mute,
    choose_mute_without_end,
    choose_mute_of_the_object,
    choose_quiet_hours,
    choose_digest,
]


@pytest.mark.parametrize("choice", CHOICES)
def test_choices_that_change_while_a_worker_has_the_mail(
    office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch, choice: Any
) -> None:
    """It has looked at them before they change, and stores what follows from them afterwards."""
    room = Room.objects.create(slug="lunch")
    take_back = choice(erin, room, office.time.now)
    sent(erin, "mention", message="hello", target=room)
    check, reasons = sending.check, list[str]()

    def check_early(*args: Any) -> Any:
        checked = check(*args)
        reasons.extend(delivery.reason for delivery in checked.settled)
        take_back()
        return checked

    monkeypatch.setattr(sending, "check", check_early)
    assert len(office.send(minutes=5)) == 1
    assert len(reasons) == 1
    assert states() == [("sent", "")]


def test_choices_that_do_not_change_are_looked_at_once(
    office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(erin, muted_until=office.time.now + timedelta(days=9))
    sent(erin, "mention", message="hello")
    check, checked = sending.check, list[Any]()
    monkeypatch.setattr(sending, "check", lambda *args: checked.append(check(*args)) or checked[-1])
    assert office.send(minutes=5) == []
    assert (len(checked), states()) == (1, [("queued", "mute")])


def test_a_late_worker_does_not_queue_again_what_the_next_one_has_sent(office: Office, erin: Any) -> None:
    choose(erin, muted_until=office.time.now.replace(year=9999))
    sent(erin, "mention", message="hello")
    late = claims.claim(office.time.pass_by(minutes=5))
    assert late is not None
    checked = sending.check(late.deliveries, office.time.now)
    choose(erin, muted_until=None)
    assert len(office.send(seconds=claims.LEASE.total_seconds())) == 1
    sending._settle_checked(late, checked)
    assert states() == [("sent", "")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.parametrize("choice", CHOICES)
def test_choices_that_change_before_a_worker_commits(
    office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch, choice: Any
) -> None:
    room = Room.objects.create(slug="lunch")
    take_back = choice(erin, room, office.time.now)
    sent(erin, "mention", message="hello", target=room)
    worker = Between(monkeypatch, queue, "put_back_outdated")
    at_once(partial(office.send, minutes=5), partial(worker.come_between, take_back))
    office.send()
    assert states() == [("sent", "")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_choices_that_change_before_a_summary_commits(time: Time, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(erin, muted_until=time.now + timedelta(hours=1))
    row = sent(erin, "mention", message="hello")
    choose(erin, muted_until=time.now + timedelta(days=9))
    job = Between(monkeypatch, summaries, "_publish")
    at_once(partial(summaries.send_due, time.now), partial(job.come_between, partial(choose, erin, muted_until=None)))
    summaries.send_due(time.now)
    row.refresh_from_db()
    assert (row.withheld_until, row.told_at) == (None, time.now)


ENDLESS = datetime(9999, 12, 31, tzinfo=UTC)
TAKEN_BACK: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"muted_until": NOON + timedelta(days=9)}, {"muted_until": None}),
    ({"muted_until": ENDLESS}, {"muted_until": None}),
    ({"quiet_hours": [NIGHT | {"start": "11:00"}]}, {"quiet_hours": []}),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.parametrize(("before", "after"), TAKEN_BACK, ids=["a mute", "an endless mute", "quiet hours"])
@pytest.mark.parametrize("open_one", ["notify", "change"])
def test_choices_that_change_while_somebody_notifies(
    erin: Any, time: Time, settings: Any, before: Any, after: Any, open_one: str
) -> None:
    """One of the two is in a transaction that is still open when the other is committed."""
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEB_PUSH": f"{__name__}.take"}
    choose(erin, web_push=True, types={"mention": {"web_push": True}}, **before)
    steps = {"notify": partial(notify, erin, "mention", message="hello"), "change": partial(choose, erin, **after)}
    is_done, is_committed = Event(), Event()

    def stay_open() -> None:
        with transaction.atomic():
            steps.pop(open_one)()
            is_done.set()
            assert is_committed.wait(PATIENCE_SECONDS)

    def commit() -> None:
        assert is_done.wait(PATIENCE_SECONDS)
        next(iter(steps.values()))()
        is_committed.set()

    assert at_once(stay_open, commit) == [None, None]
    row, delivery = Notification.objects.get(), Delivery.objects.get()
    assert row.withheld_until in (None, time.now)
    assert (delivery.state, delivery.due_at) == ("queued", time.now)


class Between:
    """Lets another thread act after a step of a transaction and before its end, unless it has to wait for that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, step: str) -> None:
        self._step = getattr(module, step)
        self._is_reached, self._has_acted = Event(), Event()
        monkeypatch.setattr(module, step, self._pause)

    def _pause(self, *args: Any) -> None:
        self._step(*args)
        self._is_reached.set()
        wait_until(lambda: self._has_acted.is_set() or somebody_waits())

    def come_between(self, act: Callable[[], Any]) -> None:
        assert self._is_reached.wait(PATIENCE_SECONDS)
        act()
        self._has_acted.set()
