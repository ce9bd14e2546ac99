"""An event loop for synchronous code in processes that serve no sockets: a shell, a Celery worker, a WSGI server.

One long-lived thread, because a Redis client belongs to one loop: a loop per call would need a connection per call.
"""

import asyncio
import atexit
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from realtime.conf import settings
from realtime.delivery.bus import close_layer, group_name, shared_layer
from realtime.delivery.envelopes import Envelope
from realtime.delivery.hub import Hub
from realtime.delivery.outbox import Outbox
from realtime.delivery.unseen_loop import UnseenLoop
from realtime.storage import forks
from realtime.storage.database import USE_TWIN

T = TypeVar("T")

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
# How long the end of the process may wait for its connections to close.
EXIT_SECONDS = 1.0


class Bridge:
    """The loop, and what is sent from it."""

    def __init__(self) -> None:
        self.loop = UnseenLoop()
        self.outbox = Outbox()

    def start(self) -> None:
        threading.Thread(target=self.loop.run_forever, name="realtime-bridge", daemon=True).start()


# The hubs that serve sockets in this process: one, except in tests.
_hubs: list[Hub] = []
_lock = threading.Lock()
_has_application = False
_has_warned = False
_bridge: Bridge | None = None
# In a process that was forked: what is its parent's. It is kept, because to end it would end connections of the parent.
_inherited: list[object] = []
_closers: list[Callable[[], Awaitable[None]]] = [close_layer]


def serve(hub: Hub) -> None:
    """From now on, synchronous code of this process uses this hub."""
    _hubs[:] = [*(other for other in _hubs if not other.loop.is_closed()), hub]


def retire(hub: Hub) -> None:
    """The hub stops serving sockets."""
    _hubs.remove(hub)


def find_hub() -> Hub | None:
    """The hub that serves this process's sockets; None in a process without sockets."""
    forks.notice()
    return next((hub for hub in _hubs if hub.loop.is_running()), None)


def call(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop of this process's sockets, or on the bridge's, and wait for it.

    Raises what it raises, TimeoutError after 10 s, and RuntimeError when called on the loop of the sockets, which would
    wait for itself. Another loop, such as that of a notebook, waits like any other code.
    """
    home = home_loop()
    if asyncio._get_running_loop() is home:
        work.close()
        raise RuntimeError(USE_TWIN)
    future = asyncio.run_coroutine_threadsafe(work, home)
    try:
        return future.result(TIMEOUT_SECONDS)
    finally:
        # What nobody waits for any more must not pile up while the channel layer hangs. Harmless if it is done.
        future.cancel()


def home_loop() -> asyncio.AbstractEventLoop:
    """The loop of this process's sockets, or the bridge's."""
    hub = find_hub()
    return hub.loop if hub else _own_bridge().loop


def publish(envelope: Envelope) -> None:
    """Send an envelope to every process. Synchronous, from any thread. Processes find lost events in the log.

    A process without sockets waits until it is sent: for a second at most, and not at all while the layer is away.
    """
    hub = find_hub()
    if hub is not None:
        hub.publish_from_thread(envelope)
        return
    layer = shared_layer()
    if layer is not None:
        call(_own_bridge().outbox.send(layer, group_name(), envelope))


def close_at_exit(close: Callable[[], Awaitable[None]]) -> None:
    """Await this on the bridge's loop when the process ends, if it has a bridge. For connections of that loop."""
    _closers.append(close)


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


def _own_bridge() -> Bridge:
    global _bridge
    with _lock:
        if _bridge is not None:
            return _bridge
        bridge = _bridge = Bridge()
    # Without the lock, because to start a thread is to wait for it. Who comes in between waits for the loop.
    bridge.start()
    return bridge


def _leave_to_parent() -> None:
    """Called in a new process: threads are not forked, and connections belong to the parent."""
    global _lock, _bridge
    _inherited.extend((_bridge, *_hubs))
    _hubs.clear()
    _lock, _bridge = threading.Lock(), None


@atexit.register
def _close() -> None:
    """Without this, the interpreter would warn of connections that nobody has closed, and servers of lost clients."""
    forks.notice()
    if _bridge is not None:
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(_close_all(), _bridge.loop).result(EXIT_SECONDS)


async def _close_all() -> None:
    for close in _closers:
        with suppress(Exception):
            await close()


forks.on_fork(_leave_to_parent)
