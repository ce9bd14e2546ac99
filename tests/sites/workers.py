"""A server's workers, seen from outside: their process ids, and how many sockets each of them holds."""

import asyncio
import contextlib
import json
import os
from pathlib import Path

from redis import Redis

from tests.clients.people import People, ProcessSocket
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import Site, SiteProcess, wait_until

ESTABLISHED = "01"

MOST_SOCKETS = 16  # of one user, who may have 20


def workers_of(process: SiteProcess) -> list[int]:
    """The process ids of the workers, without that of multiprocessing's resource tracker."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for_leases(site: Site, number: int) -> None:
    """Wait until so many processes know of each other. They do a moment after they have begun to listen."""
    prefix = json.loads(site.env["REALTIME_JSON"]).get("KEY_PREFIX", "realtime")
    with Redis.from_url(site.env["REDIS_URL"], socket_timeout=PATIENCE_SECONDS) as client:
        wait_until(lambda: client.zcard(f"{prefix}:presence:leases") == number)


def connections_of(process: SiteProcess) -> dict[int, int]:
    """How many connections each worker holds, or the process itself if it has no workers."""
    pids = workers_of(process) or [process.pid]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    here = {row[9] for row in rows if row[1].endswith(f":{process.port:04X}") and row[3] == ESTABLISHED}
    return {pid: len(here & inodes_of(pid)) for pid in pids}


def inodes_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
    return found


async def connect_to_each_worker(people: People, process: SiteProcess) -> list[ProcessSocket]:
    """Open sockets of alice until every worker has at least two: the system chooses the worker of each socket.

    A worker that has not started yet gets none, and alice may have only so many. So begin again before there are more.
    """
    clients: list[ProcessSocket] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            clients += await asyncio.gather(*(people.connect(process, "alice") for _ in range(2)))
            while sum((held := connections_of(process)).values()) != len(clients):  # noqa: ASYNC110 (a request ends)
                await asyncio.sleep(0.01)
            if min(held.values()) >= 2:
                return clients
            if len(clients) >= MOST_SOCKETS:
                for client in clients:
                    await client.close()
                clients = []
