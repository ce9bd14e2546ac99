"""Withdrawing: notifications that should not have been sent, or are no longer true. Called by site code and signals."""

from collections import defaultdict
from typing import Any

from django.apps import apps
from django.db import models

from notifications.inbox.announcing import announce_removed
from notifications.models import Notification
from notifications.models.target import Target, about, target_of
from notifications.rules.signals import with_children
from notifications.types import all_types
from realtime.integration import own_transaction, run

ROWS_AT_ONCE = 1_000


def withdraw(*, dedupe_key: str = "", group_key: str = "", target: models.Model | None = None) -> int:
    """Delete the notifications with this key, or about this object, of all readers; returns how many there were.

    On commit, they are gone from lists and counts of open clients, and mails that are still waiting are not sent.
    Raises ValueError unless exactly one of the three is given.
    """
    given = [bool(dedupe_key), bool(group_key), target is not None]
    if sum(given) != 1:
        raise ValueError("withdraw needs one of dedupe_key, group_key and target.")
    if target is not None:
        return withdraw_rows(Notification.objects.filter(**about(target_of(target))))
    keys = {"dedupe_key": dedupe_key} if dedupe_key else {"group_key": group_key}
    return withdraw_rows(Notification.objects.filter(**keys))


async def awithdraw(**options: Any) -> int:
    return await run(withdraw, **options)


def withdraw_rows(rows: "models.QuerySet[Notification]") -> int:
    """Delete these notifications, and tell their readers' sockets on commit."""
    total = 0
    with own_transaction():
        while count := withdraw_some(rows):
            total += count
    return total


def withdraw_some(rows: "models.QuerySet[Notification]") -> int:
    """`withdraw_rows` for the first thousand of them. Returns how many there were."""
    with own_transaction():
        chosen = rows.select_for_update().order_by("recipient_id", "pk")
        chunk = list(chosen.values_list("recipient_id", "pk")[:ROWS_AT_ONCE])
        by_reader: dict[Any, list[int]] = defaultdict(list)
        for recipient, pk in chunk:
            by_reader[recipient].append(pk)
        Notification.objects.filter(pk__in=[pk for _, pk in chunk]).delete()
        announce_removed(by_reader)
    return len(chunk)


def connect_targets() -> None:
    """Withdraw what is about an object when it is deleted, for the models that types name. Called once by `apps`.

    Only these models: a receiver for all would cost a site its fast deletions. Raises LookupError for a label without a
    model.
    """
    for label in {kind.ends_with for kind in all_types() if kind.ends_with}:
        for sender in with_children(apps.get_model(label)):
            # Before the deletion, so that what a rule of the site says about it stays.
            models.signals.pre_delete.connect(
                withdraw_deleted, sender=sender, dispatch_uid="notifications.withdraw_deleted"
            )


def withdraw_deleted(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    withdraw_ended(sender, target_of(instance))


def withdraw_ended(model: type[models.Model], target: Target) -> int:
    """Withdraw what is about an object of this model and ends with it, by its type. Returns how many there were."""
    kinds = [kind.key for kind in all_types() if kind.ends_with and issubclass(model, apps.get_model(kind.ends_with))]
    return withdraw_rows(Notification.objects.filter(type__in=kinds, **about(target)))
