"""Answers `GET /health/live` and `GET /health/ready`, for load balancers and supervisors. Called by routing.

A reverse proxy must not expose `/health/` to the public. Requests are answered before Django gets them, so that no
check of the host name, login or redirect interferes.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from django.core.handlers.asgi import get_script_prefix
from django.db import OperationalError, ProgrammingError

from realtime.protocol.errors import Refused
from realtime.protocol.frames import encode
from realtime.server.scope_keys import IS_STOPPING
from realtime.sockets.node import Node, get_node
from realtime.storage import database
from realtime.storage.routed import connection

PATHS = ("/health/live", "/health/ready")
FRESH_SECONDS = 1.0  # how long an answer is reused
# A database that has not answered after this time counts as away.
PATIENCE_SECONDS = 2.0

Problems = list[str]  # what is missing: "stopping", "database", "bus"


class Readiness:
    """Whether this process should get new clients. The database is checked at most once a second, for all requests."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._looked_at = float("-inf")
        self._database_answers = False

    async def find_problems(self, node: Node, is_stopping: Callable[[], bool]) -> Problems:
        """`is_stopping` is the server's, true from the signal on; the node learns of a stop only when sockets drain."""
        # This answer is never reused, and needs no query.
        if is_stopping() or node.drain.has_begun:
            return ["stopping"]
        async with self._lock:
            if time.monotonic() - self._looked_at >= FRESH_SECONDS:
                self._database_answers = await is_database_there()
                self._looked_at = time.monotonic()
        if is_stopping():  # since the first check
            return ["stopping"]
        problems = {"database": not self._database_answers, "bus": node.hub.bus.is_down}
        return [name for name, missing in problems.items() if missing]


async def is_database_there() -> bool:
    look = asyncio.ensure_future(database.run(ask_database))
    try:
        # No `asyncio.timeout`: if this process stood still, the answer and the end of the time come in the same turn.
        answered, _ = await asyncio.wait([look], timeout=PATIENCE_SECONDS)
    finally:
        look.cancel()  # harmless if it is done
    with suppress(Refused):
        if answered:
            look.result()
            return True
    return False


def ask_database() -> None:
    """Synchronous. Raises what the database raises: one without our tables is of no more use than one that is away."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM realtime_stream LIMIT 1")
    except ProgrammingError as error:  # PostgreSQL's, for a table that is missing
        raise OperationalError(*error.args) from error


_readiness: WeakKeyDictionary[Node, Readiness] = WeakKeyDictionary()


def find_path(scope: dict[str, Any]) -> str:
    """The path below FORCE_SCRIPT_NAME, or the place where the application is mounted.

    Some proxies and frameworks leave these in the path, others take them off. Django accepts both, too.
    """
    path: str = scope["path"]
    for mount in (get_script_prefix(scope).rstrip("/"), scope.get("root_path", "").rstrip("/")):
        if mount and path.startswith(f"{mount}/"):
            return path.removeprefix(mount)
    return path


async def serve_health(scope: dict[str, Any], send: Any) -> None:
    """Answer one request: 200, or 503 with the list of problems."""
    if scope["method"] not in ("GET", "HEAD"):
        await _answer(scope, send, 405, {"status": "method not allowed"})
        return
    problems: Problems = []
    if find_path(scope) == "/health/ready":
        node = get_node()
        is_stopping = scope.get("state", {}).get(IS_STOPPING, bool)
        problems = await _readiness.setdefault(node, Readiness()).find_problems(node, is_stopping)
    if problems:
        await _answer(scope, send, 503, {"status": "unavailable", "problems": problems})
    else:
        await _answer(scope, send, 200, {"status": "ok"})


async def _answer(scope: dict[str, Any], send: Any, status: int, content: dict[str, Any]) -> None:
    body = encode(content)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        *([(b"allow", b"GET, HEAD")] if status == 405 else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
