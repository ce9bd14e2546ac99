"""The site of a test: its settings, its database work and its processes, all in the test's own process.

Opened by the first `connect`, `published` or `other_process`, and closed with the last.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from contextvars import Context
from functools import partial
from typing import Any, TypeVar
from unittest.mock import patch

from channels.routing import get_default_application
from django.test import override_settings

from realtime.conf import settings, settings_in_memory
from realtime.delivery import bridge
from realtime.delivery.envelopes import Envelope
from realtime.presence import online
from realtime.presence.attendance import lookup
from realtime.recovery import sessions
from realtime.sockets import node as nodes
from realtime.sockets.node import Node, chosen_node, get_node, stop_node
from realtime.storage import database, leases
from realtime.storage.jobs import Runner
from realtime.testing import transactions
from realtime.testing.handshake import Handshake
from realtime.testing.layer import MemoryLayer
from realtime.testing.socket import TIMEOUT_SECONDS, Socket

T = TypeVar("T")

# Called with each envelope that site code publishes.
recorders: list[Callable[[Envelope], None]] = []

_patches = ExitStack()
_depth = 0  # how many blocks are open
_site: "Site | None" = None  # set while an asynchronous block is open
_thread = transactions.TestThread()


@contextmanager
def in_test() -> Iterator[None]:
    """Until the last such block ends, nothing needs Redis, and database work happens on the test's connection."""
    global _depth, _patches
    if not _depth:
        with ExitStack() as stack:
            stack.enter_context(override_settings(**settings_in_memory()))
            stack.enter_context(patch.object(bridge, "publish", partial(_publish, bridge.publish)))
            stack.enter_context(patch.object(bridge, "warn_if_alone"))
            stack.enter_context(patch.object(database, "stand_in", run_on_thread))
            _patches = stack.pop_all()
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            _patches.close()


@asynccontextmanager
async def open_site() -> AsyncIterator["Site"]:
    """`in_test`, with the processes of the site in the running event loop. The last block stops them."""
    global _site
    with in_test():
        if _site is not None and _site.loop.is_closed():
            _site = None  # of a test that was interrupted
        while _site is not None and _site.is_of_this_loop() and not _site.depth:
            await _site.closed.wait()
        if _site is None:
            _site = Site()
        site = _site
        site.depth += 1
        try:
            await database.run(transactions.begin)
            yield site
        finally:
            site.depth -= 1
            if not site.depth:
                try:
                    await site.close()
                finally:
                    _site = None
                    site.closed.set()


async def settle_hooks() -> None:
    """Call the hooks that are due."""
    await run_on_thread(_nothing)


class Site:
    """The processes of a site in one event loop, and its sockets."""

    def __init__(self) -> None:
        self.depth = 0  # how many blocks are open
        self.closed = asyncio.Event()
        self.sockets: list[Socket] = []
        self.nodes: list[Node] = []
        self.layer: MemoryLayer | None = None  # set when there is more than one process
        self.loop = asyncio.get_running_loop()
        _thread.is_kept = True
        conf = settings()
        kept = [Kept(sessions.open_store(conf)), Kept(leases.open_store(conf))]
        with ExitStack() as stack:
            for name, store in zip(("open_sessions", "open_leases"), kept, strict=True):
                stack.enter_context(patch.object(nodes, name, return_value=store))
            for home in (online, lookup):
                stack.callback(home.forget_loop_store)
                stack.enter_context(patch.object(home, "forget_loop_store"))
            stack.enter_context(patch.object(lookup, "before_look", self._report_attendance))
            # A test calls the jobs that it is about.
            stack.enter_context(patch.object(Runner, "periods", return_value=[]))
            self._patches = stack.pop_all()

    def is_of_this_loop(self) -> bool:
        """True, or raises RuntimeError."""
        if self.loop is not asyncio.get_running_loop():
            raise RuntimeError("A block of `realtime.testing` is open in another event loop.")
        return True

    async def close(self) -> None:
        with self._patches:
            await stop_node()
        await database.run(_thread.leave)

    async def settle_hooks(self) -> None:
        await settle_hooks()

    async def settle(self) -> None:
        """Wait until all commands have been handled, and their messages stored and delivered."""
        await settle_hooks()
        await self._ping()
        for node in self.nodes:
            await node.messages.drain()
            await node.read_marker.drain()
        await self._ping()  # what was published before it arrives before the answers

    async def _report_attendance(self) -> None:
        for node in self.nodes:
            await node.attendance.report()

    async def _ping(self) -> None:
        for socket in tuple(self.sockets):
            await socket.handled()

    def first_node(self) -> Node:
        node = get_node()
        if node not in self.nodes:
            self.nodes.append(node)
        return node

    async def add_process(self) -> Node:
        """Start one more process, and connect it with the first one."""
        first, node = self.first_node(), Node()
        if self.layer is None:
            self.layer = MemoryLayer()
            first.hub.bus.start(self.layer)
        node.start()
        node.hub.bus.start(self.layer)
        self.nodes.append(node)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while first.hub.bus.is_down or node.hub.bus.is_down:  # noqa: ASYNC110 (each has to hear itself)
                await asyncio.sleep(0)
        return node

    @asynccontextmanager
    async def open_socket(self, node: Node, handshake: Handshake, *, is_known: bool) -> AsyncIterator[Socket]:
        for other in self.nodes:
            await other.keeper.save()  # which happens once a second, and the socket may take up a session
        context = Context()
        context.run(chosen_node.set, node)
        socket = Socket(self, node, get_default_application(), handshake.scope())
        self.sockets.append(socket)
        try:
            await socket.open(context, handshake.token, is_known=is_known)
            yield socket
        finally:
            await socket.close()
            self.sockets.remove(socket)


class Kept:
    """A store that outlives the process that uses it, as one in Redis does."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def close(self) -> None: ...


async def run_on_thread(job: Callable[[], T]) -> T:
    """Run a job on the test's connection, as the process that the caller is in."""
    return await _thread.run(partial(_run_as, chosen_node.get(None), job))


def _run_as(node: Node | None, job: Callable[[], T]) -> T:
    if node is not None:
        chosen_node.set(node)
    return job()


def _publish(publish: Callable[[Envelope], None], envelope: Envelope) -> None:
    for record in recorders:
        record(envelope)
    node = chosen_node.get(None)
    if node is None:
        publish(envelope)
    else:
        node.hub.publish_from_thread(envelope)


def _nothing() -> None: ...
