"""Mails in the admin: found by state, reason, reader and id, and those that failed tried again."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from notifications import clock, waking
from notifications.mailing import retrying
from notifications.models import Delivery, Notification
from tests.notifications.announced_admin import log_in_root, messages_of
from tests.notifications.mails import Office, reader, states
from tests.notifications.rows import sent

pytestmark = pytest.mark.django_db

LIST = reverse("admin:notifications_delivery_changelist")
RETRY = "retry_selected"


@pytest.fixture
def root(db: None) -> Client:
    return log_in_root()


@pytest.fixture
def deliveries(office: Office) -> list[Delivery]:
    """A mail in each of some states."""
    kinds: list[dict[str, Any]] = [
        {"state": "failed", "attempts": 6, "error": "SMTPDataError(554, b'no')", "message_id": "<one@example.com>"},
        {"state": "failed", "attempts": 6},
        {"state": "sent", "message_id": "two@service", "attempts": 1},
        {"state": "suppressed", "reason": "read"},
        {"state": "queued", "reason": "digest"},
        {"state": "bounced", "reason": "refused"},
    ]
    for number, fields in enumerate(kinds):
        row = sent(reader(f"reader{number}"), "mention", message="hello")
        Delivery.objects.filter(notification=row).update(**fields)
    return list(Delivery.objects.order_by("pk"))


def staff(*codes: str) -> Client:
    user = reader(f"staff-{'-'.join(codes)}", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=[f"{code}_delivery" for code in codes]))
    client = Client()
    client.force_login(user)
    return client


def shown(client: Client, **query: str) -> list[Any]:
    answer = client.get(LIST, query)
    assert answer.status_code == 200
    return [delivery.user.username for delivery in reversed(answer.context["cl"].result_list)]


def act(client: Client, selected: list[Delivery], action: str = RETRY) -> Any:
    form = {"action": action, "_selected_action": [str(delivery.pk) for delivery in selected]}
    return client.post(LIST, form, follow=True)


@pytest.mark.usefixtures("deliveries")
def test_filters_and_search(root: Client) -> None:
    wanted: list[tuple[dict[str, str], str]] = [
        ({}, "012345"),
        ({"state": "failed"}, "01"),
        ({"reason": "digest"}, "4"),
        ({"reason": "read", "state": "failed"}, ""),
        ({"q": "reader3"}, "3"),
        ({"q": "READER"}, "012345"),
        ({"q": "reader3@example.org"}, "3"),
        ({"q": " <one@example.com> "}, "0"),
        ({"q": "one@example.com"}, "0"),
        ({"q": "two@service"}, "2"),
        ({"q": "e.com"}, ""),
        ({"q": "'; %\\ \U0001f600"}, ""),
        ({"reason": "unheard of"}, ""),
    ]
    found = [(query, "".join(name.removeprefix("reader") for name in shown(root, **query))) for query, _ in wanted]
    assert found == wanted


def test_mails_and_web_pushes_are_told_apart(root: Client, deliveries: list[Delivery]) -> None:
    Delivery.objects.filter(pk=deliveries[4].pk).update(channel="web_push")
    page = root.get(LIST, {"channel": "web_push"})
    assert [delivery.pk for delivery in page.context["cl"].result_list] == [deliveries[4].pk]
    assert '<td class="field-channel">web push</td>' in page.content.decode()
    assert shown(root, channel="mail") == ["reader0", "reader1", "reader2", "reader3", "reader5"]
    assert shown(root, channel="socket") == []


def test_a_page_far_back_and_a_wrong_filter(root: Client, deliveries: list[Delivery]) -> None:
    assert root.get(LIST, {"p": "99"}).status_code in (200, 302)
    assert root.get(LIST, {"state": "x", "reason": "'"}).context["cl"].result_count == 0


def test_it_says_why_in_words_and_in_the_readers_language(root: Client, deliveries: list[Delivery]) -> None:
    page = root.get(LIST).content.decode()
    for text in ("in the next digest", "already read", "SMTPDataError(554"):
        assert text in page
    chinese = root.get(LIST, headers={"accept-language": "zh-hans"}).content.decode()
    for text in ("在下一次摘要中", "已读", "重试所选的失败邮件"):
        assert text in chinese
    one = root.get(reverse("admin:notifications_delivery_change", args=[deliveries[0].pk])).content.decode()
    assert "SMTPDataError(554, b&#x27;no&#x27;)" in one


def test_what_was_sent_again_is_not_tried_again(root: Client, deliveries: list[Delivery]) -> None:
    failed = deliveries[0]
    waking.send_again([failed.notification_id], clock.now())
    act(root, [failed])
    rounds = Delivery.objects.filter(notification=failed.notification_id).order_by("round")
    assert [delivery.state for delivery in rounds] == ["failed", "queued"]


def test_failed_mails_are_tried_again_and_nothing_else(
    root: Client, deliveries: list[Delivery], office: Office
) -> None:
    before = states()
    answer = act(root, deliveries)
    assert messages_of(answer) == [
        "2 mails are queued again.",
        "4 were left as they are: only failed mails are tried again, and 1000 at once.",
    ]
    assert states() == [("queued", "waiting"), ("queued", "waiting"), *before[2:]]
    assert {delivery.attempts for delivery in Delivery.objects.filter(reason="waiting")} == {0}
    entries = LogEntry.objects.all()
    assert sorted(int(entry.object_id) for entry in entries) == [delivery.pk for delivery in deliveries[:2]]
    assert {entry.get_change_message() for entry in entries} == {"Queued again."}
    Notification.objects.filter(pk=deliveries[1].notification_id).update(read_at=office.time.now)
    assert [message.to for message in office.send()] == [["reader0@example.org"]]
    assert states()[:2] == [("sent", ""), ("suppressed", "read")]
    assert messages_of(act(root, deliveries[:1]))[0] == "0 mails are queued again."


def test_it_says_that_nothing_is_sent_and_queues_a_part(
    root: Client, deliveries: list[Delivery], office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.configure(MAIL=False)
    monkeypatch.setattr(retrying, "RETRIED_AT_ONCE", 1)
    answer = act(root, deliveries[:2])
    assert messages_of(answer)[0] == "1 mail is queued again."
    assert messages_of(answer)[-1] == "They wait: this site sends no mails at the moment."
    assert states()[:2] == [("queued", "waiting"), ("failed", "")]


def test_who_may_look_and_who_may_try_again(deliveries: list[Delivery]) -> None:
    user = Client()
    user.force_login(deliveries[0].user)
    clients = {"anonymous": Client(), "user": user, "none": staff(), "only retry": staff("retry")}
    assert {name: client.get(LIST).status_code for name, client in clients.items()} == {
        "anonymous": 302,
        "user": 302,
        "none": 403,
        "only retry": 403,
    }
    before = states()
    for client in [*clients.values(), staff("view")]:
        act(client, deliveries)
    assert states() == before
    both = staff("view", "retry")
    assert RETRY in both.get(LIST).content.decode()
    act(both, deliveries)
    assert states() != before


def test_nobody_deletes_a_mail_but_its_user_can_be_deleted(root: Client, deliveries: list[Delivery]) -> None:
    act(root, deliveries, "delete_selected")
    mail = deliveries[0]
    assert root.post(reverse("admin:notifications_delivery_delete", args=[mail.pk]), {"post": "yes"}).status_code == 403
    assert Delivery.objects.count() == len(deliveries)
    root.post(reverse("admin:auth_user_delete", args=[mail.user_id]), {"post": "yes"})
    assert not Delivery.objects.filter(pk=mail.pk).exists()
