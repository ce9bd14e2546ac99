"""An event loop for synchronous code in processes that serve no sockets: a shell, a Celery worker, a WSGI server.

One long-lived thread, because a Redis client belongs to one loop: a loop per call would need a connection per call.
"""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from realtime.conf import settings
from realtime.delivery.bus import group_name, send_envelope, shared_layer
from realtime.delivery.envelopes import Envelope
from realtime.delivery.hub import Hub

T = TypeVar("T")

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
ORIGIN = "bridge"

# The hubs that serve sockets in this process: one, except in tests.
_hubs: list[Hub] = []
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_has_application = False
_has_warned = False


def serve(hub: Hub) -> None:
    """From now on, synchronous code of this process uses this hub."""
    _hubs[:] = [*(other for other in _hubs if not other.loop.is_closed()), hub]


def retire(hub: Hub) -> None:
    """The hub stops serving sockets."""
    _hubs.remove(hub)


def find_hub() -> Hub | None:
    """The hub that serves this process's sockets; None in a process without sockets."""
    return next((hub for hub in _hubs if hub.loop.is_running()), None)


def call(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop of this process's sockets, or on the bridge's, and wait for it.

    Raises what it raises, TimeoutError after 10 s, and RuntimeError when called on an event loop, which it would block.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        work.close()
        raise RuntimeError(
            "This would block the event loop: use the asynchronous twin (the name with an `a` in front)."
        )
    future = asyncio.run_coroutine_threadsafe(work, home_loop())
    try:
        return future.result(TIMEOUT_SECONDS)
    finally:
        # What nobody waits for any more must not pile up while the channel layer hangs. Harmless if it is done.
        future.cancel()


def home_loop() -> asyncio.AbstractEventLoop:
    """The loop of this process's sockets, or the bridge's."""
    hub = find_hub()
    return hub.loop if hub else _bridge_loop()


def publish(envelope: Envelope) -> None:
    """Send an envelope to every process. Synchronous, from any thread. Processes find lost events in the log.

    Raises what the channel layer raises, but only in a process without sockets.
    """
    hub = find_hub()
    if hub is not None:
        hub.publish_from_thread(envelope)
        return
    layer = shared_layer()
    if layer is not None:
        call(send_envelope(layer, group_name(), ORIGIN, envelope))


def expect_sockets() -> None:
    """The application has been made: if this process serves no sockets yet, it will. Some servers announce no start."""
    global _has_application
    _has_application = True


def warn_if_alone(what: str) -> None:
    """Log once that `what` has no effect, if this process serves no sockets and cannot reach one that does."""
    global _has_warned
    if _has_warned or _has_application or settings().redis_url or find_hub() is not None:
        return
    _has_warned = True
    logger.warning(
        "%s: this process serves no sockets, and without Redis it does not reach the process that does. Call it there,"
        " for example in a view, or set REALTIME['REDIS_URL'] and CHANNEL_LAYERS.",
        what,
    )


def _bridge_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="realtime-bridge", daemon=True).start()
        return _loop
