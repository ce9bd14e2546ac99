"""The language in which a user gets notifications. Called by `sending`, which stores the text in that language."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.utils.module_loading import import_string
from django.utils.translation import get_supported_language_variant, to_language

from notifications import conf


def language_of(user: Any) -> str:
    """The first language of `user` that the site supports, else the site's default."""
    return next(filter(None, map(_supported, _wanted(user))), conf.default_language())


def _wanted(user: Any) -> Iterator[object]:
    """The result of the site's function, if one is set; else `user.language` and then `user.profile.language`."""
    path = conf.settings().language
    if path:
        yield import_string(path)(user)
        return
    yield getattr(user, "language", None)
    try:
        profile = getattr(user, "profile", None)
    except ObjectDoesNotExist:  # a relation or a property without a row
        profile = None
    yield getattr(profile, "language", None)


def _supported(code: object) -> str | None:
    """The language of the site that matches `code` in any usual spelling (`zh_CN`, `zh-Hans`), or None."""
    if not code or not isinstance(code, str):
        return None
    try:
        return get_supported_language_variant(to_language(code))
    except LookupError:
        return None
