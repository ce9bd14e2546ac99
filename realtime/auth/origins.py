"""Which pages may open a socket: an exact check of `Origin`. Called by the handshake.

Browsers send cookies with a WebSocket handshake from any page, and CORS does not apply to it. Only this check protects
the site.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.http.request import split_domain_port, validate_host

from realtime.conf import allowed_hosts, proxy_ssl_header, settings, trusted_origins

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_trusted(scope: Mapping[str, Any], headers: Mapping[bytes, bytes], origin: str) -> bool:
    """Whether a page from `origin` may open this socket: a page of the site itself, or of an origin it allows."""
    host = headers.get(b"host", b"").decode("latin-1")
    own = host if validate_host(split_domain_port(host)[0], allowed_hosts()) else ""
    secure = scope.get("scheme") == "wss"
    if (proxy := proxy_ssl_header()) is not None:
        secure = headers.get(proxy[0], b"").decode("latin-1") == proxy[1]
    allowed = (*settings().allowed_origins, *trusted_origins())
    return is_allowed(origin, secure=secure, host=own, allowed=allowed)


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
    """(scheme, host, port); None for a text that is not an origin, such as `null`."""
    try:
        parts = urlsplit(origin.lower())
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port
