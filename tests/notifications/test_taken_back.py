"""What was not sent because of something that its reader takes back is decided once more: mails and web pushes."""

from datetime import timedelta
from typing import Any

import pytest

from notifications import explain, follow, inbox, mute, unmute, web_push
from notifications.mailing import claims, sending
from notifications.models import Delivery, Notification
from realtime.models import Room
from tests.notifications.choices import MIDNIGHT, NIGHT, Time, choose
from tests.notifications.mails import LATER, Office, states
from tests.notifications.rows import sent

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

    def settle_late(claimed: Any, deliveries: Any) -> None:
        if deliveries and not is_stored_first:
            take_back()
        settle(claimed, deliveries)
        if deliveries and is_stored_first:
            take_back()

    monkeypatch.setattr(claims, "settle", settle_late)
    claimed = claims.claim(office.time.pass_by(minutes=5))
    assert claimed is not None
    sending._settle_checked(claimed, sending.check(claimed.deliveries, office.time.now))
    assert states() == [("queued", "")]
