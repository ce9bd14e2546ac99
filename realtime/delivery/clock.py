"""Everything that one process does on a timer: heartbeats, ends of tokens, periodic jobs. Owned by the node.

Connections are spread over slots, one slot per tick, so that fifty thousand heartbeats are not sent at once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.protocol.errors import CloseCode, Closed, Refused
from realtime.protocol.frames import AuthExpiring, ExpiringData, Heartbeat, encode, format_epoch, utc_now
from realtime.protocol.outgoing import Frame
from realtime.storage.tasks import end_tasks

logger = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]

MAX_SLOTS = 600


class Clock:
    """The timers of one event loop."""

    def __init__(self, on_heartbeat: Callable[[Connection], None]) -> None:
        self._on_heartbeat = on_heartbeat
        count = min(MAX_SLOTS, max(1, round(settings().heartbeat_seconds)))
        self._slots: list[set[Connection]] = [set() for _ in range(count)]
        self._next = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, jobs: Iterable[tuple[float, Job]]) -> None:
        """Start the heartbeats, and repeat each of `jobs` with a pause of so many seconds in between."""
        loop = asyncio.get_running_loop()
        tick = settings().heartbeat_seconds / len(self._slots)
        self._tasks = [loop.create_task(_repeat(period, job)) for period, job in [(tick, self._tick), *jobs]]

    async def stop(self) -> None:
        await end_tasks(self._tasks)

    def add(self, connection: Connection) -> None:
        self._slot(connection).add(connection)
        self.watch_end(connection)

    def discard(self, connection: Connection) -> None:
        self._slot(connection).discard(connection)
        if connection.end_timer is not None:
            connection.end_timer.cancel()
            connection.end_timer = None

    def ask(self, connections: Iterable[Connection]) -> None:
        """Send a heartbeat out of turn, to see who is still there."""
        frame = make_heartbeat()
        for connection in tuple(connections):
            self._send_heartbeat(connection, frame)

    def watch_end(self, connection: Connection) -> None:
        """Arm the timer for the end of the token, if that end is near. Most sockets need no timer."""
        if connection.end_timer is not None:
            connection.end_timer.cancel()
            connection.end_timer = None
        if connection.expires_at is None:
            return
        conf = settings()
        left = connection.expires_at - time.time()
        # If the end is far away, the next heartbeat checks again.
        if left > conf.heartbeat_seconds + conf.auth_expiring_seconds:
            return
        delay = max(0.0, left - conf.auth_expiring_seconds)
        connection.end_timer = asyncio.get_running_loop().call_later(delay, self._warn, connection)

    def _slot(self, connection: Connection) -> set[Connection]:
        return self._slots[hash(connection.id) % len(self._slots)]

    async def _tick(self) -> None:
        conf = settings()
        now = time.monotonic()
        frame = make_heartbeat()
        for connection in tuple(self._slots[self._next]):
            if now - connection.heard_at > conf.heartbeat_seconds * conf.heartbeat_misses:
                connection.close(Closed(CloseCode.HEARTBEAT_TIMEOUT, "HEARTBEAT_TIMEOUT"))
                continue
            self._send_heartbeat(connection, frame)
            if connection.expires_at is not None and connection.end_timer is None:
                self.watch_end(connection)
        self._next = (self._next + 1) % len(self._slots)

    def _send_heartbeat(self, connection: Connection, frame: Frame) -> None:
        self._on_heartbeat(connection)
        connection.send_all((frame,))

    def _warn(self, connection: Connection) -> None:
        if connection.expires_at is None:
            return
        left = max(0.0, connection.expires_at - time.time())
        if left > 0:
            data = ExpiringData(format_epoch(connection.expires_at), round(left))
            connection.send_all((Frame(encode(AuthExpiring(data)), prompt=True),))
        connection.end_timer = asyncio.get_running_loop().call_later(left, self._end, connection)

    def _end(self, connection: Connection) -> None:
        connection.close(Closed(CloseCode.UNAUTHENTICATED, "TOKEN_EXPIRED"))


def make_heartbeat() -> Frame:
    return Frame(encode(Heartbeat(utc_now())), prompt=True)


async def _repeat(period: float, job: Job) -> None:
    while True:
        await asyncio.sleep(period)
        try:
            await job()
        except Refused as refusal:
            logger.debug("%s is postponed: %s", job, refusal)
        except Exception:
            logger.exception("%s failed", job)
