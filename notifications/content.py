"""What one call of `notify` sends: the same for all its recipients, and checked before anything is stored.

Pure but for the clock. Built by `sending`, stored by `storing`, rendered by `pushing`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import ProhibitNullCharactersValidator

from notifications import clock, texts
from notifications.models import Notification
from notifications.models.target import NOTHING, Target
from notifications.preferences.cascade import Rule
from notifications.types import NotificationType, Text

# Lists and objects within each other. SQLite takes 1,000, and from Python 3.12 on Python's encoder takes more.
MAX_LEVELS = 900
# A NUL character as JSON writes it. After an escaped backslash the same six characters are ordinary text.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
TEXTS = ("title", "message", "link", "reason", "dedupe_key", "group_key")


class InvalidData(ValueError):
    """`data` or a parameter is not JSON, holds something that cannot be stored, or does not fit the type's schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A notification without its reader."""

    kind: NotificationType
    params: dict[str, Any] = field(default_factory=dict)
    actor: Any = None  # a user
    data: dict[str, Any] = field(default_factory=dict)
    link: str = ""
    title: str = ""
    message: str | None = None
    target: Target = NOTHING
    reason: str = ""
    dedupe_key: str = ""
    group_key: str = ""
    silent: bool = False
    now: datetime = field(default_factory=clock.now)

    @property
    def expires_at(self) -> datetime | None:
        return self.now + self.kind.time_to_live if self.kind.time_to_live else None

    @property
    def usual_rule(self) -> Rule:
        """What decides for readers who have chosen nothing."""
        return "critical" if self.kind.critical else "default"

    def columns(self) -> dict[str, Any]:
        """The values of the model's fields that are the same for all readers."""
        return {
            "type": self.kind.key,
            "params": self.params,
            "actor_id": None if self.actor is None else self.actor.pk,
            "data": self.data,
            "link": self.link,
            "title": self.title,
            "message": self.message,
            "target_type_id": self.target.type_id,
            "target_key": self.target.key,
            "reason": self.reason,
            "dedupe_key": self.dedupe_key,
            "group_key": self.group_key,
            "silent": self.silent,
            "created_at": self.now,
            "arrived_at": self.now,
            "expires_at": self.expires_at,
            "pushed_by": self.usual_rule,
        }


def prepare(
    kind: NotificationType,
    params: Mapping[str, object],
    *,
    title: Text | None,
    message: Text | None,
    data: dict[str, Any] | None,
    link: Text | None,
    group_key: Text | None,
    reason: Text | None = None,
    dedupe_key: Text | None = None,
    **options: Any,
) -> Content:
    """The checked content. Keys may be numbers, texts may be lazy, and None is an empty text.

    Raises MissingParameter, InvalidData, and ValidationError for a text or a link that is wrong.
    """
    if title is not None and not str(title):
        raise ValidationError({"title": str(Notification._meta.get_field("title").error_messages["blank"])})
    # So that a missing parameter is an error now, and not when somebody reads it.
    texts.render(kind, params, title=title, message=message)
    content = Content(
        kind=kind,
        params=require_object(dict(params), "the parameters"),
        data=_require_schema(kind, require_object(data or {})),
        link=as_text(link) or texts.fill_link(kind.link, params),
        title="" if title is None else str(title),
        message=None if message is None else str(message),
        reason=as_text(reason),
        dedupe_key=as_text(dedupe_key),
        group_key=as_text(group_key) or texts.fill(kind.group_key, params),
        silent=options.pop("silent", False) or kind.silent,
        **options,
    )
    _require_valid(content)
    return content


def as_text(value: object) -> str:
    """As the database will return it. A member of an enumeration of texts is the text, whatever its `str()` is."""
    if value is None:
        return ""
    return str.__str__(value) if isinstance(value, str) else str(value)


def require_object(data: object, what: str = "data") -> dict[str, Any]:
    """A copy of `data` as the database will return it, so that the pushed and the stored notification are equal.

    Accepts what Django's encoder accepts: dates, UUIDs, decimals and lazy translations become text. Raises InvalidData.
    """
    if not isinstance(data, dict):
        raise InvalidData(f"{what} must be a dictionary, not {type(data).__name__}")
    try:
        text = json.dumps(data, cls=DjangoJSONEncoder, allow_nan=False, ensure_ascii=False)
        # Half a surrogate pair is valid in a Python string but not in UTF-8: `encode` refuses what could not be sent.
        copy: dict[str, Any] = json.loads(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidData(f"{what} cannot be written as JSON: {error}") from error
    if NUL.search(text):
        raise InvalidData(f"{what} cannot contain NUL characters: PostgreSQL does not accept them")
    if _count_levels(copy) > MAX_LEVELS:
        raise InvalidData(f"{what} cannot be nested in more than {MAX_LEVELS} levels")
    return copy


def _count_levels(value: Any) -> int:
    levels, found = 0, [value]
    while found:
        levels += 1
        children = [child for one in found for child in (one.values() if isinstance(one, dict) else one)]
        found = [child for child in children if isinstance(child, dict | list)]
    return levels


def _require_schema(kind: NotificationType, data: dict[str, Any]) -> dict[str, Any]:
    if kind.data is not None:
        try:
            msgspec.convert(data, kind.data, str_keys=True)  # all keys are texts in JSON
        except msgspec.ValidationError as error:
            raise InvalidData(f"data does not fit the type {kind.key!r}: {error}") from error
    return data


def _require_valid(content: Content) -> None:
    """The limits are checked here, because SQLite stores a text of any length, and rows are not stored one by one."""
    row = Notification(**content.columns())
    row.clean_fields(exclude={"recipient", "actor", "target_type"})
    for name in TEXTS:
        try:
            ProhibitNullCharactersValidator()(getattr(row, name) or "")
        except ValidationError as error:
            raise ValidationError({name: error}) from None
