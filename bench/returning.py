"""`python -m bench.returning CASE PORT FILE COUNT`: many clients that lose their server and reconnect.

FILE has a line for each user, as `bench.seed` writes it: the first COUNT users are the clients, the last users are the
writers. Prints one line of JSON, `Outcome`. Started by `bench.load` on the load generator's core.

- `cut`: all sockets are cut at once, 20 events are stored in each of their 3 streams, and all reconnect at once.
- `restart`: prints `ready`, and then writes and listens until it reads a line, which means that the server is up again.
"""

import asyncio
import secrets
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.crowd import Client, each
from bench.load import Outcome
from bench.seed import WRITERS, rooms_of_member, rooms_of_writer

OPEN_AT_ONCE = 64
MISSED = 20  # events in each stream
WINDOW = 8  # messages of a writer that are not acked yet
PAUSE_SECONDS = 0.2  # between two messages of a writer during a restart
QUIET_SECONDS = 2.0  # of writing after the last reconnect
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.05


class Case(ABC):
    """One run. `last`: room → the highest acked `seq`. `first`: the positions of each client before the failure."""

    def __init__(self, port: int, lines: list[str], count: int) -> None:
        users = [line.split("\t\t") for line in lines]
        addresses = [f"ws://127.0.0.1:{port}{path}" for path, _partner in users]
        self.keys = [int(users[number ^ 1][1]) for number in range(count)]  # a line names the partner
        self.clients = [Client(addresses[number], rooms_of_member(number)) for number in range(count)]
        self.writers = [Client(addresses[number - WRITERS], rooms_of_writer(number)) for number in range(WRITERS)]
        self.last: dict[str, int] = {}
        self.written = 0
        # Makes ids unique: a message with the `id` of an earlier run would be acked but not stored.
        self.prefix = secrets.token_hex(4)
        self.first: list[dict[str, int]] = []

    async def run(self) -> Outcome:
        await each([*self.clients, *self.writers], Client.open, OPEN_AT_ONCE)
        self.first = [dict(client.positions) for client in self.clients]
        await self.lose_and_return()
        return self.outcome()

    @abstractmethod
    async def lose_and_return(self) -> None: ...

    @abstractmethod
    def wanted(self, number: int) -> Mapping[str, int]:
        """The positions that this client must have reached at the end."""

    async def write(self, writer: Client, id: str, **where: Any) -> None:
        ack = await writer.post(f"{self.prefix}-{id}", **where)
        self.written += 1
        if room := where.get("room_id"):
            self.last[room] = max(self.last.get(room, 0), ack.seq)

    def last_of_rooms(self, number: int) -> dict[str, int]:
        return {f"room.{room}": self.last[room] for room in self.clients[number].rooms}

    def outcome(self) -> Outcome:
        tallies = [client.tally for client in self.clients]
        expected = lost = 0
        for number, client in enumerate(self.clients):
            for stream, seq in self.wanted(number).items():
                expected += seq - self.first[number][stream]
                lost += max(0, seq - client.positions[stream])
        return Outcome(
            clients=len(self.clients),
            back=sum(client.is_ready for client in self.clients),
            seconds=sorted(seconds for tally in tallies for seconds in tally.seconds_away),
            written=self.written,
            expected=expected,
            received=sum(tally.received for tally in tallies),
            lost=lost + sum(tally.holes + tally.unrecovered for tally in tallies),
            twice=sum(tally.twice for tally in tallies),
        )


class Cut(Case):
    async def lose_and_return(self) -> None:
        for client in self.clients:
            client.cut()
        async with asyncio.TaskGroup() as group:
            for number, writer in enumerate(self.writers):
                group.create_task(self.write_missed(number, writer))
        started = time.monotonic()
        await asyncio.wait([asyncio.create_task(self.come_back(client, started)) for client in self.clients])

    async def come_back(self, client: Client, started: float) -> None:
        await client.open()
        client.tally.seconds_away = [time.monotonic() - started]

    async def write_missed(self, number: int, writer: Client) -> None:
        """Write to the writer's rooms, and a direct message to each client in the first of these rooms."""
        addresses: list[dict[str, Any]] = [{"room_id": room} for room in writer.rooms]
        addresses += [{"to_user_id": key} for key in self.keys[number::WRITERS]]
        turns = asyncio.Semaphore(WINDOW)

        async def post(id: str, where: dict[str, Any]) -> None:
            async with turns:
                await self.write(writer, id, **where)

        async with asyncio.TaskGroup() as group:
            for place, where in enumerate(addresses):
                for turn in range(MISSED):
                    group.create_task(post(f"{place}-{turn}", where))

    def wanted(self, number: int) -> Mapping[str, int]:
        own = next(stream for stream in self.first[number] if stream.startswith("user."))
        return {**self.last_of_rooms(number), own: self.first[number][own] + MISSED}


class Restart(Case):
    async def lose_and_return(self) -> None:
        lives = [asyncio.create_task(client.live()) for client in (*self.clients, *self.writers)]
        writing = [asyncio.create_task(self.keep_writing(writer)) for writer in self.writers]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await self.wait_until(lambda: all(client.is_ready for client in self.clients))
        await asyncio.sleep(QUIET_SECONDS)
        await self.end(writing)
        await self.wait_until(lambda: all(map(self.is_complete, range(len(self.clients)))))
        for life in lives:
            life.cancel()

    async def keep_writing(self, writer: Client) -> None:
        turn = 0
        while True:
            turn += 1
            await self.write(writer, f"r-{turn}", room_id=writer.rooms[turn % 2])
            await asyncio.sleep(PAUSE_SECONDS)

    def wanted(self, number: int) -> Mapping[str, int]:
        return self.last_of_rooms(number)

    def is_complete(self, number: int) -> bool:
        positions = self.clients[number].positions
        return all(positions[stream] >= seq for stream, seq in self.wanted(number).items())

    async def wait_until(self, condition: Any) -> None:
        """Wait until `condition` is true, but at most PATIENCE_SECONDS."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)

    async def end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


CASES: dict[str, type[Case]] = {"cut": Cut, "restart": Restart}


def main() -> None:
    name, port, file, count = sys.argv[1:]
    lines = Path(file).read_text().splitlines()
    outcome = uvloop.run(CASES[name](int(port), lines, int(count)).run())
    print(msgspec.json.encode(outcome).decode(), flush=True)


if __name__ == "__main__":
    main()
