"""The app's own transactions at any isolation level, and their conflicts. On PostgreSQL."""

from functools import partial
from threading import Barrier

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel

import realtime
from notifications import clock, follow, jobs, mute, unfollow, unmute
from notifications.mailing.unsubscribing import stop_mails, stop_type
from notifications.models import Follow, JobRun, Preference, Reader
from notifications.preferences.changing import change
from realtime.auth import tickets, tokens
from realtime.chat import direct, messages, read_positions, rooms
from realtime.chat.read_positions import Mark
from realtime.models import Event, LastSeen, Membership, Message, Room
from realtime.presence.last_seen import write_last_seen
from realtime.storage import log, numbering, transactions
from realtime.storage.transactions import own_transaction, retry_conflicts
from tests.patience import PATIENCE_SECONDS
from tests.people import make_user
from tests.racing import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one isolation level, and no network"),
]
BODY = b'{"type":"test"}'
WRITERS = 4


@pytest.fixture(params=["repeatable read", "serializable"])
def strict(request, monkeypatch):
    """New connections start their transactions with this level: one is set in the server, the other in the settings."""
    # Nothing may need another attempt: many processes could conflict more often than any number.
    monkeypatch.setattr(transactions, "ATTEMPTS", 1)
    options = connections.settings["default"]["OPTIONS"]
    if request.param == "serializable":
        monkeypatch.setitem(options, "isolation_level", IsolationLevel.SERIALIZABLE)
    else:
        given = f"{options.get('options', '')} -c default_transaction_isolation=repeatable\\ read"
        monkeypatch.setitem(options, "options", given)
    return request.param


def level():
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        return cursor.fetchone()[0]


def test_its_own_transactions_are_read_committed(strict):
    def work():
        levels = []
        for _ in range(2):
            with own_transaction():
                levels.append(level())
        with transaction.atomic():
            levels.append(level())
            with own_transaction():
                levels.append(level())
        return levels

    assert at_once(work) == [["read committed", "read committed", strict, strict]]


def test_it_costs_nothing_where_that_is_the_default(django_assert_num_queries):
    with own_transaction():
        pass
    with django_assert_num_queries(2), own_transaction():  # BEGIN and COMMIT
        pass


def failures(*actions):
    return [outcome for outcome in at_once(*actions) if isinstance(outcome, Exception)]


def test_many_write_to_one_room_at_any_level(strict, posts):
    def write():
        for _ in range(10):
            outcomes = messages.store(posts(3))
            assert all(isinstance(outcome, messages.Posted) for outcome in outcomes), outcomes

    assert failures(*[write] * WRITERS) == []
    assert Message.objects.count() == numbering.positions(["room.general"])["room.general"] == WRITERS * 30


def test_many_publish_at_any_level(strict, sent):
    def write():
        for number in range(10):
            realtime.publish("site", {"type": "test"})
            with transaction.atomic():
                realtime.publish("site", {"type": "test", "number": number})

    assert failures(*[write] * WRITERS) == []
    assert Event.objects.filter(seq=None).count() == 0
    assert sorted(seq for e in sent for _, seq, _ in e.events) == list(range(1, WRITERS * 20 + 1))


def test_many_read_and_meet_at_any_level(strict, shared, alice, bob):
    log.commit([("room.general", BODY)] * 40)
    for number in range(1, 11):
        marks = [Mark(str(user.pk), "general", number) for user in (alice, bob)]
        assert failures(*[partial(read_positions.mark_read, marks)] * WRITERS) == []
    assert set(Membership.objects.values_list("last_read_seq", flat=True)) == {10}
    for number in range(5):
        other = make_user(f"other{number}")
        assert failures(*[partial(direct.open_pair, alice.pk, other.pk)] * WRITERS) == []
    assert Room.objects.filter(direct=True).count() == 5


def test_many_join_and_leave_at_any_level(strict, general, alice):
    others = [make_user(f"other{number}") for number in range(WRITERS)]

    def come_and_go(user):
        for _ in range(5):
            rooms.join(user.pk, "general")
            rooms.remove_member(user.pk, "general", user.pk)

    assert failures(*[partial(come_and_go, user) for user in others]) == []
    assert Membership.objects.count() == 1


def test_a_ticket_opens_one_socket_at_any_level(strict, alice):
    for _ in range(5):
        ticket = tickets.issue(alice.pk, None)
        redeemed = at_once(*[partial(tickets.redeem, ticket)] * WRITERS)
        assert [type(found).__name__ for found in redeemed if found is not None] == ["Ticket"]


def test_many_log_out_at_any_level(strict, alice):
    def end(refresh, other):
        tokens.end_logins(refresh, tokens.to_claims(other.access_token))

    for _ in range(5):
        one, two = tokens.start_login(alice), tokens.start_login(alice)
        assert failures(*[partial(end, one, two), partial(end, two, one)] * 2) == []
        names = {one["realtime_login"], two["realtime_login"]}
        assert tokens.revoked(names) == names


def test_many_change_a_room_and_open_it_at_any_level(strict, general, alice, bob):
    for number in range(5):
        rooms.add_member(alice.pk, "general", bob.pk)
        rename = partial(rooms.update, alice.pk, "general", title=f"Title {number}")
        assert failures(*[partial(rooms.join, bob.pk, "general"), rename] * WRITERS) == []
        assert not Membership.objects.filter(invited=True).exists()
        rooms.remove_member(alice.pk, "general", bob.pk)


def test_many_leave_at_any_level(strict, alice, bob):
    keys = [str(alice.pk), str(bob.pk)]
    for _ in range(5):
        assert failures(*[partial(write_last_seen, keys)] * WRITERS) == []
    assert LastSeen.objects.count() == 2


def test_many_follow_and_mute_at_any_level(strict, alice):
    for number in range(5):
        thing = Room.objects.create(slug=f"thing{number}")
        for act in (follow, mute, unmute, unfollow):
            assert failures(*[partial(act, alice, thing)] * WRITERS) == []
    assert not Follow.objects.exists()


def test_many_run_the_jobs_at_any_level(strict):
    for number in range(5):
        assert failures(*[jobs.run_due] * WRITERS) == []
        assert JobRun.objects.filter(error="", due_at__gt=clock.now()).count() == len(jobs.JOBS)
        JobRun.objects.update(due_at=clock.now()) if number % 2 else JobRun.objects.all().delete()


@pytest.mark.parametrize("stop", [stop_mails, partial(stop_type, type_key="mention")])
def test_many_unsubscribe_at_any_level(strict, alice, stop):
    change(alice, mail=True, types={"mention": {"mail": True}})
    for _ in range(5):
        assert failures(*[partial(stop, alice.pk)] * WRITERS) == []
        Reader.objects.update(mail=True)
        Preference.objects.update(enabled=True)


# Conflicts


def test_it_tries_again_what_conflicted(alice, bob, strict, monkeypatch):
    """Two transactions of the site's kind: each reads what the other writes, and one of them is aborted."""
    monkeypatch.setattr(transactions, "ATTEMPTS", 2)
    ready, tries = Barrier(2), []

    @retry_conflicts
    def rename(user):
        tries.append(user.pk)
        with transaction.atomic():
            user.refresh_from_db()
            if len(tries) <= 2:
                ready.wait(PATIENCE_SECONDS)
            type(user).objects.filter(pk__in=[alice.pk, bob.pk]).order_by("pk").update(first_name=user.username)

    assert failures(partial(rename, alice), partial(rename, bob)) == []
    assert len(tries) == 3


def test_it_does_not_try_again_in_a_transaction_of_the_site(strict, alice):
    tries = []

    @retry_conflicts
    def work():
        tries.append(1)
        error = OperationalError()
        error.__cause__ = Exception()
        error.__cause__.sqlstate = "40001"
        raise error

    def in_a_transaction():
        with transaction.atomic():
            work()

    assert [type(error) for error in failures(in_a_transaction)] == [OperationalError]
    assert len(tries) == 1
    assert [type(error) for error in failures(work)] == [OperationalError]
    assert len(tries) == 1 + transactions.ATTEMPTS
