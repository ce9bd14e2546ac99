"""How a process takes leave of its sockets (L3): each is asked to come back, one after the other. Called by the node.

Told all at once, the sockets of a process would all be somewhere else within a second. So they are told evenly over
`restart_window_seconds`, each with a small delay of its own.
"""

import asyncio
import random
import secrets
from collections.abc import Iterable

from realtime.conf import settings
from realtime.connection import Connection
from realtime.errors import CloseCode, Closed

STEP_SECONDS = 0.01  # waits shorter than this are saved up


async def ask_to_return(connections: Iterable[Connection]) -> None:
    """Close the connections with RESTARTING, in no particular order, evenly over the window."""
    leaving = list(connections)
    random.shuffle(leaving)
    loop = asyncio.get_running_loop()
    started, step = loop.time(), settings().restart_window_seconds / max(1, len(leaving))
    for place, connection in enumerate(leaving):
        wait = started + place * step - loop.time()
        if wait > STEP_SECONDS:
            await asyncio.sleep(wait)
        connection.close(Closed(CloseCode.RESTARTING, "RESTARTING", retry_after_ms=draw_delay_ms()))


def draw_delay_ms() -> int:
    return secrets.randbelow(max(1, settings().retry_after_ms))
