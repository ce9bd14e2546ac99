"""`python -m bench.notifying CASE USERS`: what one process of a site does with notifications, and how long it takes.

`bench.inboxes` runs it with the settings of our server, on the generator's core. It prints JSON, a
line for each result.
"""

import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import django
import msgspec

MANY = 100_000  # notifications of one reader
TIMES = 5


def notify_all(users_count: int) -> Iterator[dict[str, float]]:
    """Say that there are so many users, and for each line of input, notify all at once, several times: milliseconds
    until the call has returned.
    """
    from django.contrib.auth import get_user_model

    from notifications import notify

    users: Any = get_user_model().objects
    missing = users_count + 1 - users.count()
    users.bulk_create([users.model(username=f"reader{number}") for number in range(missing)], batch_size=1000)
    actor = users.order_by("pk").last()
    readers = users.filter(pk__lte=users.order_by("pk")[users_count - 1].pk)
    notify(readers[:100], "mention", actor=actor)
    yield {"users": users_count}
    for _ in sys.stdin:
        times = []
        for _ in range(TIMES):
            seconds, count = timed(lambda: notify(readers.all(), "mention", actor=actor))
            assert count == users_count, count
            times.append(1000 * seconds)
        yield {"ms": median(times)}


def use_inbox(_: int) -> Iterator[dict[str, float] | str]:
    """One reader with MANY unread notifications: how long counting takes, with which plan, and for each line of input,
    reading all of them and undoing that, three times. Before that, PostgreSQL removes what the last ones left, as it
    does by itself where its autovacuum is on.
    """
    from django.contrib.auth import get_user_model
    from django.db import connection

    from notifications import inbox
    from notifications.models import Notification

    reader = get_user_model().objects.create_user("collector")
    rows = (Notification(recipient=reader, type="mention", params={"actor": "bob"}) for _ in range(MANY))
    Notification.objects.bulk_create(rows, batch_size=2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notifications_notification")
    inbox.counts(reader.pk)
    yield {"count_us": 1_000_000 * median(timed(lambda: inbox.counts(reader.pk))[0] for _ in range(20))}
    yield plan_of_count(reader.pk)
    for _ in sys.stdin:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM notifications_notification")
        yield read_and_undo(reader.pk)


def plan_of_count(reader: Any) -> str:
    """How the database counts the unread and the unseen ones of a reader: the steps of its plan."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from notifications import inbox

    with CaptureQueriesContext(connection) as asked:
        inbox.counts(reader)
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    steps = []
    with connection.cursor() as cursor:
        for query in asked.captured_queries:
            cursor.execute(f"{explain} {query['sql']}")
            steps += [str(row[-1]).strip() for row in cursor.fetchall()]
    return "; ".join(steps)


def read_and_undo(reader: Any) -> dict[str, float]:
    from notifications import inbox

    read, undone = [], []
    for _ in range(3):
        seconds, outcome = timed(lambda: inbox.act(reader, "read", filters=inbox.Filters()))
        assert outcome.changed == MANY, outcome
        read.append(1000 * seconds)
        seconds, undo = timed(lambda text=outcome.undo: inbox.undo(reader, text))
        assert undo.changed == MANY, undo
        undone.append(1000 * seconds)
    return {"read_ms": median(read), "undo_ms": median(undone)}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


CASES = {"notify": notify_all, "inbox": use_inbox}

if __name__ == "__main__":
    django.setup()
    for figures in CASES[sys.argv[1]](int(sys.argv[2])):
        print(msgspec.json.encode(figures).decode(), flush=True)
