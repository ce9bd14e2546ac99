"""Calls the functions of topics on schedule, in one process only, while any socket is subscribed. One per node.

Each process competes for the leases of the topics that its own sockets are subscribed to; the holder of a lease calls
the function. A separate beat renews the leases, so that a slow function does not lose its lease.
"""

import asyncio
import contextlib
import inspect
import logging
from typing import Any

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.delivery.envelopes import Envelope, Passing, require_sendable
from realtime.delivery.feed import Feed
from realtime.delivery.hub import Hub
from realtime.protocol import topics
from realtime.protocol.topics import Function, Topic
from realtime.storage import log
from realtime.storage.database import DatabaseUnavailable, finish, run
from realtime.storage.leases.store import LeaseStore, LeasesUnavailable
from realtime.storage.tasks import end_tasks

logger = logging.getLogger(__name__)

BEATS = 3  # per lease, so that one may fail


class Scheduler:
    """The schedules of the topics whose leases this process holds."""

    def __init__(self, hub: Hub, leases: LeaseStore) -> None:
        self._hub = hub
        self._leases = leases
        # Held during a request to the lease store: a release must not overtake the renewal before it.
        self._turn = asyncio.Lock()
        # By topic: until when this process certainly holds the lease, as the event loop's time.
        self._held: dict[str, float] = {}
        self._schedules: dict[str, asyncio.Task[None]] = {}
        # By topic: when this process last called its function, as the event loop's time.
        self._called: dict[str, float] = {}
        self._waking: set[asyncio.Task[None]] = set()
        # By topic: the last call of its function on a database thread. Nobody can end one that hangs.
        self._calls: dict[str, asyncio.Task[Any]] = {}
        # One thread is left for the sockets, if there are several.
        self._threads = asyncio.Semaphore(max(1, settings().database_threads - 1))

    @property
    def beat_seconds(self) -> float:
        return settings().topic_lease_seconds / BEATS

    def on_subscribed(self, connection: Connection, feed: Feed) -> None:
        """A socket of this process has subscribed. It gets a recent value at once, without waiting an interval."""
        topic = topics.find_stream(feed.name)
        if topic is None or topic.every is None:
            return
        latest = self._hub.retained.get(feed.name)
        if latest is not None and self._hub.loop.time() - latest.at < topic.every:
            connection.send_all((latest.frame,))
        schedule = self._schedules.get(topic.name)
        if schedule is None or schedule.done():
            task = self._hub.loop.create_task(self._compete_for([topic]))
            self._waking.add(task)
            task.add_done_callback(self._waking.discard)

    async def beat(self) -> None:
        """Renew the leases wanted here, release the rest, try for those of others. Called every `beat_seconds`."""
        await self._compete_for(topics.timed())

    async def stop(self) -> None:
        """Release all leases, so that other processes continue at once."""
        await end_tasks([*self._waking, *self._schedules.values(), *self._calls.values()])
        with contextlib.suppress(LeasesUnavailable):
            for name in list(self._held):
                await self._give_back(name)

    async def _compete_for(self, wanted: list[Topic]) -> None:
        try:
            for topic in wanted:
                async with self._turn:
                    await self._compete(topic)
        except LeasesUnavailable as error:
            logger.debug("Topics are postponed: %s", error)

    async def _compete(self, topic: Topic) -> None:
        if not self._is_wanted(topic):
            await self._give_back(topic.name)
            return
        now, seconds = self._hub.loop.time(), settings().topic_lease_seconds
        if not await self._leases.acquire(_lease(topic.name), self._hub.id, seconds):
            self._end(topic.name)
            return
        self._held[topic.name] = now + seconds
        schedule = self._schedules.get(topic.name)
        if schedule is None or schedule.done():
            self._schedules[topic.name] = self._hub.loop.create_task(self._keep_to_schedule(topic))

    async def _give_back(self, name: str) -> None:
        if name in self._held:
            self._end(name)
            await self._leases.release(_lease(name), self._hub.id)

    def _end(self, name: str) -> None:
        self._held.pop(name, None)
        if (schedule := self._schedules.pop(name, None)) is not None:
            schedule.cancel()

    def _is_wanted(self, topic: Topic) -> bool:
        feed = self._hub.feeds.get(topic.stream)
        return feed is not None and bool(feed.fanout.connections)

    async def _keep_to_schedule(self, topic: Topic) -> None:
        """Call the function on schedule, until no socket here is subscribed or the lease was not renewed in time."""
        while True:
            await asyncio.sleep(self._seconds_until_due(topic))
            now = self._hub.loop.time()
            if not self._is_wanted(topic) or self._held.get(topic.name, now) <= now or not self._is_current(topic):
                return
            self._called[topic.name] = now
            await self._push(topic)

    def _is_current(self, topic: Topic) -> bool:
        """False for a schedule whose function swallowed its cancellation, once this process has started a new one."""
        return self._schedules.get(topic.name) is asyncio.current_task()

    def _seconds_until_due(self, topic: Topic) -> float:
        """Counted from the last call or value of any process, so new sockets and processes cause no extra calls."""
        assert topic.every is not None
        now = self._hub.loop.time()
        called = self._called.get(topic.name, now - topic.every)
        if (latest := self._hub.retained.get(topic.stream)) is not None:
            called = max(called, latest.at)
        return max(0.0, called + topic.every - now)

    async def _push(self, topic: Topic) -> None:
        try:
            result = await self._call(topic)
            if result is not None and await self._is_still_due(topic):
                await self._publish(topic, require_sendable(topics.make_body(topic, result)))
        except DatabaseUnavailable:
            logger.debug("The topic %s is postponed: the database is away", topic.name)
        except Exception:
            logger.exception("The function of the topic %s failed", topic.name)

    async def _is_still_due(self, topic: Topic) -> bool:
        """False if another process has taken over meanwhile: its value is newer, and would be replaced by this one.

        A process that stood still goes on here, before it has renewed or lost its lease.
        """
        if self._held.get(topic.name, 0.0) <= self._hub.loop.time():
            await self._compete_for([topic])
        return self._is_current(topic)

    async def _call(self, topic: Topic) -> Any:
        assert topic.function is not None
        if inspect.iscoroutinefunction(topic.function):
            return await finish(topic.function())
        # A decorator may hide that the function is asynchronous.
        return await finish(await self._call_on_thread(topic.name, topic.function))

    async def _call_on_thread(self, name: str, function: Function) -> Any:
        """Call a function, once the call before has ended: it may go on when the schedule it was made for has not."""
        if name in self._calls:
            await asyncio.wait([self._calls[name]])
        await self._threads.acquire()
        call = self._calls[name] = self._hub.loop.create_task(run(function))
        call.add_done_callback(self._note_end)
        await asyncio.wait([call])
        return call.result()

    def _note_end(self, call: asyncio.Task[Any]) -> None:
        self._threads.release()
        if not call.cancelled():
            call.exception()  # taken note of, even if the schedule has ended meanwhile

    async def _publish(self, topic: Topic, body: bytes) -> None:
        if topic.durable:
            events = await run(log.commit, [(topic.stream, body)])
            self._hub.publish(Envelope(events=list(events)))
        else:
            self._hub.publish(Envelope(passing=[Passing(body, stream=topic.stream, retained=True)]))


def _lease(name: str) -> str:
    return f"topic:{name}"
