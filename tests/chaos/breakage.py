"""The site under test, and how each step of a plan breaks it. Everything comes back by itself."""

import asyncio
import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGQUIT, SIGTERM

from redis import Redis as RedisClient

from tests.chaos.client import Client
from tests.chaos.groups import GROUP_SECONDS, GROUP_SECONDS_AT_MOST
from tests.chaos.people import Person, make_people
from tests.chaos.plan import FLOOD_SECONDS, ROAD_ACTIONS, SERVERS, Step
from tests.chaos.road import Road
from tests.sites.cluster import hanging, stopped
from tests.sites.processes import SHORT_TIMES, Postgres, Redis, Site, SiteProcess

# What half a gigabyte and 32 MB are to a Redis in production: the longest publication that it takes, and what may wait
# for one subscriber.
REDIS_LIMITS = ("--proto-max-bulk-len", "1500000", "--client-output-buffer-limit", "pubsub 8mb 4mb 10")
FLOODING = 4  # one client of so many takes part in a flood
# So few events that clients are too far back to be resumed, now and then.
SETTINGS = {
    **SHORT_TIMES,
    "HEARTBEAT_MISSES": 2.5,
    "PRESENCE_LEASE_SECONDS": 2,
    "RESUME_MAX_EVENTS": 30,
    "RESTART_WINDOW_SECONDS": 2,
    "AUTH_RECHECK_SECONDS": 3,
    "SWEEP_SECONDS": 2,
}
NOTIFICATIONS = {
    "PUSHES_PER_MINUTE": 0,  # each notification is an event
    "GROUP_SECONDS": GROUP_SECONDS,
    "GROUP_SECONDS_AT_MOST": GROUP_SECONDS_AT_MOST,
}
OWN = {
    "REALTIME_JSON": json.dumps(SETTINGS),
    "NOTIFICATIONS_JSON": json.dumps(NOTIFICATIONS),
    "SITE_URLS": "tests.chaos.urls",
}


@dataclass
class World:
    redis: Redis
    postgres: Postgres
    servers: Sequence[SiteProcess]
    people: Sequence[Person]
    readers: Sequence[Person]
    locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))  # by victim
    done: Counter[str] = field(default_factory=Counter)  # steps that were carried out, by their action

    async def perform(self, step: Step, clients: Sequence[Client]) -> None:
        """Break what the step says, and mend it at its end: later than planned where the last mending took long."""
        if step.action in ROAD_ACTIONS and not clients[step.target].road.is_taken:
            return  # the client is away: nothing would be disturbed
        async with self.locks[step.victim]:
            await self._break(step, clients)
            self.done[step.action] += 1

    async def _break(self, step: Step, clients: Sequence[Client]) -> None:
        match step.action:
            case "kill" | "restart":
                number = SIGKILL if step.action == "kill" else SIGTERM
                async with stopped(self.servers[step.target], number):
                    await asyncio.sleep(step.seconds)
            case "postgres":  # as `pg_ctl stop -m immediate` does it
                async with stopped(self.postgres, SIGQUIT):
                    await asyncio.sleep(step.seconds)
            case "redis-empty":
                async with stopped(self.redis, SIGKILL):
                    await asyncio.sleep(step.seconds)
            case "redis-hang":
                async with hanging(self.redis):
                    await asyncio.sleep(step.seconds)
            case "redis-flood":
                async with hanging(self.redis), asyncio.TaskGroup() as floods:
                    floods.create_task(asyncio.sleep(step.seconds))
                    for client in clients[::FLOODING]:
                        floods.create_task(client.flood(FLOOD_SECONDS - 1))
            case "redis-flush":
                await asyncio.to_thread(flush, self.redis)
            case "storm":
                for client in clients:
                    client.road.abort()
            case _:
                disturb(clients[step.target].road, step)


def disturb(road: Road, step: Step) -> None:
    if step.action == "cut":
        road.cut(step.amount, upwards=step.upwards)
    elif step.action == "slow":
        road.slow(step.seconds, step.amount)
    elif step.action == "hang":
        road.hang(step.seconds)
    else:
        road.hang()


def flush(redis: Redis) -> None:
    with RedisClient.from_url(redis.url) as client:
        client.flushall()


@contextlib.contextmanager
def open_world(template: Path) -> Iterator[World]:
    """With a copy of this PostgreSQL (`tests.sites.cluster.make_cluster`)."""
    with contextlib.ExitStack() as stack:
        redis, postgres = stack.enter_context(Redis(*REDIS_LIMITS)), stack.enter_context(Postgres(template))
        site = Site(redis_url=redis.url, DATABASE_URL=postgres.url, **OWN)
        servers = [stack.enter_context(site.process()) for _ in range(SERVERS)]
        yield World(redis, postgres, servers, *make_people(site, servers[0]))
