"""The app's own transactions: their isolation, their conflicts, and a COMMIT that is not answered. On PostgreSQL."""

import asyncio
from functools import partial
from threading import Barrier

import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel

import realtime
from realtime.auth import tickets, tokens
from realtime.chat import direct, messages, read_positions, rooms
from realtime.chat.messages import Post
from realtime.chat.read_positions import Mark, Moved
from realtime.models import Event, LastSeen, Membership, Message, Room
from realtime.presence.last_seen import write_last_seen
from realtime.protocol.errors import Reason
from realtime.storage import database, log, numbering, transactions
from realtime.storage.database import DatabaseUnavailable
from realtime.storage.transactions import own_transaction, require_committed, retry_conflicts
from tests.patience import PATIENCE_SECONDS
from tests.people import make_user
from tests.racing import at_once
from tests.sites.commit_proxy import CommitProxy

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one isolation level, and no network"),
]
BODY = b'{"type":"test"}'
WRITERS = 4


@pytest.fixture
def posts(shared, alice, bob):
    """Makes messages to the room; `posts(count, client_id=…)`."""

    def make(count, **fields):
        sender = {"sender": bob.pk, "sender_id": bob.pk, "sender_name": "bob"}
        place = {"room": shared.pk, "room_slug": shared.slug}
        return [
            Post(**{**sender, **place, "text": str(n), "kind": "text", "client_id": None, **fields})
            for n in range(count)
        ]

    return make


# Isolation


@pytest.fixture(params=["repeatable read", "serializable"])
def strict(request, monkeypatch):
    """New connections start their transactions with this level: one is set in the server, the other in the settings."""
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
        assert tokens.revoked([one["sid"], two["sid"]]) == {one["sid"], two["sid"]}


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


# Conflicts


def test_it_tries_again_what_conflicted(alice, bob, strict):
    """Two transactions of the site's kind: each reads what the other writes, and one of them is aborted."""
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


# A COMMIT that is not answered


@pytest.fixture
async def proxy(monkeypatch, shared):
    """Database threads reach PostgreSQL through it. This thread does not: it has opened its connection before."""
    async with CommitProxy(monkeypatch) as proxy:
        yield proxy
        await asyncio.to_thread(database.shutdown)


async def test_it_stores_a_message_whose_commit_was_not_answered(proxy, posts):
    proxy.lose = "answer"
    stored = await database.run(messages.store, posts(3))
    assert [(p.seq, [event.seq for event in p.events]) for p in stored] == [(1, [1]), (2, [2]), (3, [3])]
    assert await database.run(Message.objects.count) == 3
    assert [p.seq for p in await database.run(messages.store, posts(1))] == [4]


async def test_it_says_that_nothing_was_stored_only_when_that_is_certain(proxy, posts):
    proxy.lose = "request"
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.run(messages.store, posts(2, client_id="c-1"))
    assert refused.value.reason is Reason.NOTHING_STORED
    assert await database.run(Message.objects.count) == 0
    proxy.lose, proxy.goes_away = "answer", True
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.run(messages.store, posts(1, client_id="c-1"))
    assert refused.value.reason is Reason.OUTCOME_UNKNOWN
    proxy.come_back()
    (again,) = await database.run(messages.store, posts(1, client_id="c-1"))
    assert (again.seq, again.events) == (1, ())


async def is_waiting():
    def look():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
            return cursor.fetchone()[0]

    return await database.run(look)


async def test_it_waits_for_a_commit_that_is_under_way(proxy, posts, monkeypatch):
    monkeypatch.setattr(transactions, "LOOK_SECONDS", PATIENCE_SECONDS)
    proxy.lose = "late"
    storing = asyncio.create_task(database.run(messages.store, posts(1)))
    while not await is_waiting():
        assert not storing.done()
    proxy.release.set()
    (posted,) = await asyncio.wait_for(storing, PATIENCE_SECONDS)
    assert (posted.seq, len(posted.events)) == (1, 1)


async def test_it_gives_up_waiting_for_a_commit(proxy, posts, monkeypatch):
    monkeypatch.setattr(transactions, "LOOK_SECONDS", 0.01)
    proxy.lose = "late"
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.run(messages.store, posts(1))
    assert refused.value.reason is Reason.OUTCOME_UNKNOWN


async def test_it_compares_positions_after_an_unknown_outcome(proxy, posts):
    compared, published = [], []
    gathering = messages.Messages(published.append, compare=lambda: compared.append(1))
    proxy.lose, proxy.goes_away = "answer", True
    futures = [gathering.post(post) for post in posts(2)]
    await gathering.drain()
    assert {future.exception().reason for future in futures} == {Reason.OUTCOME_UNKNOWN}
    assert (compared, published) == ([1], [])


async def test_it_sends_events_whose_commit_was_not_answered(proxy, sent, monkeypatch):
    proxy.lose = "answer"
    await realtime.apublish("site", {"type": "test"})
    assert [(stream, seq) for e in sent for stream, seq, _ in e.events] == [("site", 1)]
    sequence = log.sequence

    def lose_it(keys):
        proxy.lose = "answer"
        return sequence(keys)

    @transaction.atomic
    def work():
        realtime.publish("site", {"type": "test"})
        realtime.publish("room.a", {"type": "test"})

    monkeypatch.setattr(log, "sequence", lose_it)
    await database.run(work)
    assert [(stream, seq) for e in sent for stream, seq, _ in e.events][1:] == [("site", 2), ("room.a", 1)]


async def test_it_publishes_nothing_that_was_not_committed(proxy, sent):
    proxy.lose = "request"
    with pytest.raises(DatabaseUnavailable):
        await realtime.apublish("site", {"type": "test"})
    assert (sent, await database.run(Event.objects.count)) == ([], 0)


async def test_it_does_not_take_events_of_others_for_its_own(proxy, monkeypatch):
    def overtake(unknown, look):
        monkeypatch.setattr(log, "require_committed", require_committed)
        log.commit([("site", BODY)])
        require_committed(unknown, look)

    proxy.lose = "request"
    monkeypatch.setattr(log, "require_committed", overtake)
    with pytest.raises(DatabaseUnavailable):
        await database.run(log.commit, [("site", BODY)])
    assert await database.run(Event.objects.count) == 1


async def test_it_moves_positions_whose_commit_was_not_answered(proxy, shared, bob):
    await database.run(log.commit, [("room.general", BODY)] * 3)
    marks = [Mark(str(bob.pk), "general", 2)]
    proxy.lose = "answer"
    assert await database.run(read_positions.mark_read, marks) == [Moved(2, 1)]
    proxy.lose = "request"
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.run(read_positions.mark_read, [Mark(str(bob.pk), "general", 3)])
    assert refused.value.reason is Reason.DATABASE_AWAY
    assert await database.run(read_positions.mark_read, marks) == [None]


def test_an_answer_is_no_unknown_outcome(shared):
    """A constraint that is checked at the COMMIT."""

    def work():
        with own_transaction():
            Membership.objects.create(room_id=shared.pk, user_id=10**6)

    with pytest.raises(IntegrityError):
        work()
