"""One person's data: everything is handed out, everything is deleted, and nothing of others is."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import get_language, override

from notifications import erase_user, export_user, follow, mute, notify, personal, pruning, withdraw
from notifications.announcements.numbers import numbers_of
from notifications.inbox import act
from notifications.models import (
    Announcement,
    AnnouncementState,
    Change,
    Delivery,
    Follow,
    GroupMember,
    Notification,
    Reader,
)
from notifications.preferences.changing import change
from notifications.pushing import item
from tests.notifications.announced import announce, report
from tests.notifications.choices import register
from tests.notifications.rows import pushed, row_of, sent
from tests.patience import PATIENCE_SECONDS
from tests.racing import at_once, somebody_waits, wait_until

pytestmark = pytest.mark.django_db

# Tables of the app that hold nothing about one person.
IMPERSONAL = {"announcement", "announcement_groups", "announcementtext", "jobrun", "typeswitch"} | {
    "dispatch",
    "dispatch_groups",
}


def like(actor: Any, *readers: Any) -> None:
    for reader in readers:
        notify(reader, "new_like", actor=actor, group_key="likes.post.1")


def exported(user: Any, table: str = "") -> list[dict[str, Any]]:
    records = [json.loads(json.dumps(record)) for record in export_user(user)]
    return [record for record in records if table in ("", record["table"])]


def every_text_of_others(user: Any) -> str:
    """What others see of their notifications, and everything that is stored about them."""
    rows = Notification.objects.exclude(recipient=user)
    return str([(item(row), row.params, row.group_actors) for row in rows])


# Every table


def test_it_knows_every_table_of_the_app() -> None:
    """A new model with a key of a user, or one that belongs to a person's rows, is found by itself."""
    own = {source.name for source in personal.own_sources()}
    others = {model._meta.model_name for model in personal.ABOUT_OTHERS}
    everything = {model._meta.model_name for model in apps.get_app_config("notifications").get_models(True)}
    assert everything - own - others == IMPERSONAL
    assert {(source.name, source.path) for source in personal.mentions()} >= {
        ("notification", "actor"),
        ("announcement", "created_by"),
    }


# Export


def test_it_hands_out_what_belongs_to_the_person(alice: Any, bob: Any, general: Any) -> None:
    row = sent(bob, "mention", actor=alice, data={"post": 7}, link="/posts/7")
    act(bob.pk, "snooze", ids=[row.pk], until=timezone.now() + timedelta(days=1))
    follow(bob, general)
    mute(bob, general)
    report(bob, announce("news", for_newer=True), "read")
    tables = {record["table"]: record for record in exported(bob)}
    assert tables.keys() == {"notification", "change", "follow", "announcementstate"}
    notification = tables["notification"]
    assert notification["id"] == row.pk
    assert notification["text"] == {"title": "New mention", "message": "alice mentioned you"}
    assert (notification["data"], notification["link"]) == ({"post": 7}, "/posts/7")
    assert notification["snoozed_until"] > notification["created_at"]
    assert tables["announcementstate"]["read_at"]
    assert tables["follow"]["muted_until"].startswith("9999")


def test_it_hands_out_mails_web_pushes_choices_and_groups(
    alice: Any, bob: Any, carol: Any, general: Any, settings: Any
) -> None:
    settings.NOTIFICATIONS = {"MAIL": True, "SITE_URL": "https://example.com", "WEB_PUSH": "builtins.len"}
    for user in (bob, carol):
        change(user, mail=True, web_push=True, time_zone="Europe/Berlin", types={"mention": {"web_push": True}})
    for person in (alice, carol):
        like(person, bob)
    sent(bob, "mention", actor=alice)
    sent(carol, "mention", actor=bob)
    report(bob, announce("news", for_newer=True), "dismiss")
    follow(bob, general)
    mute(bob, alice)
    records = exported(bob)
    mine = [record for record in records if "as" not in record]
    assert Counter(record["table"] for record in mine) == {
        "notification": 2,
        "delivery": 4,
        "reader": 1,
        "preference": 1,
        "follow": 2,
        "announcementstate": 1,
    }
    owners = {record.get("user_id", record.get("recipient_id")) for record in mine}
    assert owners == {bob.pk}
    channels = Counter((record["channel"], record["state"]) for record in exported(bob, "delivery"))
    assert channels == {("mail", "queued"): 2, ("web_push", "queued"): 1, ("web_push", "suppressed"): 1}
    assert exported(bob, "reader")[0]["time_zone"] == "Europe/Berlin"
    assert exported(bob, "preference")[0]["scope"] == "type"
    group = next(record for record in exported(bob, "notification") if record.get("group_key"))
    assert (group["group_count"], len(group["group_actors"])) == (2, 2)
    # Whose groups the person is in, and what else they have caused, without those who got it.
    assert [(record["table"], record["as"]) for record in records if "as" in record] == [("notification", "actor")]
    assert [record["as"] for record in exported(alice, "groupmember")] == ["person"]


def test_texts_are_in_the_persons_language(alice: Any, bob: Any, settings: Any) -> None:
    sent(bob, "mention", actor=alice)
    settings.NOTIFICATIONS = {"LANGUAGE": "tests.notifications.test_words.always_chinese"}
    assert exported(bob)[0]["text"]["title"] == "新提及"


def test_the_caller_keeps_their_language_meanwhile(alice: Any, bob: Any) -> None:
    sent(bob, "mention", actor=alice)
    with override("zh-hans"):
        assert {get_language() for _record in export_user(bob)} == {"zh-hans"}
        assert get_language() == "zh-hans"


def test_it_hands_out_what_the_person_caused_and_nothing_about_others(alice: Any, bob: Any, carol: Any) -> None:
    sent(bob, "mention", actor=alice, message="only for bob")
    like(alice, bob)
    like(carol, bob)
    announcement = announce("news", created_by=alice)
    records = exported(alice)
    kinds = sorted((record["table"], record["as"], record.get("type", "")) for record in records)
    assert kinds == [
        ("announcement", "created_by", ""),
        ("groupmember", "person", "new_like"),
        ("notification", "actor", "mention"),
    ]
    assert announcement.pk in {record["id"] for record in records}
    for secret in ("only for bob", "bob", "carol", '"recipient'):
        assert secret not in json.dumps(records)


def test_it_hands_out_what_the_reader_has_deleted_as_long_as_it_is_there(bob: Any) -> None:
    row = sent(bob, "order_status_changed", order_id="A-1", status="sent")
    act(bob.pk, "delete", ids=[row.pk])
    assert exported(bob, "notification")[0]["deleted_at"]


def test_nobody_elses_rows_are_handed_out(alice: Any, bob: Any, general: Any) -> None:
    sent(bob, "order_status_changed", order_id="A-1", status="sent")
    follow(bob, general)
    report(bob, announce("news", for_newer=True), "seen")
    assert exported(alice) == []


def test_it_reads_in_portions_and_not_with_a_cursor_of_the_server(alice: Any, bob: Any, monkeypatch: Any) -> None:
    """Behind PgBouncer in transaction mode, a cursor outside a transaction is on a connection that others get."""

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a cursor of the server")

    monkeypatch.setattr(personal, "ROWS_AT_ONCE", 2)
    for number in range(5):
        sent(bob, "mention", actor=alice, message=str(number))
    like(alice, bob)
    with monkeypatch.context() as cursors:
        cursors.setattr(connection, "chunked_cursor", refuse)
        keys = [record["id"] for record in exported(bob, "notification")]
        assert [record["as"] for record in exported(alice)] == ["actor"] * 6 + ["person"]
    assert keys == list(Notification.objects.filter(recipient=bob).order_by("pk").values_list("pk", flat=True))


def test_it_says_that_the_person_was_online_for_an_announcement(alice: Any) -> None:
    row = announce("for those here", for_newer=True)
    Announcement.objects.update(audience="online", online={str(alice.pk): 1})
    assert exported(alice) == [{"table": "announcement", "as": "online", "id": row.pk}]
    erase_user(alice)
    assert Announcement.objects.get().online == {}


@pytest.mark.parametrize("function", [erase_user, export_user])
@pytest.mark.parametrize("user", [None, "", object()])
def test_a_person_is_a_user(function: Any, user: Any) -> None:
    with pytest.raises(TypeError):
        function(user)


# Deletion


def test_it_deletes_what_belongs_to_the_person(alice: Any, bob: Any, general: Any) -> None:
    for user in (alice, bob):
        row = sent(user, "order_status_changed", order_id="A-1", status="sent")
        act(user.pk, "read", ids=[row.pk])
        act(user.pk, "snooze", ids=[row.pk], until=timezone.now() + timedelta(days=1))
        follow(user, general)
    done = erase_user(bob)
    assert {name: count for name, count in done.items() if count} == {"change": 1, "notification": 1, "follow": 1}
    assert Notification.objects.get().recipient == alice
    assert Follow.objects.get().user == alice
    assert Change.objects.count() == 1
    assert exported(bob) == []
    assert pushed(bob, "inbox")[-1]["data"] == {
        "unread": 0,
        "unseen": 0,
        "act": "changed",
        "notification_ids": None,
    }


def test_numbers_of_announcements_stay(alice: Any, bob: Any) -> None:
    row = announce("news", for_newer=True, closing="confirm")
    report(alice, row, "read")
    report(bob, row, "confirm")
    erase_user(bob)
    assert AnnouncementState.objects.get().user == alice
    row.refresh_from_db()
    numbers = numbers_of([row])[row.pk]
    assert (numbers.seen, numbers.read, numbers.confirmed) == (2, 2, 1)


def test_the_persons_name_goes_from_what_others_have(alice: Any, bob: Any, carol: Any) -> None:
    alice.first_name, alice.last_name = "Alice", "Liddell"
    alice.save()
    sent(carol, "mention", actor=alice)
    sent(carol, "mention", actor=bob)
    assert erase_user(alice)["others"] == 1
    assert "Liddell" not in every_text_of_others(alice)
    mine, other = Notification.objects.order_by("pk")
    assert (mine.actor, mine.render().message) == (None, "Somebody mentioned you")
    assert other.render().message == "bob mentioned you"
    with override("zh-hans"):
        assert mine.render().message == "用户 有人 提到了你"
    assert item(mine).actor is None
    assert exported(alice) == []


@pytest.mark.parametrize("is_last", [True, False])
def test_groups_count_the_person_and_no_longer_name_them(
    alice: Any, bob: Any, carol: Any, django_user_model: Any, is_last: bool
) -> None:
    dave = django_user_model.objects.create_user("dave")
    for actor in (bob, dave, alice) if is_last else (alice, bob, dave):
        like(actor, carol)
    erase_user(alice)
    row = row_of(carol)
    assert row.group_count == 3
    assert "alice" not in every_text_of_others(alice)
    assert [person["name"] for person in row.group_actors] == ["dave", "bob"]
    assert row.render().message == "dave and 2 others liked your post"
    assert set(GroupMember.objects.values_list("person", flat=True)) == {str(bob.pk), str(dave.pk)}


def test_a_group_of_two_says_that_there_is_another(alice: Any, bob: Any, carol: Any) -> None:
    like(alice, carol)
    like(bob, carol)
    erase_user(alice)
    assert row_of(carol).render().message == "bob and 1 other liked your post"
    erase_user(bob)
    assert row_of(carol).render().message == "2 people liked your post"


@pytest.mark.parametrize("gone", ["withdrawn", "deleted"])
def test_who_is_named_in_the_place_of_somebody_else_is_not_named_either(
    alice: Any, bob: Any, carol: Any, gone: str
) -> None:
    for actor in (alice, bob) if gone == "withdrawn" else (alice,):
        notify(carol, "new_like", actor=actor, group_key="like:7", dedupe_key=f"like:{actor.pk}")
    key = alice.pk
    if gone == "withdrawn":
        withdraw(dedupe_key=f"like:{bob.pk}")
    else:
        alice.delete()
    assert row_of(carol).render().message == "alice liked your post"
    erase_user(key)
    assert row_of(carol).render().message == "Somebody liked your post"
    assert "alice" not in str(row_of(carol).params)


def test_a_person_among_many_is_found_in_all_portions(
    alice: Any, bob: Any, carol: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(pruning, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(pruning, "PAUSE_SECONDS", 0)
    for number in range(5):
        sent(bob, "mention", actor=alice)
        sent(alice, "mention", actor=carol, title=f"n{number}")
        notify(bob, "new_like", actor=alice, group_key=f"likes.{number}")
    done = erase_user(alice)
    assert (done["notification"], done["others"]) == (5, 10)
    assert "alice" not in every_text_of_others(alice)


def test_the_author_of_an_announcement_is_forgotten(alice: Any) -> None:
    row = announce("news", created_by=alice)
    assert erase_user(alice)["others"] == 1
    row.refresh_from_db()
    assert row.created_by is None


def test_what_others_follow_and_get_about_the_person_forgets_them(
    alice: Any, bob: Any, carol: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "birthday", ends_with="auth.User")
    for thing in (bob, carol):
        follow(alice, thing)
        mute(carol, thing)
        sent(alice, "mention", message=f"about {thing}", target=thing)
        sent(alice, "birthday", target=thing)
    of_others = [record for record in exported(bob) if record.get("as") == "target"]
    assert sorted(record["table"] for record in of_others) == ["follow", "follow", "notification", "notification"]
    assert not {"user_id", "recipient_id"} & {key for record in of_others for key in record}
    assert erase_user(bob)["others"] == 4
    assert exported(bob) == []
    assert set(Follow.objects.values_list("target_key", flat=True)) == {str(carol.pk)}
    rows = Notification.objects.order_by("pk").values_list("type", "target_key")
    assert list(rows) == [("mention", ""), ("mention", str(carol.pk)), ("birthday", str(carol.pk))]


def test_a_primary_key_names_the_person_also_after_they_were_deleted(alice: Any, bob: Any) -> None:
    like(alice, bob)
    key = alice.pk
    alice.delete()
    assert exported(key) == [
        {"table": "groupmember", "as": "person", "id": GroupMember.objects.get().pk, "type": "new_like"}
    ]
    erase_user(key)
    assert not GroupMember.objects.exists()


HELD: dict[str, Callable[[Any], "QuerySet[Any]"]] = {
    "a notification": lambda person: Notification.objects.filter(recipient=person),
    "a mail": lambda person: Delivery.objects.filter(user=person),
    "choices": lambda person: Reader.objects.filter(user=person),
    "a state of an announcement": lambda person: AnnouncementState.objects.filter(user=person),
    "another's notification": lambda person: Notification.objects.filter(target_key=str(person.pk)),
    "another's mute": lambda person: Follow.objects.filter(target_key=str(person.pk)),
}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", HELD)
def test_it_waits_for_whoever_works_on_a_row(alice: Any, bob: Any, settings: Any, what: str) -> None:
    """There is no next time, in which what was left could be deleted."""
    settings.NOTIFICATIONS = {"MAIL": True, "SITE_URL": "https://example.com"}
    change(alice, mail=True)
    sent(alice, "mention", actor=bob)
    report(alice, announce("news", for_newer=True), "read")
    sent(bob, "mention", message="x", target=alice)
    mute(bob, alice)
    is_held, is_erased = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            assert len(HELD[what](alice).select_for_update()) == 1
            is_held.set()
            wait_until(lambda: somebody_waits() or is_erased.is_set())

    def erase() -> None:
        assert is_held.wait(PATIENCE_SECONDS)
        erase_user(alice)
        is_erased.set()

    assert at_once(hold, erase) == [None, None]
    assert exported(alice) == []
    assert Notification.objects.get().recipient == bob


# Commands


def test_the_command_writes_an_object_in_each_line(alice: Any, bob: Any) -> None:
    sent(bob, "mention", actor=alice)
    sent(bob, "order_status_changed", order_id="A-1", status="sent")
    output = StringIO()
    call_command("export_notifications", "bob", stdout=output)
    assert [json.loads(line)["table"] for line in output.getvalue().splitlines()] == ["notification"] * 2


def test_the_command_asks_before_it_deletes(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(bob, "order_status_changed", order_id="A-1", status="sent")
    asked = []

    def answer(question: str) -> str:
        asked.append(question)
        return "no"

    monkeypatch.setattr("builtins.input", answer)
    with pytest.raises(CommandError, match="Nothing was deleted"):
        call_command("erase_notifications", "bob")
    assert f"bob ({bob.pk})" in asked[0]
    monkeypatch.setattr("builtins.input", lambda question: "yes")
    output = StringIO()
    call_command("erase_notifications", str(bob.pk), "--by-key", stdout=output)
    assert "1 notification" in output.getvalue()
    assert not Notification.objects.exists()
    call_command("erase_notifications", "bob", "--no-input", verbosity=0)


def test_the_command_says_that_nobody_can_answer(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(question: str) -> str:
        raise EOFError

    sent(bob, "order_status_changed", order_id="A-1", status="sent")
    monkeypatch.setattr("builtins.input", answer)
    with pytest.raises(CommandError, match=r"Nothing was deleted.*--no-input"):
        call_command("erase_notifications", "bob")
    assert Notification.objects.exists()


@pytest.mark.parametrize("arguments", [["nobody"], ["0", "--by-key"], ["abc", "--by-key"]])
def test_a_command_about_nobody(arguments: list[str], db: None) -> None:
    with pytest.raises(CommandError, match="There is no user"):
        call_command("export_notifications", *arguments)


def test_a_name_that_looks_like_a_key_is_a_name(bob: Any) -> None:
    other = get_user_model().objects.create_user(str(bob.pk))
    sent(other, "order_status_changed", order_id="A-1", status="sent")
    output = StringIO()
    call_command("export_notifications", str(bob.pk), stdout=output)
    assert json.loads(output.getvalue())["recipient_id"] == other.pk
