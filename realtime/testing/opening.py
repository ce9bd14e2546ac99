"""What asynchronous tests open: sockets, and further processes of the site."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from realtime.sockets.node import Node, chosen_node
from realtime.storage import database
from realtime.testing.handshake import Handshake, authenticate
from realtime.testing.site import open_site, run_on_thread
from realtime.testing.socket import Socket

PATH = "/api/v1/ws"


@asynccontextmanager
async def connect(
    user: Any = None,
    *,
    credential: str = "token",
    path: str = PATH,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    resume: Socket | None = None,
    process: "Process | None" = None,
) -> AsyncIterator[Socket]:
    """`async with connect(user) as socket:` opens a socket of the site, and closes it at the end of the block.

    With a user, the handshake has a fresh `credential` (one of those in the setting CREDENTIALS), and the block begins
    when the server has greeted the socket or has refused it (`expect_closed`). Without one, add a credential to
    `query`, `headers` or `subprotocols`, or send `auth`. `path` is any address of a socket. With `resume`, the new
    socket continues where that one is: the block begins when everything that was missed has arrived. `process` is one
    of `other_process`; else the socket is opened to the first process.
    """
    handshake = Handshake(path, query or {}, headers or {}, subprotocols)
    async with open_site() as site:
        if user is not None:
            await database.run(authenticate, handshake, user, credential)
        node = process.node if process is not None else site.first_node()
        async with site.open_socket(node, handshake, is_known=user is not None) as socket:
            if resume is not None:
                await socket.resume(resume.positions)
            yield socket


class Process:
    """Another process of the site. `connect(user, process=…)` opens a socket to it; `run` calls site code in it."""

    def __init__(self, node: Node) -> None:
        self.node = node

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function, synchronous or asynchronous. What it publishes is published by this process."""
        before = chosen_node.set(self.node)
        try:
            if iscoroutinefunction(function):
                return await function(*args, **kwargs)
            returned = await run_on_thread(partial(function, *args, **kwargs))
            return await returned if isawaitable(returned) else returned
        finally:
            chosen_node.reset(before)


@asynccontextmanager
async def other_process() -> AsyncIterator[Process]:
    """`async with other_process() as other:` adds a process to the site, whose sockets and publications are its own.

    It is real up to the network: it has its own hub and bus, and shares the database and the stores (here in memory)
    with the first process. In the place of Redis, a channel layer in memory passes on what both publish.
    """
    async with open_site() as site:
        process = await site.add_process()
        try:
            yield Process(process)
        finally:
            site.nodes.remove(process)
            await process.stop()
