"""Marking over REST: one notification, a list up to what the reader has seen of it, undoing, and actions."""

from datetime import timedelta
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.test import APIClient

from notifications import clock, inbox, notify, waking
from notifications.api.throttles import ActThrottle
from notifications.models import Notification
from notifications.testing import clock as own_clock
from realtime.protocol.frames import format_time
from tests.contract.rest import read_document
from tests.notifications.api.conftest import PATH
from tests.notifications.choices import NOON
from tests.notifications.rows import pushed, sent
from tests.people import NO_KEY, client_for
from tests.racing import at_once

pytestmark = pytest.mark.django_db


def post(client: APIClient, address: str, body: Any = None) -> Any:
    answer = client.post(f"{PATH}{address}", body or {})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def errors(client: APIClient, address: str, body: Any) -> list[str]:
    answer = client.post(f"{PATH}{address}", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    return list(answer.json()["errors"])


def listed(client: APIClient, **query: Any) -> Any:
    return client.get(PATH, query).json()


def unread(user: Any) -> list[str]:
    rows = Notification.objects.filter(recipient=user).in_inbox().unread()
    return sorted(str(row.message) for row in rows)


def in_an_hour() -> str:
    with own_clock() as time:
        time.move(hours=1)
        return format_time(time.now())


@pytest.fixture
def three(bob: Any) -> list[Notification]:
    return [sent(bob, "mention", message=text) for text in "abc"]


# One


@pytest.mark.parametrize(
    ("act", "before", "counts"),
    [
        ("seen", "", (3, 2)),
        ("read", "", (2, 2)),
        ("unread", "read", (3, 2)),
        ("archive", "", (2, 2)),
        ("unarchive", "archive", (3, 3)),
        ("snooze", "", (2, 2)),
        ("unsnooze", "snooze", (3, 3)),
        ("delete", "", (2, 2)),
    ],
)
def test_every_act_answers_with_the_new_counts_and_can_be_undone(
    client: APIClient, bob: Any, three: list[Notification], act: str, before: str, counts: tuple[int, int]
) -> None:
    address, until = f"/{three[0].pk}", {"until": in_an_hour()}
    if before:
        post(client, f"{address}/{before}", until if before == "snooze" else None)
    was = listed(client, box="all")
    done = post(client, f"{address}/{act}", until if act == "snooze" else None)
    assert (done["changed"], done["counts"]) == (1, {"unread": counts[0], "unseen": counts[1]})
    assert pushed(bob, "inbox")[-1]["data"] == {**done["counts"], "act": act, "notification_ids": [three[0].pk]}
    undone = post(client, "/undo", {"undo": done["undo"]})
    assert (undone["changed"], undone["undo"]) == (1, "")
    assert listed(client, box="all") == was


def test_what_is_withdrawn_meanwhile_is_not_found(
    client: APIClient, three: list[Notification], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was answered as if it had been done before, and no device was told of it."""
    act = inbox.act

    def act_later(*given: Any, **options: Any) -> Any:
        three[0].delete()
        return act(*given, **options)

    monkeypatch.setattr(inbox, "act", act_later)
    assert client.post(f"{PATH}/{three[0].pk}/archive").status_code == 404


def test_doing_it_again_changes_nothing(client: APIClient, bob: Any, three: list[Notification]) -> None:
    post(client, f"/{three[0].pk}/read")
    events = len(pushed(bob))
    again = post(client, f"/{three[0].pk}/read")
    assert again == {"changed": 0, "undo": "", "counts": {"unread": 2, "unseen": 2}}
    assert len(pushed(bob)) == events


@pytest.mark.parametrize("act", ["like", "READ", "open", "acts"])
def test_an_act_that_does_not_exist_is_not_found(client: APIClient, three: list[Notification], act: str) -> None:
    answer = client.post(f"{PATH}/{three[0].pk}/{act}")
    assert answer.status_code in (404, 405)


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("snooze", {}),
        ("snooze", {"until": None}),
        ("snooze", {"until": "tomorrow"}),
        ("snooze", {"until": "2001-01-01T00:00:00Z"}),
        ("snooze", {"until": "2999-01-01T00:00:00Z"}),
        ("snooze", {"until": "2030-01-01T00:00:00"}),
        ("snooze", {"until": 1893456000}),
        ("snooze", {"until": "9999-12-31T23:59:59-14:00"}),
        ("read", {"until": "2030-01-01T00:00:00Z"}),
    ],
)
def test_a_snooze_needs_a_moment_in_the_future(
    client: APIClient, three: list[Notification], act: str, body: Any
) -> None:
    assert errors(client, f"/{three[0].pk}/{act}", body) == ["until"]


def test_a_snooze_may_be_said_in_any_time_zone(client: APIClient, three: list[Notification]) -> None:
    with own_clock() as time:
        time.move(hours=1)
        until = time.now()
    local = until.astimezone().isoformat()
    post(client, f"/{three[0].pk}/snooze", {"until": local})
    assert Notification.objects.get(pk=three[0].pk).snoozed_until == until


# Many


def test_a_list_is_marked_up_to_what_was_seen_of_it(client: APIClient, bob: Any, three: list[Notification]) -> None:
    newest = listed(client)["newest"]
    sent(bob, "mention", message="late")
    done = post(client, "/acts", {"act": "read", "up_to": newest})
    assert (done["changed"], done["counts"]) == (3, {"unread": 1, "unseen": 1})
    assert unread(bob) == ["late"]
    assert post(client, "/undo", {"undo": done["undo"]})["changed"] == 3
    assert unread(bob) == ["a", "b", "c", "late"]


def test_a_group_that_has_grown_since_stays_as_it_is(client: APIClient, alice: Any, bob: Any, carol: Any) -> None:
    def like(actor: Any, post_id: int) -> Any:
        return notify(bob, "new_like", actor=actor, group_key=f"like:{post_id}", message=str(post_id))

    like(alice, 1)
    like(alice, 2)
    newest = listed(client)["newest"]
    like(carol, 1)  # the same id, and newer than `newest`
    assert post(client, "/acts", {"act": "read", "up_to": newest})["changed"] == 1
    assert unread(bob) == ["1"]
    assert post(client, "/acts", {"act": "archive", "up_to": listed(client)["newest"]})["changed"] == 2


def test_a_frame_says_its_place_in_the_list(client: APIClient, bob: Any, three: list[Notification]) -> None:
    """So a client marks what it got by frames without loading the list again."""
    item = pushed(bob, "notification")[-1]["data"]
    assert listed(client)["newest"] == f"{item['arrived_at']}_{item['id']}"


def test_an_id_stands_for_the_place_of_the_notification(client: APIClient, bob: Any, three: list[Notification]) -> None:
    assert post(client, "/acts", {"act": "read", "up_to": three[1].pk})["changed"] == 2
    assert unread(bob) == ["c"]
    post(client, f"/{three[2].pk}/delete")
    assert post(client, "/acts", {"act": "archive", "up_to": str(three[2].pk)})["changed"] == 2


@pytest.mark.parametrize("moves", ["grows", "comes back"])
def test_the_id_of_one_that_has_moved_stands_for_no_place(
    client: APIClient, alice: Any, bob: Any, carol: Any, moves: str
) -> None:
    """What came between its first place and the one that it has now may not have been seen."""
    like = sent(bob, "new_like", actor=alice, group_key="like:7", message="like")
    sent(bob, "mention", message="not seen")
    if moves == "grows":
        sent(bob, "new_like", actor=carol, group_key="like:7", message="like")
    else:
        waking.send_again([like.pk], clock.now())
    assert errors(client, "/acts", {"act": "read", "up_to": like.pk}) == ["up_to"]
    assert unread(bob) == ["like", "not seen"]
    assert post(client, "/acts", {"act": "read", "up_to": listed(client)["newest"]})["changed"] == 2


def test_the_filters_of_a_list_apply(client: APIClient, alice: Any, bob: Any) -> None:
    for number in range(2):
        sent(bob, "mention", message=f"mention {number}")
        sent(bob, "new_like", message=f"like {number}", actor=alice)
    newest = listed(client)["newest"]
    body = {"act": "read", "filter": {"type": ["new_like"], "actor": alice.pk}, "up_to": newest}
    assert post(client, "/acts", body)["changed"] == 2
    assert unread(bob) == ["mention 0", "mention 1"]
    body = {"act": "archive", "filter": {"unread": True, "category": "social"}, "up_to": newest}
    assert post(client, "/acts", body)["changed"] == 2
    assert post(client, "/acts", {"act": "unarchive", "up_to": newest})["changed"] == 0
    body = {"act": "unarchive", "filter": {"box": "archived"}, "up_to": newest}
    assert post(client, "/acts", body)["changed"] == 2


def test_ids_of_others_and_of_nobody_are_left_out(
    client: APIClient, alice: Any, bob: Any, three: list[Notification]
) -> None:
    hers = sent(alice, "mention", message="hers")
    body = {"act": "delete", "ids": [three[0].pk, hers.pk, three[1].pk, NO_KEY]}
    assert post(client, "/acts", body)["changed"] == 2
    assert unread(alice) == ["hers"]
    assert unread(bob) == ["c"]


def test_many_are_snoozed(client: APIClient, three: list[Notification]) -> None:
    body = {"act": "snooze", "up_to": listed(client)["newest"], "until": in_an_hour()}
    assert post(client, "/acts", body)["changed"] == 3
    assert len(listed(client, box="snoozed")["notifications"]) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "act"),
        ([], "non_field_errors"),
        ({"act": "read"}, "non_field_errors"),
        ({"act": "like", "ids": [1]}, "act"),
        ({"act": "read", "ids": []}, "ids"),
        ({"act": "read", "ids": [0]}, "ids"),
        ({"act": "read", "ids": ["x"]}, "ids"),
        ({"act": "read", "ids": [True]}, "ids"),
        ({"act": "read", "ids": list(range(1, 1002))}, "ids"),
        ({"act": "read", "ids": [2**63]}, "ids"),
        ({"act": "read", "ids": [1], "up_to": 1}, "non_field_errors"),
        ({"act": "read", "ids": [1], "filter": {}}, "non_field_errors"),
        ({"act": "read", "filter": {}}, "non_field_errors"),
        ({"act": "read", "up_to": None}, "up_to"),
        ({"act": "read", "up_to": ""}, "up_to"),
        ({"act": "read", "up_to": "newest"}, "up_to"),
        ({"act": "read", "up_to": -1}, "up_to"),
        ({"act": "read", "up_to": True}, "up_to"),
        ({"act": "read", "up_to": 1.5}, "up_to"),
        ({"act": "read", "up_to": [1]}, "up_to"),
        ({"act": "read", "up_to": "9" * 5000}, "up_to"),
        ({"act": "read", "up_to": 1, "filter": {"box": "trash"}}, "filter"),
        ({"act": "read", "up_to": 1, "filter": {"categroy": "social"}}, "filter"),
        ({"act": "read", "up_to": 1, "filter": {"before": "x"}}, "filter"),
        ({"act": "read", "up_to": 1, "filter": []}, "filter"),
        ({"act": "read", "up_to": 1, "filter": {"type": ["a", 1.5, {}]}}, "filter"),
        ({"act": "read", "up_to": 1, "filter": {"type": ["\0"]}}, "filter"),
        ({"act": "read", "up_to": 1, "filter": {"unread": ""}}, "filter"),
        ({"act": "read", "up_to": 1, "filters": {"type": "mention"}}, "filters"),
        ({"act": "snooze", "up_to": 1}, "until"),
        ({"act": "read", "up_to": 1, "until": "2030-01-01T00:00:00Z"}, "until"),
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(
    client: APIClient, bob: Any, three: list[Notification], body: Any, field: str
) -> None:
    assert errors(client, "/acts", body) == [field]
    assert unread(bob) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "body",
    [
        {"act": "read", "ids": [1] * 10_000},
        {"act": "read", "filter": {"type": ["a"] * 10_000}},
        {"act": "read", "filter": {"level": ["info"] * 10_000}},
    ],
)
def test_the_entries_of_a_list_that_is_too_long_are_not_looked_at(
    client: APIClient, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for kind in (serializers.IntegerField, serializers.CharField):
        monkeypatch.setattr(kind, "to_internal_value", lambda self, data: seen.append(data))
    assert len(errors(client, "/acts", body)) == 1
    assert seen == []


def test_few_of_very_many_wrong_fields_are_named(client: APIClient) -> None:
    assert len(errors(client, "/acts", {f"field{number}": 1 for number in range(10_000)})) == 100


def test_a_form_has_no_filter(client: APIClient, bob: Any, three: list[Notification]) -> None:
    body = {"act": "read", "up_to": three[-1].pk, "filter": '{"level": "error"}'}
    answer = client.post(f"{PATH}/acts", body, format="multipart")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["filter"])
    assert unread(bob) == ["a", "b", "c"]


def test_half_a_character_is_refused(client: APIClient) -> None:
    body = '{"act": "read", "up_to": 1, "filter": {"type": ["\\ud800"]}}'
    answer = client.post(f"{PATH}/acts", body, content_type="application/json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["filter"])


def test_a_place_of_nobodys_notification_is_not_found(client: APIClient, alice: Any) -> None:
    hers = sent(alice, "mention", message="hers")
    for pk in (hers.pk, NO_KEY):
        answer = client.post(f"{PATH}/acts", {"act": "read", "up_to": pk})
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.django_db(transaction=True)
def test_two_devices_mark_the_same_list_at_once(bob: Any, three: list[Notification]) -> None:
    newest = listed(client_for(bob))["newest"]
    phone, laptop = client_for(bob), client_for(bob)
    both = at_once(
        *(lambda client=client: post(client, "/acts", {"act": "read", "up_to": newest}) for client in (phone, laptop))
    )
    assert sorted(answer["changed"] for answer in both) == [0, 3]
    assert [frame["data"]["unread"] for frame in pushed(bob, "inbox")] == [0]


# Undoing


def test_undoing_leaves_alone_what_another_device_did_meanwhile(
    client: APIClient, bob: Any, three: list[Notification]
) -> None:
    a, b, c = (row.pk for row in three)
    phone = client_for(bob)
    done = post(client, "/acts", {"act": "read", "up_to": listed(client)["newest"]})
    post(phone, f"/{a}/unread")
    post(phone, f"/{b}/unread")
    post(phone, f"/{b}/read")
    post(phone, f"/{c}/archive")
    read_at = Notification.objects.get(pk=b).read_at
    assert post(client, "/undo", {"undo": done["undo"]})["changed"] == 1
    rows = {row.pk: row for row in Notification.objects.filter(recipient=bob)}
    assert (rows[a].read_at, rows[b].read_at, rows[c].read_at) == (None, read_at, None)
    assert rows[c].archived_at is not None
    assert post(client, "/undo", {"undo": done["undo"]})["changed"] == 0


def test_what_was_read_since_stays_seen(client: APIClient, bob: Any, three: list[Notification]) -> None:
    seen = post(client, "/acts", {"act": "seen", "up_to": three[2].pk})
    post(client, f"/{three[0].pk}/read")
    assert post(client, "/undo", {"undo": seen["undo"]})["changed"] == 2
    assert listed(client)["counts"] == {"unread": 2, "unseen": 2}


def test_undoing_ends_after_ten_minutes(client: APIClient, bob: Any, three: list[Notification]) -> None:
    with own_clock() as time:
        first = post(client, f"/{three[0].pk}/read")
        time.move(1)
        second = post(client, f"/{three[1].pk}/archive")
        time.move(599.5)
        assert errors(client, "/undo", {"undo": first["undo"]}) == ["undo"]
        assert post(client, "/undo", {"undo": second["undo"]})["changed"] == 1
    assert unread(bob) == ["b", "c"]


@pytest.mark.parametrize("text", ["", "x", "a:b:c", 7, None, {}, ["x"], "\0", "x" * 2000])
def test_undoing_needs_the_text_of_an_act(client: APIClient, three: list[Notification], text: Any) -> None:
    assert errors(client, "/undo", {"undo": text}) == ["undo"]


def test_nobody_else_can_undo_it(client: APIClient, alice: Any, bob: Any, three: list[Notification]) -> None:
    done = post(client, f"/{three[0].pk}/read")
    assert errors(client_for(alice), "/undo", {"undo": done["undo"]}) == ["undo"]
    assert unread(bob) == ["b", "c"]


# Actions


def test_an_action_is_taken_once(client: APIClient, bob: Any, invitation: None) -> None:
    row = sent(bob, "invitation")
    item = post(client, f"/{row.pk}/actions/accept")
    assert (item["id"], item["action"], item["read_at"] is not None) == (row.pk, "accept", True)
    assert item["actions"] == [
        {"key": "accept", "label": "Accept", "link": ""},
        {"key": "decline", "label": "Decline", "link": "/no"},
    ]
    assert pushed(bob, "inbox")[-1]["data"]["act"] == "act"
    assert post(client, f"/{row.pk}/actions/accept") == item
    answer = client.post(f"{PATH}/{row.pk}/actions/decline")
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    answer = client.post(f"{PATH}/{row.pk}/actions/explode")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert len(pushed(bob, "inbox")) == 1


@pytest.mark.django_db(transaction=True)
def test_two_devices_take_different_actions_at_once(bob: Any, invitation: None) -> None:
    row = sent(bob, "invitation")

    def take(key: str) -> Any:
        client = client_for(bob)
        return lambda: client.post(f"{PATH}/{row.pk}/actions/{key}").status_code

    assert sorted(at_once(take("accept"), take("decline"))) == [200, 409]


# Limits


def test_acts_are_limited(bob: Any, three: list[Notification], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.NOTIFICATIONS = {"ACTS_PER_MINUTE": 2}
    now = [1_000_000.0]
    monkeypatch.setattr(ActThrottle, "timer", lambda _self: now[0])
    client = client_for(bob)
    post(client, f"/{three[0].pk}/read")
    errors(client, "/acts", {})
    for address in ("/acts", "/undo", f"/{three[1].pk}/read", f"/{three[1].pk}/actions/x"):
        answer = client.post(f"{PATH}{address}", {})
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "RATE_LIMITED", "70")
    for address in ("follows", "mutes"):
        assert client.put(f"{PATH}/{address}/shop.item/1").status_code == 429
    assert client.get(PATH).status_code == 200
    now[0] += 70
    post(client, f"/{three[1].pk}/read")


@pytest.mark.parametrize("limit", [0, None])
def test_the_limit_can_be_switched_off(bob: Any, three: list[Notification], settings: Any, limit: Any) -> None:
    settings.NOTIFICATIONS = {"ACTS_PER_MINUTE": limit}
    client = client_for(bob)
    for _ in range(5):
        post(client, f"/{three[0].pk}/read")


# Without time zones


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC"])
def test_times_are_moments_on_a_site_without_time_zones(bob: Any, settings: Any, zone: str) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = zone
    client = client_for(bob)
    with own_clock(NOON) as time:  # on a night in autumn, an hour comes twice there
        rows = [sent(bob, "mention", message=text) for text in "abc"]
        page = listed(client, limit=1)
        assert len(listed(client, before=page["next"])["notifications"]) == 2
        assert len(listed(client, since=format_time(rows[1].arrived_at))["notifications"]) == 2
        done = post(client, "/acts", {"act": "read", "up_to": page["newest"]})
        assert done["changed"] == 3
        assert post(client, "/undo", {"undo": done["undo"]})["changed"] == 3
        until = format_time(time.now() + timedelta(hours=1))
        snoozed = post(client, f"/{rows[0].pk}/snooze", {"until": until})
        assert client.get(f"{PATH}/{rows[0].pk}").json()["snoozed_until"] == until
        assert rows[0].arrived_at < clock.now()
        assert post(client, "/undo", {"undo": snoozed["undo"]})["changed"] == 1
        assert inbox.counts(bob.pk).unread == 3


def test_the_description_of_a_filter_has_lists_of_keys_as_acts_take_them():
    schemas = read_document()["components"]["schemas"]
    kinds = [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}}]
    for name in ("type", "category", "level"):
        shown = schemas["ActFilterShape"]["properties"][name]
        assert shown["oneOf"] == kinds, name
        assert shown["description"]
