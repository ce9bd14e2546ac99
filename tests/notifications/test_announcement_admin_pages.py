"""The pages of announcements in the admin: who may open them, and what is on them."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from notifications.models import Announcement
from tests.notifications.announced import announce, make_draft, report
from tests.notifications.announced_admin import (
    LATER,
    address,
    assert_no_own_code,
    form,
    log_in_root,
    messages_of,
    split,
    staff,
    state_of,
    stored,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> Client:
    return log_in_root()


# Rights


RIGHTS = [
    ("add", ["add"]),
    ("change", ["view"]),
    ("publish", ["view", "publish"]),
    ("cancel", ["view", "cancel"]),
    ("delete", ["delete"]),
]


@pytest.mark.parametrize(("step", "rights"), RIGHTS)
def test_each_step_has_its_right(step: str, rights: list[str]) -> None:
    row = None if step == "add" else announce("Hello") if step == "cancel" else make_draft()
    assert staff(*rights).get(address(step, row), follow=True).status_code == 200
    everything = {"add", "change", "view", "delete", "publish", "cancel"}
    others = everything - {rights[-1]} - ({"change"} if step == "change" else set())
    assert staff(*sorted(others)).get(address(step, row)).status_code == 403
    assert Client().get(address(step, row)).status_code == 302


def test_who_may_write_an_announcement_may_write_its_texts() -> None:
    staff("add").post(address("add"), form("News", "新闻"))
    row = Announcement.objects.get()
    assert list(row.texts.values_list("title", flat=True)) == ["News", "新闻"]
    row.texts.get(language="zh-hans").delete()
    assert 'name="texts-0-title"' not in staff("view").get(address("change", row)).content.decode()
    staff("change").post(address("change", row), stored(row, **{"texts-0-title": "Old news"}))
    assert row.texts.get().title == "Old news"


@pytest.mark.parametrize("button", ["_test", "_publish", "_save"])
def test_a_writer_who_sees_no_announcements_is_led_to_no_page_of_theirs(button: str) -> None:
    client = staff("add", "publish")
    assert "_publish" not in client.get(address("add"), follow=True).content.decode()
    for _ in range(2):  # the second time, the form was sent before
        answer = client.post(address("add"), form(**{button: "1"}), follow=True)
        assert (answer.status_code, answer.request["PATH_INFO"]) == (200, reverse("admin:index"))
    assert Announcement.objects.count() == 1


def test_who_may_not_publish_does_not_publish() -> None:
    row = make_draft()
    client = staff("add", "change", "view")
    page = client.get(address("change", row)).content.decode()
    assert "_publish" not in page
    assert 'name="_test"' in page
    assert client.post(address("publish", row), {"_now": "1"}).status_code == 403
    client.post(address("change", row), stored(row, _publish="1"))
    assert state_of(row) == "draft"
    assert "publish_selected" not in client.get(address("changelist")).content.decode()


@pytest.mark.parametrize("state", ["scheduled", "live"])
def test_who_may_not_publish_changes_nothing_that_is(state: str) -> None:
    row = make_draft(state=state, starts_at=LATER)
    client = staff("change", "view")
    assert client.get(address("change", row)).status_code == 200
    late = client.post(address("change", row), stored(row, level="error"), follow=True)
    assert f"Your changes were not saved: the announcement is {state} by now." in messages_of(late)
    row.refresh_from_db()
    assert row.level == "info"
    publisher = staff("change", "view", "publish")
    publisher.post(address("change", row), stored(row, level="error", **split("starts_at", LATER)))
    row.refresh_from_db()
    assert row.level == "error"


def test_a_button_alone_makes_no_publisher() -> None:
    """The address can be typed, and the button be forged."""
    client = staff("add", "view")
    client.post(address("add"), form(_publish="1"))
    assert Announcement.objects.get().state == "draft"


# Pages


def test_the_list_shows_the_numbers_with_one_query_for_all(
    root: Client, alice: Any, bob: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        row = announce(f"n{number}", for_newer=True, closing="confirm")
        report(alice, row, "confirm")
        report(bob, row, "seen")
    with django_assert_max_num_queries(12):
        answer = root.get(address("changelist"))
    rows = answer.context["cl"].result_list
    assert {(row.reached, row.numbers.seen, row.numbers.read, row.numbers.confirmed) for row in rows} == {(3, 2, 1, 1)}
    assert "n11" in answer.content.decode()


def test_it_finds_texts_and_filters_states(root: Client) -> None:
    make_draft("apple")
    announce("pear", "with a message")

    def shown(**query: str) -> set[str]:
        return {str(row) for row in root.get(address("changelist"), query).context["cl"].result_list}

    assert shown() == {"apple", "pear"}
    assert shown(q="apple") == {"apple"}
    assert shown(q="message") == {"pear"}
    assert shown(state__exact="live") == {"pear"}


def test_one_shows_its_numbers_and_its_preview(root: Client, alice: Any, django_assert_max_num_queries: Any) -> None:
    row = announce("Maintenance", "<b>At three</b>", for_newer=True)
    report(alice, row, "read")
    with django_assert_max_num_queries(16):
        page = root.get(address("change", row)).content.decode()
    assert "&lt;b&gt;At three&lt;/b&gt;" in page
    assert "<b>At three" not in page
    for name, number in (("users it is for", 2), ("seen", 1), ("read", 1), ("confirmed", 0)):
        assert f"<dt>{name}</dt><dd>{number}</dd>" in page


def test_a_preview_reads_in_the_direction_of_its_text(root: Client) -> None:
    """Of which language it is says the row, which may be none of the site any more."""
    row = make_draft("صيانة", language="ar")
    assert '<div lang="ar" dir="auto">' in root.get(address("change", row)).content.decode()


@pytest.mark.parametrize("step", ["add", "change", "publish", "cancel", "changelist", "delete"])
def test_no_page_has_a_script_or_a_style_of_its_own(root: Client, step: str) -> None:
    """They work under a strict Content-Security-Policy."""
    row = None if step in ("add", "changelist") else make_draft(state="scheduled", starts_at=LATER)
    page = root.get(address(step, row), follow=True).content.decode()
    assert_no_own_code(page)


def test_the_pages_speak_chinese(root: Client) -> None:
    row = make_draft("Maintenance", starts_at=LATER)
    chinese: Any = {"headers": {"accept-language": "zh-hans"}}
    for step, words in {
        "add": ("公告", "受众", "保存并给自己发送测试", "标题"),
        "change": ("草稿", "预览并发布"),
        "publish": ("发布公告", "定时发布"),
        "changelist": ("公告", "已读", "已确认"),
    }.items():
        shown = None if step in ("add", "changelist") else row
        page = root.get(address(step, shown), follow=True, **chinese).content.decode()
        for word in words:
            assert word in page, (step, word)
