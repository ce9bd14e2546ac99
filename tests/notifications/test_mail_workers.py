"""Workers that send mails: what changes meanwhile is heard, slow ones give up in time, and none sends one twice."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.mail import EmailMultiAlternatives
from django.db import OperationalError, connection

from notifications import inbox, notify, waking, withdraw
from notifications.mailing import bounces, claims, messages, sending
from notifications.mailing.retrying import retry_failed
from notifications.models import Delivery, Notification, Reader
from realtime.storage.transactions import CONFLICTS
from tests.backends.mail_server import MailServer, texts_of
from tests.notifications.choices import NOON, choose, delivery_of, register
from tests.notifications.mails import LATER, Office, make_readers, send_all, states
from tests.notifications.rows import sent
from tests.patience import PATIENCE_SECONDS
from tests.racing import at_once

pytestmark = pytest.mark.django_db


def test_a_worker_that_dies_leaves_its_mails_to_the_next(office: Office, server: MailServer, erin: Any) -> None:
    sent(erin, "mention", message="hello")
    assert claims.claim(LATER) is not None  # and the worker is heard of no more
    office.time.set(NOON + claims.LEASE)
    send_all(office)
    assert len(server.mails) == 1


def test_a_claim_is_for_a_while(office: Office, server: MailServer, erin: Any) -> None:
    sent(erin, "mention", message="hello")
    assert claims.claim(LATER) is not None
    assert claims.claim(LATER) is None
    send_all(office)
    assert server.mails == []


def test_two_workers_share_no_reader(office: Office, erin: Any) -> None:
    """Also if something comes due while the first one is still at work: its mail would arrive before the older one."""
    first = sent(erin, "mention", message="hello")
    claimed = claims.claim(LATER)
    assert claimed is not None
    second = sent(erin, "mention", message="more")
    now = office.time.pass_by(minutes=5)
    assert claims.claim(now) is None
    claims.postpone(claimed.deliveries, now, "online")
    claims.settle(claimed, claimed.deliveries)
    found = claims.claim(now)
    assert found is not None
    assert {delivery.notification_id for delivery in found.deliveries} == {first.pk, second.pk}


def test_a_late_worker_does_not_undo_what_the_next_one_has_done(office: Office, server: MailServer, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    late = claims.claim(LATER)
    assert late is not None
    office.time.set(NOON + claims.LEASE)
    send_all(office)
    claims.postpone(late.deliveries, NOON + timedelta(days=1), "waiting")
    claims.settle(late, late.deliveries)
    assert delivery_of(row).state == "sent"


def be_slow(monkeypatch: pytest.MonkeyPatch, office: Office, each: Callable[[], Any], **units: float) -> None:
    """Each mail takes so long, and `each` is called while it is made."""
    build = messages.build

    def build_slowly(*args: Any) -> EmailMultiAlternatives:
        office.time.pass_by(**units)
        each()
        return build(*args)

    monkeypatch.setattr(messages, "build", build_slowly)


@pytest.mark.parametrize("seconds", [40, 59])
def test_a_slow_worker_gives_up_before_its_claim_ends(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    readers = make_readers(30)
    notify(readers, "mention", message="hello")
    claimed: list[claims.Claim] = []
    claim = claims.claim

    def claim_and_note(now: datetime) -> claims.Claim | None:
        if found := claim(now):
            claimed.append(found)
        return found

    def assert_still_claimed() -> None:
        # Another worker looks for mails at the last moment before this one is handed over.
        assert office.time.now < claimed[-1].until
        assert claim(office.time.now) is None

    monkeypatch.setattr(claims, "claim", claim_and_note)
    be_slow(monkeypatch, office, assert_still_claimed, seconds=seconds)
    send_all(office)
    # The claim ends before all are sent; the same worker claims the rest again.
    assert len(claimed) > 1
    assert sorted(server.recipients) == [user.email for user in readers]
    assert states() == [("sent", "")] * 30


def test_a_second_worker_sends_what_a_slow_one_has_given_up(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = make_readers(40)
    notify(readers, "mention", message="hello")
    second: list[datetime] = []

    def start_second() -> None:
        if not second and office.time.now >= LATER + claims.LEASE:
            second.append(office.time.now)
            sending.send_due(office.time.now)

    be_slow(monkeypatch, office, start_second, seconds=40)
    send_all(office)
    assert second
    assert sorted(server.recipients) == [user.email for user in readers]
    assert states() == [("sent", "")] * 40


# What changes while mails are sent


@pytest.mark.django_db(transaction=True)
def test_a_reader_who_is_deleted_meanwhile_holds_up_no_other(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted, *others = readers = make_readers(3)
    notify(readers, "mention", message="hello")
    be_slow(monkeypatch, office, get_user_model().objects.filter(pk=deleted.pk).delete)
    send_all(office)
    assert states() == [("sent", "")] * 2
    assert set(Reader.objects.filter(mailed_at=office.time.now).values_list("user", flat=True)) == {
        user.pk for user in others
    }


def test_what_changes_while_a_page_is_sent_is_heard(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "offer", time_to_live=timedelta(minutes=5, seconds=1))
    readers = make_readers(9)
    notify(readers[:7], "mention", message="hello")
    notify(readers[7:8], "offer")
    notify(readers[8:], "mention", message="bye")
    first, withdrawn, read, archived, disabled, back, unsubscribed, late, last = readers
    Notification.objects.filter(recipient=withdrawn).update(dedupe_key="gone")

    def change() -> None:
        if not server.mails:
            withdraw(dedupe_key="gone")
            inbox.act(read.pk, "read")
            inbox.act(archived.pk, "archive")
            get_user_model().objects.filter(pk=disabled.pk).update(is_active=False)
            office.online.add(back.pk)
            choose(unsubscribed, mail=False)

    be_slow(monkeypatch, office, change, seconds=1)
    send_all(office)
    assert server.recipients == [first.email, last.email]
    assert dict(Delivery.objects.values_list("user", "reason")) == {
        first.pk: "",
        read.pk: "read",
        archived.pk: "archived",
        disabled.pk: "inactive",
        back.pk: "online",
        unsubscribed.pk: "channel",
        late.pk: "expired",
        last.pk: "",
    }
    assert Delivery.objects.filter(state="suppressed").count() == 5


def test_what_is_withdrawn_of_a_mail_is_not_in_it(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = make_readers(2)
    for key in ("kept", "gone"):
        for user in readers:
            notify(user, "mention", message=f"this is {key}", dedupe_key=f"{key}-{user.pk}")
    be_slow(monkeypatch, office, lambda: withdraw(dedupe_key=f"gone-{readers[1].pk}"), seconds=1)
    send_all(office)
    texts = ["".join(texts_of(mail)) for mail in server.mails]
    assert [("this is kept" in text, "this is gone" in text) for text in texts] == [(True, True), (True, False)]
    assert "1 new notification" in texts[1]


def test_what_is_withdrawn_after_the_check_is_in_no_mail(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = messages.load
    readers = make_readers(2)
    for user in readers:
        notify(user, "mention", message="hello", dedupe_key=f"k-{user.pk}")

    def load_late(letters: Any) -> Any:
        withdraw(dedupe_key=f"k-{readers[0].pk}")
        return load(letters)

    monkeypatch.setattr(messages, "load", load_late)
    send_all(office)
    assert server.recipients == [readers[1].email]


def test_a_fast_server_gets_a_page_after_one_check(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = []
    check = sending.check
    monkeypatch.setattr(sending, "check", lambda *args: checks.append(args) or check(*args))
    notify(make_readers(100), "mention", message="hello")
    send_all(office)
    assert len(server.mails) == 100
    assert len(checks) == 1


def test_a_process_that_stops_gives_its_mails_up(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(make_readers(30), "mention", message="hello")
    monkeypatch.setattr(sending, "is_stopping", lambda: len(server.mails) >= 20)
    send_all(office)
    assert len(server.mails) == 20
    left = Delivery.objects.filter(state="queued")
    assert [(delivery.lease, delivery.attempts, delivery.due_at) for delivery in left] == [("", 0, LATER)] * 10


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("code", CONFLICTS)
def test_a_conflict_while_it_is_noted_sends_no_mail_twice(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    failing = [claims.bulk.update]

    def fail_once(*args: Any, **options: Any) -> None:
        if server.mails and failing:
            failing.pop()
            cause = Exception()
            cause.sqlstate = code  # type: ignore[attr-defined]
            raise OperationalError("conflict") from cause
        update(*args, **options)

    (update,) = failing
    monkeypatch.setattr(claims.bulk, "update", fail_once)
    notify(make_readers(3), "mention", message="hello")
    send_all(office)
    office.time.pass_by(hours=1)
    send_all(office)
    assert (failing, len(server.mails), states()) == ([], 3, [("sent", "")] * 3)


def test_a_fault_after_a_mail_sends_none_twice(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refuses the address of one reader, and that cannot be noted."""

    def fail(*args: Any) -> None:
        raise OperationalError("the database is away")

    readers = make_readers(3)
    server.refused[readers[1].email] = "550 5.1.1 no such user"
    monkeypatch.setattr(bounces, "note_bad_address", fail)
    notify(readers, "mention", message="hello")
    with pytest.raises(OperationalError):
        send_all(office)
    assert states()[:2] == [("sent", ""), ("bounced", "refused")]


def test_a_fault_between_mails_leaves_those_that_were_sent_noted(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(letter: Any, *args: Any) -> str:
        if server.mails:
            raise OperationalError("the database is away")
        return send(letter, *args)

    send = sending._send
    monkeypatch.setattr(sending, "_send", end)
    notify(make_readers(2), "mention", message="hello")
    with pytest.raises(OperationalError):
        send_all(office)
    assert (len(server.mails), states()[0]) == (1, ("sent", ""))


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_send_one_twice(office: Office, server: MailServer) -> None:
    readers = make_readers(60)
    for _ in range(3):
        notify(readers, "mention", message="hello")
    now = office.time.pass_by(minutes=5)
    assert at_once(*[partial(sending.send_due, now)] * 4) == [None] * 4
    assert sorted(server.recipients) == [user.email for user in readers]
    assert states() == [("sent", "")] * 180


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stands_still_while_it_locks_rows_shares_no_reader(office: Office) -> None:
    """All that waits for a reader is one mail."""
    readers = make_readers(3)
    for _ in range(2):
        notify(readers, "mention", message="hello")
    now = office.time.pass_by(minutes=5)
    is_half, is_over = Event(), Event()

    def lock_slowly(execute: Any, sql: str, *args: Any) -> Any:
        if "FOR UPDATE" in sql and not is_half.is_set():
            execute(re.sub(r" LIMIT \d+", "", sql) + " LIMIT 2", *args)
            is_half.set()
            assert is_over.wait(PATIENCE_SECONDS)
        return execute(sql, *args)

    def claim_slowly() -> claims.Claim | None:
        with connection.execute_wrapper(lock_slowly):
            return claims.claim(now)

    def claim_meanwhile() -> claims.Claim | None:
        assert is_half.wait(PATIENCE_SECONDS)
        found = claims.claim(now)
        is_over.set()
        return found

    slow, other = at_once(claim_slowly, claim_meanwhile)
    assert [delivery.user for delivery in slow.deliveries] == readers[:2] * 2
    assert [delivery.user for delivery in other.deliveries] == readers[2:] * 2


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_again_and_tried_again_at_once_is_mailed_once(office: Office, server: MailServer) -> None:
    readers = make_readers(10)
    notify(readers, "mention", message="hello")
    Delivery.objects.update(state="failed")
    keys = list(Notification.objects.values_list("pk", flat=True))
    again = partial(waking.send_again, keys, office.time.now)
    found = at_once(again, partial(retry_failed, Delivery.objects.all()), again)
    assert found[0] == found[2] == 10
    assert Delivery.objects.filter(state="queued").count() == 10
    send_all(office)
    assert sorted(server.recipients) == [user.email for user in readers]
    assert all("1 new notification" in texts_of(mail)[0] for mail in server.mails)
