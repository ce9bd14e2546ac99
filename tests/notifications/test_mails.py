"""When a mail is sent, and why one is not: everything is checked again just before."""

from datetime import timedelta
from typing import Any

import pytest

from notifications import inbox, mute, withdraw
from notifications.models import Delivery, Notification, Reader, TypeSwitch
from realtime.models import Room
from tests.notifications.choices import MIDNIGHT, NIGHT, NOON, choose, delivery_of, register
from tests.notifications.mails import Office, reader, states
from tests.notifications.rows import pushed, sent

pytestmark = pytest.mark.django_db


def test_who_is_away_and_has_not_read_it_gets_a_mail(office: Office, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    assert delivery_of(row).due_at == NOON + timedelta(minutes=5)
    assert office.send(minutes=4, seconds=59) == []
    (mail,) = office.send(seconds=1)
    assert mail.to == ["erin@example.org"]
    found = delivery_of(row)
    assert (found.state, found.attempts, found.sent_at) == ("sent", 1, office.time.now)
    assert found.message_id == mail.extra_headers["Message-ID"]
    assert office.send(days=1) == []


def test_mails_are_off_by_default(office: Office, erin: Any) -> None:
    office.configure(MAIL=False)
    sent(erin, "mention", message="hello")
    assert states() == []


def test_a_site_that_stops_sending_mails_sends_none(office: Office, erin: Any) -> None:
    sent(erin, "mention", message="hello")
    office.configure(MAIL=False)
    assert office.send(hours=1) == []


def test_what_comes_meanwhile_is_in_the_same_mail(office: Office, erin: Any) -> None:
    for _ in range(3):
        sent(erin, "mention", message="hello")
        office.time.pass_by(minutes=2)
    assert len(office.send()) == 1
    assert states() == [("sent", "")] * 3


@pytest.mark.parametrize(
    ("act", "reason"), [("read", "read"), ("archive", "archived"), ("delete", "deleted"), ("seen", None)]
)
def test_what_the_reader_has_dealt_with(office: Office, erin: Any, act: Any, reason: str | None) -> None:
    sent(erin, "mention", message="hello")
    inbox.act(erin.pk, act)
    assert len(office.send(hours=1)) == (reason is None)
    assert states() == [("sent", "") if reason is None else ("suppressed", reason)]


def test_what_is_snoozed_waits(office: Office, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    inbox.act(erin.pk, "snooze", ids=[row.pk], until=NOON + timedelta(hours=3))
    assert office.send(hours=1) == []
    assert delivery_of(row).due_at == NOON + timedelta(hours=3)


def test_what_was_withdrawn_is_not_mailed(office: Office, erin: Any) -> None:
    sent(erin, "mention", message="hello", dedupe_key="k")
    withdraw(dedupe_key="k")
    assert office.send(hours=1) == []
    assert not Delivery.objects.exists()


def test_what_has_expired_is_not_mailed(office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "offer", time_to_live=timedelta(minutes=3))
    sent(erin, "offer")
    assert office.send(hours=1) == []
    assert states() == [("suppressed", "expired")]


def test_who_is_there_gets_none_until_they_have_left(office: Office, erin: Any) -> None:
    office.online.add(erin.pk)
    row = sent(erin, "mention", message="hello")
    assert office.send(minutes=5) == []
    assert (delivery_of(row).reason, delivery_of(row).due_at) == ("online", NOON + timedelta(minutes=10))
    office.time.pass_by(minutes=3)
    office.leave(erin)
    assert office.send(minutes=2) == []
    assert delivery_of(row).due_at == NOON + timedelta(minutes=13)
    assert len(office.send(minutes=3)) == 1


def test_who_was_there_long_ago_is_away(office: Office, erin: Any) -> None:
    office.leave(erin)
    office.time.pass_by(days=1)
    sent(erin, "mention", message="hello")
    assert len(office.send(minutes=5)) == 1


@pytest.mark.parametrize(("minutes", "first"), [(0, 0), (60, 60), (None, 5)])
def test_readers_choose_when_they_are_away(office: Office, erin: Any, minutes: int | None, first: int) -> None:
    choose(erin, away_minutes=minutes)
    sent(erin, "mention", message="hello")
    if first:
        assert office.send(minutes=first - 1) == []
        office.time.pass_by(minutes=1)
    assert len(office.send()) == 1


@pytest.mark.parametrize("minutes", [5, 60])
def test_another_choice_of_when_they_are_away_counts_for_what_waits(office: Office, erin: Any, minutes: int) -> None:
    choose(erin, away_minutes=30)
    office.leave(erin)
    sent(erin, "mention", message="hello")
    office.time.pass_by(minutes=1)
    choose(erin, away_minutes=minutes)
    assert office.send(minutes=minutes - 2) == []
    assert len(office.send(minutes=1)) == 1


def test_who_is_never_away_long_enough_but_there_gets_none(office: Office, erin: Any) -> None:
    choose(erin, away_minutes=0)
    office.online.add(erin.pk)
    row = sent(erin, "mention", message="hello")
    assert office.send() == []
    assert delivery_of(row).due_at == NOON + timedelta(minutes=1)


def test_nothing_is_sent_while_it_is_not_known_who_is_there(office: Office, erin: Any) -> None:
    office.is_away = True
    row = sent(erin, "mention", message="hello")
    assert office.send(minutes=5) == []
    found = delivery_of(row)
    assert (found.state, found.reason, found.attempts, found.lease) == ("queued", "presence", 0, "")
    office.is_away = False
    assert len(office.send(minutes=1)) == 1


def test_who_cannot_get_mails(office: Office, erin: Any, bob: Any) -> None:
    disabled = reader("dave", is_active=False)
    refused = reader("fred")
    Reader.objects.create(user=refused, bounced_address="fred@example.org")
    moved = reader("gina")
    Reader.objects.create(user=moved, bounced_address="gina@example.net")
    for user in (bob, disabled, refused, moved):
        sent(user, "mention", message="hello")
    (mail,) = office.send(minutes=5)
    assert mail.to == ["gina@example.org"]
    assert states() == [
        ("suppressed", "no_address"),
        ("suppressed", "inactive"),
        ("suppressed", "bounced"),
        ("sent", ""),
    ]


def office_address(user: Any) -> str:
    """The site's function in the test below."""
    return f"{user.username}@office.example"


def test_a_site_knows_other_addresses(office: Office, bob: Any) -> None:
    office.configure(MAIL_ADDRESS="tests.notifications.test_mails.office_address")
    sent(bob, "mention", message="hello")
    (mail,) = office.send(minutes=5)
    assert mail.to == ["bob@office.example"]


def moody_address(user: Any) -> str:
    """The site's function in the test below."""
    if user.username == "bob":
        raise LookupError("no address today")
    return str(user.email)


def test_a_fault_of_that_function_stops_nobody_else(
    office: Office, erin: Any, bob: Any, caplog: pytest.LogCaptureFixture
) -> None:
    office.configure(MAIL_ADDRESS="tests.notifications.test_mails.moody_address")
    for user in (bob, erin):
        sent(user, "mention", message="hello")
    (mail,) = office.send(minutes=5)
    assert mail.to == [erin.email]
    assert "no address today" in caplog.text
    assert states() == [("queued", "waiting"), ("sent", "")]


# What readers have chosen


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mail": False}, "channel"),
        ({"types": {"mention": {"mail": False}}}, "type"),
        ({"categories": {"social": {"mail": False}}}, "category"),
    ],
)
def test_who_wants_none(office: Office, erin: Any, changes: Any, reason: str) -> None:
    early = sent(erin, "mention", message="hello")
    choose(erin, **changes)
    sent(erin, "mention", message="hello")
    assert office.send(hours=1) == []
    assert states() == [("suppressed", reason)] * 2
    assert delivery_of(early)


def test_a_type_that_staff_switch_off(office: Office, erin: Any) -> None:
    sent(erin, "mention", message="hello")
    TypeSwitch.objects.create(type="mention", off=True)
    assert office.send(hours=1) == []
    assert states() == [("suppressed", "staff")]


def test_a_type_that_is_gone(office: Office, erin: Any) -> None:
    sent(erin, "mention", message="hello")
    Notification.objects.update(type="unheard_of")
    assert office.send(hours=1) == []
    assert states() == [("suppressed", "default")]


def test_a_type_that_is_not_mailed_unless_it_is_chosen(
    office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "ping", channels=["socket"])
    sent(erin, "ping")
    assert states() == []
    choose(erin, types={"ping": {"mail": True}})
    sent(erin, "ping")
    assert len(office.send(hours=1)) == 1


def test_quiet_hours_defer_it(office: Office, erin: Any) -> None:
    office.time.set(MIDNIGHT)
    choose(erin, quiet_hours=[NIGHT])
    row = sent(erin, "mention", message="hello")
    assert office.send(minutes=5) == []
    found = delivery_of(row)
    assert (found.state, found.reason, found.due_at) == ("queued", "quiet_hours", MIDNIGHT + timedelta(hours=7))
    choose(erin, quiet_hours=[])
    assert len(office.send()) == 1


def test_mutes_defer_it(office: Office, erin: Any) -> None:
    room = Room.objects.create(slug="lunch")
    row = sent(erin, "mention", message="hello", target=room)
    mute(erin, room, NOON + timedelta(hours=2))
    assert office.send(minutes=5) == []
    assert (delivery_of(row).reason, delivery_of(row).due_at) == ("mute", NOON + timedelta(hours=2))
    mute(erin, room)
    assert office.send(hours=2) == []
    assert states() == [("suppressed", "mute")]  # without an end


def test_what_is_critical_is_mailed_all_the_same(office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True)
    office.time.set(MIDNIGHT)
    choose(erin, mail=False, quiet_hours=[NIGHT], muted_until=NOON, digest="weekly")
    Reader.objects.update(mailed_at=MIDNIGHT)
    sent(erin, "mention", message="hello")
    sent(erin, "alarm")
    (mail,) = office.send(minutes=5)
    assert mail.subject == "alarm"


@pytest.mark.parametrize(("type_options", "options"), [({}, {"silent": True}), ({"silent": True}, {})])
def test_silent_ones_are_counted_and_neither_pushed_nor_mailed(
    office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch, type_options: Any, options: Any
) -> None:
    register(monkeypatch, "whisper", **type_options)
    row = sent(erin, "whisper", **options)
    assert (row.silent, inbox.counts(erin.pk).unread) == (True, 1)
    assert (pushed(erin), states()) == ([], [])


def test_a_group_is_mailed_once(office: Office, erin: Any, alice: Any, bob: Any) -> None:
    sent(erin, "new_like", actor=alice, group_key="like:7")
    (mail,) = office.send(minutes=5)
    sent(erin, "new_like", actor=bob, group_key="like:7")
    assert office.send(hours=1) == []
    assert states() == [("sent", "")]
    inbox.act(erin.pk, "read")
    sent(erin, "new_like", actor=bob, group_key="like:7")
    (again,) = office.send(hours=1)
    assert mail.extra_headers["References"] == again.extra_headers["References"]
    assert mail.extra_headers["Message-ID"] != again.extra_headers["Message-ID"]
