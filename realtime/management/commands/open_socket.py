"""`manage.py open_socket`: a socket in the terminal, for trying a site. It answers heartbeats by itself."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from websockets.asyncio.client import ClientConnection
from websockets.cli import interactive_client
from websockets.typing import Data

from realtime.auth import tickets, tokens


class Command(BaseCommand):
    help = "Open a socket as a user. Type commands, one in a line; frames are printed as they come. Ctrl-D ends it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--url", default="ws://127.0.0.1:8000/api/v1/ws", help="the address of the socket; %(default)s by default"
        )

    def handle(self, *args: Any, username: str, url: str, **options: Any) -> None:
        model = get_user_model()
        user = model._default_manager.filter(**{model.USERNAME_FIELD: username}).first()
        if user is None:
            raise CommandError(f"There is no user {username!r}.")
        # A ticket without claims: the socket lasts as long as the terminal.
        ticket = tickets.issue(user.pk, None, tokens.hash_password(user))
        address = f"{url}{'&' if '?' in url else '?'}ticket={ticket}"
        asyncio.run(interactive_client(address, create_connection=AnsweringConnection))


class AnsweringConnection(ClientConnection):
    """The connection of the terminal client of `websockets`, which shows what it iterates over."""

    async def __aiter__(self) -> AsyncIterator[Data]:
        """The frames that come. Heartbeats are answered and left out."""
        async for text in super().__aiter__():
            frame = json.loads(text)
            if has_heartbeat(frame):
                await self.send(json.dumps({"type": "pong"}))
            if frame.get("type") != "heartbeat":
                yield text


def has_heartbeat(frame: dict[str, Any]) -> bool:
    """Whether the frame is a heartbeat, or a batch that ends with one."""
    if frame.get("type") == "batch":
        return has_heartbeat(frame["messages"][-1])
    return frame.get("type") == "heartbeat"
