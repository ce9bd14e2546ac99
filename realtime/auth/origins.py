"""Which pages may open a socket (pure): an exact check of `Origin`. Called by the consumer.

Browsers send cookies along with a WebSocket handshake from any page, and no CORS check stops them: this check does.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_allowed(origin: str, *, secure: bool, host: str, allowed: Iterable[str]) -> bool:
    """Whether `origin` is the site itself (scheme, host and port) or one of `allowed`.

    `allowed` holds exact origins, `https://*.example.com` for all subdomains, or `*` for every page.
    """
    wanted = _split(origin)
    if wanted is None:
        return False
    own = _split(f"{'https' if secure else 'http'}://{host}")
    return wanted == own or any(_matches(wanted, pattern) for pattern in allowed)


def _matches(wanted: tuple[str, str, int], pattern: str) -> bool:
    if pattern == "*":
        return True
    if "://*." in pattern:
        suffix = _split(pattern.replace("://*.", "://", 1))
        return (
            suffix is not None
            and (wanted[0], wanted[2]) == (suffix[0], suffix[2])
            and wanted[1].endswith("." + suffix[1])
        )
    return wanted == _split(pattern)


def _split(origin: str) -> tuple[str, str, int] | None:
    """(scheme, host, port), None for what is no origin, such as `null`."""
    try:
        parts = urlsplit(origin.lower())
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port
