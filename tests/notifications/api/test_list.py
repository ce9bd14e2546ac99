"""The list over REST: pages, filters, languages, and one notification."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from notifications import clock, followables, inbox, types
from notifications.api import pages
from notifications.models import Notification
from realtime.protocol.frames import format_time
from tests.notifications.api.conftest import PATH
from tests.notifications.rows import pushed, sent
from tests.people import NO_KEY
from tests.shop.models import Item

pytestmark = pytest.mark.django_db


def get(client: APIClient, address: str = "", **query: Any) -> Any:
    answer = client.get(f"{PATH}{address}", query)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def messages(client: APIClient, **query: Any) -> list[str]:
    return [item["message"] for item in get(client, **query)["notifications"]]


def test_a_list_has_the_notifications_as_they_were_pushed_and_the_counts(
    client: APIClient, alice: Any, bob: Any
) -> None:
    first = sent(bob, "new_follower", actor=alice, data={"follower_id": alice.pk}, link=f"/users/{alice.pk}")
    second = sent(bob, "mention", actor=alice, reason="mentioned")
    inbox.act(bob.pk, "seen", ids=[first.pk])
    sent(alice, "mention", message="not his")
    page = get(client)
    frames = {frame["data"]["id"]: frame["data"] for frame in pushed(bob, "notification")}
    seen_at = format_time(Notification.objects.get(pk=first.pk).seen_at)
    assert page["notifications"] == [frames[second.pk], {**frames[first.pk], "seen_at": seen_at}]
    assert page["counts"] == get(client, "/counts") == {"unread": 2, "unseen": 1}
    assert page["next"] is None
    assert page["notifications"][0] == get(client, f"/{second.pk}")


def test_an_empty_list(client: APIClient) -> None:
    empty = {"notifications": [], "next": None, "newest": None, "counts": {"unread": 0, "unseen": 0}}
    assert get(client) == empty


def test_pages_follow_each_other_while_new_ones_arrive(client: APIClient, bob: Any) -> None:
    for number in range(7):
        sent(bob, "mention", message=str(number))
    page = get(client, limit=3)
    found = [item["message"] for item in page["notifications"]]
    while page["next"]:
        sent(bob, "mention", message="new")
        page = get(client, limit=3, before=page["next"])
        found += [item["message"] for item in page["notifications"]]
    assert found == list("6543210")


def test_a_page_with_much_content_ends_early_and_the_next_one_follows(
    client: APIClient, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "READ_AT_ONCE", 3)
    sizes = ["字" * pages.PAGE_BYTES, "short", *["x" * (pages.PAGE_BYTES // 4)] * 5]
    for number, text in enumerate(sizes):
        sent(bob, "mention", message=str(number), data={"text": text}, silent=True)
    page = get(client)
    found = [[item["message"] for item in page["notifications"]]]
    while page["next"]:
        page = get(client, before=page["next"])
        found.append([item["message"] for item in page["notifications"]])
    assert found == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


def test_filters(client: APIClient, alice: Any, bob: Any, registries: None) -> None:
    types.register("failed", title="Failed", message="It failed", level="error", category="orders")
    sent(bob, "mention", message="plain")
    middle = sent(bob, "failed", message="failed", reason="yours")
    sent(bob, "new_like", message="like", actor=alice)
    read = sent(bob, "mention", message="read")
    later = clock.now() + timedelta(hours=1)
    inbox.act(bob.pk, "read", ids=[read.pk])
    inbox.act(bob.pk, "archive", ids=[sent(bob, "mention", message="archived").pk])
    inbox.act(bob.pk, "snooze", ids=[sent(bob, "mention", message="snoozed").pk], until=later)
    assert messages(client) == messages(client, box="inbox") == ["read", "like", "failed", "plain"]
    assert messages(client, box="archived") == ["archived"]
    assert messages(client, box="snoozed") == ["snoozed"]
    assert messages(client, box="all") == ["snoozed", "archived", "read", "like", "failed", "plain"]
    assert messages(client, unread="true") == ["like", "failed", "plain"]
    assert messages(client, unread="false") == ["read"]
    assert messages(client, type="failed, new_like") == ["like", "failed"]
    assert messages(client, type="unheard_of") == []
    assert messages(client, category="orders") == messages(client, level="error") == ["failed"]
    assert messages(client, category="social,orders", level="info,warning", unread=1) == ["like", "plain"]
    assert messages(client, reason="yours") == ["failed"]
    assert messages(client, actor=alice.pk) == ["like"]
    assert messages(client, actor=NO_KEY) == []
    assert messages(client, since=format_time(middle.arrived_at)) == ["read", "like", "failed"]
    assert messages(client, since="2000-01-01T00:00:00+02:00", type="mention") == ["read", "plain"]


def test_a_type_that_is_no_longer_registered_is_shown_and_found(client: APIClient, bob: Any, registries: None) -> None:
    types.register("old", title="Old", message="Of old", category="past", level="error")
    row = sent(bob, "old")
    del types._types["old"]
    item = get(client, f"/{row.pk}")
    assert (item["title"], item["message"], item["category"], item["level"]) == ("old", "", "general", "info")
    for query in ({"type": "old"}, {"category": "general"}, {"level": "info"}):
        assert [found["id"] for found in get(client, **query)["notifications"]] == [row.pk]
    for query in ({"category": "social"}, {"level": "error"}):
        assert get(client, **query)["notifications"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"before": "x"}, "before"),
        ({"before": ""}, "before"),
        ({"before": "17"}, "before"),
        ({"before": "2025-13-22T10:00:00.000000Z_17"}, "before"),
        ({"before": "0000-01-22T10:00:00.000000Z_17"}, "before"),
        ({"before": "2025-10-22T10:00:00.000000Z_0"}, "before"),
        ({"before": "2025-10-22T10:00:00.000000Z_9223372036854775808"}, "before"),
        ({"before": "２０２５-10-22T10:00:00.000000Z_17"}, "before"),
        ({"box": "trash"}, "box"),
        ({"box": ""}, "box"),
        ({"unread": "perhaps"}, "unread"),
        ({"unread": ""}, "unread"),
        ({"type": ""}, "type"),
        ({"type": "a\0b"}, "type"),
        ({"type": ",".join("x" * 101)}, "type"),
        ({"category": "unheard_of"}, "category"),
        ({"level": "loud"}, "level"),
        ({"level": "info,loud"}, "level"),
        ({"reason": "x" * 65}, "reason"),
        ({"reason": "\0"}, "reason"),
        ({"actor": "nobody"}, "actor"),
        ({"actor": ""}, "actor"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2025-10-22T10:00:00"}, "since"),
        ({"since": "2025-02-30T10:00:00Z"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"since": ""}, "since"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(client: APIClient, query: Any, field: str) -> None:
    answer = client.get(PATH, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    assert list(answer.json()["errors"]) == [field]


def test_a_refusal_names_what_exists_in_the_language_of_the_request(client: APIClient) -> None:
    answer = client.get(PATH, {"level": "loud"})
    assert answer.json()["errors"]["level"] == ["There is no “loud” here. Choose from: info, success, warning, error."]
    answer = client.get(PATH, {"level": "loud"}, headers={"accept-language": "zh-hans"})
    assert answer.json()["errors"]["level"] == ["没有“loud”。可选：info, success, warning, error。"]


def test_texts_are_in_the_language_of_the_request(client: APIClient, alice: Any, bob: Any) -> None:
    row = sent(bob, "new_like", actor=alice)
    for language, title in (("en", "New like"), ("zh-CN,zh;q=0.9", "新点赞"), ("fr", "New like")):
        headers = {"accept-language": language}
        assert client.get(PATH, headers=headers).json()["notifications"][0]["title"] == title
        assert client.get(f"{PATH}/{row.pk}", headers=headers).json()["title"] == title


def test_the_number_of_queries_does_not_depend_on_the_number_of_notifications(
    client: APIClient, alice: Any, bob: Any, own_items: None
) -> None:
    counts = []
    for _ in range(2):
        for number in range(3 + 20 * len(counts)):
            sent(bob, "new_like", actor=alice, target=Item.objects.create(owner=bob), message=str(number))
        with CaptureQueriesContext(connection) as queries:
            get(client)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


def test_what_it_is_about_is_shown_if_readers_may_follow_it(client: APIClient, bob: Any, own_items: None) -> None:
    item = Item.objects.create(owner=bob)
    row = sent(bob, "mention", message="x", target=item)
    assert get(client, f"/{row.pk}")["target"] == {"model": "shop.item", "key": str(item.pk)}
    followables._followables.clear()
    assert get(client, f"/{row.pk}")["target"] is None


def test_reading_one_does_not_mark_it(client: APIClient, bob: Any) -> None:
    row = sent(bob, "mention", message="x")
    get(client, f"/{row.pk}")
    row.refresh_from_db()
    assert (row.read_at, row.seen_at) == (None, None)


@pytest.mark.parametrize("given", ["0", "-1", "x", "017", "1.5", "9" * 30, "٣"])
def test_what_is_no_id_is_not_found(client: APIClient, given: str) -> None:
    answer = client.get(f"{PATH}/{given}")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_deleted_and_expired_ones_are_not_found(client: APIClient, bob: Any) -> None:
    deleted, expired = sent(bob, "mention", message="x"), sent(bob, "mention", message="x")
    inbox.act(bob.pk, "delete", ids=[deleted.pk])
    Notification.objects.filter(pk=expired.pk).update(expires_at=clock.now())
    for row in (deleted, expired):
        assert client.get(f"{PATH}/{row.pk}").status_code == 404
        assert client.post(f"{PATH}/{row.pk}/read").status_code == 404
        assert client.get(f"{PATH}/{row.pk}/open").status_code == 404
