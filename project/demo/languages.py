"""The languages of the demo's people: each has that of the window that connected last. Kept in the cache."""

from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.utils.translation import get_language


def note_language(user: Any) -> None:
    """The request's language becomes that of the person, in which notifications are pushed to them."""
    cache.set(_key(user), get_language(), timeout=None)


def find_language(user: Any) -> str:
    """`NOTIFICATIONS["LANGUAGE"]` of the demo."""
    return str(cache.get(_key(user)) or settings.LANGUAGE_CODE)


def _key(user: Any) -> str:
    return f"demo:language:{user.pk}"
