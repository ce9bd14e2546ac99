"""Snoozed notifications come back, and expired ones go."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from notifications import inbox, notify, waking
from notifications.inbox import lists
from notifications.inbox.counting import counts_of
from notifications.models import Notification
from tests.notifications.choices import MIDNIGHT, NIGHT, NOON, Time, choose, register
from tests.notifications.mails import Office, states
from tests.notifications.rows import pushed, row_of, sent
from tests.racing import at_once

pytestmark = pytest.mark.django_db
ONE = NOON + timedelta(hours=1)


def snooze(user: Any, row: Notification, until: Any = ONE) -> None:
    inbox.act(user.pk, "snooze", ids=[row.pk], until=until)


def test_it_comes_back_unread_at_the_top_with_a_push(bob: Any, time: Time) -> None:
    row, other = (sent(bob, "mention", message="hello") for _ in range(2))
    inbox.act(bob.pk, "read", ids=[row.pk])
    snooze(bob, row)
    assert inbox.counts(bob.pk).unread == 1
    waking.wake(time.pass_by(minutes=59))
    assert inbox.counts(bob.pk).unread == 1
    waking.wake(time.pass_by(minutes=1))
    row.refresh_from_db()
    assert (row.read_at, row.seen_at, row.snoozed_until, row.arrived_at) == (None, None, None, ONE)
    assert [found.pk for found in inbox.page(bob.pk, inbox.Filters(), None, 10)] == [row.pk, other.pk]
    *_, changed, back = pushed(bob)
    assert changed["data"] == {"act": "unsnooze", "notification_ids": [row.pk], "unread": 2, "unseen": 2}
    assert (back["type"], back["data"]["id"], back["data"]["read_at"]) == ("notification", row.pk, None)
    waking.wake(time.pass_by(minutes=1))
    assert len(pushed(bob, "notification")) == 3


def test_one_that_has_become_too_large_holds_up_no_other(
    bob: Any, time: Time, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [sent(bob, "mention", message=message) for message in ("first", "x" * 2000, "last")]
    for row in rows:
        snooze(bob, row)
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 1500}
    waking.wake(time.pass_by(hours=1))
    assert not Notification.objects.exclude(snoozed_until=None).exists()
    assert [frame["data"]["id"] for frame in pushed(bob, "notification")[3:]] == [rows[0].pk, rows[2].pk]
    assert pushed(bob, "inbox")[-1]["data"]["unread"] == 3
    assert f"The notification {rows[1].pk} was not pushed again" in caplog.text
    waking.send_again([rows[1].pk], time.now)
    assert pushed(bob, "inbox")[-1]["data"]["act"] == "unread"


def test_what_is_sent_again_moves_beyond_its_place_also_if_it_grew_at_that_moment(bob: Any, time: Time) -> None:
    """Whoever sends it again has waited for its row meanwhile."""
    begun = time.now
    time.pass_by(seconds=20)
    row = sent(bob, "mention", message="hello", group_key="talk")
    waking.send_again([row.pk], begun)
    assert row_of(bob).arrived_at > row.arrived_at


def test_it_is_mailed_when_it_comes_back(office: Office, erin: Any) -> None:
    read, mailed = (sent(erin, "mention", message=message) for message in ("first", "second"))
    inbox.act(erin.pk, "read", ids=[read.pk])
    (mail,) = office.send(minutes=5)
    assert "second" in mail.body
    for row in (read, mailed):
        snooze(erin, row)
    waking.wake(office.time.pass_by(hours=1))
    assert states() == [("suppressed", "read"), ("sent", ""), ("queued", ""), ("queued", "")]
    (again,) = office.send(minutes=5)
    assert again.subject == "2 new notifications at Example"
    assert again.extra_headers["Message-ID"] != mail.extra_headers["Message-ID"]


def test_a_mail_that_waits_for_a_snooze_is_sent_once(office: Office, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    snooze(erin, row)
    assert office.send(minutes=5) == []
    waking.wake(office.time.pass_by(minutes=55))
    assert len(office.send()) == 1
    assert states() == [("sent", "")]


@pytest.mark.parametrize("choice", [{"mail": False}, {"types": {"mention": {"mail": False}}}])
def test_who_wants_no_mails_gets_none_when_it_comes_back(office: Office, erin: Any, choice: Any) -> None:
    row = sent(erin, "mention", message="hello")
    inbox.act(erin.pk, "read", ids=[row.pk])
    office.send(minutes=5)
    choose(erin, **choice)
    snooze(erin, row)
    waking.wake(office.time.pass_by(hours=1))
    assert states() == [("suppressed", "read")]


def test_what_was_withheld_at_first_is_pushed_when_it_comes_back(bob: Any, time: Time) -> None:
    choose(bob, muted_until=NOON + timedelta(minutes=1))
    row = sent(bob, "mention", message="hello")
    snooze(bob, row)
    waking.wake(time.pass_by(hours=1))
    row.refresh_from_db()
    assert len(pushed(bob, "notification")) == 1
    assert (row.withheld_by, row.withheld_until) == ("", None)


@pytest.mark.parametrize("back", ["wakes", "sent again"])
def test_what_was_done_before_it_came_back_is_not_undone(bob: Any, time: Time, back: str) -> None:
    row = sent(bob, "mention", message="hello")
    inbox.act(bob.pk, "read")
    unread = inbox.act(bob.pk, "unread")
    if back == "wakes":
        snooze(bob, row, NOON + timedelta(minutes=2))
        waking.wake(time.pass_by(minutes=3))
    else:
        waking.send_again([row.pk], time.now)
    assert inbox.undo(bob.pk, unread.undo).changed == 0
    row.refresh_from_db()
    assert (row.read_at, row.seen_at) == (None, None)


def test_in_quiet_hours_it_comes_back_without_a_push(bob: Any, time: Time) -> None:
    row = sent(bob, "mention", message="hello")
    snooze(bob, row, MIDNIGHT + timedelta(days=1))
    choose(bob, quiet_hours=[NIGHT])
    time.set(MIDNIGHT + timedelta(days=1))
    waking.wake(time.now)
    assert len(pushed(bob, "notification")) == 1
    row.refresh_from_db()
    assert (row.withheld_by, row.withheld_until) == ("quiet_hours", MIDNIGHT + timedelta(days=1, hours=7))
    assert inbox.counts(bob.pk).unread == 1


@pytest.mark.parametrize("act", ["archive", "delete"])
def test_what_was_put_away_comes_back_without_a_push(bob: Any, time: Time, act: Any) -> None:
    row = sent(bob, "mention", message="hello")
    snooze(bob, row)
    inbox.act(bob.pk, act, ids=[row.pk])
    waking.wake(time.pass_by(hours=2))
    assert len(pushed(bob, "notification")) == 1
    assert inbox.counts(bob.pk).unread == 0


def test_what_an_action_was_taken_of_comes_back_only_if_it_is_snoozed_after_that(bob: Any, time: Time) -> None:
    row = sent(bob, "mention", message="hello")
    snooze(bob, row)
    assert inbox.take_action(bob.pk, row.pk, "accept")
    row.refresh_from_db()
    assert row.snoozed_until is None
    waking.wake(time.pass_by(hours=2))
    row.refresh_from_db()
    assert row.is_read
    assert len(pushed(bob, "notification")) == 1
    snooze(bob, row, ONE + timedelta(hours=2))
    waking.wake(time.pass_by(hours=1))
    row.refresh_from_db()
    assert not row.is_read
    assert len(pushed(bob, "notification")) == 2


def test_what_is_archived_does_not_come_back(bob: Any, time: Time) -> None:
    row = sent(bob, "mention", message="hello")
    snooze(bob, row)
    inbox.act(bob.pk, "archive", ids=[row.pk])
    before = Notification.objects.values().get()
    waking.wake(time.pass_by(hours=2))
    assert Notification.objects.values().get() == before


def test_what_is_snoozed_in_the_archive_comes_back_to_the_inbox(bob: Any, time: Time) -> None:
    row = sent(bob, "mention", message="hello")
    inbox.act(bob.pk, "archive", ids=[row.pk])
    snooze(bob, row)
    waking.wake(time.pass_by(hours=1))
    assert [found.pk for found in inbox.page(bob.pk, inbox.Filters(unread=True), None, 10)] == [row.pk]
    assert len(pushed(bob, "notification")) == 2


def test_one_that_is_in_both_lists_comes_back_in_the_archive(office: Office, erin: Any) -> None:
    """No act leaves it so, but others may write to the table."""
    row = sent(erin, "mention", message="hello")
    snooze(erin, row)
    Notification.objects.update(archived_at=office.time.now)
    waking.wake(office.time.pass_by(hours=1))
    assert pushed(erin, "inbox")[-1]["data"] == {
        "act": "unsnooze",
        "notification_ids": [row.pk],
        "unread": 0,
        "unseen": 0,
    }
    assert len(pushed(erin, "notification")) == 1
    assert office.send(minutes=5) == []


def test_a_crowd_that_wakes_at_once_is_a_storm_like_any_other(bob: Any, time: Time, settings: Any) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "PUSHES_PER_MINUTE": 5}
    for _ in range(5):
        sent(bob, "mention", message="hello")
        time.pass_by(minutes=2)
    for row in Notification.objects.all():
        snooze(bob, row)
    sent(bob, "mention", message="new")
    time.set(ONE)
    sent(bob, "mention", message="just now")
    waking.wake(time.now)
    assert len(pushed(bob, "notification")) == 7
    assert Notification.objects.filter(withheld_by="limit").count() == 5


def test_it_speaks_the_readers_language(bob: Any, time: Time, settings: Any) -> None:
    row = sent(bob, "order_status_changed", order_id=7, status="sent")
    snooze(bob, row)
    settings.LANGUAGE_CODE = "zh-hans"
    waking.wake(time.pass_by(hours=1))
    assert pushed(bob, "notification")[-1]["data"]["title"] == "订单 7"


def test_what_has_expired_is_gone_for_open_clients_too(
    alice: Any, bob: Any, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "offer", time_to_live=timedelta(hours=1))
    notify([alice, bob], "offer")
    kept = sent(bob, "mention", message="kept")
    gone = Notification.objects.get(recipient=alice)
    waking.expire(time.pass_by(minutes=59))
    assert pushed(alice, "notification_removed") == []
    waking.expire(time.pass_by(minutes=1))
    assert list(Notification.objects.all()) == [kept]
    (frame,) = pushed(alice, "notification_removed")
    assert frame["data"] == {"notification_ids": [gone.pk], "unread": 0, "unseen": 0}
    (frame,) = pushed(bob, "notification_removed")
    assert (frame["data"]["unread"], frame["data"]["unseen"]) == (1, 1)


def test_an_expired_one_does_not_come_back(bob: Any, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "offer", time_to_live=timedelta(minutes=30))
    row = sent(bob, "offer")
    snooze(bob, row)
    waking.wake(time.pass_by(hours=1))
    assert len(pushed(bob, "notification")) == 1


def test_the_counts_of_many_are_those_of_each(alice: Any, bob: Any, carol: Any) -> None:
    for user, count in ((alice, 3), (bob, 101)):
        for _ in range(count):
            sent(user, "mention", message="hello")
    inbox.act(alice.pk, "seen", ids=[Notification.objects.filter(recipient=alice).first().pk])  # type: ignore[union-attr]
    inbox.act(alice.pk, "archive", ids=[Notification.objects.filter(recipient=alice).last().pk])  # type: ignore[union-attr]
    keys = [alice.pk, bob.pk, carol.pk]
    assert counts_of(keys) == {key: lists.counts(key) for key in keys}
    assert counts_of([]) == {}


@pytest.mark.django_db(transaction=True)
def test_two_workers_bring_each_back_once(time: Time) -> None:
    users = [get_user_model().objects.create_user(f"user{number}") for number in range(10)]
    notify(users, "mention", message="hello")
    for user in users:
        snooze(user, row_of(user))
    now = time.pass_by(hours=1)
    assert at_once(*[partial(waking.wake, now)] * 4) == [False] * 4
    assert [len(pushed(user, "notification")) for user in users] == [2] * 10
