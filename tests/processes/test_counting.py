"""How many users are online, as clients of two processes count them."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.clients.counting import require_count, until_count
from tests.clients.people import People, ProcessSocket
from tests.sites.cluster import Cluster, open_cluster, require_bus, require_online, stopped
from tests.sites.processes import Site, SiteProcess

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]

CROWD = 24
MAKE_CROWD = """
from django.contrib.auth.hashers import make_password
password = make_password("demo")
User.objects.bulk_create(User(username=f"user-{{n}}", password=password) for n in range({number}))
"""


@pytest.fixture(scope="module")
def cluster(cluster_template: Path) -> Iterator[Cluster]:
    with open_cluster(cluster_template) as opened:
        opened.site.run(MAKE_CROWD.format(number=CROWD))
        yield opened


async def log_in_all(people: People, process: SiteProcess, names: list[str]) -> None:
    """So that the sockets open at the same time, and do not wait for logins."""
    for name in names:
        people.tokens[name] = (await asyncio.to_thread(process.log_in, name))["access"]


async def connect_together(people: People, places: list[SiteProcess], names: list[str]) -> list[ProcessSocket]:
    """A socket of each user, opened at the same time in the processes by turns."""
    turns = itertools.cycle(places)
    return list(await asyncio.gather(*(people.connect(next(turns), name) for name in names)))


async def open_marks(people: People, cluster: Cluster) -> list[ProcessSocket]:
    """One socket in each process that comes after all others."""
    return [await people.connect(cluster.here, "alice"), await people.connect(cluster.there, "bob")]


def counts_anew(socket: ProcessSocket, number: int) -> bool:
    """Whether the socket got a count after so many frames."""
    return any(frame["type"] == "online_count" for frame in socket.frames[number:])


@pytest.mark.parametrize("number", [4, CROWD])
async def test_all_who_come_together_count_the_same(cluster, number):
    names = [f"user-{n}" for n in range(number)]
    async with People() as people:
        await require_online(cluster, {})
        await log_in_all(people, cluster.here, names)
        sockets = await connect_together(people, [cluster.here, cluster.there], names)
        marks = await open_marks(people, cluster)
        await require_count(sockets, number + 2, *marks)
        # Those of the second half leave while the first half looks on.
        for socket in sockets[number // 2 :]:
            await socket.close()
        for socket in (*sockets[: number // 2], *marks):
            await until_count(socket, number // 2 + 2)


async def test_those_of_a_process_that_was_killed_are_counted_out_once(cluster):
    names = [f"user-{n}" for n in range(8)]
    with cluster.site.varied(PRESENCE_LEASE_SECONDS=2).process() as doomed:
        async with People() as people:
            await require_online(cluster, {})
            await log_in_all(people, cluster.here, names)
            lost = await connect_together(people, [doomed], names[:4])
            sockets = await connect_together(people, [cluster.here, cluster.there], names[4:])
            doomed.signal(SIGKILL)
            for socket in sockets:
                for one in lost:
                    await socket.expect("user_status", user_id=one.user_id, status="offline")
            marks = await open_marks(people, cluster)
            await require_count(sockets, 6, *marks)


async def test_the_count_is_right_again_when_redis_has_lost_its_data(cluster):
    """Everybody is announced once more, and was counted twice."""
    names = [f"user-{n}" for n in range(6)]
    async with People() as people:
        await require_online(cluster, {})
        await log_in_all(people, cluster.here, names)
        sockets = await connect_together(people, [cluster.here, cluster.there], names)
        for socket in sockets:
            await until_count(socket, 6)
        before = [len(socket.frames) for socket in sockets]
        async with stopped(cluster.redis, SIGKILL):
            pass
        await require_online(cluster, {socket.user_id: 1 for socket in sockets})
        for socket, number in zip(sockets, before, strict=True):
            # A process that is late to report is not in the new count of the other: its users come one by one.
            await socket.until(lambda socket=socket, number=number: counts_anew(socket, number))
            await until_count(socket, 6)
        for one, other in (sockets[:2], sockets[1::-1]):
            await require_bus(one, other)  # or what the marks announce may be lost, and be made up for by a count
        marks = await open_marks(people, cluster)
        await require_count(sockets, 8, *marks)


async def test_a_storm_ends_with_the_right_count(cluster):
    names = [f"user-{n}" for n in range(CROWD)]
    site: Site = cluster.site.varied(ANNOUNCEMENTS_PER_SECOND=4, KEY_PREFIX="storm")
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(site.process()) for _ in range(2)]
        async with People() as people:
            await log_in_all(people, cluster.here, names)
            sockets = await connect_together(people, places, names)
            for socket in sockets:
                await until_count(socket, CROWD)
            for socket in sockets[2:]:
                await socket.close()
            for socket in sockets[:2]:
                await until_count(socket, 2)
                assert socket.has("online_count")
