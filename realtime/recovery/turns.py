"""Turns: to how many sockets is replayed at a time, and who is next. Held by the resumer.

First come, first served would let one user with many sockets stop everybody else. So users take turns, not sockets.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from realtime.protocol.errors import ErrorCode, Reason, Refused

# Of the turns, one user holds at most one in so many: then others find one free.
SHARES = 4


class Turn:
    """The turn of one socket. It may be given back and taken again while the socket's replay goes on."""

    def __init__(self, turns: "Turns", user: str) -> None:
        self._turns = turns
        self._user = user
        self._is_held = False

    async def take(self) -> None:
        await self._turns.wait(self._user)
        self._is_held = True

    def give_back(self) -> None:
        """Harmless if the turn is not held."""
        if self._is_held:
            self._is_held = False
            self._turns.end(self._user)

    async def share(self) -> None:
        """Let a user go first who could take this turn."""
        if self._turns.has_others_waiting(self._user):
            self.give_back()
            await self.take()


class Turns:
    """At most `limit` turns at once. The users who wait get them one after the other, however many sockets each has.

    A socket whose task is cancelled leaves the queue at once.
    """

    def __init__(self, limit: int, *, max_waiting: int, max_waiting_per_user: int, retry_after_ms: int) -> None:
        """Beyond `max_waiting` sockets, or `max_waiting_per_user` of one user, sockets are refused, not queued."""
        self._free = limit
        self._per_user = max(1, limit // SHARES)
        self._max_waiting = max_waiting
        self._max_waiting_per_user = max_waiting_per_user
        self._retry_after_ms = retry_after_ms
        self._held = Counter[str]()  # by user, never 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # by user; the first is next
        self._count = 0  # of all sockets that wait

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[Turn]:
        """Wait for a turn, and hold it while the body runs. Raises Refused(RATE_LIMITED, UNAVAILABLE)."""
        self._require_room(user)
        turn = Turn(self, user)
        await turn.take()
        try:
            yield turn
        finally:
            turn.give_back()

    async def wait(self, user: str) -> None:
        """Returns when the user has one more turn. Whoever calls this calls `end` later."""
        if self._is_due(user):
            self._begin(user)
            return
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, deque()).append(given)
        self._count += 1
        try:
            await given
        except asyncio.CancelledError:
            if given.cancelled():
                self._leave(user, given)
            else:  # the turn was given in the same moment
                self.end(user)
            raise

    def end(self, user: str) -> None:
        self._free += 1
        self._held[user] -= 1
        if not self._held[user]:
            del self._held[user]
        while self._free and self._give():
            pass

    def has_others_waiting(self, user: str) -> bool:
        return any(other != user and self._held[other] < self._per_user for other in self._waiting)

    def _is_due(self, user: str) -> bool:
        """Nobody is passed over: while a turn is free, only users wait who have as many as one may have."""
        return self._free > 0 and self._held[user] < self._per_user

    def _begin(self, user: str) -> None:
        self._free -= 1
        self._held[user] += 1

    def _give(self) -> bool:
        """Give one turn to the next user. False if there is none."""
        user = next((user for user in self._waiting if self._held[user] < self._per_user), None)
        if user is None:
            return False
        given = self._waiting[user][0]
        self._leave(user, given)
        if user in self._waiting:
            self._waiting.move_to_end(user)
        # The task of a cancelled one may not have run since.
        if not given.cancelled():
            self._begin(user)
            given.set_result(None)
        return True

    def _leave(self, user: str, given: "asyncio.Future[None]") -> None:
        queue = self._waiting.get(user, deque())
        if given in queue:
            queue.remove(given)
            self._count -= 1
            if not queue:
                del self._waiting[user]

    def _require_room(self, user: str) -> None:
        if self._is_due(user):
            return
        if len(self._waiting.get(user, ())) >= self._max_waiting_per_user:
            raise Refused(ErrorCode.RATE_LIMITED, Reason.TOO_MANY_RESUMES, retry_after_ms=self._retry_after_ms)
        if self._count >= self._max_waiting:
            raise Refused(ErrorCode.UNAVAILABLE, Reason.TOO_MANY_RESUMES)
