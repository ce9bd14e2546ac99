"""Two processes, a Redis and a PostgreSQL: what happens when one of them dies, hangs or comes back empty."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from signal import SIGCONT, SIGKILL, SIGQUIT, SIGSTOP, Signals

import httpx
import psycopg
import pytest

from tests.processes import Postgres, Program, Redis, Site, SiteProcess, show_logs, wait_until
from tests.socket_client import Client, People
from tests.tcp_proxy import Proxy

pytestmark = pytest.mark.process

ROOM = "general"
OUTAGE_SECONDS = {"empty": 10, "hanging": 4}


@dataclass
class Cluster:
    redis: Redis
    postgres: Postgres
    site: Site
    here: SiteProcess
    there: SiteProcess


@pytest.fixture(autouse=True)
def logs():
    yield
    show_logs()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        redis, postgres = stack.enter_context(Redis()), stack.enter_context(Postgres())
        site = Site(redis_url=redis.url, DATABASE_URL=postgres.url).prepare()
        yield Cluster(redis, postgres, site, *(stack.enter_context(site.process()) for _ in range(2)))


class Talk:
    """Somebody who goes on writing to the room, whatever happens."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.sent: list[str] = []
        self._name = f"{name}-{time.time_ns()}"
        self._end = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._talk())

    async def _talk(self) -> None:
        while not self._end.is_set() and self.client.is_open:
            id = f"{self._name}-{len(self.sent)}"
            await send_text(self.client, id)
            self.sent.append(id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._end.wait()

    async def end(self) -> tuple[set[str], set[str]]:
        """Which messages were acked, and which were refused. Every one is answered."""
        self._end.set()
        await self._task
        answers = {id: await self.client.answer(id, timeout=8) for id in self.sent}
        refused = {id for id, answer in answers.items() if answer["type"] == "error"}
        assert {answers[id]["error_code"] for id in refused} <= {"UNAVAILABLE"}
        return answers.keys() - refused, refused


async def send_text(client: Client, id: str) -> None:
    await client.send("message", room_id=ROOM, message=id, id=id)


def texts(client: Client) -> list[str]:
    return [event["data"]["message"] for event in client.events(f"room.{ROOM}")]


async def require_all(clients: list[Client], wanted: set[str], seconds: float) -> None:
    """Within that time every socket has every one of the messages, in order, each once."""
    deadline = time.monotonic() + seconds
    for client in clients:
        left = max(0.1, deadline - time.monotonic())
        await client.until(lambda client=client: wanted <= set(texts(client)), left, f"all of {len(wanted)} messages")
    for client in clients:
        seqs = [event["seq"] for event in client.events(f"room.{ROOM}")]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        assert len(set(texts(client))) == len(seqs)


async def require_online(cluster: Cluster, expected: dict[int, int], seconds: float = 6) -> None:
    """Within that time both processes say that these users are online, on that many sockets."""
    token = (await asyncio.to_thread(cluster.here.log_in, "admin"))["access"]
    for process in (cluster.here, cluster.there):
        await asyncio.to_thread(wait_until, lambda process=process: online(process, token) == expected, seconds)


def online(process: SiteProcess, token: str) -> dict[int, int] | None:
    """Sockets of each user who is online; None while presence is away, or changes between two questions."""
    try:
        listed = process.rest("GET", "/online", token)
        count = process.rest("GET", "/online/count", token)["online_count"]
    except httpx.HTTPStatusError as error:
        if error.response.status_code == 503:
            return None
        raise
    found = {user["user_id"]: user["connections_count"] for user in listed["users"]}
    return found if listed["online_count"] == count == len(found) else None


async def require_chat(one: Client, other: Client) -> None:
    """What is stored and what is not goes from one to the other at once."""
    text = f"still here {time.time_ns()}"
    await one.send("message", to_user_id=other.user_id, message=text)
    await other.expect("chat", message=text, timeout=2)
    await one.send("typing", data={"is_typing": True, "context": ROOM})
    await other.expect("typing", is_typing=True, user_id=one.user_id, timeout=2)
    await one.send("typing", data={"is_typing": False, "context": ROOM})
    await other.expect("typing", is_typing=False, user_id=one.user_id, timeout=2)


async def test_it_announces_those_whose_process_was_killed(cluster):
    with cluster.site.process() as doomed:
        async with People() as people:
            alice = await people.connect(cluster.here, "alice", ROOM)
            bob = await people.connect(cluster.there, "bob", ROOM)
            carol = await people.connect(doomed, "carol", ROOM)
            await people.connect(doomed, "alice")
            await require_online(cluster, {alice.user_id: 2, bob.user_id: 1, carol.user_id: 1})
            talk = Talk(carol, "carol")
            await bob.until(lambda: len(texts(bob)) > 3, 5)
            doomed.signal(SIGKILL)
            await carol.closed()
            for client in (alice, bob):
                await client.expect("user_status", status="offline", user_id=carol.user_id, timeout=5)
            await require_online(cluster, {alice.user_id: 1, bob.user_id: 1})
            assert not bob.has("user_status", status="offline", user_id=alice.user_id)
            await require_chat(alice, bob)
            acked = {id for id in talk.sent if carol.has("ack", id=id)}
            await require_all([alice, bob], acked, 3)


@contextlib.asynccontextmanager
async def stopped(program: Program, number: Signals) -> AsyncIterator[None]:
    """The program is killed, and comes back at the end."""
    await asyncio.to_thread(program.stop, number)
    try:
        yield
    finally:
        program.start()
        await asyncio.to_thread(program.wait_ready)


@contextlib.asynccontextmanager
async def hanging(program: Program) -> AsyncIterator[None]:
    """The program answers nobody, and goes on at the end."""
    program.signal(SIGSTOP)
    try:
        yield
    finally:
        program.signal(SIGCONT)


@pytest.mark.parametrize("outage", ["empty", "hanging"])
async def test_it_survives_an_outage_of_redis(cluster, outage):
    redis = cluster.redis
    async with People() as people:
        alice = await people.connect(cluster.here, "alice", ROOM)
        bob = await people.connect(cluster.there, "bob", ROOM)
        carols = [await people.connect(process, "carol", ROOM) for process in (cluster.here, cluster.there)]
        talks = [Talk(alice, "alice"), Talk(bob, "bob")]
        async with stopped(redis, SIGKILL) if outage == "empty" else hanging(redis):
            await asyncio.sleep(OUTAGE_SECONDS[outage])  # how long it is away is what is tested
        returned = time.monotonic()
        answers = [await talk.end() for talk in talks]
        acked = set.union(*(acked for acked, _ in answers))
        assert len(acked) > OUTAGE_SECONDS[outage]  # the database was there all the time
        await require_all([alice, bob, *carols], acked, returned + 5 - time.monotonic())
        assert all(client.is_open for client in (alice, bob, *carols))
        await require_online(cluster, {alice.user_id: 1, bob.user_id: 1, carols[0].user_id: 2})
        await require_chat(alice, bob)
        await require_chat(bob, alice)


async def test_it_hears_again_when_connections_to_redis_broke_in_silence(cluster):
    async with Proxy(cluster.redis.port) as proxy, People() as people:
        site = Site(redis_url=f"redis://127.0.0.1:{proxy.port}/0", DATABASE_URL=cluster.postgres.url)
        with site.process() as process:
            alice = await people.connect(process, "alice")
            bob = await people.connect(cluster.there, "bob")
            await require_bus(bob, alice, 3)
            await require_bus(alice, bob, 3)
            await proxy.fall_silent()
            await require_bus(bob, alice, 20)
            await require_bus(alice, bob, 20)
            await require_online(cluster, {alice.user_id: 1, bob.user_id: 1})


async def require_bus(one: Client, other: Client, seconds: float) -> None:
    """Within that time what is not stored goes from one to the other."""
    deadline = time.monotonic() + seconds
    for number in itertools.count():
        await one.send("presence", status="busy", data={"number": number})
        with contextlib.suppress(AssertionError):
            await other.expect("presence", timeout=0.5, user_id=one.user_id, data={"number": number})
            return
        assert time.monotonic() < deadline, f"nothing was heard for {seconds} s"


async def test_it_survives_a_database_that_stops(cluster):
    async with People() as people:
        alice = await people.connect(cluster.here, "alice", ROOM)
        bob = await people.connect(cluster.there, "bob", ROOM)
        talks = [Talk(alice, "alice"), Talk(bob, "bob")]
        await bob.until(lambda: len(texts(bob)) > 3, 5)
        async with stopped(cluster.postgres, SIGQUIT):
            for client in (alice, bob):
                await client.until(lambda client=client: client.has("error", error_code="UNAVAILABLE"), 8)
            answers = [await talk.end() for talk in talks]
            await alice.send("ping", timestamp="alive")
            await alice.expect("pong", timestamp="alive")
        for talk, (_, refused) in zip(talks, answers, strict=True):
            await send_again(talk.client, refused)
        written = {id for talk in talks for id in talk.sent}
        await require_all([alice, bob], written, 5)
        await require_chat(alice, bob)
        await require_online(cluster, {alice.user_id: 1, bob.user_id: 1})
    assert stored(cluster.postgres, written) == sorted(written)


def stored(postgres: Postgres, ids: set[str]) -> list[str]:
    query = "SELECT client_id FROM realtime_message WHERE client_id = ANY(%s)"
    with psycopg.connect(postgres.url) as connection:
        return sorted(id for (id,) in connection.execute(query, [list(ids)]))


async def send_again(client: Client, refused: set[str]) -> None:
    """Until it is taken: a process may need a moment to notice that the database is there."""
    for id in sorted(refused):
        while True:
            await send_text(client, id)
            if (await client.answer(id, timeout=8))["type"] == "ack":
                break


FROM_A_SHELL = """
import json, realtime
from django.db import transaction
from realtime.manager import manager
realtime.send_to_user({bob}, {{"type": "order", "number": 1}})
with transaction.atomic():
    realtime.send_to_user({bob}, {{"type": "order", "number": 2}})
    realtime.publish("room.general", {{"type": "note", "number": 1}}, durable=False)
try:
    with transaction.atomic():
        realtime.send_to_user({bob}, {{"type": "order", "number": 3}})
        realtime.publish("room.general", {{"type": "note", "number": 2}}, durable=False)
        raise ValueError
except ValueError:
    realtime.disconnect_user({bob})
print(json.dumps([manager.get_online_count(), sorted(manager.get_online_users()), manager.is_user_online({bob}),
    manager.is_user_online({carol}), manager.get_user_connections_count({alice})]))
"""


async def test_it_hears_a_shell(cluster):
    async with People() as people:
        alices = [await people.connect(process, "alice", ROOM) for process in (cluster.here, cluster.there)]
        bobs = [await people.connect(process, "bob", ROOM) for process in (cluster.here, cluster.there)]
        alice, bob = alices[0].user_id, bobs[0].user_id
        await require_online(cluster, {alice: 2, bob: 2})
        carol = json.loads(await asyncio.to_thread(cluster.site.run, "print(User.objects.get(username='carol').pk)"))
        code = FROM_A_SHELL.format(alice=alice, bob=bob, carol=carol)
        answers = json.loads(await asyncio.to_thread(cluster.site.run, code))
        assert answers == [2, sorted([alice, bob]), True, False, 2]
        for client in bobs:
            await client.expect("disconnect", code=4403, reason="KICKED", reconnect=False)
            assert await client.closed() == 4403
            assert [frame["number"] for frame in client.frames if frame["type"] == "order"] == [1, 2]
        for client in (*alices, *bobs):
            assert [frame["number"] for frame in client.frames if frame["type"] == "note"] == [1]
        assert all(client.is_open for client in alices)


async def test_it_closes_the_sockets_of_a_logout_elsewhere(cluster):
    async with People() as people:
        leaving = await people.connect(cluster.there, "alice")
        async with People() as others:
            staying = await others.connect(cluster.there, "alice")
            await asyncio.to_thread(cluster.here.rest, "POST", "/auth/logout", people.tokens["alice"])
            await leaving.expect("disconnect", code=4401)
            assert await leaving.closed() == 4401
            await staying.send("ping", timestamp="here")
            await staying.expect("pong", timestamp="here")
