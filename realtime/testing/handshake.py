"""Makes the handshakes of tests: addresses, headers and fresh credentials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from django.contrib.auth import get_user_model
from django.test import Client

from realtime.auth import tickets, tokens
from realtime.auth.credentials import BEARER_SUBPROTOCOL, SUBPROTOCOL
from realtime.auth.user_ids import read_user
from realtime.auth.users import all_users
from realtime.conf import CREDENTIALS, session_cookie_name

HOST = "testserver"


@dataclass
class Handshake:
    """What a client sends to open a socket. `path` may have a query."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocols: Sequence[str] = ()
    token: str = ""  # for the first command `auth`, if it is not empty

    def scope(self) -> dict[str, Any]:
        """The scope of ASGI."""
        parts = urlsplit(self.path)
        headers = {"host": HOST, **{name.lower(): value for name, value in self.headers.items()}}
        return {
            "type": "websocket",
            "scheme": "ws",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "root_path": "",
            "query_string": "&".join(filter(None, [parts.query, urlencode(self.query)])).encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "subprotocols": list(self.subprotocols),
            "server": (HOST, 80),
            "client": ("127.0.0.1", 50000),
            "extensions": {"websocket.http.response": {}},
        }


def authenticate(handshake: Handshake, user: Any, credential: str) -> None:
    """Add a fresh credential of this kind (protocol, "Connecting") for a user or a primary key. Synchronous.

    Raises ValueError for another kind, TypeError for something else than a user.
    """
    if credential not in CREDENTIALS:
        raise ValueError(f"There is no credential {credential!r}: it is one of {', '.join(CREDENTIALS)}.")
    if not isinstance(user, get_user_model()):
        user = all_users().get(pk=read_user(user))
    if credential == "session":
        client = Client()
        client.force_login(user)
        cookie = f"{session_cookie_name()}={client.cookies[session_cookie_name()].value}"
        handshake.headers = {"cookie": cookie, "origin": f"http://{HOST}", **handshake.headers}
        return
    access = tokens.start_login(user).access_token
    if credential == "ticket":
        handshake.query = {**handshake.query, "ticket": tickets.issue(user.pk, tokens.to_claims(access))}
    elif credential == "subprotocol":
        handshake.subprotocols = [*handshake.subprotocols, SUBPROTOCOL, f"{BEARER_SUBPROTOCOL}{access}"]
    elif credential == "authorization":
        handshake.headers = {"authorization": f"Bearer {access}", **handshake.headers}
    elif credential == "command":
        handshake.token = str(access)
    else:
        handshake.query = {**handshake.query, "token": str(access)}
