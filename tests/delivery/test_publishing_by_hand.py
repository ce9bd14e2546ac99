"""Publishing where the site has turned autocommit off and commits by hand."""

import pytest
from django.db import connection, transaction

import realtime
from realtime.chat import rooms
from realtime.models import Membership
from realtime.storage import pending
from tests.delivery.publications import numbers, say, stored, undone

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def by_hand(sent):
    """Nothing is committed but by `transaction.commit()`."""
    transaction.set_autocommit(False)
    yield
    transaction.rollback()
    transaction.set_autocommit(True)


@pytest.mark.parametrize("durable", [True, False])
def test_it_sends_with_the_commit_and_nothing_after_a_rollback(sent, by_hand, durable):
    say(1, durable=durable)
    transaction.rollback()
    assert sent == []
    say(2, durable=durable)
    say(3, durable=durable)
    assert sent == []
    transaction.commit()
    assert [n for some in numbers(sent) for n in some] == [2, 3]
    say(4, durable=durable)
    transaction.rollback()
    say(5, durable=durable)
    transaction.commit()
    assert [n for some in numbers(sent) for n in some] == [2, 3, 5]
    assert stored() == ([(1, 2), (2, 3), (3, 5)] if durable else [])


def test_it_locks_no_stream_after_the_commit(sent, by_hand):
    say(1)
    transaction.commit()
    assert not connection.in_atomic_block
    transaction.rollback()
    assert (stored(), numbers(sent)) == ([(1, 1)], [[1]])


def test_it_keeps_to_the_blocks_in_such_a_transaction(sent, by_hand):
    with transaction.atomic():
        say(1)
        with undone():
            say(2)
            realtime.disconnect_user(2)
        say(3, durable=False)
    with undone():
        say(4)
    assert sent == []
    transaction.commit()
    assert (numbers(sent), stored()) == ([[1], [3]], [(1, 1)])


def test_it_drops_what_a_closed_connection_takes_along(sent, by_hand):
    say(1, durable=False)
    say(2)
    connection.close()
    transaction.set_autocommit(False)
    transaction.commit()
    assert (sent, stored()) == ([], [])


def test_it_leaves_the_sites_hooks_to_django(sent, by_hand):
    with transaction.atomic():
        transaction.on_commit(lambda: say(2, durable=False))
        say(1)
    transaction.commit()
    assert numbers(sent) == [[1]]
    transaction.set_autocommit(True)
    assert numbers(sent) == [[1], [2]]
    transaction.set_autocommit(False)


def test_it_sends_as_usual_when_autocommit_is_on_again(sent, by_hand):
    say(1)
    transaction.rollback()
    transaction.set_autocommit(True)
    with transaction.atomic():
        say(2)
    say(3)
    with undone():
        say(4)
    assert (numbers(sent), stored()) == ([[2], [3]], [(1, 2), (2, 3)])
    transaction.set_autocommit(False)


def test_it_removes_members_with_the_commit(sent, shared, bob, by_hand):
    Membership.objects.get(user=bob).delete()
    assert sent == []
    transaction.rollback()
    rooms.remove_member(bob.pk, "general", bob.pk)
    transaction.commit()
    assert [(c.verb, c.user, c.stream) for e in sent for c in e.controls] == [
        ("unsubscribe", str(bob.pk), "room.general")
    ]


def test_it_leaves_to_the_sweep_what_was_committed_without_django(sent, by_hand):
    say(1)
    connection.connection.commit()
    assert sent == []
    transaction.rollback()
    assert [(event.stream, event.seq) for event in pending.sweep(-1).events] == [("site", 1)]
    transaction.commit()
