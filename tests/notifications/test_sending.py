"""Sending: what is stored and pushed in one transaction, and what is refused."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

import msgspec
import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.functional import lazy, lazystr
from django.utils.safestring import mark_safe
from django.utils.translation import get_language, gettext_lazy

from notifications import anotify, bulk, dispatching, notify, pushing, sending, types, withdraw
from notifications.mailing import queue
from notifications.models import Delivery, Notification
from realtime.models import Event
from tests.notifications.choices import register
from tests.people import NO_KEY, make_user
from tests.racing import at_once

pytestmark = pytest.mark.django_db

NULS = [("title", "\0"), ("message", "\0"), ("link", "/\0")]  # SQLite would take them, PostgreSQL does not


def sent(*args: Any, **kwargs: Any) -> Notification:
    notification = notify(*args, **kwargs)
    assert notification is not None
    return notification


def pushed(user: Any) -> list[dict[str, Any]]:
    return [json.loads(event.body) for event in Event.objects.filter(stream=f"user.{user.pk}").order_by("id")]


def assert_nothing_was_sent() -> None:
    assert not Notification.objects.exists()
    assert not Event.objects.exists()


# What is stored and pushed


def test_it_stores_a_row_and_pushes_its_frame(alice: Any, bob: Any) -> None:
    row = sent(bob, "new_follower", actor=alice, data={"follower_id": alice.pk}, link=f"/users/{alice.pk}")

    stored = Notification.objects.get()
    assert (stored.pk, stored.recipient, stored.actor, stored.read_at) == (row.pk, bob, alice, None)
    [frame] = pushed(bob)
    assert frame == {
        "type": "notification",
        "notification_type": "new_follower",
        "data": {
            "id": row.pk,
            "type": "new_follower",
            "title": "New follower",
            "message": "alice followed you",
            "data": {"follower_id": alice.pk},
            "link": f"/users/{alice.pk}",
            "created_at": stored.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "category": "social",
            "level": "info",
            "reason": "",
            "actor": {"user_id": alice.pk, "name": "alice"},
            "target": None,
            "group": None,
            "actions": [],
            "action": "",
            "arrived_at": stored.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "seen_at": None,
            "read_at": None,
            "archived_at": None,
            "snoozed_until": None,
            "expires_at": None,
        },
        "timestamp": frame["timestamp"],
    }
    assert datetime.strptime(frame["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) >= stored.created_at
    assert not pushed(alice)


def test_frames_and_mails_of_very_many_are_made_in_portions(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million of them at once would be gigabytes."""
    settings.NOTIFICATIONS = {"MAIL": True, "SITE_URL": "https://example.com"}
    readers = [make_user(f"reader{number}") for number in range(5)]
    monkeypatch.setattr(pushing, "FRAMES_AT_ONCE", 2)
    monkeypatch.setattr(bulk, "ROWS_AT_ONCE", 2)
    frames, mails, steps = [], [], []
    publish_all, state_of, as_json = pushing.publish_all, queue._state_of, bulk.as_json

    def publish(events: Any) -> None:
        frames.append([stream for stream, _frame in events])
        publish_all(events)

    def decide(*given: Any) -> Any:
        steps.append("decided")
        return state_of(*given)

    def write(values: Any) -> str:
        mails.append(steps.count("decided"))
        return as_json(values)

    monkeypatch.setattr(pushing, "publish_all", publish)
    monkeypatch.setattr(queue, "_state_of", decide)
    monkeypatch.setattr(bulk, "as_json", write)
    assert notify(readers, "mention", message="x") == 5
    streams = [f"user.{reader.pk}" for reader in readers]
    assert frames == [streams[:2], streams[2:4], streams[4:]]
    assert mails[-3:] == [2, 4, 5]
    assert [len(pushed(reader)) for reader in readers] == [1] * 5
    assert Delivery.objects.count() == 5


@pytest.mark.parametrize("options", [{}, {"group_key": "g"}, {"dedupe_key": "d"}], ids=["plain", "group", "once"])
def test_the_statements_for_very_many_are_short(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is stored meanwhile waits for a core no longer than one of them takes."""
    monkeypatch.setattr(bulk, "FEW_ROWS", 2)
    readers = [make_user(f"reader{number}") for number in range(5)]
    with CaptureQueriesContext(connection) as asked:
        assert notify(readers, "mention", message="x", **options) == 5
    statements = [query["sql"] for query in asked]
    for beginning in ("INSERT INTO notifications_notification (", "SELECT given.recipient"):
        assert sum(sql.startswith(beginning) for sql in statements) == 3, beginning
    assert [len(pushed(reader)) for reader in readers] == [1] * 5


def test_it_takes_a_primary_key(alice: Any, bob: Any) -> None:
    sent(bob.pk, "mention", actor=alice)
    assert [frame["notification_type"] for frame in pushed(bob)] == ["mention"]


def test_it_stores_for_an_inactive_user(alice: Any, bob: Any) -> None:
    bob.is_active = False
    bob.save()
    assert sent(bob, "mention", actor=alice).recipient == bob


def test_title_and_message_replace_the_templates_as_they_are(bob: Any) -> None:
    row = sent(bob, "new_like", title="50% off", message="%(actor)s")
    assert (row.title, row.message, row.actor) == ("50% off", "%(actor)s", None)


def give_full_name(user: Any) -> str:
    return str(user.get_full_name())


def test_the_name_is_that_of_the_chat(alice: Any, bob: Any, configure: Any) -> None:
    alice.first_name, alice.last_name = "Alice", "Liddell"
    assert sent(bob, "mention", actor=alice).render().message == "alice mentioned you"
    configure(DISPLAY_NAME=f"{__name__}.give_full_name")
    assert sent(bob, "mention", actor=alice).render().message == "Alice Liddell mentioned you"


def test_names_that_look_like_templates_stay_names(alice: Any, bob: Any) -> None:
    alice.username = "100%(d)s <b>"
    assert sent(bob, "mention", actor=alice).render().message == "100%(d)s <b> mentioned you"


@pytest.mark.django_db(transaction=True)
async def test_the_asynchronous_twin() -> None:
    alice = await get_user_model().objects.acreate(username="alice")
    bob = await get_user_model().objects.acreate(username="bob")
    row = await anotify(bob, "mention", actor=alice, data={"post_id": 7})
    assert row is not None
    assert (await Notification.objects.aget()).pk == row.pk
    assert (await Event.objects.aget()).stream == f"user.{bob.pk}"


# One unit


def test_a_rollback_leaves_nothing(alice: Any, bob: Any) -> None:
    with transaction.atomic():
        notify(bob, "mention", actor=alice)
        assert Event.objects.exists()
        transaction.set_rollback(True)
    assert_nothing_was_sent()


def test_a_failed_push_leaves_nothing_and_the_callers_transaction_goes_on(
    alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no log")

    monkeypatch.setattr("notifications.pushing.publish_all", fail)
    with transaction.atomic():
        with pytest.raises(RuntimeError, match="no log"):
            notify(bob, "mention", actor=alice)
        get_user_model().objects.create_user("carol")
    assert get_user_model().objects.filter(username="carol").exists()
    assert_nothing_was_sent()


@contextmanager
def deleted_meanwhile(user: Any) -> Iterator[None]:
    """Somebody deletes this user when the rows of a notification are written, and before they are committed."""
    users = [get_user_model().objects.filter(pk=user.pk)]

    def delete_once(execute: Any, sql: str, *given: Any) -> Any:
        done = execute(sql, *given)
        if users and sql.startswith(f"INSERT INTO {Notification._meta.db_table}"):
            assert not isinstance(at_once(users.pop().delete)[0], Exception)
        return done

    with connection.execute_wrapper(delete_once):
        yield
    assert not users


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("group_key", ["", "g"])
def test_who_is_deleted_before_it_is_committed_is_left_out(alice: Any, bob: Any, carol: Any, group_key: str) -> None:
    with deleted_meanwhile(bob):
        assert notify([bob, carol], "mention", actor=alice, group_key=group_key) == 1
    assert [row.recipient for row in Notification.objects.all()] == [carol]
    with deleted_meanwhile(alice):
        row = sent(carol, "mention", actor=alice)
    row.refresh_from_db()
    assert (row.actor, row.params["actor"]) == (None, "alice")
    assert len(pushed(carol)) == 2
    with deleted_meanwhile(carol):
        assert notify(carol, "mention", message="x") is None


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_who_is_deleted_while_staff_send_is_left_out(alice: Any, bob: Any, carol: Any) -> None:
    chosen = dispatching.Chosen(audience="everyone")
    row = dispatching.start(
        dispatching.Draft(type="mention", title="x", message="x"), chosen, form_key="k", created_by=alice
    )
    with deleted_meanwhile(bob):
        assert not dispatching.take_step(row.pk)
    row.refresh_from_db()
    assert (row.state, row.stored, row.error) == ("sent", 2, "")


@pytest.mark.parametrize("group_key", ["", "g"])
def test_one_that_is_withdrawn_before_it_is_returned(bob: Any, monkeypatch: pytest.MonkeyPatch, group_key: str) -> None:
    """It was stored, so this is no error of the caller's."""
    send = sending.send

    def withdraw_at_once(*given: Any) -> sending.Stored:
        stored = send(*given)
        assert withdraw(dedupe_key="k") == 1
        return stored

    monkeypatch.setattr(sending, "send", withdraw_at_once)
    options: dict[str, Any] = {"dedupe_key": "k", "group_key": group_key, "silent": not group_key}
    assert notify(bob, "mention", message="x", **options) is None


def test_nobody_is_notified_of_what_they_did_themselves(alice: Any) -> None:
    assert notify(alice, "new_like", actor=alice) is None
    assert notify(alice.pk, "new_like", actor=alice) is None
    assert_nothing_was_sent()


# Refusals


def test_an_unknown_type(bob: Any) -> None:
    with pytest.raises(types.UnknownType, match=r"no notification type 'new_folower'.*new_follower"):
        notify(bob, "new_folower")
    assert_nothing_was_sent()


def test_a_missing_parameter(bob: Any) -> None:
    with pytest.raises(types.MissingParameter, match=r"'%\(actor\)s mentioned you' needs the parameter 'actor'"):
        notify(bob, "mention")
    assert_nothing_was_sent()


@pytest.mark.parametrize(
    ("misspelt", "option"),
    [("dedup_key", "dedupe_key"), ("groupkey", "group_key"), ("unless_presence", "unless_present")],
)
def test_a_misspelt_option(bob: Any, misspelt: str, option: str) -> None:
    given: dict[str, Any] = {misspelt: "x", "links": ["/"], "group": "g"}
    with pytest.raises(TypeError, match=f"'{misspelt}'.*'{option}'"):
        notify(bob, "mention", message="hello", **given)
    assert_nothing_was_sent()


def test_a_parameter_of_one_language_may_have_nearly_the_name_of_an_option(
    bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"zh-hans": "%(group_keys)s"}
    register(monkeypatch, "keys", message=lazy(lambda: said.get(get_language() or "", "Keys"), str)())
    assert sent(bob, "keys", group_keys="a, b").params == {"group_keys": "a, b"}


def test_an_unknown_recipient() -> None:
    with pytest.raises(ObjectDoesNotExist):
        notify(NO_KEY, "mention", message="?")
    assert_nothing_was_sent()


@pytest.mark.parametrize(("field", "text"), [("title", "x" * 256), ("title", ""), ("link", "/" * 501), *NULS])
def test_refusal_texts_have_limits_on_every_database(bob: Any, field: str, text: str) -> None:
    with pytest.raises(ValidationError, match=field):
        notify(bob, "mention", **{"message": "hello", field: text})
    assert_nothing_was_sent()


@pytest.mark.parametrize(
    ("data", "given_back"),
    [
        ({"名字": "小明 🎉", "quote": '"\\\u2028</script>'},) * 2,
        ({"no NUL": "\\u0000 \\\\u0000"},) * 2,
        ({"deep": {"list": [1, 2.5, None, True, {"x": []}]}},) * 2,
        ({"big": 2**60, "": ""},) * 2,
        (None, {}),
        ({}, {}),
        ({1: "a", "pair": (1, 2)}, {"1": "a", "pair": [1, 2]}),
        ({"id": uuid.UUID(int=7)}, {"id": "00000000-0000-0000-0000-000000000007"}),
        ({"at": datetime(2025, 10, 22, tzinfo=UTC)}, {"at": "2025-10-22T00:00:00Z"}),
        ({"label": gettext_lazy("New like")}, {"label": "New like"}),
    ],
)
def test_data_is_pushed_as_it_is_stored(bob: Any, data: Any, given_back: Any) -> None:
    row = sent(bob, "mention", message="hello", data=data)
    assert row.data == given_back
    row.refresh_from_db()
    assert row.data == given_back
    assert pushed(bob)[0]["data"]["data"] == given_back


@pytest.mark.parametrize(
    "data",
    [{"x": object()}, {"x": {1, 2}}, {"x": float("nan")}, {"x": "\ud800"}, {(1, 2): "x"}, {"x": "\0"}, [1], "text"],
)
def test_data_that_is_no_json_object(bob: Any, data: Any) -> None:
    with pytest.raises(sending.InvalidData, match="data "):
        notify(bob, "mention", message="hello", data=data)
    assert_nothing_was_sent()


class Votes(msgspec.Struct):
    counts: dict[int, int]
    days: dict[date, int] = {}


def test_data_with_keys_that_are_texts_in_json(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "votes", data=Votes)
    row = sent(bob, "votes", data={"counts": {7: 3}, "days": {"2030-01-31": 1}})
    assert row.data == {"counts": {"7": 3}, "days": {"2030-01-31": 1}}
    with pytest.raises(sending.InvalidData, match="'votes'"):
        notify(bob, "votes", data={"counts": {"x": 3}})


def nested(levels: int) -> dict[str, Any]:
    value: Any = {}
    for _ in range(levels - 2):
        value = [value]
    return {"x": value}


def test_data_that_is_nested(bob: Any) -> None:
    row = sent(bob, "mention", message="hello", data=nested(900))
    row.refresh_from_db()
    assert row.data == nested(900)


@pytest.mark.parametrize("levels", [901, 2_000, 9_000, 100_000])
def test_data_that_is_nested_too_deeply(bob: Any, levels: int) -> None:
    with pytest.raises(sending.InvalidData):
        notify(bob, "mention", message="hello", data=nested(levels))
    assert_nothing_was_sent()


def test_data_that_contains_itself(bob: Any) -> None:
    data: dict[str, Any] = {}
    data["self"] = data
    with pytest.raises(sending.InvalidData, match="Circular"):
        notify(bob, "mention", message="hello", data=data)
    assert_nothing_was_sent()


class Why(str, Enum):  # noqa: UP042 -- the str() of a StrEnum is its text already
    FRIENDS = "friends"


@pytest.mark.parametrize(
    ("given", "stored"), [(None, ""), (lazystr("7"), "7"), (mark_safe("7"), "7"), (Why.FRIENDS, "friends"), (0, "0")]
)
@pytest.mark.parametrize("name", ["reason", "dedupe_key", "group_key"])
def test_keys_and_reasons_of_any_kind(bob: Any, name: str, given: Any, stored: str) -> None:
    row = sent(bob, "mention", message="hello", **{name: given})
    assert (getattr(row, name), type(getattr(row, name))) == (stored, str)
    assert getattr(Notification.objects.get(pk=row.pk), name) == stored
    if name != "reason" and given is not None:
        assert notify([bob], "mention", message="again", **{name: given}) == (name == "group_key")
        assert withdraw(**{name: given}) == 1


def test_a_lazy_link(bob: Any) -> None:
    assert sent(bob, "mention", message="hello", link=lazystr("/7")).link == "/7"
