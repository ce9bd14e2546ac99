"""The types of notification: the built-in ones, and those that a site registers in a module `notification_types`.

A dictionary that is filled while apps are loaded. `sending` looks types up, `texts` renders them, the admin lists them.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypedDict, Unpack, get_args

import msgspec
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

KEY_CHARS = 64  # the length of the columns for keys
# What would end a key in a list of them, or get lost on the way, and what would make another address.
NOT_IN_KEYS = re.compile(r"[,\x00-\x1f\x7f]|^\s|\s$")
NOT_IN_ADDRESSES = re.compile(r"[/\\]|^\.{1,2}$")
NO_TIME, LONGEST_TIME = timedelta(0), timedelta(days=36_525)
MOST_ACTIONS = 2

# A lazy translation in a type becomes text in the reader's language when a notification is pushed, listed or mailed.
Text = str | Promise
Level = Literal["info", "success", "warning", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
# What a type is that says nothing else, and what one is shown as that is no longer registered.
GENERAL = "general"
INFO: Level = "info"
Channel = Literal["socket", "mail", "web_push"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
CHANNEL_NAMES: Mapping[Channel, Text] = {"socket": _("push"), "mail": _("mail"), "web_push": _("web push")}


class UnknownType(ValueError):
    """No type of this key has been registered."""


# What `notify` takes for itself: no parameter of a template can have such a name.
OPTIONS = frozenset(
    [
        "recipients",
        "type_name",
        "target",
        "data",
        "link",
        "title",
        "message",
        "reason",
        "dedupe_key",
        "group_key",
        "silent",
        "unless_present",
    ]
)


class MissingParameter(ValueError):
    """A template needs a parameter that was not passed."""


@dataclass(frozen=True, slots=True)
class Action:
    """A button of a notification. `link` is a template like that of the type; without one, it only notes the choice."""

    key: str
    label: Text
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationType:
    """What all notifications of a type have in common.

    `title`, `message`, `link` and `group_key` are templates such as `_("%(actor)s followed you")`, filled with the
    parameters of `notify`; a literal percent sign is `%%`. In a link, parameters are escaped as in addresses. In a
    group of several people, `%(actor)s` becomes "Bob and 4 others".
    """

    key: str
    title: Text
    message: Text
    category: str = GENERAL
    level: Level = INFO
    link: str = ""
    # Notifications of one reader that have the same one become one row, for as long as the settings say.
    group_key: str = ""
    time_to_live: timedelta | None = None
    # How readers get it who have chosen nothing else.
    channels: frozenset[Channel] = frozenset({"socket", "mail"})
    # Ignores quiet hours, mutes and the reader's switches.
    critical: bool = False
    # Stored and counted, and nothing is pushed or mailed.
    silent: bool = False
    actions: tuple[Action, ...] = ()
    # What the texts say instead of a parameter's value: labels by value, by the name of the parameter.
    labels: Mapping[str, Mapping[Any, Text]] = field(default_factory=dict)
    # A msgspec.Struct that describes `data`: `notify` refuses what does not fit.
    data: type[msgspec.Struct] | None = None
    # Parameters for previews.
    example: Mapping[str, object] = field(default_factory=dict)
    # The label of a model, such as "shop.Order": when such an object is deleted, what is about it is withdrawn.
    ends_with: str = ""


class TypeOptions(TypedDict, total=False):
    """What `register` takes besides the texts: the other fields of `NotificationType`, which describes them."""

    category: str
    level: Level
    link: Text
    group_key: Text
    time_to_live: timedelta | None
    channels: Iterable[Channel]
    critical: bool
    silent: bool
    actions: Iterable[Action]
    # Those of a parameter may be pairs, such as the `choices` of a model's field.
    labels: Mapping[str, Mapping[Any, Text] | Iterable[tuple[Any, Text]]]
    data: type[msgspec.Struct] | None
    example: Mapping[str, object]
    ends_with: str


_types: dict[str, NotificationType] = {}
_categories: dict[str, Text] = {}


def register(key: str, *, title: Text, message: Text, **options: Unpack[TypeOptions]) -> NotificationType:
    """Add a type. Call this in a module `notification_types` of an app of your site.

    The last registration of a key wins, so a site can also reword the built-in types. Raises ValueError for what cannot
    be right.
    """
    given: dict[str, Any] = dict(options)
    if "channels" in given:
        given["channels"] = frozenset(given["channels"])
    if "actions" in given:
        given["actions"] = tuple(given["actions"])
    if "labels" in given:
        given["labels"] = {name: _by_stored(dict(labels)) for name, labels in given["labels"].items()}
    kind = NotificationType(key=key, title=title, message=message, **given)
    _require_valid(kind)
    _types[key] = kind
    return kind


def register_category(key: str, label: Text) -> None:
    """Name a category for readers, who choose by category what they want to hear of."""
    _require_key(key, "a category")
    _categories[key] = label


def require_type(key: str) -> NotificationType:
    """Raises UnknownType."""
    try:
        return _types[key]
    except (KeyError, TypeError):
        raise UnknownType(
            f"There is no notification type {key!r}. Registered types: {', '.join(sorted(_types))}"
        ) from None


def find_type(key: str) -> NotificationType | None:
    """None for a key that is not registered any more."""
    return _types.get(key)


def all_types() -> list[NotificationType]:
    return list(_types.values())


def keys_of_categories(categories: Iterable[str]) -> list[str]:
    wanted = set(categories)
    return [kind.key for kind in _types.values() if kind.category in wanted]


def keys_of_levels(levels: Iterable[str]) -> list[str]:
    wanted = set(levels)
    return [kind.key for kind in _types.values() if kind.level in wanted]


def categories() -> dict[str, Text]:
    """The labels of all categories that have a type, by key."""
    return {kind.category: label_of_category(kind.category) for kind in _types.values()}


def label_of_category(key: str) -> Text:
    return _categories.get(key, capfirst(key))


def choices() -> list[tuple[str, Text]]:
    """Keys and titles of all types, for forms and filters."""
    return [(kind.key, kind.title) for kind in _types.values()]


def _require_valid(kind: NotificationType) -> None:
    _require_key(kind.key, "a type")
    _require_key(kind.category, "a category")
    if kind.level not in LEVELS:
        raise ValueError(f"The level of {kind.key!r} must be one of {', '.join(LEVELS)}: {kind.level!r}")
    if unknown := kind.channels - set(CHANNELS):
        raise ValueError(f"The channels of {kind.key!r} are {', '.join(CHANNELS)}, not {', '.join(sorted(unknown))}.")
    lives = kind.time_to_live
    if lives is not None and not (isinstance(lives, timedelta) and NO_TIME < lives <= LONGEST_TIME):
        raise ValueError(
            f"The time_to_live of {kind.key!r} must be a timedelta above 0, of 100 years at most: {lives!r}"
        )
    if kind.data is not None and not (isinstance(kind.data, type) and issubclass(kind.data, msgspec.Struct)):
        raise ValueError(f"The data of {kind.key!r} must be a subclass of msgspec.Struct: {kind.data!r}")
    if len(kind.actions) > MOST_ACTIONS:
        raise ValueError(f"The type {kind.key!r} may have {MOST_ACTIONS} actions.")
    if len({action.key for action in kind.actions}) < len(kind.actions):
        raise ValueError(f"The actions of {kind.key!r} must have different keys.")
    for action in kind.actions:
        _require_key(action.key, "an action")
        if NOT_IN_ADDRESSES.search(action.key):
            raise ValueError(f"The key of an action is part of an address, and must have no slashes: {action.key!r}")


def _by_stored(labels: Mapping[Any, Text]) -> dict[Any, Text]:
    """The labels by the values as they are stored: JSON makes texts of UUIDs, decimals and dates."""
    return {json.loads(json.dumps(value, cls=DjangoJSONEncoder)): label for value, label in labels.items()}


def _require_key(key: object, what: str) -> None:
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_CHARS:
        raise ValueError(f"The key of {what} must be a text of 1 to {KEY_CHARS} characters: {key!r}")
    if NOT_IN_KEYS.search(key):
        raise ValueError(f"The key of {what} must have no commas, control characters or outer spaces: {key!r}")


register_category(GENERAL, _("General"))
register_category("social", _("People"))
register_category("orders", _("Orders"))

register(
    "new_follower",
    title=_("New follower"),
    message=_("%(actor)s followed you"),
    category="social",
    example={"actor": "Bob"},
)
register(
    "new_like",
    title=_("New like"),
    message=_("%(actor)s liked your post"),
    category="social",
    example={"actor": "Bob"},
)
register(
    "new_comment",
    title=_("New comment"),
    message=_("%(actor)s commented on your post"),
    category="social",
    example={"actor": "Bob"},
)
register(
    "comment_reply",
    title=_("New reply"),
    message=_("%(actor)s replied to your comment"),
    category="social",
    example={"actor": "Bob"},
)
register(
    "mention",
    title=_("New mention"),
    message=_("%(actor)s mentioned you"),
    category="social",
    example={"actor": "Bob"},
)
register(
    "order_status_changed",
    title=_("Order %(order_id)s"),
    message=_("The order is now: %(status)s"),
    category="orders",
    example={"order_id": "A-17", "status": "shipped"},
)

# The types above, whatever a site makes of their keys.
BUILT_IN = tuple(_types.values())
