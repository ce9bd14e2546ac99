"""The reports of a process about who has which rooms open, and the look-up, in memory and over real sockets."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from realtime.delivery.clock import Clock
from realtime.integration import StoreUnavailable, find_present
from realtime.presence import circuit
from realtime.presence.attendance import lookup
from realtime.presence.attendance.memory import MemoryAttendance
from realtime.presence.attendance.reporter import MOST_CHANGES, Reporter
from realtime.sockets import node
from realtime.sockets.node import get_node
from realtime.testing import connect, other_process
from tests.backends import presence
from tests.paper import open_connection

ROOM = "room.general"


class Failing(MemoryAttendance):
    """Takes no reports while it is away."""

    is_away = False

    async def report(self, process: str, changes: Any) -> bool:
        if self.is_away:
            raise StoreUnavailable
        return await super().report(process, changes)


class Process:
    """A process with users whose sockets open and close rooms."""

    def __init__(self) -> None:
        self.clock = presence.Clock()
        self.store = Failing(lease_seconds=20, clock=self.clock)
        self.users: dict[str, set[Any]] = {}
        self.reporter = Reporter("p", self.store, self.users, self.clock)

    def open(self, user: str, *streams: str) -> Any:
        connection, _ = open_connection(user)
        self.users.setdefault(user, set()).add(connection)
        for stream in streams:
            connection.subscriptions.live.add(stream)
            self.reporter.note(stream, user)
        return connection

    def close(self, user: str, connection: Any) -> None:
        self.users[user].discard(connection)
        for stream in connection.subscriptions.close():
            self.reporter.note(stream, user)

    async def present(self, *users: str) -> set[str]:
        return await self.store.find(ROOM, users)


@pytest.fixture
async def process(settings: Any) -> Process:
    settings.REALTIME = {**settings.REALTIME, "PRESENCE_LEASE_SECONDS": 20}
    return Process()


async def test_it_reports_rooms_and_nothing_else(process: Process) -> None:
    process.open("7", ROOM, "user.7", "site", "topic.metrics")
    await process.reporter.report()
    assert await process.store.largest(10) == [(ROOM, 1)]


async def test_the_last_socket_of_a_user_counts(process: Process) -> None:
    first, second = process.open("7", ROOM), process.open("7", ROOM)
    await process.reporter.report()
    process.close("7", first)
    await process.reporter.report()
    assert await process.present("7") == {"7"}
    process.close("7", second)
    await process.reporter.report()
    assert await process.present("7") == set()


async def test_a_process_without_rooms_says_nothing(process: Process) -> None:
    process.open("7", "site")
    await process.reporter.report()
    assert process.store._leases == {}


async def test_it_stays_alive_without_changes(process: Process) -> None:
    process.open("7", ROOM)
    for _ in range(10):
        await process.reporter.report()
        process.clock.sleep(7)
    assert await process.present("7") == {"7"}


async def test_it_starts_over_when_the_store_has_lost_it(process: Process) -> None:
    process.open("7", ROOM)
    await process.reporter.report()
    await process.store.drop("p-1")
    process.clock.sleep(7)
    for _ in range(2):
        await process.reporter.report()
    assert await process.present("7") == {"7"}
    assert list(process.store._leases) == ["p-2"]


async def test_nothing_is_lost_while_the_store_is_away(process: Process) -> None:
    process.open("7", ROOM)
    process.store.is_away = True
    await process.reporter.report()
    process.open("8", ROOM)
    await process.reporter.report()
    process.store.is_away = False
    await process.reporter.report()
    assert await process.present("7", "8") == {"7", "8"}


async def test_a_crowd_is_reported_in_parts(process: Process) -> None:
    for number in range(MOST_CHANGES + 1):
        process.reporter.note(ROOM, str(number))
    process.open("7", ROOM)
    await process.reporter.report()
    assert len(process.reporter._changed) == 1
    await process.reporter.report()
    assert not process.reporter._changed
    assert await process.present("7") == {"7"}


async def test_who_stops_is_gone(process: Process) -> None:
    process.open("7", ROOM)
    await process.reporter.report()
    await process.reporter.stop()
    assert await process.present("7") == set()


@pytest.mark.parametrize("stream", ["site", "user.7", "topic.metrics", "room.", "general", ""])
def test_only_rooms_can_be_looked_up(stream: str) -> None:
    with pytest.raises(ValueError, match="room"):
        find_present(stream, [1])


# With sockets


@pytest.mark.django_db(transaction=True)
async def test_who_has_joined_is_present_in_every_process(alice: Any, bob: Any, shared: Any) -> None:
    look = sync_to_async(find_present)
    async with connect(alice) as hers, other_process() as other, connect(bob, process=other) as his:
        assert await look(ROOM, [alice.pk, bob.pk]) == frozenset()
        for socket in (hers, his):
            await socket.send({"type": "join", "room_id": "general"})
            await socket.expect("joined")
        assert await look(ROOM, [alice.pk, bob.pk, 0]) == {alice.pk, bob.pk}
        await his.send({"type": "leave", "room_id": "general"})
        await his.expect("left")
        assert await look(ROOM, [alice.pk, bob.pk]) == {alice.pk}
    async with connect(bob):
        assert await look(ROOM, [alice.pk]) == frozenset()


async def test_the_clock_of_a_server_reports(
    site: Any, alice: Any, general: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "report_seconds", lambda _lease: 600.0)  # the test does it
    socket = await site.connect(alice)
    await socket.ask("join", room_id="general")
    assert (ROOM, str(alice.pk)) in get_node().attendance._changed
    await get_node().attendance.report()
    assert await sync_to_async(find_present)(ROOM, [alice.pk]) == {alice.pk}


async def test_a_server_reports_before_a_short_lease_ends(
    site: Any, alice: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever had a room open was present for a part of each second."""
    periods: dict[Any, float] = {}
    monkeypatch.setattr(Clock, "start", lambda _self, jobs: periods.update((job, pause) for pause, job in jobs))
    configure(PRESENCE_LEASE_SECONDS=0.6)
    await site.connect(alice)
    assert periods[get_node().attendance.report] == pytest.approx(0.2)


@pytest.mark.django_db(transaction=True)
async def test_a_store_that_hangs_is_given_up(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(MemoryAttendance):
        async def find(self, stream: str, users: Any) -> set[str]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(circuit, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(circuit, "_away_until", {})
    monkeypatch.setattr(lookup, "loop_store", lambda: Hanging(lease_seconds=20))
    async with connect(alice):
        with pytest.raises(StoreUnavailable):
            await sync_to_async(find_present)(ROOM, [alice.pk])
