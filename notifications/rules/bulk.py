"""What sends no signals, and therefore needs a call of its own: updates of a queryset, and objects created in bulk."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import models, transaction

from notifications.rules import memory, signals
from notifications.rules.occasions import Occasion


@contextmanager
def notify_changes(queryset: "models.QuerySet[Any]") -> Iterator["models.QuerySet[Any]"]:
    """Apply the rules about changes to what the block does to the rows of a queryset, by whatever means.

    `with notify_changes(Order.objects.filter(status="paid")) as orders: orders.update(status="sent")`. The rows are
    locked and read before the block and read again after it, so they all have to fit into memory. The block is a
    transaction; rows that it deletes are left out. The rules are applied to each object that has changed, as if it had
    been saved.
    """
    model, locked = queryset.model, queryset.select_related(None).defer(None).select_for_update().order_by("pk")
    database = locked.db  # for writing
    with transaction.atomic(using=database):
        before = {thing.pk: memory.values_of(thing) for thing in locked}
        own = model._base_manager.using(database).filter(pk__in=list(before))
        yield own
        for thing in own.order_by("pk"):
            changes = memory.find_changes(model, before[thing.pk], memory.values_of(thing))
            signals.apply_changes(thing, changes)


def notify_created(objects: Iterable[Any]) -> None:
    """Apply the rules about new objects to those that `bulk_create` has made."""
    for thing in objects:
        for rule in signals.rules_of(type(thing), "created"):
            rule.apply(Occasion(thing))
