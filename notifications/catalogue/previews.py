"""What a type looks like to its readers: pushed and mailed, in a language, with its example parameters.

Called by the admin. Nothing is stored or sent, and no link of a preview changes anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import override

from notifications import content, texts
from notifications.mailing import addresses, messages
from notifications.mailing.messages import Words
from notifications.models import Notification
from notifications.texts import Label
from notifications.types import NotificationType

GAP = "…"  # for a parameter that the example lacks
NO_ROW = 0
NO_TOKEN = "preview"  # the page for unsubscribing says that such a link is not valid


class CannotBeShown(ValueError):
    """The texts of the type, its example or the site's templates raise something: what it is."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A notification as it is pushed and mailed."""

    title: str
    message: str
    link: str
    actions: Sequence[Label]
    mail: Words


def show(kind: NotificationType, language: str, user: Any) -> Preview:
    """The preview in one language. The mail is written to `user`. Raises CannotBeShown."""
    try:
        with override(language):
            row = _make_row(kind)
            rendered = row.render()
            mail = messages.write([row], user=user, language=language, unsubscribe_url=_unsubscribe_url(kind))
    except Exception as error:  # whatever the site's texts, functions and templates raise
        raise CannotBeShown(f"{type(error).__name__}: {error}") from error
    return Preview(rendered.title, rendered.message, row.link, rendered.actions, mail)


def show_message(kind: NotificationType) -> str:
    """What it says in the active language; if the example is not right, the template itself."""
    try:
        return texts.fill(kind.message, _Example(kind.example))
    except (TypeError, ValueError):
        return str(texts.forms_of(kind.message))


def find_gaps(kind: NotificationType) -> list[str]:
    """The parameters that the texts need and the example lacks."""
    return sorted(_complete(kind).gaps)


def _make_row(kind: NotificationType) -> Notification:
    """The notification, in the active language; it is not stored. Raises what lists and mails would hide."""
    example = _complete(kind)
    for template in (kind.title, kind.message):
        texts.fill(template, example)
    params = content.require_object(dict(example), "the example")
    return Notification(pk=NO_ROW, type=kind.key, params=params, link=texts.fill_link(kind.link, example))


def _complete(kind: NotificationType) -> "_Example":
    """The example, with a gap for each parameter that it lacks."""
    example = _Example(kind.example)
    for template in (kind.title, kind.message, kind.link, kind.group_key, *(action.link for action in kind.actions)):
        try:
            texts.fill(template, example)
        except (TypeError, ValueError):  # a template that wants a number; `show` reports it
            continue
    return example


def _unsubscribe_url(kind: NotificationType) -> str:
    return "" if kind.critical else addresses.of_unsubscribing(NO_TOKEN)


class _Example(dict[str, Any]):
    """Example parameters. A parameter that is asked for and is not there becomes a gap."""

    def __init__(self, given: Mapping[str, object]) -> None:
        super().__init__(given)
        self.gaps: set[str] = set()

    def __missing__(self, name: str) -> str:
        self.gaps.add(name)
        self[name] = GAP
        return GAP
