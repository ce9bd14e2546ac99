"""What staff do with notifications that they choose in the admin's list."""

import csv
import io
import re
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db import DatabaseError
from django.test import AsyncClient, Client

from notifications import inbox
from notifications.admin import acts, exporting
from notifications.mailing import sending
from notifications.models import Delivery, Notification
from tests.notifications.announced_admin import log_in_root
from tests.notifications.choices import NOON, choose
from tests.notifications.mails import Office, states
from tests.notifications.rows import pushed, row_of, sent
from tests.notifications.staffed import address, staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> Client:
    return log_in_root()


def lunch(reader: Any, title: str = "Lunch", **options: Any) -> Notification:
    return sent(reader, "mention", title=title, message="See you", **options)


def do(client: Client, action: str, *rows: Notification, **more: str) -> Any:
    selected = [str(row.pk) for row in rows]
    return client.post(address("changelist"), {"action": action, "_selected_action": selected, **more}, follow=True)


def says(answer: Any) -> str:
    return str(next(iter(answer.context["messages"])))


def logged() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


# Acts


def test_they_mark_archive_and_send_again_and_open_tabs_hear_of_it(root: Client, bob: Any) -> None:
    rows = [lunch(bob, title=title) for title in ("one", "two")]
    for action, name, text in (
        ("mark_read", "read", "Marked as read: 2."),
        ("mark_unread", "unread", "Marked as unread: 2."),
        ("archive", "archive", "Archived: 2."),
    ):
        assert says(do(root, action, *rows)) == text
        assert pushed(bob, "inbox")[-1]["data"]["act"] == name
    assert says(do(root, "archive", *rows)) == "Archived: 0."
    assert says(do(root, "send_again", *rows)) == "Sent again: 2."
    assert Notification.objects.in_inbox().unread().count() == 2
    assert [frame["data"]["id"] for frame in pushed(bob, "notification")] == [row.pk for row in rows] * 2
    assert logged() == ["Marked as read: 2.", "Marked as unread: 2.", "Archived: 2.", "Sent again: 2."]
    do(root, "mark_read", rows[0])
    assert LogEntry.objects.latest("pk").object_id == str(rows[0].pk)


@pytest.mark.parametrize("action", ["mark_read", "archive", "send_again", "withdraw"])
def test_nothing_is_done_that_cannot_be_logged(
    root: Client, bob: Any, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    row = lunch(bob)
    before = list(Notification.objects.values())
    monkeypatch.setattr(LogEntry, "save", Mock(side_effect=DatabaseError("away")))
    with pytest.raises(DatabaseError):
        do(root, action, row, _confirmed="1")
    assert list(Notification.objects.values()) == before
    assert len(pushed(bob)) == 1


def test_what_is_sent_again_is_mailed_again(root: Client, office: Office, erin: Any) -> None:
    choose(erin, mail=True)
    row = lunch(erin)
    office.time.pass_by(minutes=30)
    sending.send_due(office.time.now)
    first = Delivery.objects.values().get()
    assert (first["state"], first["attempts"], first["sent_at"]) == ("sent", 1, NOON + timedelta(minutes=30))
    for _ in range(2):
        do(root, "send_again", row)  # while one waits, there is no other
    assert states() == [("sent", ""), ("queued", "")]
    office.time.pass_by(minutes=30)
    sending.send_due(office.time.now)
    assert len(mail.outbox) == 2
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == 2
    assert Delivery.objects.values().get(round=1) == first
    assert Delivery.objects.get(round=2).sent_at == office.time.now
    steps = root.get(address("change", row)).context["steps"]
    mails = [(step.label, step.at) for step in steps if step.label.startswith("Mail")]
    assert mails == [
        ("Mail queued", NOON),
        ("Mail sent", NOON + timedelta(minutes=30)),
        ("Mail queued", NOON + timedelta(minutes=30)),
        ("Mail sent", NOON + timedelta(hours=1)),
    ]


def test_what_is_withdrawn_is_asked_for_once_more(root: Client, bob: Any, carol: Any) -> None:
    rows = [lunch(reader) for reader in (bob, carol)]
    answer = do(root, "withdraw", *rows)
    assert "2 notifications disappear" in answer.content.decode()
    assert Notification.objects.count() == 2
    assert says(do(root, "withdraw", *rows, _confirmed="1")) == "Withdrawn: 2."
    assert not Notification.objects.exists()
    assert len(pushed(bob, "notification_removed")) == len(pushed(carol, "notification_removed")) == 1
    assert logged() == ["Withdrawn: 2."]
    assert "delete_selected" not in root.get(address("changelist")).content.decode()


def test_keys_stay_as_they_are_where_numbers_have_separators(root: Client, bob: Any, settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    row = lunch(bob)
    Notification.objects.filter(pk=row.pk).update(id=1_234_567)
    page = do(root, "withdraw", Notification.objects.get()).content.decode()
    [key] = re.findall(r'name="_selected_action" value="([^"]*)"', page)
    assert key == "1234567"


def test_an_act_for_too_many_does_nothing(root: Client, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [lunch(bob, title="one"), lunch(bob, title="two")]
    monkeypatch.setattr(acts, "MOST_AT_ONCE", 1)
    assert "Choose 1 notifications at most" in says(do(root, "withdraw", *rows, _confirmed="1"))
    assert Notification.objects.unread().count() == 2
    assert not logged()


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_csv_is_sent_in_portions_and_holds_no_formula(
    root: Client, bob: Any, carol: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "ROWS_AT_ONCE", 2)
    for title in ("=1+1", "+1", "-1", "@x", "\tx", "＝1", "plain, “quoted”\nlines"):
        lunch(bob, title=title, data={"a": 1})
    lunch(carol, title="other")
    answer = root.post(
        address("changelist") + "?q=bob", {"action": "export", "_selected_action": ["1"], "select_across": "1"}
    )
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    portions = list(answer.streaming_content)
    assert len(portions) == 5
    found = read_csv(b"".join(portions))
    titles = [row["title"] for row in reversed(found)]
    assert titles == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "'＝1", "plain, “quoted”\nlines"]
    assert {(row["recipient"], row["data"]) for row in found} == {("bob", '{"a": 1}')}
    assert logged() == ["Exported as CSV: 7."]


@pytest.mark.django_db(transaction=True)
async def test_csv_is_streamed_by_an_asynchronous_server_too(bob: Any) -> None:
    client, row = await exporting.run(prepare_export, bob)
    answer = await client.post("/admin/notifications/notification/", {"action": "export", "_selected_action": [row.pk]})
    portions = [portion async for portion in answer.streaming_content]
    assert [line["title"] for line in read_csv(b"".join(portions))] == ["Lunch"]


@pytest.mark.django_db(transaction=True)
async def test_csv_is_whole_where_the_site_compresses_answers(bob: Any, settings: Any) -> None:
    """Under ASGI, Django compresses each portion by itself, and browsers end at the end of the first one."""
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
    client, row = await exporting.run(prepare_export, bob)
    chosen = {"action": "export", "_selected_action": [row.pk]}
    packed = {"accept-encoding": "gzip"}
    answer = await client.post("/admin/notifications/notification/", chosen, headers=packed)
    portions = [portion async for portion in answer.streaming_content]
    assert (await client.get("/admin/", headers=packed))["Content-Encoding"] == "gzip"
    assert answer["Content-Encoding"] == "identity"
    assert [line["title"] for line in read_csv(b"".join(portions))] == ["Lunch"]


def prepare_export(bob: Any) -> tuple[AsyncClient, Notification]:
    client = AsyncClient()
    client.cookies = log_in_root().cookies
    return client, lunch(bob)


# Rights

RIGHTS = {
    "mark_read": "change_notification",
    "mark_unread": "change_notification",
    "archive": "change_notification",
    "send_again": "send_notification",
    "withdraw": "delete_notification",
    "export": "export_notification",
}


@pytest.mark.parametrize(("action", "right"), RIGHTS.items())
def test_each_act_has_its_right(bob: Any, action: str, right: str) -> None:
    row = lunch(bob)
    others = {"view_notification", "add_notification", *RIGHTS.values()} - {right}
    assert "No action selected" in says(do(staff(*sorted(others)), action, row, _confirmed="1"))
    assert row_of(bob).read_at is None
    assert not logged()
    if action == "mark_unread":
        inbox.mark_read(bob, [row.pk])
    answer = do(staff("view_notification", right), action, row, _confirmed="1")
    assert answer.status_code == 200
    assert len(logged()) == 1
