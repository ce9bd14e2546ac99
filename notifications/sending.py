"""Sending: store a notification and push it to the recipient's sockets, in one transaction.

Site code calls it as `notifications.notify`; the admin calls `push`. No other module creates or pushes notifications.
"""

import json
import re
from typing import Any

import msgspec
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.asyncio import async_unsafe
from django.utils.translation import override

import realtime
from notifications import types
from notifications.frames import Item, NotificationBody
from notifications.languages import language_of
from notifications.links import is_safe
from notifications.models import Notification
from notifications.types import Text
from realtime.integration import USE_TWIN, all_users, display_name, own_transaction, read_user, run
from realtime.protocol.frames import format_time, utc_now

# Lists and objects within each other. SQLite takes 1,000, and from Python 3.12 on Python's encoder takes more.
MAX_LEVELS = 900
# A NUL character as JSON writes it. After an escaped backslash the same six characters are ordinary text.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class InvalidData(ValueError):
    """`data` is not a JSON object, or holds something that cannot be stored."""


@async_unsafe(USE_TWIN)
def notify(
    recipient: Any,
    type_name: str,
    *,
    actor: Any = None,
    data: dict[str, Any] | None = None,
    link: str = "",
    title: Text | None = None,
    message: Text | None = None,
    **params: object,
) -> Notification | None:
    """Store a notification for `recipient` (a user or a primary key) and push it when the caller's transaction commits.

    The title and the message come from the type, in the recipient's language, filled with `params` and the name of
    `actor`, the same as in chat. `title` and `message` replace them, without being filled. Both are plain text: escape
    them in HTML. `data` is any JSON object; clients get it as it is. `link` is a path or an address with http, https
    or mailto.

    Returns None and sends nothing when `actor` is the recipient: people need no notification of what they did. Raises
    TypeError (recipient or actor are not users), UnknownType, MissingParameter, InvalidData, ValidationError (a wrong
    `link`, a text that is too long or has a NUL character), DoesNotExist. If the push raises, nothing is stored either.
    """
    kind = types.require_type(type_name)
    user = _require_user(recipient)
    if actor is not None:
        actor = _require_user(actor)
        if actor.pk == user.pk:
            return None
        params["actor"] = display_name(actor)
    notification = Notification(recipient=user, actor=actor, type=kind.name, data=require_object(data or {}), link=link)
    with override(language_of(user)):
        notification.title = types.fill(kind.title, params) if title is None else str(title)
        notification.message = types.fill(kind.message, params) if message is None else str(message)
    # SQLite stores a text of any length, so the limits are checked here and do not depend on the database.
    # The users are known to exist.
    notification.clean_fields(exclude={"recipient", "actor"})
    _require_storable(notification)
    with own_transaction():
        notification.save(force_insert=True)
        push(notification)
    return notification


async def anotify(recipient: Any, type_name: str, **options: Any) -> Notification | None:
    """`notify` for asynchronous code, with the same parameters. It commits a transaction of its own."""
    return await run(notify, recipient, type_name, **options)


def push(notification: Notification) -> None:
    """Send a stored notification to its recipient's sockets on commit; sockets that resume later get it, too."""
    realtime.send_to_user(notification.recipient_id, msgspec.to_builtins(frame(notification)))


def frame(notification: Notification) -> NotificationBody:
    return NotificationBody(notification_type=notification.type, data=item(notification), timestamp=utc_now())


def item(notification: Notification) -> Item:
    link = str(notification.link)
    return Item(
        id=notification.pk,
        type=notification.type,
        title=notification.title,
        message=notification.message,
        data=notification.data,
        # Rows that are older than this rule, or were stored without validation, may have any link.
        link=link if is_safe(link) else "",
        created_at=format_time(notification.created_at),
    )


def require_object(data: object) -> dict[str, Any]:
    """A copy of `data` as the database will return it, so that the pushed and the stored notification are equal.

    Accepts what Django's encoder accepts: dates, UUIDs, decimals and lazy translations become text. Raises InvalidData.
    """
    if not isinstance(data, dict):
        raise InvalidData(f"data must be a dictionary, not {type(data).__name__}")
    try:
        text = json.dumps(data, cls=DjangoJSONEncoder, allow_nan=False, ensure_ascii=False)
        # Half a surrogate pair is valid in a Python string but not in UTF-8: `encode` refuses what could not be sent.
        copy: dict[str, Any] = json.loads(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidData(f"data cannot be written as JSON: {error}") from error
    if NUL.search(text):
        raise InvalidData("data cannot contain NUL characters: PostgreSQL does not accept them")
    if _count_levels(copy) > MAX_LEVELS:
        raise InvalidData(f"data cannot be nested in more than {MAX_LEVELS} levels")
    return copy


def _count_levels(value: Any) -> int:
    levels, found = 0, [value]
    while found:
        levels += 1
        children = [child for one in found for child in (one.values() if isinstance(one, dict) else one)]
        found = [child for child in children if isinstance(child, dict | list)]
    return levels


def _require_storable(notification: Notification) -> None:
    """Raises ValidationError for a text with a NUL character, which PostgreSQL does not accept."""
    for name in ("title", "message", "link"):
        try:
            ProhibitNullCharactersValidator()(getattr(notification, name))
        except ValidationError as error:
            raise ValidationError({name: error}) from None


def _require_user(given: Any) -> Any:
    """The user that site code named, as a user or by a primary key. Raises TypeError and the model's DoesNotExist."""
    pk = read_user(given)
    return given if isinstance(given, get_user_model()) else all_users().get(pk=pk)
