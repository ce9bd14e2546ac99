"""A site of two processes with its own Redis and PostgreSQL, and checks of it.

Used by `tests/processes` and `tests/chaos`.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP, Signals

import httpx
import psycopg
from redis import Redis as Client

from tests.clients.people import ProcessSocket
from tests.clients.socket import texts
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import Postgres, Program, Redis, Site, SiteProcess, wait_until

ROOM = "general"


@dataclass
class Cluster:
    redis: Redis
    postgres: Postgres
    site: Site
    here: SiteProcess
    there: SiteProcess


def make_cluster(directory: Path) -> None:
    """Make a cluster with the tables, users and rooms of a site, to be copied: making it takes six seconds."""
    with Postgres() as postgres:
        Site(DATABASE_URL=postgres.url).prepare()
        postgres.stop()
        postgres.copy_to(directory)


@contextlib.contextmanager
def open_cluster(template: Path) -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        redis, postgres = stack.enter_context(Redis()), stack.enter_context(Postgres(template))
        site = Site(redis_url=redis.url, DATABASE_URL=postgres.url)
        # Rights are looked up again by nobody: that would hide a loss, and wait for what a test locks.
        site.configure(AUTH_RECHECK_SECONDS=600)
        yield Cluster(redis, postgres, site, *(stack.enter_context(site.process()) for _ in range(2)))


@contextlib.asynccontextmanager
async def stopped(program: Program, number: Signals) -> AsyncIterator[None]:
    """Stop the program with this signal while the body runs, then start it again."""
    await asyncio.to_thread(program.stop, number)
    try:
        yield
    finally:
        program.start()
        await asyncio.to_thread(program.wait_ready)


@contextlib.asynccontextmanager
async def hanging(program: Program) -> AsyncIterator[None]:
    """Suspend the program while the body runs: it keeps its connections and answers nobody."""
    program.signal(SIGSTOP)
    try:
        yield
    finally:
        program.signal(SIGCONT)


@contextlib.asynccontextmanager
async def full(redis: Redis) -> AsyncIterator[None]:
    """Let Redis refuse to store anything while the body runs: it has no memory left."""
    with Client.from_url(redis.url) as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


class Talk:
    """A client that keeps writing to the room until `end`, whatever happens."""

    def __init__(self, client: ProcessSocket, name: str) -> None:
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
        """Stop writing. Returns the messages that were acked and those that were refused; each must be answered."""
        self._end.set()
        await self._task
        answers = {id: await self.client.answer(id) for id in self.sent}
        refused = {id for id, answer in answers.items() if answer["type"] == "error"}
        assert {answers[id]["error_code"] for id in refused} <= {"UNAVAILABLE"}
        return answers.keys() - refused, refused


async def send_text(client: ProcessSocket, id: str) -> None:
    await client.send({"type": "message", "room_id": ROOM, "message": id, "id": id})


def room_texts(client: ProcessSocket) -> list[str]:
    return texts(client.events(f"room.{ROOM}"))


async def require_all(clients: list[ProcessSocket], wanted: set[str]) -> None:
    """Wait until every socket has all these messages; each must have come once and in order."""
    for client in clients:
        await client.until(lambda client=client: wanted <= set(room_texts(client)), f"all of {len(wanted)} messages")
    for client in clients:
        seqs = [event["seq"] for event in client.events(f"room.{ROOM}")]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        assert len(set(room_texts(client))) == len(seqs)


async def require_online(cluster: Cluster, expected: dict[int, int]) -> None:
    """Wait until both processes list exactly these users as online, each with this number of sockets."""
    token = (await asyncio.to_thread(cluster.here.log_in, "admin"))["access"]
    for process in (cluster.here, cluster.there):
        await asyncio.to_thread(wait_until, lambda process=process: online(process, token) == expected)


def online(process: SiteProcess, token: str) -> dict[int, int] | None:
    """User id -> number of sockets; None while presence is unavailable, or if it changes between the two requests."""
    try:
        listed = process.rest("GET", "/online", token)
        count = process.rest("GET", "/online/count", token)["online_count"]
    except httpx.HTTPStatusError as error:
        if error.response.status_code == 503:
            return None
        raise
    found = {user["user_id"]: user["connections_count"] for user in listed["users"]}
    return found if listed["online_count"] == count == len(found) else None


async def require_chat(one: ProcessSocket, other: ProcessSocket) -> None:
    """A direct message and a typing indicator must get from one client to the other."""
    text = f"still here {time.time_ns()}"
    await one.send({"type": "message", "to_user_id": other.user_id, "message": text})
    await other.expect("chat", message=text)
    await require_bus(one, other)  # after an outage, what is not stored gets through a little later
    await one.send({"type": "typing", "data": {"is_typing": True, "context": ROOM}})
    await other.expect("typing", is_typing=True, user_id=one.user_id)
    await one.send({"type": "typing", "data": {"is_typing": False, "context": ROOM}})
    await other.expect("typing", is_typing=False, user_id=one.user_id)


async def send_again(client: ProcessSocket, refused: set[str]) -> None:
    """Repeat each message until it is acked: a process may need a moment to notice that the database is back."""
    for id in sorted(refused):
        while True:
            await send_text(client, id)
            if (await client.answer(id))["type"] == "ack":
                break


async def require_bus(one: ProcessSocket, other: ProcessSocket) -> None:
    """Wait until frames that are not stored get from one client to the other again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for number in itertools.count():
        await one.send({"type": "presence", "status": "busy", "data": {"number": number}})
        with contextlib.suppress(AssertionError):
            await other.expect("presence", timeout=0.5, user_id=one.user_id, data={"number": number})
            return
        assert time.monotonic() < deadline, f"nothing was heard for {PATIENCE_SECONDS} s"


def stored(postgres: Postgres, ids: set[str]) -> list[str]:
    query = "SELECT client_id FROM realtime_message WHERE client_id = ANY(%s)"
    with psycopg.connect(postgres.url) as connection:
        return sorted(id for (id,) in connection.execute(query, [list(ids)]))
