"""What site code publishes in a test, with the commit that a test case never makes, and in real transactions."""

import time
from contextlib import suppress

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase

import realtime
from notifications import anotify, notify
from realtime.models import Event
from realtime.testing import assert_published, connect, published
from tests.backends.connections import kept_connections
from tests.patience import PATIENCE_SECONDS
from tests.people import make_user


def order(number, stream="site", **how):
    realtime.publish(stream, {"type": "order", "data": {"number": number}}, **how)


def numbers(frames):
    return [frame["data"]["number"] for frame in frames]


def check_what_is_recorded():
    """The same in every kind of test."""
    order(0)
    with published() as frames:
        order(1)
        order(2, durable=False)
        with transaction.atomic():
            order(3)
            transaction.on_commit(lambda: order(4))
            with suppress(ZeroDivisionError), transaction.atomic():
                order(5)
                order(6, durable=False)
                raise ZeroDivisionError
    assert sorted(numbers(frames)) == [1, 2, 3, 4]
    assert {frame["data"]["number"]: frame.get("seq") for frame in frames} == {1: 2, 2: None, 3: 3, 4: 4}
    with published() as again:  # what a second block of a test captures
        order(7)
    assert again == [{"type": "order", "data": {"number": 7}, "stream": "site", "seq": 5}]
    order(8)
    with assert_published("site", "order", number=9):
        order(9)
    with published() as none:
        pass
    assert none == []


class Recorded(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_user("alice")
        notify(cls.alice, "new_follower", title="Before", message="all tests")

    def test_it_records(self):
        check_what_is_recorded()

    def test_a_frame_is_asserted(self):
        with assert_published(f"user.{self.alice.pk}", "notification", title="Hello", notification_type="new_follower"):
            notify(self.alice, "new_follower", title="Hello", message="there")
        with (
            pytest.raises(AssertionError, match=r"Not published on 'site': 'order', number=1\. .* was:\n  .*user\."),
            assert_published("site", "order", number=1),
        ):
            order(1, f"user.{self.alice.pk}")

    def test_an_error_in_the_block_is_shown_instead(self):
        with pytest.raises(ZeroDivisionError), assert_published("site"):
            raise ZeroDivisionError

    def test_hooks_from_before_are_left_alone(self):
        called = []
        transaction.on_commit(lambda: called.append("before"))
        with published():
            transaction.on_commit(lambda: called.append("in the block"))
        assert called == ["in the block"]

    def test_a_hook_that_raises(self):
        with pytest.raises(ZeroDivisionError), published():
            transaction.on_commit(lambda: 1 / 0)
        with self.assertLogs("realtime.testing.transactions", "ERROR"), published():
            transaction.on_commit(lambda: 1 / 0, robust=True)

    def test_what_is_published_in_an_open_transaction_is_not_published(self):
        with transaction.atomic(), published() as frames:
            order(1)
        assert frames == []

    def test_asynchronous_code_that_is_called(self):
        with published() as frames:
            async_to_sync(anotify)(self.alice, "new_follower", title="Hello", message="there")
        assert [frame["data"]["title"] for frame in frames] == ["Hello"]

    async def test_asynchronous_code(self):
        async with published() as frames:
            await realtime.apublish("site", {"type": "order", "data": {"number": 1}})
            await sync_to_async(order)(2)
        assert numbers(frames) == [1, 2]
        async with assert_published(f"user.{self.alice.pk}", title="Hello"):
            await anotify(self.alice, "new_follower", title="Hello", message="there")
        with pytest.raises(AssertionError, match="Published was: nothing"):
            async with assert_published("site"):
                pass
        with pytest.raises(RuntimeError, match="Write `async with`"), published():
            pass

    async def test_sockets_see_what_the_test_has_made(self):
        """Also what the class has made, in each of its tests."""
        before = await sync_to_async(notify)(self.alice, "new_follower", title="Before", message="the socket")
        async with connect(self.alice) as socket:
            assert socket.greeting["streams"][f"user.{self.alice.pk}"] == 2
            await sync_to_async(notify)(self.alice, "new_follower", title="Hello", message="there")
            await socket.expect("notification", title="Hello", seq=3)
            await socket.send({"type": "read", "notification_ids": [before.pk], "id": "r"})
            await socket.expect("ack", id="r")
            await before.arefresh_from_db()
            assert before.read_at is not None

    test_and_in_another_test = test_sockets_see_what_the_test_has_made


class Committed(TransactionTestCase):
    def test_it_records(self):
        check_what_is_recorded()

    async def test_sockets(self):
        alice = await get_user_model().objects.acreate_user("alice")
        async with connect(alice) as socket, published() as frames:
            await sync_to_async(notify)(alice, "new_follower", title="Hello", message="there")
            await socket.expect("notification", title="Hello", seq=1)
        assert len(frames) == 1


class Nothing(SimpleTestCase):
    async def test_a_test_without_a_database(self):
        async with published() as frames:
            pass
        assert frames == []

    def test_the_same_in_synchronous_code(self):
        with published() as frames:
            pass
        assert frames == []


@pytest.mark.django_db
def test_fixture_db():
    check_what_is_recorded()


@pytest.mark.django_db(transaction=True)
def test_fixture_transactional_db():
    check_what_is_recorded()


@pytest.mark.django_db
async def test_asynchronous_code_shares_the_transaction_of_the_test(alice):
    """The test's own asynchronous queries, too, while a block is open."""
    async with published() as frames:
        await anotify(alice, "new_follower", title="Hello", message="there")
        assert await Event.objects.acount() == 1
        await get_user_model().objects.acreate_user("bob")
    assert len(frames) == 1


def test_nothing_of_it_stays(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        assert not Event.objects.exists()
        assert list(get_user_model().objects.all()) == []
        connection.close()


@pytest.mark.django_db(transaction=True)
async def test_no_connection_stays_open(alice, monkeypatch):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no list of connections")
    monkeypatch.setattr(kept_connections, "limit", 0)
    kept_connections.close()
    async with connect(alice) as socket:
        await anotify(alice, "new_follower", title="Hello", message="there")
        await socket.expect("notification")
    clients = "datname = current_database() AND backend_type = 'client backend'"
    count = f"SELECT count(*) FROM pg_stat_activity WHERE {clients} AND pid <> pg_backend_pid()"

    def count_others():
        """PostgreSQL lists a connection until its process has ended, which is a moment after it was closed."""
        ends = time.monotonic() + PATIENCE_SECONDS
        with connection.cursor() as cursor:
            while True:
                cursor.execute(count)
                found = cursor.fetchone()[0]
                if found == 1 or time.monotonic() > ends:
                    break
                time.sleep(0.01)
        connection.close()
        return found

    assert await sync_to_async(count_others)() == 1  # the one of the test's own thread
