"""The types of notification and their texts: five built-in ones, and those that a site registers.

A dictionary that is filled while apps are loaded. `sending` fills in the texts; the admin lists the types.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

NAME_CHARS = 64  # the length of the column `type`

# A lazy translation becomes text in the recipient's language when the notification is sent.
Text = str | Promise


class UnknownType(ValueError):
    """No type of this name has been registered."""


class MissingParameter(ValueError):
    """A template needs a parameter that was not passed."""


@dataclass(frozen=True, slots=True)
class NotificationType:
    """`title` and `message` are templates such as `_("%(actor)s followed you")`; a literal percent sign is `%%`."""

    name: str
    title: Text
    message: Text


_types: dict[str, NotificationType] = {}


def register(name: str, *, title: Text, message: Text) -> NotificationType:
    """Add a type. Call this in the `AppConfig.ready()` of an app of your site.

    The last registration of a name wins, so a site can also reword the built-in types.
    """
    if not 1 <= len(name) <= NAME_CHARS:
        raise ValueError(f"The name of a notification type must have 1 to {NAME_CHARS} characters: {name!r}")
    _types[name] = NotificationType(name, title, message)
    return _types[name]


def require_type(name: str) -> NotificationType:
    """Raises UnknownType."""
    try:
        return _types[name]
    except KeyError:
        raise UnknownType(
            f"There is no notification type {name!r}. Registered types: {', '.join(sorted(_types))}"
        ) from None


def choices() -> list[tuple[str, Text]]:
    """Names and titles of all types, for forms and filters."""
    return [(kind.name, kind.title) for kind in _types.values()]


def fill(template: Text, params: Mapping[str, object]) -> str:
    """`template` in the active language, filled with `params`. Raises MissingParameter."""
    try:
        return str(template) % params
    except KeyError as error:
        raise MissingParameter(f"{str(template)!r} needs the parameter {error.args[0]!r}") from None


register("new_follower", title=_("New follower"), message=_("%(actor)s followed you"))
register("new_like", title=_("New like"), message=_("%(actor)s liked your post"))
register("new_comment", title=_("New comment"), message=_("%(actor)s commented on your post"))
register("comment_reply", title=_("New reply"), message=_("%(actor)s replied to your comment"))
register("mention", title=_("New mention"), message=_("%(actor)s mentioned you"))
