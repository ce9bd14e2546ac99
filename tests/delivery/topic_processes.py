"""Processes that call functions of topics, with their beats in the test's hand."""

from collections.abc import Callable
from typing import Any

from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Envelope
from realtime.delivery.hub import Hub
from realtime.delivery.scheduler import Scheduler
from realtime.protocol import topics
from realtime.storage.leases.store import LeaseStore
from tests.paper import PaperSocket, open_connection

SHORT, LONG = 0.02, 60.0  # seconds between calls


class Process:
    """One process's hub and scheduler."""

    def __init__(self, store: LeaseStore) -> None:
        self.hub = Hub()
        self.scheduler = Scheduler(self.hub, store)

    async def subscribe(self, name: str = "metrics") -> tuple[Connection, PaperSocket]:
        connection, socket = open_connection()
        self.hub.register(connection)
        async with self.hub.open_feeds([f"topic.{name}"]) as (feed,):
            connection.subscriptions.ask(feed.name)
            self.hub.attach(connection, feed)
            self.scheduler.on_subscribed(connection, feed)
        return connection, socket

    def die(self) -> None:
        """Give nothing back, renew nothing, do nothing any more."""
        for task in self.scheduler._schedules.values():
            task.cancel()
        self.hub.publish = ignore  # type: ignore[method-assign]


def ignore(envelope: Envelope) -> None:
    pass


def declare(every: float = SHORT, name: str = "metrics", **how: Any) -> list[int]:
    """A topic whose values count up; returns the list of what was returned so far."""
    values: list[int] = []

    async def count() -> int:
        values.append(len(values) + 1)
        return values[-1]

    topics.topic(name, every=every, **how)(count)
    return values


def data_of(socket: PaperSocket) -> list[Any]:
    return [frame["data"] for frame in socket.frames]


def has(socket: PaperSocket, count: int) -> Callable[[], bool]:
    return lambda: len(socket.frames) >= count
