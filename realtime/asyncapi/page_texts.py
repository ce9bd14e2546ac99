"""The texts of the document in the reader's language. Called by `page`.

They are docstrings, which `makemessages` does not read, so they have catalogs of their own: `sockets.po` beside
`django.po`, in any app. A test compares those of our apps with the document.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.utils.translation import get_language
from django.utils.translation.trans_real import DjangoTranslation

DOMAIN = "sockets"


def say(text: str) -> str:
    """A text of the document in the active language, or else as it is."""
    return _find_catalog(get_language() or "en").gettext(unwrap(text)) if text else ""


def unwrap(text: str) -> str:
    """Each paragraph in one line."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())


def list_texts(document: Mapping[str, Any]) -> Iterator[str]:
    """Every text that the page shows of a document."""
    yield document["info"]["description"]
    for schema in document["components"]["schemas"].values():
        parts = [] if "oneOf" in schema else [schema, *schema.get("properties", {}).values()]
        yield from (part["description"] for part in parts if "description" in part)
    for channel in document["channels"].values():
        yield from (channel["title"], channel["description"])
    yield from (scheme["description"] for scheme in document["components"]["securitySchemes"].values())
    yield from document["x-error-codes"].values()
    for close in document["x-close-codes"]:
        yield from close["reasons"].values()


@lru_cache(maxsize=16)
def _find_catalog(language: str) -> DjangoTranslation:
    folders = [str(Path(config.path) / "locale") for config in reversed([*apps.get_app_configs()])]
    return DjangoTranslation(language, domain=DOMAIN, localedirs=folders)
