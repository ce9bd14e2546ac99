"""What sends no signals, and therefore needs a call of its own: updates of a queryset, and objects created in bulk."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import models, transaction
from django.db.models.sql.constants import LOUTER

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
    model = queryset.model
    chosen = queryset.all().select_related(None).defer(None)  # `all`, because a manager is fine, too
    database = chosen.select_for_update().db  # for writing
    with transaction.atomic(using=database):
        before = {thing.pk: memory.values_of(thing) for thing in _lock(chosen.using(database))}
        own = model._base_manager.using(database).filter(pk__in=list(before))
        yield own
        memory.note_bulk_change()
        for thing in own.order_by("pk"):
            changes = memory.find_changes(model, before[thing.pk], memory.values_of(thing))
            signals.apply_changes(thing, changes)


def _lock(chosen: "models.QuerySet[Any]") -> Iterable[Any]:
    """The rows of the queryset, locked in the order of their keys."""
    query = chosen.query
    is_simple = not (query.is_sliced or query.distinct or query.group_by)
    if is_simple and not _has_outer_join(chosen):
        return chosen.select_for_update().order_by("pk")
    # Such rows cannot be locked by PostgreSQL, or not in an order: their keys are found first.
    keys = list(chosen.values_list("pk", flat=True))
    found = list(chosen.model._base_manager.using(chosen.db).filter(pk__in=keys).select_for_update().order_by("pk"))
    if query.is_sliced:
        return found
    # Others may have changed some of them before they were locked.
    still = set(chosen.filter(pk__in=keys).values_list("pk", flat=True))
    return [thing for thing in found if thing.pk in still]


def _has_outer_join(chosen: "models.QuerySet[Any]") -> bool:
    query = chosen.query
    joins = [query.alias_map[alias] for alias, count in query.alias_refcount.items() if count]
    return any(getattr(join, "join_type", None) == LOUTER for join in joins)


def notify_created(objects: Iterable[Any]) -> None:
    """Apply the rules about new objects to those that `bulk_create` has made."""
    for thing in objects:
        for rule in signals.rules_of(type(thing), "created"):
            rule.apply(Occasion(thing))
