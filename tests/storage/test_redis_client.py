"""A Redis that answers with an error counts as away, for every store, and no store is changed by half."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from realtime.presence.redis import RedisPresence
from realtime.presence.store import Change, StoreUnavailable
from realtime.recovery.sessions.redis import RedisSessions
from realtime.recovery.sessions.store import Session, SessionsUnavailable
from realtime.storage.leases.redis import RedisLeases
from realtime.storage.leases.store import LeasesUnavailable
from tests.backends.presence import GRACE, LEASE, Clock
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import Redis, free_port, wait_until

ENDLESS = "while redis.call('EXISTS', 'enough') == 0 do end"


class Server:
    """A Redis of the test's own, which can be made to refuse."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url, socket_timeout=PATIENCE_SECONDS)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        self.client.config_set("maxmemory", 1)
        yield
        self.client.config_set("maxmemory", 0)

    @contextlib.contextmanager
    def replica(self) -> Iterator[None]:
        """After a failover, a client may still talk to a server that no longer takes writes."""
        self.client.replicaof("127.0.0.1", free_port())
        yield
        self.client.replicaof("NO", "ONE")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """It wants a password that the site does not have."""
        self.client.acl_setuser("default", reset=True, enabled=True, passwords=["+secret"], commands=["+@all"])
        self.client.execute_command("AUTH", "secret")
        for other in self.client.client_list():
            if other["id"] != str(self.client.client_id()):
                self.client.client_kill_filter(_id=other["id"])
        yield
        self.client.acl_setuser("default", enabled=True, nopass=True, commands=["+@all"], keys=["*"], channels=["*"])

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        self.client.config_set("busy-reply-threshold", 1)
        with self.begun("EVAL", "while true do end", 0):
            wait_until(lambda: not self.is_free())
        yield
        self.client.script_kill()
        wait_until(self.is_free)  # the script is told to end, and ends a moment later

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        self.client.execute_command("DEBUG", "POPULATE", 20_000)
        self.client.config_set("key-load-delay", 2_000)
        with self.begun("DEBUG", "RELOAD"):
            wait_until(self.is_loading)
        yield
        self.client.config_set("key-load-delay", 0)
        wait_until(lambda: not self.is_loading())

    @contextlib.contextmanager
    def begun(self, *command: str | int) -> Iterator[None]:
        """Nobody waits for the answer: a client that gave up soon might do so before it has sent the command."""
        with redis.Redis.from_url(self.url, socket_timeout=PATIENCE_SECONDS) as other:
            other.connection_pool.get_connection().send_command(*command)
            yield

    def is_free(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ResponseError:
            return False

    def is_loading(self) -> bool:
        try:
            self.client.ping()
        except redis.BusyLoadingError:
            return True
        return False


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    directory: Path = tmp_path_factory.mktemp("redis")
    options = ["--dir", str(directory), "--enable-debug-command", "yes"]
    with Redis(*options, "--loading-process-events-interval-bytes", "1024") as running:
        yield running


@pytest.fixture
def server(program: Redis) -> Iterator[Server]:
    opened = Server(program.url)
    opened.client.flushall()
    yield opened
    opened.client.close()


class Stores:
    """All stores of one process, with something in each of them."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.presence = RedisPresence(url, "p:", lease_seconds=LEASE, grace_seconds=GRACE, clock=self.clock)
        self.sessions = RedisSessions(url, "s:", 600)
        self.leases = RedisLeases(url, "l:")

    async def fill(self) -> None:
        await self.presence.sync("p1", {"7": 1})
        await self.presence.sync("p2", {"8": 1})
        await self.presence.sync("p1", {"9": 1})
        await self.presence.sync("p1", {"9": 0})
        await self.sessions.save({"a": Session("7", {"user.7": 1}), "b": Session("7", {})})
        await self.sessions.claim("b", "7", "c")
        await self.leases.acquire("x", "p1", 60)

    def writes(self) -> list[tuple[Any, type[Exception]]]:
        presence, sessions, leases = self.presence, self.sessions, self.leases
        return [
            (lambda: presence.sync("p1", {"7": 2}), StoreUnavailable),
            (lambda: presence.renew("p1"), StoreUnavailable),
            (presence.sweep, StoreUnavailable),
            (lambda: presence.retire("p1"), StoreUnavailable),
            (lambda: presence.set_status("7", "offline", b""), StoreUnavailable),
            (lambda: sessions.save({"a": Session("7", {"user.7": 2})}), SessionsUnavailable),
            (lambda: sessions.claim("a", "7", "d"), SessionsUnavailable),
            (lambda: sessions.give_up({"b": "c"}), SessionsUnavailable),
            (lambda: leases.acquire("x", "p1", 60), LeasesUnavailable),
        ]

    async def close(self) -> None:
        for store in (self.presence, self.sessions, self.leases):
            await store.close()


@pytest.fixture
async def stores(server: Server) -> AsyncIterator[Stores]:
    opened = Stores(server.url)
    await opened.fill()
    yield opened
    await opened.close()


def dump(client: redis.Redis) -> dict[bytes, bytes | None]:
    return {key: client.dump(key) for key in client.keys("[psl]:*")}


@pytest.mark.parametrize("refusal", ["full", "replica", "locked", "busy", "loading"])
async def test_a_refusal_counts_as_away_and_changes_nothing(server: Server, stores: Stores, refusal: str) -> None:
    before = await asyncio.to_thread(dump, server.client)
    stores.clock.sleep(LEASE + GRACE)  # a sweep would have something to do
    with getattr(server, refusal)():
        for write, unavailable in stores.writes():
            with pytest.raises(unavailable):
                await write()
    after = await asyncio.to_thread(dump, server.client)
    assert after == before
    assert await stores.sessions.claim("a", "7", "d") == Session("7", {"user.7": 1})
    assert await stores.leases.acquire("x", "p1", 60)
    assert await stores.presence.sweep() == [Change("9", "offline")]
