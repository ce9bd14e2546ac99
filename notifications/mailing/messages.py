"""Builds mails: their texts from templates that a site can replace, and their headers. Called by `sending`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.policy import Policy
from email.utils import formataddr
from hashlib import sha256
from typing import Any

import msgspec
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import get_language_bidi, override

from notifications import conf
from notifications.languages import languages_of
from notifications.mailing import addresses, unsubscribing
from notifications.mailing.checking import Letter
from notifications.models import Notification
from notifications.texts import Rendered
from notifications.types import find_type
from realtime.integration import shorten

SHOWN = 10  # notifications of one mail; of the others, only how many they are
TEMPLATES = ("notifications/mail/subject.txt", "notifications/mail/body.txt", "notifications/mail/body.html")
SUBJECT_CHARS = 120


class OneLine(str):
    """A header that stays on one line. Python's way to fold a long address would make it unreadable for mail programs.

    Django 5.2 takes it for the text that it is; later versions hand it to Python's `email`, which calls `fold`.
    """

    name = ""

    @classmethod
    def of(cls, name: str, value: str) -> "OneLine":
        header = cls(value)
        header.name = name
        return header

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


@dataclass(frozen=True, slots=True)
class Words:
    """What a mail says, in its reader's language."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A notification as the templates see it. `url` is empty if it leads nowhere."""

    title: str
    message: str
    url: str
    level: str
    row: Notification


# What notifications say, by language and all that it is made of: once for a page, and not once for each reader.
Known = dict[tuple[Any, ...], Rendered]


def load(letters: Sequence[Letter]) -> Callable[[Letter], EmailMultiAlternatives | None]:
    """What builds each of the mails, or returns None if nothing is left to say.

    Their notifications and languages are loaded together.
    """
    shown = [delivery.notification_id for letter in letters for delivery in letter.deliveries[:SHOWN]]
    rows = Notification.objects.in_bulk(shown)
    languages = languages_of([letter.user.pk for letter in letters])
    known: Known = {}

    def build_one(letter: Letter) -> EmailMultiAlternatives | None:
        # Both may have been deleted since they were checked.
        newest = [delivery for delivery in letter.deliveries[:SHOWN] if delivery.notification_id in rows]
        found = [rows[delivery.notification_id] for delivery in newest]
        left = replace(letter, deliveries=[*newest, *letter.deliveries[SHOWN:]])
        language = languages.get(letter.user.pk, conf.default_language())
        return build(left, found, language, known) if left.deliveries else None

    return build_one


def build(letter: Letter, shown: Sequence[Notification], language: str, known: Known) -> EmailMultiAlternatives:
    """The mail, in the reader's language."""
    unsubscribe = _unsubscribe_url(letter, shown)
    more = len(letter.deliveries) - len(shown)
    words = write(shown, more=more, user=letter.user, language=language, unsubscribe_url=unsubscribe, known=known)
    message = EmailMultiAlternatives(
        subject=words.subject,
        body=words.text,
        from_email=conf.settings().mail_from or None,
        to=[letter.address],
        headers=_headers(letter, shown, unsubscribe),
    )
    message.attach_alternative(words.html, "text/html")
    return message


def write(
    shown: Sequence[Notification],
    *,
    more: int = 0,
    user: Any,
    language: str,
    unsubscribe_url: str,
    known: Known | None = None,
) -> Words:
    """The texts of a mail to `user` about these notifications and `more` that it only counts."""
    shows_contents = conf.settings().mail_contents
    known = {} if known is None else known
    with override(language):
        context = {
            "entries": [_entry(row, _render_once(row, language, known)) for row in shown] if shows_contents else [],
            "count": len(shown) + more,
            "more": more if shows_contents else 0,
            "user": user,
            "site_name": addresses.site_name(),
            "site_url": addresses.of_site("/"),
            "unsubscribe_url": unsubscribe_url,
            "language": language,
            "is_rtl": get_language_bidi(),
        }
        subject, text, html = (render_to_string(template, context) for template in TEMPLATES)
    return Words(shorten(" ".join(subject.split()), SUBJECT_CHARS), text.strip() + "\n", html)


def _render_once(row: Notification, language: str, known: Known) -> Rendered:
    """What the notification says in this language, which is active."""
    made_of = msgspec.json.encode([row.params, row.group_actors])
    key = (language, row.type, row.title, row.message, row.group_count, made_of)
    if key not in known:
        known[key] = row.render()
    return known[key]


def _entry(row: Notification, rendered: Rendered) -> Entry:
    kind = find_type(row.type)
    url = addresses.of_notification(row.pk, row.link)
    return Entry(rendered.title, rendered.message, url, kind.level if kind else "info", row)


def _unsubscribe_url(letter: Letter, shown: Sequence[Notification]) -> str:
    """Empty if all that the mail is about is critical: nobody can unsubscribe from that."""
    shows_all = len(shown) == len(letter.deliveries)
    kinds = [find_type(row.type) for row in shown]
    if shows_all and all(kind is not None and kind.critical for kind in kinds):
        return ""
    types = {row.type for row in shown}
    # Whoever has the token can read the type in it.
    has_one = shows_all and len(types) == 1 and conf.settings().mail_contents
    return addresses.of_unsubscribing(unsubscribing.make_token(letter.user, types.pop() if has_one else ""))


def _headers(letter: Letter, shown: Sequence[Notification], unsubscribe: str) -> dict[str, str]:
    host = addresses.host()
    # The same at the next attempt, so that mail programs recognise what they have got already.
    name = _digest(*(str(delivery.pk) for delivery in letter.deliveries))
    headers = {
        "Message-ID": f"<notifications.{name}@{host}>",
        "List-Id": formataddr((addresses.site_name(), f"notifications.{host}")),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    # The name of a thread is made of the group's key, which somebody might guess.
    groups = {row.group_key for row in shown} if conf.settings().mail_contents else set()
    if len(groups) == 1 and (group := groups.pop()):
        thread = f"<group.{_digest(str(letter.user.pk), group)}@{host}>"
        headers |= {"References": thread, "In-Reply-To": thread}
    if unsubscribe:
        address = addresses.in_ascii(unsubscribe)
        headers |= {"List-Unsubscribe": f"<{address}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return {name: OneLine.of(name, value) for name, value in headers.items()}


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:32]
