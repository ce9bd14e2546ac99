"""Withdrawing: notifications that should not have been sent, or are no longer true. Called by site code and signals."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import Exists, OuterRef, Q

from notifications.content import as_text
from notifications.inbox.announcing import announce_all, announce_removed
from notifications.models import Delivery, GroupMember, Notification, NotificationQuerySet
from notifications.models.target import Target, about, target_of
from notifications.rules.signals import with_children
from notifications.types import all_types
from realtime.integration import own_transaction, retry_conflicts, run

ROWS_AT_ONCE = 1_000
CHANGED = ("group_count", "group_actors", "dedupe_key", "actor", "params")
FIELDS = ("recipient", "group_key", *CHANGED)


def withdraw(*, dedupe_key: str = "", group_key: str = "", target: models.Model | None = None) -> int:
    """Delete the notifications with this key, or about this object, of all readers; returns how many there were.

    On commit, they are gone from lists and counts of open clients, and mails that are still waiting are not sent. What
    has this `dedupe_key` in a group with others is counted and named there no more, and the group stays. Raises
    ValueError unless exactly one of the three is given.
    """
    dedupe_key, group_key = as_text(dedupe_key), as_text(group_key)
    given = [bool(dedupe_key), bool(group_key), target is not None]
    if sum(given) != 1:
        raise ValueError("withdraw needs one of dedupe_key, group_key and target.")
    if target is not None:
        return withdraw_rows(Notification.objects.filter(**about(target_of(target))))
    return _withdraw_key(dedupe_key) if dedupe_key else withdraw_rows(Notification.objects.filter(group_key=group_key))


async def awithdraw(**options: Any) -> int:
    return await run(withdraw, **options)


@retry_conflicts
def withdraw_rows(rows: NotificationQuerySet) -> int:
    """Delete these notifications, and tell their readers' sockets on commit."""
    with own_transaction():
        return sum(_withdraw_portion(rows, keys) for keys in _portions(rows))


@retry_conflicts
def withdraw_some(rows: NotificationQuerySet) -> int:
    """`withdraw_rows` for the first thousand of them, in their order: an index should lead to it.

    Returns how many there were.
    """
    with own_transaction():
        while keys := list(rows.values_list("pk", flat=True)[:ROWS_AT_ONCE]):
            if count := _withdraw_portion(rows, keys):
                return count  # else somebody else has deleted all of them, while they were waited for
    return 0


def _portions(rows: NotificationQuerySet) -> Iterator[Sequence[int]]:
    """The primary keys of these notifications, in the order in which they are locked, until there are no others.

    They are put in order once: no index has it, so each portion would take as long as all of them.
    """
    ordered = rows.order_by("recipient_id", "pk").values_list("recipient_id", "pk")
    while portions := _cut(ordered.iterator()):
        for keys in portions:
            yield keys.tolist()


def _cut(found: Iterable[tuple[Any, int]]) -> "list[array[int]]":
    """A reader's are together, so that one frame tells of them; very many are not."""
    portions: list[array[int]] = []
    last, room = None, 0
    for reader, pk in found:
        if room <= -ROWS_AT_ONCE or (room <= 0 and reader != last):
            portions.append(array("q"))
            room = ROWS_AT_ONCE
        portions[-1].append(pk)
        last, room = reader, room - 1
    return portions


def _withdraw_portion(rows: NotificationQuerySet, keys: Sequence[int]) -> int:
    chunk = list(rows.filter(pk__in=keys).locked().values_list("recipient_id", "pk"))
    _delete(chunk)
    return len(chunk)


def _delete(chosen: Sequence[tuple[Any, int]]) -> None:
    """Readers, each with the primary key of a notification."""
    keys = [pk for _, pk in chosen]
    Delivery.lock(Delivery.objects.filter(notification__in=keys))
    Notification.objects.filter(pk__in=keys).delete()
    announce_removed(_by_reader(chosen))


def _by_reader(chosen: Sequence[tuple[Any, int]]) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = defaultdict(list)
    for reader, pk in chosen:
        found[reader].append(pk)
    return found


@retry_conflicts
def _withdraw_key(key: str) -> int:
    members = GroupMember.objects.filter(dedupe_key=key)
    newest = Notification.objects.filter(dedupe_key=key).order_by()
    # Of both kinds in one order of readers. The index of either leads to few rows.
    found = Notification.objects.filter(pk__in=members.values_list("notification").union(newest.values_list("pk")))
    still = Q(dedupe_key=key) | Exists(members.filter(notification=OuterRef("pk")))
    rows = Notification.objects.filter(still).locked().only(*FIELDS)
    with own_transaction():
        return sum(_take_out(list(rows.filter(pk__in=keys)), key) for keys in _portions(found))


def _take_out(rows: Sequence[Notification], key: str) -> int:
    """Take what has this key out of these notifications, which are locked. Returns in how many there was something.

    Those in which nothing is left are deleted.
    """
    leaving = _remove_members([row.pk for row in rows if row.group_key or row.dedupe_key != key], key)
    left, gone = [], []
    for row in rows:
        # Somebody else may have taken it out while the row was waited for: the lock looks at the row again only.
        if row.pk not in leaving and row.dedupe_key != key:
            continue
        person, is_counted = leaving.get(row.pk, ("", False))
        row.group_count -= not is_counted
        if row.group_count < 1:
            gone.append((row.recipient_id, row.pk))
            continue
        left.append(row)
        row.dedupe_key = "" if row.dedupe_key == key else row.dedupe_key
        if not is_counted:
            _unname(row, person)
    Notification.objects.bulk_update(left, CHANGED, batch_size=100)
    _delete(gone)
    announce_all("changed", _by_reader([(row.recipient_id, row.pk) for row in left]))
    return len(left) + len(gone)


def _remove_members(groups: Sequence[int], key: str) -> dict[int, tuple[str, bool]]:
    """By group, who had this key in it, and whether they are counted in it for something else."""
    if not groups:
        return {}
    members = GroupMember.objects.filter(notification__in=groups)
    found = dict(members.filter(dedupe_key=key).values_list("notification_id", "person"))
    members.filter(dedupe_key=key).delete()
    others = members.filter(person__in=set(found.values()) - {""})
    counted = set(others.values_list("notification_id", "person"))
    return {pk: (person, (pk, person) in counted) for pk, person in found.items()}


def _unname(row: Notification, person: str) -> None:
    """The person is not in this group any more. Its text and link stay those of its newest notification."""
    if not person:
        return
    is_named = names_in_text(row, person)
    row.group_actors = [named for named in row.group_actors if str(named["user_id"]) != person]
    if is_named:
        row.actor_id = None
        row.params = row.params | {"actor": row.group_actors[0]["name"] if row.group_actors else ""}


def names_in_text(row: Notification, person: str) -> bool:
    """Whether the parameter `actor` is the name of this person.

    That is who has caused the newest of a group or, where that was taken out or its actor deleted, who is named first.
    """
    if row.actor_id is not None or not row.group_actors:
        return str(row.actor_id) == person
    first = row.group_actors[0]
    return str(first["user_id"]) == person and bool(row.params.get("actor") == first["name"])


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
