"""Which pages may open a socket: an exact check of `Origin`. Called by the handshake.

Browsers send cookies with a WebSocket handshake from any page, and CORS does not apply to it. Only this check protects
the site.
"""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.utils.encoding import punycode

from realtime.conf import proxy_ssl_header, settings, trusted_origins

DEFAULT_PORTS = {"http": 80, "https": 443}
HTTP_SCHEMES = {"ws": "http", "wss": "https"}
HOST_HEADERS = (b"host", b"x-forwarded-host", b"x-forwarded-port")


def is_trusted(scope: Mapping[str, Any], origin: str) -> bool:
    """Whether a page from `origin` may open this socket: a page of the site itself, or of an origin it allows.

    Scheme, host and port of the site are what Django says about a request with these headers, so that all settings
    about hosts and proxies apply.
    """
    return is_allowed(origin, own=find_own(scope), allowed=(*settings().allowed_origins, *trusted_origins()))


def find_own(scope: Mapping[str, Any]) -> str:
    """The origin of the site, as far as Django can tell from this handshake; "" if ALLOWED_HOSTS lacks its host."""
    request = _request(scope)
    try:
        return f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:
        return ""


def _request(scope: Mapping[str, Any]) -> ASGIRequest:
    """The handshake as a request of Django's, with those headers that tell its address."""
    names, proxy = set(HOST_HEADERS), proxy_ssl_header()
    headers = [(name, value) for name, value in scope["headers"] if name in names]
    if proxy is not None:
        name, secure = proxy
        # Some proxies name the scheme of the socket.
        spelled = {b"wss": secure.encode(), b"ws": b"http"} if secure == "https" else {}
        for header, value in scope["headers"]:
            if header == name:
                first = value.split(b",", 1)[0].strip()
                headers.append((header, spelled.get(first, value)))
    scheme = HTTP_SCHEMES.get(scope.get("scheme", "ws"), "http")
    trimmed = {"method": "GET", "path": "/", "scheme": scheme, "server": scope.get("server"), "headers": headers}
    return ASGIRequest(trimmed, BytesIO())


Parts = tuple[str, str, int | None]


def is_allowed(origin: str, *, own: str, allowed: Iterable[str]) -> bool:
    """Whether `origin` is `own` (scheme, host and port; "" for none) or one of `allowed`.

    `allowed` holds exact origins, `https://*.example.com` for all subdomains, or `*` for every page. Pages of apps have
    schemes of their own, for example `capacitor://localhost`.
    """
    patterns = tuple(allowed)
    if "*" in patterns:
        return True
    wanted = _split(origin)
    return wanted is not None and (wanted == _split(own) or any(_matches(wanted, pattern) for pattern in patterns))


def _matches(wanted: Parts, pattern: str) -> bool:
    if "://*." in pattern:
        suffix = _split(pattern.replace("://*.", "://", 1))
        return (
            suffix is not None
            and (wanted[0], wanted[2]) == (suffix[0], suffix[2])
            and wanted[1].endswith("." + suffix[1])
        )
    return wanted == _split(pattern)


def _split(origin: str) -> Parts | None:
    """(scheme, host, port); None for a text that is not an origin, such as `null`. Other schemes may have no port."""
    try:
        parts = urlsplit(origin.lower())
        port = DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
        # A site may write its domain in any script. Browsers send it in ASCII.
        host = parts.hostname or ""
        host = host if host.isascii() else punycode(host)
    except ValueError:
        return None
    if not parts.scheme or not host or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, host, port
