"""What has changed: each change is noticed once, with old and new value, and without a query where possible."""

import pickle
from copy import copy
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.db import connection, models, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from notifications.rules import Occasion, changed, notify_changes, on
from tests.people import NO_KEY
from tests.shop.models import Book, Item, ItemProxy, Named, Shelf

pytestmark = pytest.mark.django_db

Told = list[tuple[dict[str, Any], dict[str, Any]]]


def listen(told: Any, *fields: str, model: type[models.Model] = Item) -> None:
    @on(model, changed(*fields))
    def tell(occasion: Occasion) -> None:
        told.append((dict(occasion.old), dict(occasion.new)))


def count_queries(action: Any) -> int:
    with CaptureQueriesContext(connection) as queries:
        action()
    return len([query for query in queries if "SAVEPOINT" not in query["sql"]])


@pytest.fixture
def item(told: Told) -> Item:
    """An item that was loaded after the rule about its status was declared."""
    listen(told, "status")
    pk = Item.objects.create(status="new").pk
    assert told == []
    return Item.objects.get(pk=pk)


def test_a_change_has_its_old_and_new_value_and_costs_no_query(item: Item, told: Told) -> None:
    item.status = "sent"
    assert count_queries(item.save) == 1
    assert told == [({"status": "new"}, {"status": "sent"})]


def test_what_stays_the_same_is_no_change_and_costs_no_query(item: Item, told: Told) -> None:
    item.name, item.status = "other", "new"
    assert count_queries(item.save) == 1
    assert told == []


def test_each_change_is_noticed_once(item: Item, told: Told) -> None:
    for status in ("paid", "paid", "sent", "new", "new"):
        item.status = status
        item.save()
    assert [new["status"] for _, new in told] == ["paid", "sent", "new"]


def test_only_what_is_written_has_changed(item: Item, told: Told) -> None:
    item.status, item.name = "sent", "other"
    item.save(update_fields=["name"])
    assert told == []
    item.save(update_fields={"status"})
    assert told == [({"status": "new"}, {"status": "sent"})]
    item.save(update_fields=[])
    assert len(told) == 1


def test_of_several_fields_those_that_have_changed(told: Told) -> None:
    listen(told, "status", "price", "owner")
    item = Item.objects.create()
    item.status, item.price = "sent", Decimal("9.90")
    item.save()
    item.stock = 5
    item.save()
    assert told == [({"status": "new", "price": 0}, {"status": "sent", "price": Decimal("9.90")})]


def test_several_rules_for_one_model(told: Told) -> None:
    listen(told, "status")
    listen(told, "stock")
    listen(told, "status", "stock")
    item = Item.objects.create()
    item.stock = 5
    item.save()
    assert told == [({"stock": 0}, {"stock": 5})] * 2


def test_a_relation_has_its_keys(alice: Any, bob: Any, told: Told) -> None:
    listen(told, "owner")
    item = Item.objects.create(owner=alice)
    item.owner = bob
    item.save(update_fields=["owner_id"])
    item.owner = None
    item.save(update_fields=["owner"])
    assert told == [({"owner": alice.pk}, {"owner": bob.pk}), ({"owner": bob.pk}, {"owner": None})]


# Fields that were not loaded


def test_a_field_that_was_not_loaded_is_not_written(item: Item, told: Told) -> None:
    deferred = Item.objects.defer("status").get(pk=item.pk)
    deferred.name = "other"
    assert count_queries(deferred.save) == 1
    assert told == []


def test_a_field_that_was_not_loaded_and_then_assigned_costs_one_query(item: Item, told: Told) -> None:
    deferred = Item.objects.only("name").get(pk=item.pk)
    deferred.status = "sent"
    assert count_queries(deferred.save) == 2
    assert told == [({"status": "new"}, {"status": "sent"})]


def test_a_field_that_was_loaded_later_costs_no_more(item: Item, told: Told) -> None:
    deferred = Item.objects.only("name").get(pk=item.pk)
    assert deferred.status == "new"
    deferred.status = "sent"
    assert count_queries(deferred.save) == 1
    assert told == [({"status": "new"}, {"status": "sent"})]


def test_an_object_that_was_not_loaded_costs_one_query(item: Item, told: Told) -> None:
    known = Item(pk=item.pk, status="sent", name="made by hand")
    assert count_queries(known.save) == 2
    assert told == [({"status": "new"}, {"status": "sent"})]


def test_an_object_from_before_the_rule(told: Told) -> None:
    item = Item.objects.create()
    listen(told, "status")
    item.status = "sent"
    assert count_queries(item.save) == 2
    assert told == [({"status": "new"}, {"status": "sent"})]


def test_a_new_object_with_a_key_of_its_own_is_new(told: Told) -> None:
    listen(told, "name", model=Shelf)
    Shelf(code=uuid4(), name="a").save()
    Item(pk=NO_KEY, status="x").save()
    assert told == []


def test_an_object_that_was_created_in_bulk(told: Told) -> None:
    listen(told, "status")
    listen(told, "name", model=Shelf)
    item, shelf = Item(), Shelf(code=uuid4())
    item.status, shelf.name = "paid", "red"
    Item.objects.bulk_create([item])
    Shelf.objects.bulk_create([shelf])
    for thing in (item, shelf):
        assert count_queries(thing.save) == 2
    assert told == []
    item.status = "sent"
    item.save()
    assert told == [({"status": "paid"}, {"status": "sent"})]


def test_an_object_that_was_changed_in_bulk(item: Item, told: Told) -> None:
    other = Item.objects.create()
    item.status = "paid"
    with notify_changes(Item.objects.filter(pk=item.pk)):
        Item.objects.bulk_update([item], ["status"])
    item.save()
    assert told == [({"status": "new"}, {"status": "paid"})]
    for thing in (item, other):
        thing.status = "sent"
        thing.save()
    assert [old["status"] for old, _ in told] == ["new", "paid", "new"]


@pytest.mark.parametrize("is_read_again", [False, True])
def test_an_object_from_before_a_change_in_bulk_costs_one_query(item: Item, told: Told, is_read_again: bool) -> None:
    with notify_changes(Item.objects.all()) as items:
        items.update(status="paid")
    if is_read_again:
        item.refresh_from_db(fields=["name"])
    item.status = "sent"
    assert count_queries(item.save) == 2
    assert told[1:] == [({"status": "paid"}, {"status": "sent"})]


# Objects that were read again


def test_an_object_that_was_read_again_knows_what_it_read(item: Item, told: Told) -> None:
    Item.objects.filter(pk=item.pk).update(status="paid")
    item.refresh_from_db()
    item.save()
    assert told == []
    item.status = "new"
    assert count_queries(item.save) == 1
    assert told == [({"status": "paid"}, {"status": "new"})]


def test_reading_other_fields_again_does_not_hide_a_change(item: Item, told: Told) -> None:
    item.status = "sent"
    item.refresh_from_db(fields=["name"])
    item.save()
    assert told == [({"status": "new"}, {"status": "sent"})]


def test_reading_again_from_a_queryset(item: Item, told: Told) -> None:
    item.status = "sent"
    item.refresh_from_db(from_queryset=Item.objects.only("name"))
    assert count_queries(item.save) == 2
    assert told == [({"status": "new"}, {"status": "sent"})]


async def test_reading_again_asynchronously(transactional_db: None, item: Item, told: Told) -> None:
    await Item.objects.filter(pk=item.pk).aupdate(status="paid")
    await item.arefresh_from_db()
    item.status = "new"
    await item.asave()
    assert told == [({"status": "paid"}, {"status": "new"})]


@pytest.mark.parametrize("duplicate", [copy, lambda item: pickle.loads(pickle.dumps(item))], ids=["copy", "pickle"])
def test_a_copy_knows_what_the_original_knew(item: Item, told: Told, duplicate: Any) -> None:
    twin = duplicate(item)
    item.status = "paid"
    item.save()
    twin.status = "sent"
    assert count_queries(twin.save) == 1
    assert told == [({"status": "new"}, {"status": "paid"}), ({"status": "new"}, {"status": "sent"})]


# Transactions


@pytest.mark.django_db(transaction=True)
def test_a_change_that_was_rolled_back_is_a_change_again(item: Item, told: Told) -> None:
    for _ in range(2):
        with transaction.atomic():
            item.status = "sent"
            item.save()
            item.save()
            transaction.set_rollback(True)
    item.save()
    assert told == [({"status": "new"}, {"status": "sent"})] * 3
    item.save()
    assert len(told) == 3


@pytest.mark.django_db(transaction=True)
def test_a_change_in_a_savepoint_that_was_rolled_back(item: Item, told: Told) -> None:
    with transaction.atomic():
        with transaction.atomic():
            item.status = "sent"
            item.save()
            transaction.set_rollback(True)
        item.save()
    assert told == [({"status": "new"}, {"status": "sent"})] * 2


@pytest.mark.django_db(transaction=True)
def test_what_a_change_in_a_transaction_costs_later(item: Item, told: Told) -> None:
    """One query in the next save, and none after that."""
    with transaction.atomic():
        item.status = "sent"
        assert count_queries(item.save) == 1
    assert count_queries(item.save) == 2
    assert count_queries(item.save) == 1
    assert len(told) == 1


# Values


def test_the_same_value_of_another_type_is_no_change(alice: Any, told: Told) -> None:
    listen(told, "price", "stock", "owner")
    item = Item.objects.create(price="9.90", stock="5", owner_id=str(alice.pk))
    for price, stock, owner in [("9.9", 5, alice.pk), (Decimal("9.900"), "5", str(alice.pk)), (9.9, 5.0, alice.pk)]:
        item.price, item.stock, item.owner_id = price, stock, owner
        item.save()
    assert told == []
    item.price, item.stock = "10", "6"
    item.save()
    assert told[0][1] == {"price": Decimal("10"), "stock": 6}


def test_a_value_that_is_changed_in_place(told: Told) -> None:
    listen(told, "details")
    item = Item.objects.get(pk=Item.objects.create(details={"color": ["red"]}).pk)
    item.details["color"].append("blue")
    item.save()
    item.details["color"].append("green")
    item.save()
    assert told == [
        ({"details": {"color": ["red"]}}, {"details": {"color": ["red", "blue"]}}),
        ({"details": {"color": ["red", "blue"]}}, {"details": {"color": ["red", "blue", "green"]}}),
    ]


def test_a_file(told: Told) -> None:
    listen(told, "photo")
    item = Item.objects.get(pk=Item.objects.create().pk)
    assert not item.photo
    item.save()
    assert told == []
    item.photo.save("cat.png", ContentFile(b"x"))
    name = item.photo.name
    item.save()
    assert [(old["photo"], new["photo"]) for old, new in told] == [("", name)]


def test_an_expression(told: Told) -> None:
    listen(told, "stock")
    item = Item.objects.create(stock=5)
    item.stock = F("stock") + 2
    item.save()
    item.refresh_from_db()
    item.stock = F("stock") * 1
    item.save()
    assert told == [({"stock": 5}, {"stock": 7})]


# Classes


def test_objects_of_a_proxy_and_of_a_class_that_inherits(told: Told) -> None:
    listen(told, "status")
    for model in (Item, ItemProxy, Book):
        thing = model.objects.create()
        thing = model.objects.get(pk=thing.pk)
        thing.status = "sent"
        thing.save()
    assert told == [({"status": "new"}, {"status": "sent"})] * 3


def test_a_rule_of_a_proxy_is_for_its_own_objects(told: Told) -> None:
    listen(told, "status", model=ItemProxy)
    pk = Item.objects.create().pk
    for model in (Item, ItemProxy):
        thing = model.objects.get(pk=pk)
        thing.status = model.__name__
        thing.save()
    assert told == [({"status": "Item"}, {"status": "ItemProxy"})]


def test_a_rule_of_an_abstract_class_is_for_all_its_classes(told: Told) -> None:
    listen(told, "name", model=Named)
    for thing in (Item.objects.create(), Book.objects.create(), Shelf.objects.create(code=uuid4())):
        thing.name = "new"
        thing.save()
    assert told == [({"name": ""}, {"name": "new"})] * 3


def test_a_class_that_inherits_has_rules_of_its_own(told: Told) -> None:
    listen(told, "pages", "status", model=Book)
    book = Book.objects.get(pk=Book.objects.create().pk)
    book.pages, book.status = 5, "sent"
    book.save()
    assert told == [({"pages": 0, "status": "new"}, {"pages": 5, "status": "sent"})]


def test_a_handler_may_save_the_object_again(told: Told) -> None:
    @on(Item, changed("status"))
    def count(occasion: Occasion) -> None:
        told.append((dict(occasion.old), dict(occasion.new)))
        occasion.object.stock += 1
        occasion.object.save()

    item = Item.objects.create()
    item.status = "sent"
    item.save()
    assert told == [({"status": "new"}, {"status": "sent"})]
    assert Item.objects.get().stock == 1
