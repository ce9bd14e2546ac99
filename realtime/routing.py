"""The addresses of sockets, and the ASGI application that serves them. A site's `asgi.py` calls `asgi_application`."""

import gc
import logging
from typing import Any

from channels.routing import URLRouter
from django.core.handlers.asgi import get_script_prefix
from django.urls import re_path

from realtime.checks import require_startable
from realtime.consumers import (
    NotesConsumer,
    NotificationsConsumer,
    RoomConsumer,
    RoomContentConsumer,
    RoomKindsConsumer,
)
from realtime.delivery import bridge
from realtime.delivery.addresses import mount
from realtime.health import PATHS, find_path, serve_health
from realtime.protocol.errors import Reason
from realtime.server.application import note_made
from realtime.server.foreign import adapt
from realtime.server.scope_keys import EXTENSION
from realtime.sockets.handshake import RealtimeConsumer
from realtime.sockets.node import get_node, stop_node
from realtime.sockets.refusals import refuse_handshake, refuse_request
from realtime.storage.jobs import find_periods

logger = logging.getLogger(__name__)

websocket_urlpatterns = [
    re_path(r"^api/v1/ws$", RealtimeConsumer.as_asgi()),
    re_path(r"^(?:api/v1/)?ws/reconnect/(?P<session_id>[\w-]{1,64})$", RealtimeConsumer.as_asgi()),
    re_path(r"^(?:api/v1/)?ws/chat/rooms/(?P<room_id>[^/]+)$", RoomContentConsumer.as_asgi()),
    re_path(r"^(?:api/v1/)?ws/(?:chat|with_heartbeat|resilient)/(?P<room_id>[^/]+)$", RoomConsumer.as_asgi()),
    re_path(r"^(?:api/v1/)?ws/advanced/(?P<room_id>[^/]+)$", RoomKindsConsumer.as_asgi()),
    re_path(r"^(?:api/v1/)?ws/db/(?P<user_id>.+)$", NotesConsumer.as_asgi()),
    re_path(r"^(?:api/v1/)?ws/notifications(?:/(?P<user_id>.+))?$", NotificationsConsumer.as_asgi()),
]


def asgi_application(http: Any, websocket: Any = None) -> Any:
    """An ASGI application: `http` serves requests, our sockets (or `websocket`) serve WebSockets.

    It also serves health checks, requests that lost their upgrade on the way, lifespan events and unknown socket
    paths. Channels' `ProtocolTypeRouter` and `URLRouter` would raise for the last two. Raises ImproperlyConfigured for
    settings with which no site can run: servers other than `serve` run no system checks. So do other apps, when they
    say how often their jobs are to run.
    """
    require_startable()
    find_periods()
    bridge.expect_sockets()
    note_made()
    websocket = websocket or URLRouter(websocket_urlpatterns)

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and find_path(scope) in PATHS:
            await serve_health(scope, send)
        elif scope["type"] == "http" and _is_socket(find_path(scope)):
            await refuse_request(scope, send)
        elif scope["type"] == "http":
            await http(scope, receive, send)
        elif scope["type"] == "websocket":
            mount(get_script_prefix(scope))
            # Channels knows `root_path` alone, and takes it off.
            below = {**scope, "path": scope.get("root_path", "") + find_path(scope)}
            await _serve_socket(websocket, below, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)

    return application


def _is_socket(path: str) -> bool:
    """Not of those without `/api/v1`, which may also be pages of the site."""
    return path.startswith("/api/v1/ws") and any(one.pattern.match(path[1:]) for one in websocket_urlpatterns)


async def _serve_socket(websocket: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
    if EXTENSION not in scope.get("extensions", {}):
        receive, send = adapt(receive, send)
    try:
        await websocket(scope, receive, send)
    except ValueError as error:
        if not str(error).startswith("No route found"):
            raise
        await receive()
        await refuse_handshake(scope, send, 404, Reason.NO_SUCH_SOCKET)


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                get_node()
            except Exception as error:
                # Servers take an exception for an application that knows nothing of lifespans, and serve it.
                logger.exception("This process cannot serve the site")
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            _spare_the_collector()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await stop_node()
            await send({"type": "lifespan.shutdown.complete"})
            return


def _spare_the_collector() -> None:
    """Make the garbage collector ignore everything loaded so far, and look at open sockets less often.

    Opening 3,000 sockets took a quarter less CPU with these thresholds than with Python's (700, 10, 10).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
