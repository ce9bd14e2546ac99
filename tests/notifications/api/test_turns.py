"""What one reader changes at once: in a process, all but one request wait without a connection to the database."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from notifications.api import turns
from notifications.inbox import changes
from notifications.models import Notification
from realtime.integration.rest import Queues
from tests.notifications.api.conftest import PATH
from tests.notifications.rows import sent
from tests.patience import PATIENCE_SECONDS
from tests.people import client_for
from tests.racing import at_once, wait_until

pytestmark = pytest.mark.django_db

WAITING = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Queues:
    fresh = Queues(turns.MOST_WAITING, PATIENCE_SECONDS)
    monkeypatch.setattr(turns, "queues", fresh)
    return fresh


@pytest.fixture
def turn(bob: Any, queues: Queues) -> Iterator[None]:
    """Another request of Bob's has it."""
    queues.wait_seconds = 0.0
    queue = queues.enter(str(bob.pk), 1)
    assert queue is not None
    yield
    queues.leave(str(bob.pk), queue)
    assert len(queues) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_acts_that_wait_for_another_device_hold_one_connection(bob: Any, queues: Queues) -> None:
    keys = [sent(bob, "mention", message=text).pk for text in "abcd"]
    held: list[int] = []

    def hold() -> None:
        with transaction.atomic():
            changes.lock_inbox(bob.pk)
            wait_until(lambda: count() > 0 and len(keys) in (count(), queued()))
            held.append(count())

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            return int(cursor.fetchone()[0])

    def queued() -> int:
        return sum(queue.length for queue in queues._queues.values())

    def read(key: int) -> int:
        return int(client_for(bob).post(f"{PATH}/{key}/read").status_code)

    assert at_once(hold, *(partial(read, key) for key in keys)) == [None, 200, 200, 200, 200]
    assert held == [1]
    assert not Notification.objects.filter(recipient=bob).unread().exists()


@pytest.mark.usefixtures("turn")
def test_it_answers_who_has_to_wait_for_too_long_when_to_ask_again(bob: Any) -> None:
    row = sent(bob, "mention", message="hello")
    client = client_for(bob)
    changes = [
        client.post(f"{PATH}/{row.pk}/read"),
        client.post(f"{PATH}/{row.pk}/actions/accept"),
        client.post(f"{PATH}/acts", {"act": "read", "ids": [row.pk]}),
        client.post(f"{PATH}/undo", {"undo": "x"}),
        client.get(f"{PATH}/{row.pk}/open"),
        client.put(f"{PATH}/mutes/shop.item/1"),
        client.patch(f"{PATH}/preferences", {"away_minutes": 7}),
    ]
    found = [(answer.status_code, answer["Retry-After"]) for answer in changes]
    assert found == [(429, "1")] * len(changes)


@pytest.mark.usefixtures("turn")
def test_what_changes_nothing_and_what_others_change_does_not_wait(alice: Any, bob: Any) -> None:
    own, others = sent(bob, "mention", message="hello"), sent(alice, "mention", message="hello")
    client = client_for(bob)
    assert client.head(f"{PATH}/{own.pk}/open").status_code == 302
    assert client.get(f"{PATH}/{own.pk}").status_code == 200
    assert client.get(f"{PATH}/preferences").status_code == 200
    assert client_for(alice).post(f"{PATH}/{others.pk}/read").status_code == 200


def test_a_change_that_is_refused_gives_its_turn_back(bob: Any, queues: Queues) -> None:
    client = client_for(bob)
    assert client.post(f"{PATH}/7/read").status_code == 404
    assert client.post(f"{PATH}/undo", {"undo": "x"}).status_code == 400
    assert len(queues) == 0
