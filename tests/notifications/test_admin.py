"""The notifications in the admin: the list, the page of one, and what staff do with those that they choose."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from notifications import inbox, notify, summaries
from notifications.admin import lists
from notifications.inbox.acts import act, take_action
from notifications.mailing import bounces, messages, sending
from notifications.models import Notification
from tests.notifications.announced_admin import log_in_root
from tests.notifications.choices import MIDNIGHT, NIGHT, NOON, Time, choose, delivery_of
from tests.notifications.mails import Office
from tests.notifications.rows import pushed, row_of, sent
from tests.notifications.staffed import address, staff
from tests.people import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> Client:
    return log_in_root()


def lunch(reader: Any, title: str = "Lunch", **options: Any) -> Notification:
    return sent(reader, "mention", title=title, message="See you", **options)


def shown(answer: Any) -> set[str]:
    assert answer.status_code == 200
    return {row.render().title for row in answer.context["cl"].result_list}


def listed(client: Client, **query: str) -> set[str]:
    return shown(client.get(address("changelist"), query))


def do(client: Client, action: str, *rows: Notification, **more: str) -> Any:
    selected = [str(row.pk) for row in rows]
    return client.post(address("changelist"), {"action": action, "_selected_action": selected, **more}, follow=True)


def says(answer: Any) -> str:
    return str(next(iter(answer.context["messages"])))


def logged() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


# The list


def test_the_list_asks_the_same_queries_for_many_rows_as_for_one(root: Client, bob: Any) -> None:
    counts = []
    for number in range(3):
        reader = make_user(f"reader{number}")
        for title in range(1 + number * 10):
            lunch(reader, title=f"n{title}", actor=bob)
        with CaptureQueriesContext(connection) as queries:
            assert root.get(address("changelist")).status_code == 200
        counts.append(len(queries))
    assert len(set(counts)) == 1
    assert counts[0] <= 8


def test_it_filters(root: Client, bob: Any, carol: Any) -> None:
    lunch(bob, title="one")
    notify(carol, "order_status_changed", title="two", order_id="A-1", status="sent")
    Notification.objects.create(recipient=bob, type="gone", title="three", withheld_by="mute")
    inbox.mark_all("read", Notification.objects.filter(title="two"))
    inbox.mark_all("archive", Notification.objects.filter(title="one"))
    for query, found in {
        ("state", "unread"): {"one", "three"},
        ("state", "read"): {"two"},
        ("state", "archived"): {"one"},
        ("state", "withheld"): {"three"},
        ("state", "deleted"): set(),
        ("state", "odd"): {"one", "two", "three"},
        ("type", "mention"): {"one"},
        ("category", "orders"): {"two"},
        ("category", "general"): {"three"},
        ("level", "info"): {"one", "two", "three"},
        ("level", "error"): set(),
        ("created_at__gte", "2020-01-01 00:00:00Z"): {"one", "two", "three"},
        ("created_at__lt", "2020-01-01 00:00:00Z"): set(),
    }.items():
        assert listed(root, **dict([query])) == found, query


def test_it_finds_readers_and_types(
    root: Client, bob: Any, carol: Any, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lunch(bob, title="one")
    notify(carol, "order_status_changed", title="two", order_id="A-1", status="sent")
    with django_assert_max_num_queries(9):
        assert listed(root, q="bob") == {"one"}
    assert listed(root, q="AR") == {"two"}  # in the name of carol
    assert listed(root, q="mention") == {"one"}
    assert listed(root, q="carol mention") == set()
    assert listed(root, q="nobody") == set()
    monkeypatch.setattr(lists, "MOST_READERS", 1)
    answer = root.get(address("changelist"), {"q": "o"})
    assert "Many people have" in says(answer)


def test_a_search_where_names_are_numbers(root: Client, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that no name can be may be in the name of a type."""
    lunch(bob, "one")
    get_user_model().objects.filter(pk=bob.pk).update(username="222")
    field = get_user_model()._meta.get_field("username")
    monkeypatch.setattr(field, "get_prep_value", lambda value: str(int(value)))
    assert listed(root, q="222") == listed(root, q="mention") == {"one"}


def test_it_ends_after_a_bounded_number_and_says_so(root: Client, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        lunch(bob, title=f"n{number}")
    monkeypatch.setattr("realtime.auth.bounded_lists.MOST_LISTED", 4)
    monkeypatch.setattr(lists.ListMixin, "list_per_page", 3)
    answer = root.get(address("changelist"))
    assert shown(answer) == {"n4", "n3", "n2"}
    assert "There are more than 4." in answer.content.decode()
    assert listed(root, p="2") == {"n1"}
    assert root.get(address("changelist"), {"p": "3"}).status_code == 302
    notify(bob, "new_like", actor=make_user("dan"))
    assert "There are more" not in root.get(address("changelist"), {"type": "new_like"}).content.decode()


def test_dates_lead_to_years_months_and_days(root: Client, bob: Any, time: Any) -> None:
    lunch(bob, title="one")
    year, month, day = NOON.year, NOON.month, NOON.day

    def dates(**query: Any) -> list[str]:
        answer = root.get(address("changelist"), query)
        assert shown(answer) == {"one"}
        return [str(choice["title"]) for choice in answer.context["cl"].dates["choices"]]

    assert dates() == [str(year)]
    chosen = {"created_at__year": year}
    assert len(dates(**chosen)) == 12
    chosen["created_at__month"] = month
    assert len(dates(**chosen)) >= 28
    chosen["created_at__day"] = day
    assert len(dates(**chosen)) == 1
    with CaptureQueriesContext(connection) as asked:
        assert listed(root, created_at__year="1999") == set()
    # No index has the dates, and the list of a time without notifications must not read all rows.
    assert any('"id" <' in query["sql"] and '"created_at" <' in query["sql"] for query in asked.captured_queries)
    for odd in ("x", "99999", "0"):
        assert root.get(address("changelist"), {"created_at__year": odd}).status_code == 400


# One notification


def test_its_page_tells_what_it_says_and_what_has_become_of_it(
    root: Client, office: Office, erin: Any, django_assert_max_num_queries: Any
) -> None:
    choose(erin, mail=True)
    row = sent(erin, "mention", actor=make_user("bob"), data={"post": 7}, target=erin, reason="mentioned")
    office.time.pass_by(minutes=30)
    sending.send_due(office.time.now)
    office.time.pass_by(minutes=1)
    act(erin.pk, "read", ids=[row.pk])
    act(erin.pk, "archive", ids=[row.pk])
    with django_assert_max_num_queries(20):
        answer = root.get(address("change", row))
    page = answer.content.decode()
    labels = [step.label for step in answer.context["steps"]]
    assert labels == ["Stored", "Pushed", "Mail queued", "Mail sent", "Seen", "Read", "Archived"]
    for text in (
        "bob mentioned you",
        "新提及",
        '<div lang="zh-hans" dir="auto">',
        "auth.user",
        "mentioned",
        "This type is sent in this way",
    ):
        assert text in page
    assert [found.verdict for *_, found in answer.context["explanations"]] == ["sent", "sent", "off"]


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        (["ann", "ben", "cat"], "like:7: 3 (cat, ben, ann)"),
        (["ann", "ben", "cat", "dan"], "like:7: 4 (dan, cat, ben, …)"),
        ([None, None], "like:7: 2"),
    ],
)
def test_its_page_names_who_is_in_its_group(root: Client, erin: Any, people: list[str | None], expected: str) -> None:
    for name in people:
        sent(erin, "new_like", actor=name and make_user(name), group_key="like:7", title="Likes", message="x")
    assert f'<div class="readonly">{expected}</div>' in root.get(address("change", row_of(erin))).content.decode()


def test_its_page_tells_why_it_was_not_pushed_or_mailed(root: Client, office: Office, erin: Any) -> None:
    choose(erin, muted_until=office.time.now + timedelta(hours=1))
    row = lunch(erin)
    act(erin.pk, "read", ids=[row.pk])
    office.time.pass_by(minutes=90)
    sending.send_due(office.time.now)
    steps = {step.label: step for step in root.get(address("change", row)).context["steps"]}
    assert "muted" in steps["Not pushed"].detail
    assert "had read it" in steps["No mail"].detail
    assert steps["No mail"].at == office.time.now  # and not when it was due
    assert "A summary is due" in steps


def test_its_page_has_all_times_in_the_zone_of_the_site(root: Client, time: Time, bob: Any, settings: Any) -> None:
    """A summary that is due, and what it says of the quiet hours after which it comes, are one moment."""
    settings.TIME_ZONE = "Europe/Berlin"
    time.set(MIDNIGHT - timedelta(hours=9))
    choose(bob, quiet_hours=[NIGHT], time_zone="Asia/Tokyo")
    page = root.get(address("change", lunch(bob))).content.decode()
    assert "2030-01-15 23:00:00</time><strong>A summary is due" in page
    assert page.count("The reader has quiet hours until 2030-01-15 23:00.") == 2


def test_its_page_tells_of_the_summary(root: Client, office: Office, erin: Any) -> None:
    choose(erin, muted_until=office.time.now + timedelta(hours=1))
    row, read = lunch(erin), lunch(erin)
    act(erin.pk, "read", ids=[read.pk])
    summaries.send_due(office.time.pass_by(hours=1))
    office.time.pass_by(hours=1)
    found = [{step.label: step.at for step in root.get(address("change", one)).context["steps"]} for one in (row, read)]
    assert found[0]["Told in a summary"] == NOON + timedelta(hours=1)
    assert "A summary is due" not in found[0]
    assert "Told in a summary" not in found[1]


def mails_of(root: Client, row: Notification) -> list[tuple[str, Any]]:
    steps = root.get(address("change", row)).context["steps"]
    return [(step.label, step.at) for step in steps if step.label.startswith("Mail")]


def test_its_page_tells_when_a_mail_came_back(root: Client, office: Office, erin: Any) -> None:
    row = lunch(erin)
    sending.send_due(office.time.pass_by(minutes=5))
    office.time.pass_by(hours=1)
    event = {"message_id": delivery_of(row).message_id, "event_type": "bounced", "recipient": erin.email}
    bounces.on_tracking(None, SimpleNamespace(description="no such user", reject_reason="bounced", **event))
    assert mails_of(root, row) == [
        ("Mail queued", NOON),
        ("Mail sent", NOON + timedelta(minutes=5)),
        ("Mail came back", NOON + timedelta(hours=1, minutes=5)),
    ]


def test_its_page_tells_when_a_mail_failed(
    root: Client, office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.configure(MAIL_ATTEMPTS=1)
    monkeypatch.setattr(messages, "build", lambda *_: 1 / 0)
    row = lunch(erin)
    sending.send_due(office.time.pass_by(hours=1))
    assert mails_of(root, row) == [("Mail queued", NOON), ("Mail failed", NOON + timedelta(hours=1))]


def test_its_page_shows_the_action_that_was_taken(root: Client, bob: Any) -> None:
    row = lunch(bob, title="<b>Lunch</b>")
    take_action(bob.pk, row.pk, "accept")
    answer = root.get(address("change", row))
    assert {"Acted", "Read", "Seen"} <= {step.label for step in answer.context["steps"]}
    assert "<b>Lunch" not in answer.content.decode()


def test_what_was_sent_stays_as_it_was_sent(root: Client, bob: Any) -> None:
    row = lunch(bob)
    assert root.get(address("change", row)).status_code == 200
    assert root.post(address("change", row), {"title": "Dinner"}).status_code == 403
    assert row_of(bob).title == "Lunch"
    root.post(address("delete", row), {"post": "yes"})
    assert not Notification.objects.exists()
    assert len(pushed(bob, "notification_removed")) == 1


# Rights


def test_pages_have_their_rights(client: Client, bob: Any) -> None:
    row = lunch(bob)
    pages = [address("changelist"), address("change", row), address("history", row)]
    client.force_login(bob)  # the reader, who is not of the staff
    for page in pages:
        assert Client().get(page).status_code == client.get(page).status_code == 302
        assert staff("send_notification", "view_dispatch").get(page).status_code == 403
        assert staff("view_notification").get(page).status_code == 200
        get_user_model().objects.filter(is_staff=True).delete()


def test_the_admin_speaks_chinese(root: Client, bob: Any) -> None:
    row = lunch(bob, title="one")
    chinese: Any = {"headers": {"accept-language": "zh-hans"}}
    for page, texts in {
        address("changelist"): (
            "通知",
            "接收者",
            "新提及",
            "类型",
            "未读",
            "已读",
            "创建时间",
            "发送通知",
            "归档所选通知",
        ),
        address("add"): ("发送通知", "继续", "新粉丝"),
        address("add") + "?type=mention": ("接收者", "触发者", "标题", "消息", "链接", "数据", "检查…"),
        address("change", row): ("内容", "后续情况", "已存储", "已推送", "没有邮件"),
    }.items():
        found = root.get(page, **chinese).content.decode()
        for text in texts:
            assert text in found, (page, text)
