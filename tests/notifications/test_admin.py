"""The notifications in the admin: reading, filtering, marking, and sending a new one."""

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from notifications import inbox, notify
from notifications.models import Notification
from realtime.models import Event

pytestmark = pytest.mark.django_db

LIST = "admin:notifications_notification_changelist"
ADD = "admin:notifications_notification_add"
CHANGE = "admin:notifications_notification_change"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def form(recipient: Any, **changed: str) -> dict[str, str]:
    optional = {"actor": "", "link": "", "data": "{}", "message": "See you at noon."}
    return {**optional, "recipient": str(recipient.pk), "type": "mention", "title": "Lunch"} | changed


def shown(response: Any) -> set[str]:
    assert response.status_code == 200
    return {notification.title for notification in response.context["cl"].result_list}


def test_adding_one_pushes_it(staff: Client, bob: Any) -> None:
    response = staff.post(reverse(ADD), form(bob, data='{"room": "大厅"}', link="/lunch"))
    assert response.status_code == 302
    row = Notification.objects.get()
    event = Event.objects.get()
    assert event.stream == f"user.{bob.pk}"
    item = json.loads(event.body)["data"]
    assert (item["id"], item["title"], item["link"], item["data"]) == (row.pk, "Lunch", "/lunch", {"room": "大厅"})


def test_a_failed_push_stores_nothing(staff: Client, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no log")

    monkeypatch.setattr("notifications.pushing.publish_all", fail)
    with pytest.raises(RuntimeError, match="no log"):
        staff.post(reverse(ADD), form(bob))
    assert not Notification.objects.exists()


def test_empty_data_is_an_empty_object(staff: Client, bob: Any) -> None:
    staff.post(reverse(ADD), form(bob, data=""))
    assert Notification.objects.get().data == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [("data", "[1]"), ("data", '{"x": NaN}'), ("data", "{"), ("type", "unheard_of"), ("title", ""), ("actor", "0")],
)
def test_what_cannot_be_sent_is_explained(staff: Client, bob: Any, field: str, value: str) -> None:
    response = staff.post(reverse(ADD), form(bob, **{field: value}))
    assert response.status_code == 200
    assert set(response.context["adminform"].form.errors) == {field}
    assert not Notification.objects.exists()
    assert not Event.objects.exists()


def test_what_was_sent_stays_as_it_was_sent(staff: Client, bob: Any) -> None:
    row = notify(bob, "mention", title="Lunch", message="See you")
    assert row is not None
    url = reverse(CHANGE, args=[row.pk])
    assert staff.get(url).status_code == 200
    staff.post(url, form(bob, title="Dinner"))
    row.refresh_from_db()
    assert row.title == "Lunch"
    assert Event.objects.count() == 1


def test_the_list_asks_the_same_queries_for_many_rows_as_for_one(
    staff: Client, bob: Any, django_assert_max_num_queries: Any
) -> None:
    carol = get_user_model().objects.create_user("carol")
    for number in range(30):
        notify(carol if number % 2 else bob, "mention", title=f"n{number}", message="hello")
    with django_assert_max_num_queries(8):
        assert len(shown(staff.get(reverse(LIST)))) == 30


def test_filters_and_search(staff: Client, bob: Any) -> None:
    carol = get_user_model().objects.create_user("carol")
    notify(bob, "mention", title="one", message="apple")
    notify(carol, "new_like", title="two", message="pear")
    inbox.mark_all("read", Notification.objects.filter(title="two"))

    def listed(**query: str) -> set[str]:
        return shown(staff.get(reverse(LIST), query))

    assert listed() == {"one", "two"}
    assert listed(read="no") == {"one"}
    assert listed(read="yes") == {"two"}
    assert listed(type="new_like") == {"two"}
    assert listed(q="apple") == {"one"}
    assert listed(q="carol") == {"two"}


def test_actions_mark_read_and_unread(staff: Client, bob: Any) -> None:
    for title in ("one", "two"):
        notify(bob, "mention", title=title, message="hello")
    selected = [str(pk) for pk in Notification.objects.values_list("pk", flat=True)]

    def act(action: str) -> str:
        response = staff.post(reverse(LIST), {"action": action, "_selected_action": selected}, follow=True)
        return str(next(iter(response.context["messages"])))

    assert act("mark_read") == "2 notifications were changed."
    assert not Notification.objects.unread().exists()
    assert act("mark_unread") == "2 notifications were changed."
    assert Notification.objects.unread().count() == 2


def test_the_admin_speaks_chinese(staff: Client, bob: Any) -> None:
    notify(bob, "mention", title="one", message="hello")
    chinese = {"headers": {"accept-language": "zh-hans"}}
    page = staff.get(reverse(LIST), **chinese).content.decode()
    for text in (
        "通知",
        "接收者",
        "新提及",
        "类型",
        "未读",
        "已读",
        "创建时间",
        "将所选通知标为已读",
        "将所选通知标为未读",
    ):
        assert text in page
    page = staff.get(reverse(ADD), **chinese).content.decode()
    for text in ("触发者", "标题", "消息", "链接", "数据", "阅读时间", "新粉丝"):
        assert text in page


def test_users_without_permission_see_nothing(client: Client, bob: Any) -> None:
    client.force_login(bob)
    assert client.get(reverse(LIST)).status_code == 302
