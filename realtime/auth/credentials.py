"""Finds the credential of a handshake: the first one that the site accepts. Called by the handshake."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from django.http import parse_cookie
from rest_framework_simplejwt.settings import api_settings

from realtime.conf import session_cookie_name, settings

SUBPROTOCOL = "realtime.v1"
BEARER_SUBPROTOCOL = "bearer."


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential: `carrier` is one of those in protocol §1, `value` is what it carried."""

    carrier: str
    value: str


def find_credential(scope: dict[str, Any], *, trusted_page: bool) -> Credential | None:
    """The first credential of a handshake, in the site's order of carriers; None if it has none.

    A session cookie counts only if `trusted_page` is true: the page's Origin is allowed.
    """
    headers = dict(scope["headers"])
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    for carrier in settings().credentials:
        value = ""
        if carrier in ("token", "ticket"):
            value = query.get(carrier, [""])[0]
        elif carrier == "subprotocol":
            value = _bearer_subprotocol(scope.get("subprotocols") or ())
        elif carrier == "authorization":
            value = _bearer_header(headers)
        elif carrier == "session" and trusted_page:
            value = _session_cookie(scope["headers"])
        if value:
            return Credential(carrier, value)
    return None


def _bearer_subprotocol(offered: Sequence[str]) -> str:
    for name in offered:
        if name.startswith(BEARER_SUBPROTOCOL):
            return name.removeprefix(BEARER_SUBPROTOCOL)
    return ""


def _bearer_header(headers: Mapping[bytes, bytes]) -> str:
    """The token in the header that the site's SIMPLE_JWT names, behind one of its words."""
    name = api_settings.AUTH_HEADER_NAME.removeprefix("HTTP_").replace("_", "-").lower()
    scheme, _, token = headers.get(name.encode("latin-1"), b"").decode("latin-1").partition(" ")
    types = api_settings.AUTH_HEADER_TYPES  # simplejwt also takes one text
    words = {word.lower() for word in ([types] if isinstance(types, str) else types)}
    return token.strip() if scheme.lower() in words else ""


def _session_cookie(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The key in the cookie of Django's session; "" if there is none.

    Parsed with Django's parser, so that an invalid cookie of another program does not hide ours. Over HTTP/2, browsers
    send several headers with cookies (RFC 9113 §8.2.3).
    """
    header = b"; ".join(value for name, value in headers if name == b"cookie")
    key = str(parse_cookie(header.decode("latin-1")).get(session_cookie_name(), ""))
    # A quoted cookie can contain a NUL character, which PostgreSQL does not accept in a text.
    return "" if "\0" in key else key
