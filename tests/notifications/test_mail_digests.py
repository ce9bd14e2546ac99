"""Digests of mails: the first at once, and the rest together at the reader's time."""

from datetime import timedelta
from typing import Any

import pytest

from notifications import notify
from notifications.mailing import claims
from tests.backends.mail_server import MailServer
from tests.notifications.choices import MIDNIGHT, choose, delivery_of, register
from tests.notifications.mails import Office, make_readers, states
from tests.notifications.rows import sent

pytestmark = pytest.mark.django_db


def test_without_a_digest_each_has_a_mail(office: Office, erin: Any) -> None:
    for _ in range(2):
        sent(erin, "mention", message="hello")
        assert len(office.send(minutes=5)) == 1


def test_hourly_the_first_comes_at_once_and_the_rest_together(office: Office, erin: Any) -> None:
    choose(erin, digest="hourly")
    sent(erin, "mention", message="first")
    (first,) = office.send(minutes=5)
    assert "first" in first.subject
    for number in range(12):
        sent(erin, "mention", message=f"number {number}")
        assert office.send(minutes=4) == []
    (rest,) = office.send(minutes=12)
    assert rest.subject == "12 new notifications at Example"
    assert "And 2 more." in rest.body
    sent(erin, "mention", message="later")
    assert office.send(minutes=5) == []
    assert len(office.send(minutes=55)) == 1


def test_daily_at_the_hour_of_the_readers_zone(office: Office, erin: Any) -> None:
    choose(erin, digest="daily", digest_hour=8, time_zone="Asia/Shanghai")
    sent(erin, "mention", message="first")
    assert len(office.send(minutes=5)) == 1
    row = sent(erin, "mention", message="second")
    assert office.send(minutes=5) == []
    assert (delivery_of(row).reason, delivery_of(row).due_at) == ("digest", MIDNIGHT + timedelta(days=1))
    office.time.set(MIDNIGHT + timedelta(days=1))
    assert len(office.send()) == 1
    sent(erin, "mention", message="third")
    assert office.send(hours=23) == []
    assert len(office.send(hours=1)) == 1


@pytest.mark.parametrize("digest", ["weekly", "off"])
def test_all_that_waits_for_a_reader_is_in_one_mail_however_much_waits_for_others(
    office: Office, monkeypatch: pytest.MonkeyPatch, digest: str
) -> None:
    monkeypatch.setattr(claims, "ROWS_AT_ONCE", 7)
    readers = make_readers(3)
    for one in readers:
        choose(one, digest=digest)
    notify(readers, "mention", message="first")
    assert len(office.send(minutes=5)) == 3
    for _ in range(4):
        notify(readers, "mention", message="later")
    assert [mail.subject for mail in office.send(days=7)] == ["4 new notifications at Example"] * 3
    assert office.send(hours=1) == []


def test_weekly_on_the_day_of_the_reader(office: Office, erin: Any) -> None:
    choose(erin, digest="weekly", digest_weekday=1, digest_hour=9)
    sent(erin, "mention", message="first")
    assert len(office.send(minutes=5)) == 1
    row = sent(erin, "mention", message="second")
    assert office.send(days=1) == []
    assert delivery_of(row).due_at == MIDNIGHT + timedelta(days=5, hours=9)


def test_a_digest_that_is_tried_again_takes_along_what_has_come_meanwhile(
    office: Office, erin: Any, server: MailServer
) -> None:
    choose(erin, digest="weekly", away_minutes=1)
    sent(erin, "mention", message="first")
    office.send(minutes=5)
    for text in "ab":
        sent(erin, "mention", message=text)
    server.data_answers = ["451 try later"] * 2
    office.send(days=7)
    office.send(minutes=2)  # the next attempt is three minutes later, at least
    sent(erin, "mention", message="c")
    office.send(minutes=2)
    assert (len(server.mails), states()) == (1, [("sent", "")] + [("queued", "waiting")] * 2 + [("queued", "digest")])
    office.send(minutes=4)
    assert (len(server.mails), states()) == (2, [("sent", "")] * 4)


def test_who_changes_the_digest_does_not_wait_for_the_old_one(office: Office, erin: Any) -> None:
    choose(erin, digest="weekly")
    for _ in range(2):
        sent(erin, "mention", message="hello")
        office.send(minutes=5)
    choose(erin, digest="off")
    assert len(office.send()) == 1


def test_what_is_critical_does_not_move_the_digest(office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True)
    choose(erin, digest="hourly")
    sent(erin, "mention", message="first")
    assert len(office.send(minutes=5)) == 1
    sent(erin, "mention", message="second")
    sent(erin, "alarm")
    (mail,) = office.send(minutes=30)
    assert mail.subject == "alarm"
    (mail,) = office.send(minutes=30)
    assert "second" in mail.subject
