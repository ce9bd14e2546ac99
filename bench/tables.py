"""`python -m bench.tables CASE COUNT`: what a process of the site does with very many mails, or rows of the admin.

`bench.inboxes` runs it with the settings of our server, on the generator's core. It prints a JSON object.
"""

import sys
import time
from datetime import timedelta
from statistics import median
from typing import Any

import django
import msgspec

MILLION = 1_000_000
SAMPLES = 1_000  # rows that the others are copies of, each with a moment of its own
SECONDS_BETWEEN = 10
ANNOUNCED = 20  # announcements, which is a page of them
LAST = "200"  # page, however many rows there are: lists end after 10,000
# What a click leads to, by what it is called: pages of the list of notifications, of mails, and of announcements.
NOTIFICATIONS, DELIVERIES = "/admin/notifications/notification/", "/admin/notifications/delivery/"
ANNOUNCEMENTS = "/admin/notifications/announcement/"
PAGES = {
    "newest": (NOTIFICATIONS, {}),
    "last page": (NOTIFICATIONS, {"p": LAST}),
    "unread": (NOTIFICATIONS, {"state": "unread"}),
    "archived, of which there are none": (NOTIFICATIONS, {"state": "archived"}),
    "of a type": (NOTIFICATIONS, {"type": "mention"}),
    "of a type that never occurs": (NOTIFICATIONS, {"type": "new_comment"}),
    "of a level": (NOTIFICATIONS, {"level": "info"}),
    "of a reader": (NOTIFICATIONS, {"q": "u17"}),
    "of a name that many have": (NOTIFICATIONS, {"q": "u1"}),
    "of a day": (
        NOTIFICATIONS,
        {"created_at__year": "{year}", "created_at__month": "{month}", "created_at__day": "{day}"},
    ),
    "mails, newest": (DELIVERIES, {}),
    "mails, last page": (DELIVERIES, {"p": LAST}),
    "failed mails, of which there are none": (DELIVERIES, {"state": "failed"}),
    "mails of a reader": (DELIVERIES, {"q": "u17"}),
    "announcements": (ANNOUNCEMENTS, {}),
}


def send_digests(readers_count: int) -> dict[str, float]:
    """Send a digest of three notifications to each of so many readers: queries for each page of them, and seconds."""
    from django.core import mail
    from django.db import connection
    from django.test import override_settings

    from notifications import clock
    from notifications.mailing import sending
    from notifications.mailing.claims import READERS_AT_ONCE
    from notifications.models import Delivery

    mailing = {"MAIL": True, "SITE_URL": "https://example.com"}
    with override_settings(NOTIFICATIONS=mailing, EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        queue_digests(readers_count)
        queued = Delivery.objects.filter(state=Delivery.State.QUEUED)
        begin, queries = time.perf_counter(), QueryCounter()
        while queued.exists():
            with connection.execute_wrapper(queries):
                sending.send_due(clock.now())
        assert len(mail.outbox) == readers_count, len(mail.outbox)
    pages = readers_count / READERS_AT_ONCE
    return {"queries": queries.count / pages, "seconds": time.perf_counter() - begin}


class QueryCounter:
    count = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


def queue_digests(readers_count: int) -> None:
    """Readers with a daily digest whose last mail is two days old."""
    from django.contrib.auth import get_user_model

    from notifications import clock, notify
    from notifications.models import Delivery, Reader

    users: Any = get_user_model()
    names = [f"digest{readers_count}-{number}" for number in range(readers_count)]
    users.objects.bulk_create([users(username=name, email=f"{name}@example.com") for name in names], batch_size=1000)
    readers = users.objects.filter(username__startswith=f"digest{readers_count}-")
    old = clock.now() - timedelta(days=2)
    Reader.objects.bulk_create([Reader(user=user, digest="daily", mailed_at=old) for user in readers], batch_size=1000)
    for number in range(3):
        notify(readers, "mention", message=f"number {number}")
    Delivery.objects.filter(state=Delivery.State.QUEUED).update(due_at=old)


def open_lists(rows_count: int) -> dict[str, float]:
    """Milliseconds for each of PAGES, with so many notifications, mails, and readers of announcements."""
    from django.contrib.auth import get_user_model
    from django.test import Client, override_settings
    from django.utils import timezone

    fill(rows_count)
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("lister"))
    day = timezone.localdate() - timedelta(days=2)
    known = {"year": day.year, "month": day.month, "day": day.day}
    found = {}
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        for name, (address, query) in PAGES.items():
            given = {key: value.format(**known) for key, value in query.items()}
            found[name] = median(load(client, address, given) for _ in range(3))
    return found


def load(client: Any, address: str, query: dict[str, str]) -> float:
    begin = time.perf_counter()
    answer = client.get(address, query)
    assert answer.status_code == 200, (answer.status_code, answer.headers.get("Location"))
    return 1000 * (time.perf_counter() - begin)


def fill(rows_count: int) -> None:
    """So many notifications of all users, half of them read, one each ten seconds, and a mail for each."""
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.utils import timezone

    from notifications.models import Delivery, Notification

    users = list(get_user_model().objects.order_by("pk")[:SAMPLES])
    begin = timezone.now() - timedelta(seconds=SECONDS_BETWEEN * rows_count)
    samples = [
        Notification(
            recipient=users[number % len(users)],
            type="mention" if number % 3 else "new_follower",
            params={"actor": "bob"},
            read_at=begin if number % 2 else None,
            seen_at=begin if number % 2 else None,
        )
        for number in range(SAMPLES)
    ]
    first = Notification.objects.bulk_create(samples)[0].pk
    moment = moment_of(connection.vendor, rows_count)
    numbers = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows_count - SAMPLES}) "
    with connection.cursor() as cursor:
        changed = {"created_at": moment, "arrived_at": moment}
        copy(cursor, Notification, changed, f"n JOIN {{table}} s ON s.id = {first} + (n.i %% {SAMPLES})", numbers)
        sample = Delivery.objects.create(notification_id=first, user=users[0], state="sent", due_at=begin)
        own = {"notification_id": "o.id", "user_id": "o.recipient_id"}
        others = f"{Notification._meta.db_table} o JOIN {{table}} s ON s.id = {sample.pk} WHERE o.id > {first}"
        copy(cursor, Delivery, own, f"{others} ORDER BY o.id")
        fill_announcements(cursor, users[0], rows_count)
        cursor.execute("ANALYZE")


def fill_announcements(cursor: Any, user: Any, rows_count: int) -> None:
    """A page of announcements that are live, each read by as many users, who are made for that."""
    from django.utils import timezone

    from notifications.models import Announcement, AnnouncementState, AnnouncementText

    now, users = timezone.now(), type(user)._meta.db_table
    live = [Announcement(state="live", live_at=now, reached=rows_count) for _number in range(ANNOUNCED)]
    announced = Announcement.objects.bulk_create(live)
    texts = [AnnouncementText(announcement=one, language="en", title="News") for one in announced]
    AnnouncementText.objects.bulk_create(texts)
    numbers = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows_count // ANNOUNCED}) "
    copy(cursor, type(user), {"username": "'reader-' || n.i"}, f"n JOIN {{table}} s ON s.id = {user.pk}", numbers)
    sample = AnnouncementState.objects.create(announcement=announced[0], user=user, seen_at=now, read_at=now)
    readers = f"{Announcement._meta.db_table} a CROSS JOIN {users} u CROSS JOIN {{table}} s"
    own = {"announcement_id": "a.id", "user_id": "u.id"}
    copy(cursor, AnnouncementState, own, f"{readers} WHERE s.id = {sample.pk} AND u.username LIKE 'reader-%%'")


def moment_of(vendor: str, rows_count: int) -> str:
    """SQL for the moment of the row number `n.i`: the last one is now."""
    if vendor == "postgresql":
        return f"now() - ({rows_count} - n.i) * interval '{SECONDS_BETWEEN} seconds'"
    return (
        f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '-' || ({SECONDS_BETWEEN} * ({rows_count} - n.i)) || ' seconds')"
    )


def copy(cursor: Any, model: Any, changed: dict[str, str], source: str, before: str = "") -> None:
    """Insert a copy of the row `s` for each row of the source, with these changes."""
    columns = [field.column for field in model._meta.concrete_fields if not field.primary_key]
    values = ", ".join(changed.get(column, f"s.{column}") for column in columns)
    table = model._meta.db_table
    select = f"SELECT {values} FROM {source.format(table=table)}"
    cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {before}{select}", ())


CASES = {"digest": send_digests, "lists": open_lists}

if __name__ == "__main__":
    django.setup()
    print(msgspec.json.encode(CASES[sys.argv[1]](int(sys.argv[2]))).decode(), flush=True)
