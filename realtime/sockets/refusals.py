"""Answers commands and handshakes that failed. Called by the intake, the handlers, the consumer and the routing."""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from realtime.auth.origins import find_own
from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.delivery.refusal_texts import language_of, say
from realtime.protocol.commands import Invalid
from realtime.protocol.errors import CloseCode, Closed, ErrorCode, Reason, Refused
from realtime.protocol.limits import ErrorBudget

Send = Callable[[dict[str, Any]], Awaitable[None]]

LOGGED_CHARS = 200  # of a path or an origin, which may have any length

logger = logging.getLogger(__name__)


def answer(connection: Connection, error: Exception, id: str | None) -> None:
    """Answer a failed command with an `error`, or close the socket: the one place that turns exceptions into frames.

    An unexpected exception is logged with a reference, which the client also gets.
    """
    if isinstance(error, Closed):
        connection.close(error)
    elif isinstance(error, Invalid):
        connection.refuse(error, error.id)
        _count_bad_frame(connection)
    elif isinstance(error, Refused):
        connection.refuse(error, id)
    else:
        reference = secrets.token_hex(4)
        logger.error("A command failed (reference %s)", reference, exc_info=error)
        refusal = Refused(ErrorCode.MESSAGE_PROCESSING_ERROR, Reason.OUR_FAULT)
        connection.refuse(refusal, id, reference=reference)


def why_closed(error: Exception) -> Closed:
    """The close that a client gets when its handshake fails."""
    if isinstance(error, Closed):
        return error
    if isinstance(error, Refused):  # the database is away, or too many are waiting
        return Closed(CloseCode.OVERLOADED, "OVERLOADED", retry_after_ms=settings().retry_after_ms)
    logger.error("A socket could not be opened", exc_info=error)
    return Closed(CloseCode.SERVER_ERROR, "SERVER_ERROR")


async def refuse_handshake(scope: dict[str, Any], send: Send, status: int, reason: Reason) -> None:
    """Refuse a handshake with an HTTP status if the server supports that, else with the server's 403.

    Browsers do not show why a handshake failed, so the log says it. Of an origin it says what that was compared with:
    mostly it is a proxy that has not passed the host, the port or the scheme.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    path = scope["path"][:LOGGED_CHARS]
    why = reason.name
    if reason is Reason.ORIGIN_NOT_ALLOWED:
        own = find_own(scope)[:LOGGED_CHARS]
        why += f" (Django takes the site for {own!r})" if own else " (the Host is not in ALLOWED_HOSTS)"
    logger.warning("A handshake for %r from %r was refused (%d): %s", path, origin[:LOGGED_CHARS], status, why)
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    body = say(reason, language_of(headers)).encode()
    answer_headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": answer_headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def refuse_request(scope: dict[str, Any], send: Send) -> None:
    """Refuse a request that came to the address of a socket and asks for none.

    Nearly always it was a handshake until a proxy left out its headers. Django would know no such address.
    """
    language = language_of(dict(scope["headers"]))
    body = say(Reason.NO_HANDSHAKE, language).encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if scope.get("http_version") == "1.1":  # HTTP/2 has no such header
        headers.append((b"upgrade", b"websocket"))
    path = scope["path"][:LOGGED_CHARS]
    name = Reason.NO_HANDSHAKE.name
    logger.warning("A request for %r was refused (426): %s. Does the proxy pass Upgrade?", path, name)
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _count_bad_frame(connection: Connection) -> None:
    if connection.errors is None:
        connection.errors = ErrorBudget(settings().bad_frames, settings().bad_frames_seconds)
    if not connection.errors.spend(time.monotonic()):
        connection.close(Closed(CloseCode.BAD_FRAMES, "TOO_MANY_ERRORS"))
