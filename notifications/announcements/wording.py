"""What an announcement says to somebody: its texts, and the one for a language. Used by the events, lists and admin.

Texts that are prefetched cost no query.
"""

from collections.abc import Iterable, Mapping

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import get_language, get_supported_language_variant, override
from django.utils.translation import gettext as _

from notifications import conf
from notifications.content import as_text
from notifications.languages import find_supported
from notifications.models import Announcement, AnnouncementText
from notifications.types import Text

ByLanguage = Text | Mapping[str, Text]


def default_code() -> str:
    """The site's own language, as it is called among its languages: `en` for LANGUAGE_CODE `en-us`."""
    code = conf.default_language()
    try:
        return get_supported_language_variant(code)
    except LookupError:
        return code


def fallback_of(announcement: Announcement) -> AnnouncementText | None:
    """The text for readers in whose language there is none: in the site's language, else the first."""
    texts = list(announcement.texts.all())
    return _match(texts, default_code()) or next(iter(texts), None)


def words_of(announcement: Announcement, language: str | None = None) -> AnnouncementText | None:
    """The text in a language, by default the active one; None if there is no text at all.

    Without one: that of the language that it is a variant of (`pt` for `pt-br`), else the fallback.
    """
    wanted = language or get_language() or ""
    return _match(announcement.texts.all(), wanted) or fallback_of(announcement)


def _match(texts: Iterable[AnnouncementText], language: str) -> AnnouncementText | None:
    by_language = {text.language.lower(): text for text in texts}
    parts = language.lower().split("-")
    codes = ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((by_language[code] for code in codes if code in by_language), None)


def spell_out(title: ByLanguage, message: ByLanguage) -> list[AnnouncementText]:
    """The texts of a new announcement, that in the site's language first.

    A text counts for the site's language, a lazy translation for each of the site's languages in which it differs; a
    dictionary has one for each language.
    """
    titles = _by_language(title)
    messages = {code: text for code, text in _by_language(message).items() if text}
    default = default_code()
    return [
        AnnouncementText(
            language=code,
            title=titles.get(code) or titles.get(default, ""),
            message=messages.get(code) or messages.get(default, ""),
        )
        for code in sorted(titles.keys() | messages.keys(), key=lambda code: (code != default, code))
    ]


def _by_language(given: ByLanguage) -> dict[str, str]:
    default = default_code()
    if isinstance(given, Mapping):
        names = {code: _require_language(code) for code in given}
        # The exact name of a language goes before a variant of it (`en` before `en-us`).
        return {
            names[code]: _say_in(names[code], given[code])
            for code in sorted(given, key=lambda code: code == names[code])
        }
    if not isinstance(given, Promise):
        return {default: as_text(given)}
    found = {code: _say_in(code, given) for code in [default, *conf.languages()]}
    return {code: text for code, text in found.items() if code == default or text != found[default]}


def _require_language(code: object) -> str:
    """The language of the site that is meant, however it is spelt (`zh_CN`). Raises ValidationError."""
    if code == conf.default_language():
        return default_code()
    if (found := find_supported(code)) is None:
        known = ", ".join(conf.languages())
        raise ValidationError(
            _("The site has no language “%(code)s”. It has: %(known)s.") % {"code": code, "known": known}
        )
    return found


def _say_in(code: str, text: Text) -> str:
    if not isinstance(text, Promise):
        return as_text(text)
    with override(code):
        return str(text)
