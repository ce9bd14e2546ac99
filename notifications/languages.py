"""Which language a user is written to in. Called by `inbox`, before it renders what is stored and pushed."""

from collections.abc import Iterator
from typing import Any

from django.utils.module_loading import import_string
from django.utils.translation import get_supported_language_variant, to_language

from notifications import conf


def language_of(user: Any) -> str:
    """The first language of `user` that the site has, else the site's own."""
    return next(filter(None, map(_supported, _wanted(user))), conf.default_language())


def _wanted(user: Any) -> Iterator[object]:
    """What the site's function says, or else the attribute `language` of the user and of the user's `profile`."""
    path = conf.settings().language
    if path:
        yield import_string(path)(user)
        return
    yield getattr(user, "language", None)
    # A one-to-one relation without a row raises a DoesNotExist that is an AttributeError too.
    yield getattr(getattr(user, "profile", None), "language", None)


def _supported(code: object) -> str | None:
    """The site's language for `code` in any usual spelling (`zh_CN`, `zh-Hans`), or None."""
    if not code or not isinstance(code, str):
        return None
    try:
        return get_supported_language_variant(to_language(code))
    except LookupError:
        return None
