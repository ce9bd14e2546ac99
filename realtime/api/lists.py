"""Views that answer with a list: one is made at a time for one user. Other users and the sockets get their share.

A list of a thousand entries is a tenth of a second of Python, and the threads of a process take turns: two lists at
once are not ready sooner than one after the other.
"""

import threading
from typing import Any

from django.db import connections
from rest_framework.exceptions import Throttled
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from realtime.api.base import RealtimeView
from realtime.conf import settings

MAX_WAITING = 5  # a browser sends up to six requests to a site at once
WAIT_SECONDS = 5.0
RETRY_AFTER_SECONDS = 1


class Queue:
    """The requests of one user: those that have their turn, and those that wait. Used by many threads."""

    def __init__(self, at_once: int) -> None:
        self.turns = threading.BoundedSemaphore(at_once)
        self.length = 0  # under the lock of the queues


class Queues:
    """The queue of each user who has a request here."""

    def __init__(self, most_waiting: int, wait_seconds: float) -> None:
        self.most_waiting, self.wait_seconds = most_waiting, wait_seconds
        self._lock = threading.Lock()
        self._queues: dict[str, Queue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def enter(self, user: str, at_once: int) -> Queue | None:
        """Wait for a turn, which ends with `leave`. None if too many are waiting, or the wait was too long."""
        with self._lock:
            queue = self._queues.setdefault(user, Queue(at_once))
            if queue.length >= at_once + self.most_waiting:
                return None
            queue.length += 1
        if queue.turns.acquire(blocking=False):
            return queue
        close_connections()
        if queue.turns.acquire(timeout=self.wait_seconds):
            return queue
        self._shorten(user, queue)
        return None

    def leave(self, user: str, queue: Queue) -> None:
        queue.turns.release()
        self._shorten(user, queue)

    def _shorten(self, user: str, queue: Queue) -> None:
        with self._lock:
            queue.length -= 1
            if not queue.length:
                del self._queues[user]


def close_connections() -> None:
    """Give this thread's connections back to their pool, where others need them. The next query gets one again."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


class TurnView(RealtimeView):
    """Base of the views whose requests of one user wait for each other, without a connection to the database."""

    # The user, and the queue in which this request has its turn; None without one.
    turn: tuple[Queues, str, Queue] | None = None

    def take_turn(self, request: Request, queues: Queues, at_once: int = 1) -> None:
        """Wait until fewer than `at_once` requests of the user have their turn. Raises Throttled."""
        user = str(request.user.pk)
        if (queue := queues.enter(user, at_once)) is None:
            raise Throttled(wait=RETRY_AFTER_SECONDS)
        self.turn = queues, user, queue

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            response = super().dispatch(request, *args, **kwargs)
            if self.turn is not None and isinstance(response, Response):
                response.render()  # the text is made within the turn, too
            return response
        finally:
            if self.turn is not None:
                queues, user, queue = self.turn
                queues.leave(user, queue)


queues = Queues(MAX_WAITING, WAIT_SECONDS)


class ListView(TurnView):
    """Base of the views whose GET answers with a list, or has to make one for its answer."""

    def makes_list(self) -> bool:
        """Whether a GET costs as much as a list, with the settings of the site."""
        return True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        at_once = settings().lists_per_user
        if at_once and request.method in SAFE_METHODS and self.makes_list():
            self.take_turn(request, queues, at_once)
