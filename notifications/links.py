"""Which addresses a notification may lead to. Pure; used by the model's validation and by `sending`.

A client puts the link into a page, and whoever causes a notification may have chosen it. So it must not be able to run
code there, whatever the browser or a template makes of it.
"""

import html
import re
import unicodedata
from urllib.parse import urlsplit

SCHEMES = {"http", "https", "mailto"}
# Until the first of these, a colon ends a scheme.
_END_OF_SCHEME = re.compile(r"[/?#]")
# Control characters, spaces, invisible characters, and halves of surrogate pairs. Browsers drop some of them.
_FORBIDDEN = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}
# How often a link is unescaped: whoever shows it may do so more than once.
UNESCAPED_AT_MOST = 3


def is_safe(link: str) -> bool:
    """Whether `link` is empty, a path of this site, or an address with one of SCHEMES.

    A path that begins with `//` or has a backslash is an address of another site for browsers; it is refused. So is
    every space and control character. HTML entities are read as the characters that they stand for.
    """
    for _time in range(UNESCAPED_AT_MOST):
        if not _is_safe_as_written(link):
            return False
        unescaped = html.unescape(link)
        if unescaped == link:
            return True
        link = unescaped
    return False


def _is_safe_as_written(link: str) -> bool:
    if "\\" in link or link.startswith("//") or any(unicodedata.category(char) in _FORBIDDEN for char in link):
        return False
    scheme, colon, _rest = _END_OF_SCHEME.split(link, maxsplit=1)[0].partition(":")
    if not colon:
        return True
    return scheme.lower() in SCHEMES and (scheme.lower() == "mailto" or _has_host(link))


def _has_host(link: str) -> bool:
    try:
        return bool(urlsplit(link).hostname)
    except ValueError:  # such as `http://[`
        return False
