"""The frames of notifications: what clients see of a row, in the reader's language. Called by `sending` and `inbox`."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
from django.utils.translation import override

from notifications import clock
from notifications.followables import find_label
from notifications.frames import ActionLabel, Group, Item, NotificationBody, Person, Target
from notifications.links import is_safe
from notifications.models import Notification
from notifications.types import GENERAL, INFO, find_type
from realtime.integration import publish_all, user_stream, wire_id
from realtime.protocol.frames import format_time

logger = logging.getLogger(__name__)

FRAMES_AT_ONCE = 1_000  # as many as one row holds while they wait for their numbers


def push_new(row: Notification, ids: Mapping[Any, int], languages: Mapping[Any, str]) -> None:
    """Push one notification to many readers on commit, each with the id of their row.

    It is rendered once for each language. `row` has what is the same for all.
    """
    bodies = {language: frame(row, language) for language in {languages[reader] for reader in ids}}

    def body_of(reader: Any) -> NotificationBody:
        body = bodies[languages[reader]]
        return msgspec.structs.replace(body, data=msgspec.structs.replace(body.data, id=ids[reader]))

    # A million frames would be two gigabytes. The database has those of the portions before.
    readers = iter(ids)
    while portion := list(islice(readers, FRAMES_AT_ONCE)):
        publish_all([(user_stream(reader), body_of(reader)) for reader in portion])


def push(notifications: Iterable[Notification], languages: Mapping[Any, str]) -> None:
    """Push stored notifications to their readers' sockets on commit; sockets that resume later get them, too."""
    publish_all([(user_stream(row.recipient_id), frame(row, languages[row.recipient_id])) for row in notifications])


def push_again(notifications: Sequence[Notification], languages: Mapping[Any, str]) -> None:
    """`push` without those that have become too large, for jobs: MAX_QUEUED_BYTES may be lower than it was.

    The readers' sockets know by another frame that they are there.
    """
    try:
        push(notifications, languages)
    except ValueError:  # nothing was published yet
        for row in notifications:
            try:
                push([row], languages)
            except ValueError as error:
                logger.warning("The notification %s was not pushed again: %s", row.pk, error)


def frame(row: Notification, language: str) -> NotificationBody:
    with override(language):
        return NotificationBody(notification_type=row.type, data=item(row), timestamp=format_time(clock.now()))


def item(row: Notification) -> Item:
    """What clients see of a notification, in the active language."""
    rendered, kind = row.render(), find_type(row.type)
    link = str(row.link)
    return Item(
        id=row.pk or 0,
        type=row.type,
        title=rendered.title,
        message=rendered.message,
        data=row.data,
        # Rows that are older than this rule, or were stored without validation, may have any link.
        link=link if is_safe(link) else "",
        created_at=format_time(row.created_at),
        category=kind.category if kind else GENERAL,
        level=kind.level if kind else INFO,
        reason=row.reason,
        actor=_actor(row),
        target=_target(row),
        group=_group(row),
        actions=[ActionLabel(label.key, label.label, label.link) for label in rendered.actions],
        action=row.action,
        arrived_at=format_time(row.arrived_at),
        seen_at=_time(row.seen_at),
        read_at=_time(row.read_at),
        archived_at=_time(row.archived_at),
        snoozed_until=_time(row.snoozed_until),
        expires_at=_time(row.expires_at),
    )


def _actor(row: Notification) -> Person | None:
    """The name is the one that the actor had, so that a list needs no further query."""
    if row.actor_id is None:
        return None
    return Person(wire_id(row.actor_id), str(row.params.get("actor", "")))


def _target(row: Notification) -> Target | None:
    label = find_label(row.target_type_id)
    return Target(label, str(row.target_key)) if label else None


def _group(row: Notification) -> Group | None:
    if row.group_count < 2:
        return None
    return Group(row.group_count, [Person(person["user_id"], str(person["name"])) for person in row.group_actors])


def _time(moment: Any) -> str | None:
    return None if moment is None else format_time(moment)
