"""What the app stores about one person: to hand it out, and to delete it. Called by site code and two commands.

Which tables have it is read from the models. A row whose foreign key to the user cascades is the person's own, and so
is a row that belongs to such a row. Where a key becomes NULL, the row is another's and mentions the person, and so does
what others follow, or are notified about, if that is the person.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import models
from django.utils.translation import override

from notifications import conf
from notifications.announcements.numbers import delete_states
from notifications.inbox import announcing
from notifications.languages import language_of
from notifications.models import AnnouncementState, Delivery, Follow, GroupMember, Notification, NotificationQuerySet
from notifications.models.announcement import Announcement
from notifications.models.target import Target, about, content_types
from notifications.pruning import ROWS_AT_ONCE, delete_rows
from notifications.withdrawing import names_in_text, withdraw_ended
from realtime.integration import exact, own_transaction, read_user, wire_id

# These belong to a person's notifications, but say who else is in a group.
ABOUT_OTHERS = {GroupMember}
# What is handed out of a row of somebody else that mentions the person.
SHARED = ("id", "type", "state", "created_at")


class Source(NamedTuple):
    """A table, and the path from it to the user."""

    model: type[models.Model]
    path: str

    @property
    def name(self) -> str:
        return str(self.model._meta.model_name)

    def rows(self, pk: Any) -> "models.QuerySet[Any]":
        return self.model._base_manager.filter(**{self.path: pk}).order_by("pk")


def export_user(user: Any) -> Iterator[dict[str, Any]]:
    """Everything that the app stores about a person, one record after the other; each can be written as JSON.

    `user` is a user or a primary key; TypeError for anything else. `table` says what a record is, and `as` what the
    person is in it, if it belongs to somebody else. Those records have nothing that is about the other person.
    """
    return _records(read_user(user))


def erase_user(user: Any) -> dict[str, int]:
    """Delete everything that the app stores about a person, and their name where it stands in what others have.

    `user` is a user or a primary key; TypeError for anything else. Call it before the user is deleted: afterwards
    nobody knows any more which names were theirs. Returns how many rows of each table were deleted or changed. Texts,
    links and `data` that the site passed to `notify` stay as they are in others' notifications.
    """
    pk = read_user(user)
    done: dict[str, int] = {}
    for source in own_sources():
        done[source.name] = _delete_own(source, pk)
    if done[Notification._meta.model_name or ""]:
        announcing.announce(pk, "changed", None)
    done["others"] = _erase_names(pk) + _erase_keys(pk) + _erase_target(pk)
    return done


def own_sources() -> list[Source]:
    """The tables with rows of the person's own."""
    direct = [Source(model, field.name) for model, field in _keys_to_user() if _is_own(field)]
    found = {source.model for source in direct} | ABOUT_OTHERS
    for parent in list(direct):
        for model in _models():
            for field in _foreign_keys(model, parent.model):
                if model not in found and _is_own(field):
                    found.add(model)
                    direct.append(Source(model, f"{field.name}__{parent.path}"))
    # What belongs to another row goes first, so that it is counted.
    return sorted(direct, key=lambda source: -source.path.count("__"))


def mentions() -> list[Source]:
    """The tables with rows of others that name the person."""
    return [Source(model, field.name) for model, field in _keys_to_user() if not _is_own(field)]


def _records(pk: Any) -> Iterator[dict[str, Any]]:
    person = exact(get_user_model()._base_manager).filter(pk=pk).first()
    language = language_of(person) if person else conf.default_language()
    for source in own_sources():
        for row in _read(source.rows(pk)):
            yield {"table": source.name, **_record(row, language)}
    for source in mentions():
        for row in _read(source.rows(pk).values(*_shared(source.model))):
            yield {"table": source.name, "as": source.path, **_plain(row)}
    for kind, rows in _about_person(pk):
        for row in _read(rows.values(*_shared(kind))):
            yield {"table": str(kind._meta.model_name), "as": "target", **_plain(row)}
    named = GroupMember.objects.filter(person=str(pk)).order_by("pk")
    for member in _read(named.values("id", "notification__type")):
        yield {"table": "groupmember", "as": "person", "id": member["id"], "type": member["notification__type"]}
    for key in _snapshots(pk).values_list("pk", flat=True):
        yield {"table": "announcement", "as": "online", "id": key}


def _read(rows: "models.QuerySet[Any]") -> Iterator[Any]:
    """These rows in their order, a portion at a time.

    Not with a cursor of the server: between two portions, a pooler such as PgBouncer may give its connection to others.
    """
    keys = list(rows.values_list("pk", flat=True))
    for start in range(0, len(keys), ROWS_AT_ONCE):
        yield from rows.filter(pk__in=keys[start : start + ROWS_AT_ONCE])


def _delete_own(source: Source, pk: Any) -> int:
    rows = source.rows(pk)
    if source.model is Notification:
        return _delete(rows, _delete_notifications)
    if source.model is AnnouncementState:
        return _delete(rows, partial(delete_states, skips_locked=False))
    return _delete(rows, by="notification_id" if source.model is Delivery else "pk")


def _delete(
    rows: "models.QuerySet[Any]", delete: Callable[[Sequence[int]], object] | None = None, *, by: str = "pk"
) -> int:
    """In the order in which everybody locks several of them. There is no next time, so nothing is left out."""
    return delete_rows(rows, by=by, delete=delete, skips_locked=False)


def _delete_notifications(keys: Sequence[int]) -> None:
    Delivery.lock(Delivery.objects.filter(notification__in=keys))  # which go by the cascade
    Notification.objects.filter(pk__in=keys).delete()


def _erase_names(pk: Any) -> int:
    """The person becomes somebody without a name in others' notifications. Counts of groups stay as they are."""
    members = GroupMember.objects.filter(person=str(pk))
    total = _rewrite(Notification.objects.filter(pk__in=members.values("notification")), pk, members)
    return total + _rewrite(Notification.objects.filter(actor=pk), pk, members)


def _rewrite(chosen: NotificationQuerySet, pk: Any, members: "models.QuerySet[GroupMember]") -> int:
    total = 0
    while True:
        with own_transaction():
            rows = list(chosen.locked()[:ROWS_AT_ONCE])
            for row in rows:
                if names_in_text(row, str(pk)):
                    row.actor_id = None
                    row.params = row.params | ({"actor": ""} if "actor" in row.params else {})
                row.group_actors = [one for one in row.group_actors if str(one["user_id"]) != str(wire_id(pk))]
            Notification.objects.bulk_update(rows, ["actor", "params", "group_actors"], batch_size=100)
            members.filter(notification__in=[row.pk for row in rows]).delete()
        total += len(rows)
        if len(rows) < ROWS_AT_ONCE:
            return total


def _erase_keys(pk: Any) -> int:
    """Empty the keys in which others' rows name the person."""
    total = 0
    for source in mentions():
        if source.model is not Notification:  # done with the names
            total += source.rows(pk).order_by().update(**{source.path: None})
    for key in _snapshots(pk).values_list("pk", flat=True):
        with own_transaction():
            # None if staff have just deleted it.
            if announcement := Announcement.objects.select_for_update().filter(pk=key).first():
                announcement.online.pop(str(pk), None)
                announcement.save(update_fields=["online"])
                total += 1
    return total


def _erase_target(pk: Any) -> int:
    """Nobody follows the person or has muted them any more, and what others got about them is about nothing."""
    total = withdraw_ended(get_user_model(), _target(pk))
    for kind, rows in _about_person(pk):
        total += _delete(rows, _forget_target, by="recipient_id") if kind is Notification else _delete(rows)
    return total


def _forget_target(keys: Sequence[int]) -> None:
    Notification.objects.filter(pk__in=keys).update(target_type=None, target_key="")


def _about_person(pk: Any) -> "Iterator[tuple[type[models.Model], models.QuerySet[Any]]]":
    """What others have that is about the person, by table. The person's own rows are handed out already."""
    for model, owner in ((Follow, "user"), (Notification, "recipient")):
        yield model, model._base_manager.filter(**about(_target(pk))).exclude(**{owner: pk}).order_by("pk")


def _target(pk: Any) -> Target:
    return Target(content_types().get_for_model(get_user_model()).pk, str(pk))


def _snapshots(pk: Any) -> "models.QuerySet[Announcement]":
    """Live announcements for those who were online, among them the person."""
    return Announcement.objects.filter(state=Announcement.State.LIVE, online__has_key=str(pk))


def _models() -> list[type[models.Model]]:
    return list(apps.get_app_config(Notification._meta.app_label).get_models(include_auto_created=True))


def _keys_to_user() -> list[tuple[type[models.Model], Any]]:
    return [(model, field) for model in _models() for field in _foreign_keys(model, get_user_model())]


def _foreign_keys(model: type[models.Model], target: Any) -> list[Any]:
    fields: list[Any] = list(model._meta.concrete_fields)
    return [field for field in fields if field.remote_field and field.related_model is target]


def _is_own(field: Any) -> bool:
    return field.remote_field.on_delete is models.CASCADE


def _shared(model: type[models.Model]) -> list[str]:
    names = {field.name for field in model._meta.concrete_fields}
    return [name for name in SHARED if name in names]


def _record(row: models.Model, language: str) -> dict[str, Any]:
    """All columns of a row, and its texts in this language if it is a notification."""
    values = {field.attname: field.value_from_object(row) for field in row._meta.concrete_fields}
    if isinstance(row, Notification):
        with override(language):
            rendered = row.render()
        values["text"] = {"title": rendered.title, "message": rendered.message}
    return _plain(values)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(values, enc_hook=str)
    return plain
