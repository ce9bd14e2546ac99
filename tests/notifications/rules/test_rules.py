"""Rules: who is notified of what, when objects are created, changed and deleted."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.core.exceptions import AppRegistryNotReady
from django.db import connection, transaction
from django.db.models import Count, Q
from django.test.utils import CaptureQueriesContext

from notifications import follow, followers, mute
from notifications.checks import check_rules
from notifications.models import Notification
from notifications.rules import Occasion, changed, created, deleted, notify_changes, notify_created, notify_on, on
from notifications.testing import assert_not_notified, assert_notified, outbox
from notifications.types import MissingParameter, register
from notifications.withdrawing import connect_targets
from tests.notifications.rows import pushed
from tests.shop.models import Book, Item, ItemProxy, Named, Shelf

pytestmark = pytest.mark.django_db


def news(when: Any, **options: Any) -> Any:
    """A rule that tells the owner of an item."""
    given = {"recipients": "owner", "params": lambda occasion: {"name": occasion.object.name}, **options}
    return notify_on(Item, when=when, type="news", **given)


def messages(user: Any) -> list[str]:
    return [row.render().message for row in Notification.objects.filter(recipient=user).order_by("pk")]


def test_created_changed_and_deleted(bob: Any) -> None:
    for when, name in ((created, "made"), (changed("status"), "changed"), (deleted, "gone")):
        news(when, params={"name": name})
    item = Item.objects.create(owner=bob)
    assert messages(bob) == ["made"]
    item.status = "sent"
    item.save()
    assert messages(bob) == ["made", "changed"]
    item.delete()
    assert messages(bob) == ["made", "changed", "gone"]
    assert len(pushed(bob)) == 3


def test_everything_may_come_from_the_occasion(alice: Any, bob: Any) -> None:
    news(
        changed("status"),
        recipients=lambda occasion: occasion.object.fans,
        params=lambda occasion: {"name": f"{occasion.old['status']} → {occasion.new['status']}"},
        data=lambda occasion: {"item": occasion.object.pk},
        actor=lambda occasion: occasion.object.owner,
        link=lambda occasion: f"/items/{occasion.object.pk}",
        reason="likes",
        only_if=lambda occasion: occasion.new["status"] == "sent",
    )
    item = Item.objects.create(owner=alice)
    item.fans.set([alice, bob])
    for status in ("paid", "sent"):
        item.status = status
        item.save()
    row = assert_notified(bob, "news", name="paid → sent", item=item.pk, actor=alice, link=f"/items/{item.pk}")
    assert (row.reason, row.target_key) == ("likes", str(item.pk))
    assert Notification.objects.count() == 1  # alice did it herself


@pytest.mark.parametrize(("path", "names"), [("fans", ["bob", "carol"]), ("owner", ["alice"]), ("owner_id", ["alice"])])
def test_a_path_leads_to_recipients(alice: Any, bob: Any, carol: Any, path: str, names: list[str]) -> None:
    news(changed("status"), recipients=path)
    item = Item.objects.create(owner=alice)
    item.fans.set([bob, carol])
    item.status = "sent"
    item.save()
    assert [user.username for user in (alice, bob, carol) if messages(user)] == names


def test_a_path_over_relations(bob: Any) -> None:
    notify_on(Shelf, when=created, recipients="item.owner", type="news", params={"name": "x"})
    Shelf.objects.create(code="6ba7b810-9dad-11d1-80b4-00c04fd430c8", item=Item.objects.create(owner=bob))
    Shelf.objects.create(code="6ba7b811-9dad-11d1-80b4-00c04fd430c8", item=Item.objects.create())
    Shelf.objects.create(code="6ba7b812-9dad-11d1-80b4-00c04fd430c8")
    assert len(messages(bob)) == 1


@pytest.mark.parametrize("path", ["owner", "owner_id"])
def test_a_path_leads_to_the_actor_and_the_target(alice: Any, bob: Any, path: str) -> None:
    """They were taken for keys, and the first save raised TypeError."""
    notify_on(
        Shelf,
        when=created,
        recipients=lambda occasion: bob,
        actor=f"item.{path}",
        target="item",
        type="news",
        params={"name": "x"},
    )
    item = Item.objects.create(owner=alice)
    Shelf.objects.create(code="6ba7b810-9dad-11d1-80b4-00c04fd430c8", item=item)
    Shelf.objects.create(code="6ba7b811-9dad-11d1-80b4-00c04fd430c8")
    rows = Notification.objects.filter(recipient=bob).order_by("pk")
    assert [(row.actor_id, row.target_key) for row in rows] == [(alice.pk, str(item.pk)), (None, "")]


def test_followers_and_mutes(alice: Any, bob: Any) -> None:
    news(changed("status"), recipients=lambda occasion: followers(occasion.object))
    item = Item.objects.create()
    for user in (alice, bob):
        follow(user, item)
    mute(bob, item)
    item.status = "sent"
    item.save()
    assert (len(messages(alice)), len(pushed(alice))) == (1, 1)
    assert (len(messages(bob)), len(pushed(bob))) == (1, 0)


def test_nobody_to_tell(bob: Any) -> None:
    news(created)
    Item.objects.create()
    assert not Notification.objects.exists()


def test_fixtures_are_left_alone(bob: Any) -> None:
    for when in (created, changed("status")):
        news(when)
    made = {"model": "shop.item", "pk": 1, "fields": {"owner": bob.pk, "status": "new"}}
    for status in ("new", "sent"):
        made["fields"]["status"] = status  # type: ignore[index]
        [loaded] = serializers.deserialize("json", json.dumps([made]))
        with CaptureQueriesContext(connection) as queries:
            loaded.save()
        assert "SELECT" not in [query["sql"].split()[0] for query in queries]
    assert not Notification.objects.exists()
    item = Item.objects.get()
    item.status = "paid"
    item.save()
    assert len(messages(bob)) == 1


@pytest.mark.parametrize("when", [created, changed("name"), deleted])
def test_a_class_that_builds_on_the_model_in_two_ways_has_the_rule_once(bob: Any, when: Any) -> None:
    heard = []
    notify_on(Named, when=when, recipients=lambda occasion: bob, type="news", params={"name": "x"})
    on(Named, when)(heard.append)
    shelf = Shelf.objects.create(code="6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    shelf.name = "top"
    shelf.save()
    shelf.delete()
    assert (len(heard), messages(bob), len(pushed(bob))) == (1, ["x"], 1)


@pytest.mark.django_db(transaction=True)
def test_a_rollback_takes_the_notification_along(bob: Any) -> None:
    news(created)
    with transaction.atomic():
        Item.objects.create(owner=bob)
        assert len(messages(bob)) == 1
        transaction.set_rollback(True)
    assert not Notification.objects.exists()
    assert pushed(bob) == []


def test_what_is_wrong_with_a_rule_is_an_error_of_the_save(bob: Any) -> None:
    news(created, params=None)
    with pytest.raises(MissingParameter):
        Item.objects.create(owner=bob)


# Deletions


@pytest.mark.parametrize(
    "delete", [lambda item: item.delete(), lambda item: type(item).objects.filter(pk=item.pk).delete()]
)
@pytest.mark.parametrize("model", [Item, ItemProxy, Book])
def test_a_deleted_object_is_announced_once_with_what_it_had(bob: Any, carol: Any, model: Any, delete: Any) -> None:
    news(deleted, recipients=lambda occasion: [occasion.object.owner, *occasion.object.fans.all()])
    item = model.objects.create(owner=bob, name="cup")
    item.fans.add(carol)
    delete(item)
    assert messages(bob) == messages(carol) == ["cup"]
    assert Notification.objects.filter(target_key=str(item.pk or 0)).count() in (0, 2)


def test_a_rule_of_an_abstract_class_about_deletions(bob: Any) -> None:
    notify_on(Named, when=deleted, recipients=lambda occasion: bob, type="news", params={"name": "x"})
    Book.objects.create().delete()
    assert len(messages(bob)) == 1


def test_a_parent_that_is_deleted_takes_its_child_along(bob: Any) -> None:
    notify_on(Book, when=deleted, recipients="owner", type="news", params={"name": "book"})
    news(deleted, params={"name": "item"})
    Item.objects.get(pk=Book.objects.create(owner=bob).pk).delete()
    assert sorted(messages(bob)) == ["book", "item"]


@pytest.mark.django_db(transaction=True)
def test_a_cascade_tells_those_who_are_left(alice: Any, bob: Any) -> None:
    news(deleted, recipients=lambda occasion: [occasion.object.owner, alice])
    Item.objects.create(owner=bob, name="cup")
    with transaction.atomic():
        bob.delete()
        assert messages(alice) == []
    assert messages(alice) == ["cup"]
    assert Notification.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["owner", "owner_id"])
def test_a_cascade_that_takes_the_actor_along(alice: Any, bob: Any, name: str) -> None:
    news(deleted, recipients=lambda occasion: alice, actor=lambda occasion: getattr(occasion.object, name))
    Item.objects.create(owner=bob, name="cup")
    bob.delete()
    [row] = Notification.objects.filter(recipient=alice)
    assert (row.actor_id, row.params["actor"], row.render().message) == (None, "bob", "cup")


@pytest.mark.django_db(transaction=True)
def test_a_user_who_is_deleted_may_be_the_actor(alice: Any, bob: Any) -> None:
    who = {"recipients": lambda occasion: [alice, occasion.object], "actor": lambda occasion: occasion.object}
    notify_on(type(bob), when=deleted, type="mention", **who)
    bob.delete()
    assert messages(alice) == ["bob mentioned you"]
    assert Notification.objects.count() == 1


def test_who_deletes_something_and_stays_is_its_actor(alice: Any, bob: Any) -> None:
    item = Item.objects.create(owner=bob, name="cup")
    news(deleted, recipients=lambda occasion: [alice, bob], actor=lambda occasion: occasion.object.owner)
    item.delete()
    assert_notified(alice, "news", actor=bob)
    assert messages(bob) == []


@pytest.mark.django_db(transaction=True)
def test_a_cascade_that_takes_the_only_recipient_along(bob: Any) -> None:
    news(deleted)
    Item.objects.create(owner=bob)
    bob.delete()
    assert not Notification.objects.exists()


def test_what_is_about_a_deleted_object_is_withdrawn_and_the_rules_word_stays(bob: Any) -> None:
    register("status", title="Status", message="x", ends_with="shop.Item")
    register("gone", title="Gone", message="x", ends_with="shop.Item")
    notify_on(Item, when=changed("status"), recipients="owner", type="status")
    notify_on(Item, when=deleted, recipients="owner", type="gone")
    connect_targets()
    item = Item.objects.create(owner=bob)
    item.status = "sent"
    item.save()
    item.delete()
    assert_not_notified(bob, "status")
    assert_notified(bob, "gone")


# What sends no signals


def test_an_update_of_a_queryset(alice: Any, bob: Any) -> None:
    news(changed("status"), params=lambda occasion: {"name": f"{occasion.old['status']} → {occasion.new['status']}"})
    news(created)
    Item.objects.bulk_create([Item(owner=user, status=status) for user in (alice, bob) for status in ("new", "sent")])
    with notify_changes(Item.objects.exclude(status="cancelled")) as items:
        assert items.update(status="sent") == 4
    assert (messages(alice), messages(bob)) == (["new → sent"], ["new → sent"])


def test_only_the_rows_of_the_queryset(bob: Any) -> None:
    news(changed("status"))
    for name in ("a", "b", "c"):
        Item.objects.create(owner=bob, name=name)
    with notify_changes(Item.objects.exclude(name="c").only("name")) as items:
        assert sorted(items.values_list("name", flat=True)) == ["a", "b"]
        Item.objects.update(status="sent")
        items.filter(name="b").delete()
    assert messages(bob) == ["a"]


@pytest.mark.parametrize(
    "choose",
    [
        lambda items: items.order_by("-name")[:2],
        lambda items: items.exclude(name="a").distinct(),
        lambda items: items.exclude(name="a").annotate(count=Count("fans")),
        lambda items: items.filter(Q(owner__username="bob") | Q(status="new")).exclude(name="a"),
    ],
    ids=["sliced", "distinct", "grouped", "joined"],
)
def test_rows_of_every_queryset(bob: Any, choose: Any) -> None:
    news(changed("status"))
    for name in ("a", "b", "c"):
        Item.objects.create(owner=bob, name=name)
    with notify_changes(choose(Item.objects.all())) as items:
        assert items.update(status="sent") == 2
    assert messages(bob) == ["b", "c"]


def test_a_bulk_update(bob: Any) -> None:
    news(changed("stock"), params=lambda occasion: {"name": str(occasion.new["stock"])})
    items = [Item.objects.create(owner=bob) for _ in range(3)]
    for number, item in enumerate(items):
        item.stock = number
    with notify_changes(Item.objects.all()):
        Item.objects.bulk_update(items, ["stock"])
    assert messages(bob) == ["1", "2"]


def test_a_model_without_rules(bob: Any) -> None:
    Item.objects.create(owner=bob)
    with notify_changes(Item.objects.all()) as items:
        items.update(status="sent")
    assert not Notification.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_error_in_the_block_changes_nothing(bob: Any) -> None:
    news(changed("status"))
    Item.objects.create(owner=bob)
    with pytest.raises(ZeroDivisionError), notify_changes(Item.objects.all()) as items:
        items.update(status="sent" if items.count() / 0 else "new")
    assert Item.objects.get().status == "new"
    assert not Notification.objects.exists()


def test_objects_that_were_created_in_bulk(bob: Any) -> None:
    news(created)
    made = Item.objects.bulk_create([Item(owner=bob, name=name) for name in "ab"])
    assert messages(bob) == []
    notify_created(made)
    assert messages(bob) == ["a", "b"]


# Declarations


async def later(occasion: Occasion) -> bool:
    return False


@pytest.mark.parametrize(
    ("declare", "expected", "words"),
    [
        (changed, ValueError, "Name the fields"),
        (lambda: on("shop.Nothing", created), LookupError, "Nothing"),
        (lambda: on(Item, changed("colour")), ValueError, "no field 'colour'"),
        (lambda: on(Item, changed("fans")), ValueError, "no column"),
        (lambda: on(Item, changed("shelves")), ValueError, "no column"),
        (lambda: news(created, colour="red"), TypeError, "no option colour"),
        (lambda: news(created, recipients="buyer.user"), ValueError, "no 'buyer'"),
        (lambda: news(created, recipients="owner.user"), ValueError, r"auth\.User has no 'user'.* `recipients`"),
        (lambda: news(created, actor="owner__user"), ValueError, "no 'owner__user' that could lead to `actor`"),
        (lambda: news(created, target="shelf"), ValueError, "no 'shelf' that could lead to `target`"),
        (lambda: news("created"), TypeError, "not for 'created'"),
        (lambda: on(Item, changed), TypeError, "not for <function changed"),
        (lambda: news(created, recipients=[1]), TypeError, "`recipients` of notify_on"),
        (lambda: news(created, only_if="status"), TypeError, "`only_if` of notify_on"),
        (lambda: news(created, params=["name"]), TypeError, "`params` of notify_on"),
        (lambda: news(created, only_if=later), TypeError, "`only_if` of a rule must not be asynchronous"),
        (lambda: news(created, link=later), TypeError, "`link` of a rule must not be asynchronous"),
        (lambda: on(Item, created)(later), TypeError, "`handler` of a rule must not be asynchronous"),
    ],
)
def test_what_is_wrong_is_refused_when_it_is_declared(declare: Any, expected: Any, words: str) -> None:
    with pytest.raises(expected, match=words):
        declare()


def test_rules_are_declared_when_all_models_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "models_ready", False)
    with pytest.raises(AppRegistryNotReady):
        on(Item, created)


def test_a_check_finds_types_that_do_not_exist() -> None:
    assert check_rules() == []
    news(created)
    assert check_rules() == []
    notify_on("shop.Item", when=created, recipients="owner", type="nwes")
    [error] = check_rules()
    assert (error.id, "'nwes'" in error.msg, "news" in str(error.hint)) == ("notifications.E006", True, True)


def test_a_function_of_the_site_is_called(bob: Any) -> None:
    heard = []

    @on("shop.item", deleted)
    def hear(occasion: Occasion) -> None:
        heard.append((occasion.object.pk, Item.objects.filter(pk=occasion.object.pk).exists()))

    item = Item.objects.create()
    pk = item.pk
    item.delete()
    assert heard == [(pk, False)]
    assert hear.__name__ == "hear"


def test_the_outbox_lists_what_rules_send(bob: Any) -> None:
    news(created)
    with outbox() as sent:
        Item.objects.create(owner=bob, name="cup")
    assert [(one.recipients, one.notification.render().title) for one in sent] == [([bob.pk], "cup")]
