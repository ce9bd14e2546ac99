"""`demo_traffic`: lets the demo's people talk on a server that is running, faster than they do by themselves."""

import argparse
import asyncio
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from project.demo.actors import Company
from project.demo.people import ACTORS, find_active
from project.demo.sockets import Line, issue_ticket
from realtime.integration import run


class Command(BaseCommand):
    help = "Let the people of the demo talk on the site at --url, which uses the same database. Ctrl-C ends it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--url", default="ws://127.0.0.1:8000/api/v1/ws", help="%(default)s by default")
        parser.add_argument("--every", type=float, default=1.0, help="seconds between lines; %(default)s by default")
        parser.add_argument("--minutes", type=float, default=10.0, help="how long; %(default)s by default")

    def handle(self, *args: Any, url: str, every: float, minutes: float, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("demo_traffic is for the demo, which is off. Set DEBUG=1.")
        try:
            asyncio.run(talk(url, every, minutes))
        except (OSError, WebSocketException) as error:
            raise CommandError(f"The site at {url} does not answer: {error}") from None
        except KeyboardInterrupt:
            return


async def talk(url: str, every: float, minutes: float) -> None:
    """Raises CommandError if nobody can talk, or if they cannot go on for so long."""
    ends = time.monotonic() + 60 * minutes

    async def is_wanted() -> bool:
        return time.monotonic() < ends

    async def open_line(username: str) -> Line:
        return await connect(f"{url}?ticket={await run(issue_ticket, username)}", proxy=None)

    names = await run(find_active, ACTORS)
    if not names:
        raise CommandError("Nobody can talk: run `load_demo`.")
    await Company(names, open_line, is_wanted, every).perform()
    if await is_wanted():
        raise CommandError(f"The site at {url} has closed a socket.")
