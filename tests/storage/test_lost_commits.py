"""A COMMIT that is not answered. On PostgreSQL, whose connections can break."""

import asyncio
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction

import realtime
from realtime.chat import messages, read_positions
from realtime.chat.read_positions import Mark, Moved
from realtime.delivery import publishing
from realtime.models import Event, Membership, Message
from realtime.protocol.errors import Reason
from realtime.storage import database, log, pending, transactions
from realtime.storage.bundles import FEWEST
from realtime.storage.database import DatabaseUnavailable
from realtime.storage.transactions import own_transaction, require_committed
from tests.patience import PATIENCE_SECONDS
from tests.sites.commit_proxy import CommitProxy

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one isolation level, and no network"),
]
BODY = b'{"type":"test"}'
WRITERS = 4


@pytest.fixture
async def proxy(monkeypatch, shared):
    """Database threads reach PostgreSQL through it. This thread does not: it has opened its connection before."""
    monkeypatch.setattr(transactions, "LOOK_SECONDS", PATIENCE_SECONDS)  # PostgreSQL may notice late what has broken
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


async def test_it_waits_for_a_commit_that_is_under_way(proxy, posts):
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
    sequence = pending.sequence

    def lose_it(keys):
        proxy.lose = "answer"
        return sequence(keys)

    @transaction.atomic
    def work():
        realtime.publish("site", {"type": "test"})
        realtime.publish("room.a", {"type": "test"})

    monkeypatch.setattr(pending, "sequence", lose_it)
    await database.run(work)
    assert [(stream, seq) for e in sent for stream, seq, _ in e.events][1:] == [("site", 2), ("room.a", 1)]
    everybody = [f"user.{number}" for number in range(FEWEST)]
    frames = [(stream, {"type": "test"}) for stream in everybody]
    sent.clear()
    await database.run(transaction.atomic(partial(publishing.publish_all, frames)))
    assert [(stream, seq) for e in sent for stream, seq, _ in e.events] == [(stream, 1) for stream in everybody]


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
