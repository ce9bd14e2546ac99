"""Everything that one process does on a timer: heartbeats, ends of tokens and sessions, jobs. Owned by the node.

Connections are spread over slots, one slot per tick, so that fifty thousand heartbeats are not sent at once.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain

from realtime.auth import sessions
from realtime.auth.login_names import SESSION_PREFIX
from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.protocol.errors import CloseCode, Closed, Refused
from realtime.protocol.frames import AuthExpiring, ExpiringData, Heartbeat, encode, format_epoch, utc_now
from realtime.protocol.outgoing import Frame
from realtime.storage.database import Batcher
from realtime.storage.tasks import end_tasks

logger = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]
Act = Callable[[Connection], None]

MAX_SLOTS = 600
SESSIONS_AT_ONCE = 500  # looked up together
STILL_SECONDS = 1.0  # a tick that comes so late tells that the process stood still


class Clock:
    """The timers of one event loop."""

    def __init__(self, on_heartbeat: Callable[[Connection], None]) -> None:
        self._on_heartbeat = on_heartbeat
        count = min(MAX_SLOTS, max(1, round(settings().heartbeat_seconds)))
        self._slots: list[set[Connection]] = [set() for _ in range(count)]
        self._sent_at = [-math.inf] * count  # when each slot got its last heartbeat
        self._next = 0
        self._tick_seconds = settings().heartbeat_seconds / count
        self._ticked_at = math.inf  # a monotonic time; before the start, no tick is late
        self._tasks: list[asyncio.Task[None]] = []
        self._session_ends: Batcher[str, float | None] = Batcher(sessions.find_ends, limit=SESSIONS_AT_ONCE)
        self._asking: set[asyncio.Task[None]] = set()

    def start(self, jobs: Iterable[tuple[float, Job]]) -> None:
        """Start the heartbeats, and repeat each of `jobs` with a pause of so many seconds in between."""
        loop = asyncio.get_running_loop()
        self._ticked_at = time.monotonic()
        all_jobs = [(self._tick_seconds, self._tick), *jobs]
        self._tasks = [loop.create_task(_repeat(period, job)) for period, job in all_jobs]

    async def stop(self) -> None:
        await end_tasks([*self._tasks, *self._asking])
        self._tasks = []

    def add(self, connection: Connection) -> None:
        self._slot(connection).add(connection)
        self.watch_end(connection)

    def discard(self, connection: Connection) -> None:
        self._slot(connection).discard(connection)
        _disarm(connection)

    def ask(self, connections: Iterable[Connection]) -> None:
        """Send a heartbeat out of turn, to see who is still there."""
        frame = make_heartbeat()
        for connection in tuple(connections):
            self._send_heartbeat(connection, frame)

    def excuse(self) -> None:
        """If this process has stood still, it has asked nobody meanwhile: that time counts for no client as silence.

        Called before anybody is judged by `heard_at`.
        """
        now = time.monotonic()
        late = now - self._ticked_at - self._tick_seconds
        if late < STILL_SECONDS:
            return
        self._ticked_at = now
        for connection in chain.from_iterable(self._slots):
            # What was heard in this turn of the loop is no later than now.
            connection.heard_at = min(now, connection.heard_at + late)

    def watch_end(self, connection: Connection) -> None:
        """Arm the timer for the end of the token or session, if that end is near. Most sockets need no timer."""
        _disarm(connection)
        conf = settings()
        left = _seconds_left(connection)
        # If the end is far away, the next heartbeat checks again.
        if left <= conf.heartbeat_seconds + conf.auth_expiring_seconds:
            delay = left - conf.auth_expiring_seconds
            if delay <= 0 and connection.is_warned:
                # The client has no later token yet. Asked at once, it would send the same one again and again.
                delay = left / 2
            self._arm(connection, delay, self._warn)

    def _arm(self, connection: Connection, delay: float, act: Act) -> None:
        """Call `act` after so many seconds, if the connection is open then. No other timer of it goes on."""
        _disarm(connection)
        if connection in self._slot(connection):
            loop = asyncio.get_running_loop()
            connection.end_timer = loop.call_later(max(0.0, delay), self._look_first, connection, act)

    def _look_first(self, connection: Connection, act: Act) -> None:
        """Call `act`, for a socket of a session when its end has been looked up again: it may have been prolonged."""
        if connection.session_key:
            task = asyncio.get_running_loop().create_task(self._look(connection, act))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        else:
            act(connection)

    async def _look(self, connection: Connection, act: Act) -> None:
        key, is_known, end = connection.session_key, True, None
        try:
            end = await self._session_ends.submit(key)
        except Exception as error:  # the database or the cache is away
            logger.warning("It is not known whether a session goes on: %s", error)
            is_known = False
        if connection.session_key != key or connection not in self._slot(connection):
            return  # it depends on a token since a command `auth`, or has closed
        if end is not None:
            connection.expires_at = end
        if is_known or _seconds_left(connection) > 0:
            act(connection)
        else:
            # A new handshake looks at the session again.
            connection.close(Closed(CloseCode.OVERLOADED, "OVERLOADED", retry_after_ms=settings().retry_after_ms))

    def _slot(self, connection: Connection) -> set[Connection]:
        return self._slots[hash(connection.id) % len(self._slots)]

    async def _tick(self) -> None:
        conf = settings()
        self.excuse()
        self._ticked_at = now = time.monotonic()
        frame = make_heartbeat()
        # Whoever has answered the last heartbeat is not silent, though that may be longer ago than its period.
        silent_since = min(now - conf.heartbeat_seconds * conf.heartbeat_misses, self._sent_at[self._next])
        self._sent_at[self._next] = now
        for connection in tuple(self._slots[self._next]):
            if connection.heard_at < silent_since:
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
        left = _seconds_left(connection)
        if connection.expires_at is None or left > settings().auth_expiring_seconds:
            self.watch_end(connection)  # the session was prolonged
            return
        if left > 0:
            connection.is_warned = True
            data = ExpiringData(format_epoch(connection.expires_at), round(left))
            connection.send_all((Frame(encode(AuthExpiring(data)), prompt=True),))
        self._arm(connection, left, self._end)

    def _end(self, connection: Connection) -> None:
        left = _seconds_left(connection)
        if left > settings().auth_expiring_seconds:
            self.watch_end(connection)
        elif left > 0:
            self._arm(connection, left, self._end)
        elif connection.login.startswith(SESSION_PREFIX) and not connection.session_key:
            # Whether that session was prolonged is not to be seen from here. The client's present cookie says it.
            connection.close(Closed(CloseCode.SESSION_OUTDATED, "SESSION_OUTDATED"))
        else:
            connection.close(Closed(CloseCode.UNAUTHENTICATED, "TOKEN_EXPIRED"))


def _seconds_left(connection: Connection) -> float:
    return math.inf if connection.expires_at is None else connection.expires_at - time.time()


def _disarm(connection: Connection) -> None:
    if connection.end_timer is not None:
        connection.end_timer.cancel()
        connection.end_timer = None


def make_heartbeat() -> Frame:
    return Frame(encode(Heartbeat(utc_now())), prompt=True)


async def _repeat(period: float, job: Job) -> None:
    name = getattr(job, "__qualname__", job)
    while True:
        await asyncio.sleep(period)
        try:
            await job()
        except Refused as refusal:
            logger.debug("%s is postponed: %s", name, refusal)
        except Exception:
            logger.exception("%s failed", name)
