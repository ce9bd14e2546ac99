"""A socket from this process to its own application, for people who talk by themselves. No network is involved."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

from channels.routing import URLRouter
from django.contrib.auth import get_user_model

from realtime.auth import tickets, tokens
from realtime.integration import run
from realtime.routing import websocket_urlpatterns

PATH = "/api/v1/ws"
APPLICATION = URLRouter(websocket_urlpatterns)


class Line(Protocol):
    """What the actors need of a socket. A connection of `websockets` is one, too."""

    async def send(self, message: str, /) -> None: ...
    async def close(self) -> None: ...
    def __aiter__(self) -> AsyncIterator[Any]: ...


class LocalSocket:
    """The client's side. It iterates over the texts that come, until the server has closed the socket."""

    def __init__(self, ticket: str) -> None:
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_client: asyncio.Queue[str | None] = asyncio.Queue()  # None: there is nothing more
        self._to_server.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "query_string": f"ticket={ticket}".encode(),
            "headers": [],
            "subprotocols": [],
            "scheme": "ws",
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 80),
        }
        self._task = asyncio.get_running_loop().create_task(APPLICATION(scope, self._to_server.get, self._take))
        self._task.add_done_callback(lambda _: self._to_client.put_nowait(None))

    async def send(self, message: str) -> None:
        self._to_server.put_nowait({"type": "websocket.receive", "text": message})

    async def close(self) -> None:
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait([self._task])

    async def __aiter__(self) -> AsyncIterator[str]:
        while (text := await self._to_client.get()) is not None:
            yield text

    async def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            self._to_client.put_nowait(message["text"])
        elif message["type"] == "websocket.close":
            self._to_server.put_nowait({"type": "websocket.disconnect", "code": message.get("code", 1000)})


async def open_local(username: str) -> Line:
    return LocalSocket(await run(issue_ticket, username))


def issue_ticket(username: str) -> str:
    """A ticket with which the person's socket lasts as long as it is open. Raises DoesNotExist without an account."""
    user = get_user_model().objects.get(username=username)
    return tickets.issue(user.pk, None, tokens.hash_password(user))
