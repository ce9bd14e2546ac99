"""How a handshake says who it is (auth): finds the first credential that the site accepts. Called by the handshake."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from django.http import parse_cookie

from realtime.conf import session_cookie_name, settings

SUBPROTOCOL = "realtime.v1"
BEARER_SUBPROTOCOL = "bearer."


@dataclass(frozen=True, slots=True)
class Credential:
    """The first carrier of protocol §1 that a handshake has, and what it carries."""

    carrier: str
    value: str


def find_credential(scope: dict[str, Any], *, trusted_page: bool) -> Credential | None:
    """The credential that decides, None when there is none. A cookie counts only from a page with an allowed Origin."""
    headers = dict(scope["headers"])
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    for carrier in settings().credentials:
        value = ""
        if carrier in ("token", "ticket"):
            value = query.get(carrier, [""])[0]
        elif carrier == "subprotocol":
            value = _bearer_subprotocol(scope.get("subprotocols") or ())
        elif carrier == "authorization":
            value = _bearer_header(headers.get(b"authorization", b""))
        elif carrier == "session" and trusted_page:
            value = _session_cookie(headers.get(b"cookie", b""))
        if value:
            return Credential(carrier, value)
    return None


def _bearer_subprotocol(offered: Sequence[str]) -> str:
    for name in offered:
        if name.startswith(BEARER_SUBPROTOCOL):
            return name.removeprefix(BEARER_SUBPROTOCOL)
    return ""


def _bearer_header(value: bytes) -> str:
    scheme, _, token = value.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _session_cookie(header: bytes) -> str:
    """Read as Django reads it for a page: one cookie of another program that breaks the rules hides none of ours."""
    key = str(parse_cookie(header.decode("latin-1")).get(session_cookie_name(), ""))
    return "" if "\0" in key else key  # a quoted cookie may spell it, and PostgreSQL takes no text with it
