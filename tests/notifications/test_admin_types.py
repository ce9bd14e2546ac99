"""The catalogue of types in the admin: its numbers, its previews, and the switch, which is a right of its own."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notifications import notify
from notifications.catalogue import numbers, switching
from notifications.models import Delivery, Notification, TypeSwitch
from notifications.types import Action, all_types
from tests.notifications.announced_admin import log_in_root, messages_of
from tests.notifications.choices import NOON, Time, register
from tests.notifications.mails import Office
from tests.notifications.rows import sent
from tests.people import make_user

pytestmark = pytest.mark.django_db

LIST = reverse("admin:notifications_typeswitch_changelist")
CHINESE = {"headers": {"accept-language": "zh-hans"}}


class Seats(msgspec.Struct):
    left: int


def address(page: str, key: str = "mention") -> str:
    return reverse(f"admin:notifications_typeswitch_{page}", args=[key])


def staff(*rights: str) -> Client:
    """Somebody of the staff with these rights on types."""
    user = make_user(f"staff-{'-'.join(rights)}", is_staff=True)
    codes = [f"{right}_typeswitch" for right in rights]
    user.user_permissions.add(*Permission.objects.filter(codename__in=codes))
    client = Client()
    client.force_login(user)
    return client


def switch(client: Client, off: str, key: str = "mention") -> Any:
    return client.post(address("switch", key), {"off": off}, follow=True)


def counted(client: Client) -> dict[str, tuple[int, int, int, int | None]]:
    """What the list says of each type: sent, seen, read, and the share that was read."""
    lines = [line for category in client.get(LIST).context["categories"] for line in category.lines]
    return {
        line.kind.key: (line.numbers.sent, line.numbers.seen, line.numbers.read, line.numbers.percent_read)
        for line in lines
    }


@pytest.fixture
def root(db: None) -> Client:
    return log_in_root()


# The list


def test_it_lists_all_types_with_their_numbers_of_a_week(root: Client, bob: Any, time: Time) -> None:
    old = sent(bob, "mention", message="hello")
    time.pass_by(days=7, seconds=1)
    rows = [sent(bob, "mention", message="hello") for _ in range(4)]
    sent(bob, "new_like", message="hello")
    Notification.objects.filter(pk__in=[row.pk for row in [old, *rows[:3]]]).update(seen_at=NOON)
    Notification.objects.filter(pk__in=[old.pk, rows[0].pk]).update(read_at=NOON)
    shown = counted(root)
    assert set(shown) == {kind.key for kind in all_types()}
    assert (shown["mention"], shown["new_like"], shown["new_comment"]) == ((4, 3, 1, 25), (1, 0, 0, 0), (0, 0, 0, None))


def test_it_counts_the_newest_only_if_there_are_too_many(
    root: Client, bob: Any, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "ROWS_AT_MOST", 3)
    for _ in range(3):
        sent(bob, "mention", message="hello")
        time.pass_by(minutes=1)
    assert "of the last seven days" in root.get(LIST).content.decode()
    sent(bob, "new_like", message="hello")
    page = root.get(LIST).content.decode()
    assert (counted(root)["mention"][0], counted(root)["new_like"][0]) == (2, 1)
    assert "since Jan. 16, 2030, noon only" in page


def test_the_queries_are_the_same_for_more_types(root: Client, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for number in range(20):
        register(monkeypatch, f"kind{number}", title=f"Kind {number}", category=f"category{number % 3}")
        sent(bob, f"kind{number}")
        switching.switch_type(f"kind{number}", off=number % 2 == 0)
        if number in (0, 19):
            with CaptureQueriesContext(connection) as queries:
                page = root.get(LIST).content.decode()
            counts.append(len(queries))
    assert counts[0] == counts[1] <= 7
    assert "Kind 19" in page
    assert page.count("switched off") == 10


def test_the_pages_speak_chinese(root: Client) -> None:
    page = root.get(LIST, **CHINESE).content.decode()
    for text in ("通知类型", "新提及", "级别", "渠道", "已发送", "阅读率", "最近七天"):
        assert text in page
    page = root.get(address("change"), **CHINESE).content.decode()
    for text in ("预览", "定义", "停用", "示例"):
        assert text in page


# One type


def test_it_shows_a_type_as_readers_see_it_in_each_language(root: Client, office: Office) -> None:
    shown = root.get(address("change", "new_follower")).context["previews"]
    assert [(one.language, one.preview.title, one.preview.message) for one in shown] == [
        ("en", "New follower", "Bob followed you"),
        ("zh-hans", "新粉丝", "用户 Bob 关注了你"),
    ]
    assert shown[0].preview.mail.subject == "New follower: Bob followed you"
    assert "Bob followed you" in shown[0].preview.mail.text
    mail = root.get(address("mail", "new_follower"), {"language": "zh-hans"})
    assert "用户 Bob 关注了你" in mail.content.decode()
    policy = mail.headers["Content-Security-Policy"]
    assert {"default-src 'none'", "sandbox", "frame-ancestors 'self'"} <= set(policy.split("; "))
    assert mail.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert not Notification.objects.exists()
    assert not Delivery.objects.exists()
    # Nobody unsubscribes by a link of a preview.
    link = next(word for word in shown[0].preview.mail.text.split() if "unsubscribe" in word)
    assert root.post(link.removeprefix("https://example.com")).status_code == 404


def test_a_mail_reads_in_the_direction_of_its_language(root: Client, office: Office, settings: Any) -> None:
    settings.LANGUAGES = [("en", "English"), ("ar", "Arabic")]
    page = root.get(address("change", "new_follower")).content.decode()
    assert '<bdi lang="ar">' in page
    assert '<pre lang="ar" dir="rtl">' in page
    assert '<pre lang="en" dir="ltr">' in page


def test_it_shows_everything_that_a_type_can_have(
    root: Client, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(
        monkeypatch,
        "shop/alarm",
        title="<b>%(what)s</b>",
        message="%(actor)s & %(other)s",
        category="security",
        level="error",
        link="/alarms/%(number)s",
        group_key="alarm:%(number)s",
        critical=True,
        actions=[Action("stop", "<i>Stop</i>", "/stop/%(number)s")],
        data=Seats,
        time_to_live=timedelta(days=2),
        ends_with="shop.Order",
        example={"actor": "Bob", "what": "fire", "number": "7/8"},
    )
    answer = root.get(reverse("admin:notifications_typeswitch_change", args=["shop_2Falarm"]))
    page = answer.content.decode()
    assert answer.context["gaps"] == ["other"]
    assert answer.context["previews"][0].preview.link == "/alarms/7%2F8"
    for text in (
        "&lt;b&gt;fire&lt;/b&gt;",
        "Bob &amp; …",
        "&lt;i&gt;Stop&lt;/i&gt;",
        "left: int",
        "2\xa0days",
        "shop.Order",
    ):
        assert text in page
    assert "It is critical: readers may rely on it." in page
    assert "<b>fire" not in page
    assert "unsubscribe" not in page


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"title": "%(count)d new", "example": {"count": "many"}}, "TypeError"),
        ({"title": "100% new"}, "ValueError"),
        ({"example": {"actor": object()}}, "InvalidData"),
    ],
)
def test_it_says_what_is_wrong_with_a_type(
    root: Client, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], problem: str
) -> None:
    register(monkeypatch, "wrong", **options)
    assert root.get(LIST).status_code == 200
    page = root.get(address("change", "wrong")).content.decode()
    assert page.count(f"{problem}: ") == 2  # once for each language
    assert root.get(address("mail", "wrong"), {"language": "en"}).status_code == 404


@pytest.mark.parametrize("page", ["change", "history", "mail", "switch"])
def test_there_are_no_other_types(root: Client, page: str) -> None:
    answer = root.post(address(page, "unheard_of")) if page == "switch" else root.get(address(page, "unheard_of"))
    assert answer.status_code == (302 if page == "history" else 404)  # Django's own page leads to the start
    assert root.get(address("mail"), {"language": "fr"}).status_code == 404
    assert not TypeSwitch.objects.exists()


# The switch


def test_staff_switch_a_type_off_and_on(root: Client, bob: Any) -> None:
    answer = switch(root, "1")
    assert messages_of(answer) == ["Switched off: nothing of this type is stored or sent."]
    assert "Switched off: " in answer.content.decode()
    assert notify(bob, "mention", message="hello") is None
    assert messages_of(switch(root, "1")) == ["Nothing was changed: somebody else has switched it meanwhile."]
    assert messages_of(switch(root, "0")) == ["Switched on."]
    assert notify(bob, "mention", message="hello") is not None
    logged = [(entry.object_id, entry.get_change_message()) for entry in LogEntry.objects.order_by("pk")]
    assert logged == [("mention", "Switched off."), ("mention", "Switched on.")]
    assert "Switched off." in root.get(address("history")).content.decode()


def test_it_says_whether_it_was_this_call_that_switched(db: None) -> None:
    assert [switching.switch_type("mention", off=off) for off in (False, True, True, False)] == [
        False,
        True,
        False,
        True,
    ]


def test_who_may_look_and_who_may_switch(bob: Any) -> None:
    user = Client()
    user.force_login(bob)
    pages = [LIST, address("change"), address("history"), address("mail") + "?language=en"]
    found = {
        name: (
            [client.get(page).status_code for page in pages],
            client.post(address("switch"), {"off": "1"}).status_code,
        )
        for name, client in {
            "anonymous": Client(),
            "user": user,
            "none": staff(),
            "only switch": staff("switch"),
            "view": staff("view"),
        }.items()
    }
    assert found == {
        "anonymous": ([302] * 4, 302),
        "user": ([302] * 4, 302),
        "none": ([403] * 4, 403),
        "only switch": ([403] * 4, 403),
        "view": ([200] * 4, 403),
    }
    assert not TypeSwitch.objects.exists()
    both = staff("view", "switch")
    assert "Switch off" in both.get(address("change")).content.decode()
    # Where a login leads if the session had expired.
    assert both.get(address("switch")).headers["Location"] == address("change")
    assert not TypeSwitch.objects.exists()
    assert switch(both, "1").status_code == 200
    assert TypeSwitch.objects.get().off
    assert "Switch on" not in staff("view", "x").get(address("change")).content.decode()


def test_a_forged_request_switches_nothing(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    assert client.post(address("switch"), {"off": "1"}).status_code == 403


@pytest.mark.parametrize("page", ["add", "delete"])
def test_types_are_not_rows(root: Client, page: str) -> None:
    url = reverse(f"admin:notifications_typeswitch_{page}", args=[] if page == "add" else ["mention"])
    assert root.post(url, {"type": "mention"}).status_code == 403
