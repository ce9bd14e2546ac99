"""What a notification would say, in each language of the site. Called by the admin."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import override

from notifications import conf, texts
from notifications.links import is_safe
from notifications.models import Notification
from notifications.types import NotificationType, Text


@dataclass(frozen=True, slots=True)
class Preview:
    """`name` is that of the language."""

    language: str
    name: str
    rendered: texts.Rendered
    link: str


def render_all(
    kind: NotificationType,
    params: Mapping[str, object],
    *,
    title: Text | None = None,
    message: Text | None = None,
    link: str = "",
) -> list[Preview]:
    """One preview for each language. Raises MissingParameter, and ValueError or TypeError for a template that is wrong.

    `title`, `message` and `link` replace those of the type.
    """
    found = []
    for language, name in conf.languages().items():
        with override(language):
            rendered = texts.render(kind, params, title=title, message=message)
            found.append(Preview(language, name, rendered, link or texts.fill_link(kind.link, params)))
    return found


def render_stored(row: Notification) -> list[Preview]:
    """What a stored notification says, in each language."""
    found = []
    for language, name in conf.languages().items():
        with override(language):
            found.append(Preview(language, name, row.render(), row.link if is_safe(row.link) else ""))
    return found
