"""Sending: store a notification for its readers and push it to their sockets, in one transaction.

Site code calls it as `notifications.notify`; the admin and announcements use it, too. No other module creates
notifications.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, models
from django.utils.asyncio import async_unsafe

from notifications import bulk, conf, content, parameters, pushing, routing, storing, types
from notifications.content import Content, InvalidData
from notifications.languages import languages_of
from notifications.models import Notification, TypeSwitch
from notifications.models.target import target_of
from notifications.recipients import Recipients, find_keys, find_recipients, is_one
from realtime.integration import (
    USE_TWIN,
    all_users,
    connection,
    database_alias,
    display_name,
    own_transaction,
    read_user,
    run,
)

__all__ = ["InvalidData", "anotify", "notify"]

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class LeavingActor:
    """An actor who may be deleted when the notification is sent, with the name that they had. `notify` accepts it."""

    pk: Any
    name: str


@async_unsafe(USE_TWIN)
def notify(
    recipients: Any,
    type_name: str,
    *,
    actor: Any = None,
    target: models.Model | None = None,
    data: dict[str, Any] | None = None,
    link: str = "",
    title: str | None = None,
    message: str | None = None,
    reason: str = "",
    dedupe_key: str = "",
    group_key: str = "",
    silent: bool = False,
    unless_present: str = "",
    **params: object,
) -> Notification | int | None:
    """Store a notification for each of `recipients` and push it when the caller's transaction commits.

    `recipients` is a user or a primary key, several of them, a queryset of users, a group, or `followers(object)`.
    Returns the notification for one user, or None if nothing was stored, or if somebody has withdrawn it at once; for
    several, how many got it. Outside of a transaction, users who are deleted meanwhile are left out.

    The texts and the link come from the type, in each reader's language, filled with `params` and the name of `actor`,
    the same as in chat. `title` and `message` replace them, without being filled, for readers of all languages: a lazy
    translation is taken in the active one. All are plain text: escape them in HTML. `data` is any JSON object that fits
    the type's schema; clients get it as it is. `link` is a path or an address with http, https or mailto. `target` is
    what the notification is about: those who have muted it are not disturbed. `reason` says why this reader gets it
    ("mentioned"). A second notification with the same `dedupe_key` is not stored for a reader who has the first. Those
    with the same `group_key` become one. `silent`: stored and counted, and nothing is pushed or mailed.
    `unless_present` is the stream of a room such as `room.general`: who has it open has seen it already.

    People get no notification of what they did themselves. Nothing is stored of a type that staff have switched off.
    Raises TypeError (recipients or actor are not users, an option is misspelt), UnknownType, MissingParameter,
    InvalidData, ValidationError (a wrong `link`, a text that is too long or has a NUL character), DoesNotExist. If the
    push raises, nothing is stored.
    """
    kind = types.require_type(type_name)
    _require_spelling(kind, params)
    found = find_recipients(recipients)
    if actor is not None:
        actor, params["actor"] = _name_actor(actor)
    prepared = content.prepare(
        kind,
        params,
        title=title,
        message=message,
        data=data,
        link=link,
        group_key=group_key,
        actor=actor,
        target=target_of(target),
        reason=reason,
        dedupe_key=dedupe_key,
        silent=silent,
    )
    stored = send(prepared, found, unless_present)
    if not is_one(recipients):
        return len(stored.ids)
    return read_row(prepared, stored) if stored.ids else None


def _require_spelling(kind: types.NotificationType, params: Mapping[str, object]) -> None:
    """A misspelt `dedupe_key` would be a parameter that nothing shows, and each repeat would be sent."""
    similar = {name: option for name in params if (option := parameters.find_similar_option(name))}
    if not similar:  # nearly always, and quickly
        return
    in_texts = parameters.find_names(parameters.templates_of(kind), [conf.default_language(), *conf.languages()])
    for name, option in similar.items():
        if name not in in_texts:
            raise TypeError(f"notify has no option {name!r}, and no text of {kind.key!r} has it: is it {option!r}?")


async def anotify(recipients: Any, type_name: str, **options: Any) -> Notification | int | None:
    """`notify` for asynchronous code, with the same parameters. It commits a transaction of its own."""
    return await run(notify, recipients, type_name, **options)


@dataclass(frozen=True, slots=True)
class Stored:
    """The ids of the rows, by reader, and the readers to whom the row was pushed as it was prepared."""

    ids: dict[Any, int] = field(default_factory=dict)
    pushed: Collection[Any] = ()


def send(prepared: Content, recipients: Recipients, unless_present: str) -> Stored:
    """Store and push. `notifications.testing` listens here."""
    keys: Sequence[Any] = [pk for pk in recipients.keys if prepared.actor is None or pk != prepared.actor.pk]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _send_to(keys, prepared, recipients, unless_present)
        except IntegrityError:
            # The database looks at COMMIT whether all users are still there.
            if attempt == ATTEMPTS or connection.in_atomic_block:
                raise
            left = _without_deleted(prepared, keys)
            if left == (prepared, keys):
                raise
            prepared, keys = left
    return Stored()


def _without_deleted(prepared: Content, keys: Sequence[Any]) -> tuple[Content, Sequence[Any]]:
    """The same, of those users who are still there."""
    actor = prepared.actor
    there = find_keys(keys if actor is None else [*keys, actor.pk])
    if actor is not None and actor.pk not in there:
        prepared = replace(prepared, actor=None)
    return prepared, [pk for pk in keys if pk in there]


def _send_to(keys: Sequence[Any], prepared: Content, recipients: Recipients, unless_present: str) -> Stored:
    if not keys or TypeSwitch.is_off(prepared.kind.key):
        return Stored()
    present = routing.find_present(unless_present, keys) if unless_present else frozenset()
    with own_transaction():
        ids = _store(prepared, sorted(keys), present)
        absent_ids = {pk: key for pk, key in ids.items() if pk not in present}
        pushed: Collection[Any] = ()
        if not prepared.silent:
            pushed = routing.deliver(
                prepared, absent_ids, lambda readers: _push(prepared, absent_ids, readers, recipients)
            )
    return Stored(ids, pushed)


def _store(prepared: Content, keys: Sequence[Any], present: Collection[Any]) -> dict[Any, int]:
    """In one order of readers, whether they are present or not, so that no two callers wait for each other."""
    if not prepared.group_key:
        return storing.insert(prepared, keys, present)
    settings = conf.settings()
    window = storing.Window(
        opened_after=prepared.now - timedelta(seconds=settings.group_seconds_at_most),
        grown_after=prepared.now - timedelta(seconds=settings.group_seconds),
    )
    return storing.insert_or_grow(prepared, keys, window, present)


def _push(prepared: Content, ids: dict[Any, int], readers: Sequence[Any], recipients: Recipients) -> None:
    languages = languages_of(readers, recipients.known)
    if prepared.group_key:
        # What they say depends on who else is in the reader's group.
        for part in bulk.parts([ids[pk] for pk in readers if pk in languages]):
            pushing.push(Notification.objects.filter(pk__in=part), languages)
    else:
        chosen = {pk: ids[pk] for pk in readers if pk in languages}
        pushing.push_new(Notification(**prepared.columns()), chosen, languages)


def read_row(prepared: Content, stored: Stored) -> Notification | None:
    """The notification that was stored for the only reader. It is read only if it may be other than it was prepared.

    None if somebody has withdrawn it since.
    """
    ((recipient, key),) = stored.ids.items()
    if prepared.group_key or recipient not in stored.pushed:
        return Notification.objects.filter(pk=key).first()
    row = Notification(pk=key, recipient_id=recipient, **prepared.columns())
    row._state.adding, row._state.db = False, database_alias()
    return row


def keep_actor(given: Any) -> LeavingActor | None:
    """For a notification that is sent later. Raises as `notify` does."""
    if given is None:
        return None
    actor = _require_user(given)
    return LeavingActor(actor.pk, display_name(actor))


def _name_actor(given: Any) -> tuple[Any, str]:
    """The user, None if they are deleted, and their name."""
    if isinstance(given, LeavingActor):
        return all_users().filter(pk=given.pk).first(), given.name
    actor = _require_user(given)
    return actor, display_name(actor)


def _require_user(given: Any) -> Any:
    """The user that site code named, as a user or by a primary key. Raises TypeError and the model's DoesNotExist."""
    pk = read_user(given)
    # One with a key in another type, such as `User(pk="5")`, would be another user than a reader with the same key.
    return given if isinstance(given, get_user_model()) and given.pk == pk else all_users().get(pk=pk)
