"""The contract of an attendance store, on every backend; Redis is left out, visibly, where there is none."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from realtime.presence.attendance.redis import RedisAttendance
from realtime.presence.attendance.store import Attendance
from realtime.presence.store import StoreUnavailable
from tests.backends.attendance import LEASE, AttendanceBackend, open_memory, open_redis
from tests.backends.redis_server import own_redis_prefix

ROOM, HALL = "room.general", "room.hall"


@pytest.fixture(params=["memory", "redis"])
def redis_prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """Empty for the backend in memory."""
    if request.param == "memory":
        yield ""
        return
    with own_redis_prefix() as prefix:
        yield prefix


@pytest.fixture
async def backend(redis_prefix: str) -> AsyncIterator[AttendanceBackend]:
    made = open_redis(redis_prefix) if redis_prefix else open_memory()
    for process in ("p1", "p2"):
        await made.store.begin(process)
    yield made
    await made.close()


async def test_it_finds_who_has_a_room_open_in_any_process(backend: AttendanceBackend) -> None:
    assert await backend.store.report("p1", [Attendance(ROOM, "7", 2), Attendance(HALL, "8", 1)])
    assert await backend.other.report("p2", [Attendance(ROOM, "9", 1), Attendance(ROOM, "7", 1)])
    assert await backend.store.find(ROOM, ["7", "8", "9", "10"]) == {"7", "9"}
    assert await backend.other.find(HALL, ["7", "8"]) == {"8"}
    assert await backend.store.find(ROOM, []) == await backend.store.find("room.none", ["7"]) == set()
    assert await backend.store.largest(10) == [(ROOM, 4), (HALL, 1)]
    assert await backend.other.largest(1) == [(ROOM, 4)]


async def test_a_report_may_be_repeated(backend: AttendanceBackend) -> None:
    for _ in range(3):
        await backend.store.report("p1", [Attendance(ROOM, "7", 2)])
    assert await backend.store.largest(10) == [(ROOM, 2)]
    for _ in range(2):
        await backend.store.report("p1", [Attendance(ROOM, "7", 0), Attendance(ROOM, "8", 0)])
    assert await backend.store.find(ROOM, ["7"]) == set()
    assert await backend.store.largest(10) == []


async def test_who_leaves_in_one_process_may_stay_in_another(backend: AttendanceBackend) -> None:
    await backend.store.report("p1", [Attendance(ROOM, "7", 1)])
    await backend.other.report("p2", [Attendance(ROOM, "7", 1)])
    await backend.store.report("p1", [Attendance(ROOM, "7", 0)])
    assert await backend.store.find(ROOM, ["7"]) == {"7"}
    await backend.other.report("p2", [Attendance(ROOM, "7", 0)])
    assert await backend.store.find(ROOM, ["7"]) == set()


async def test_a_dead_process_counts_no_more(backend: AttendanceBackend) -> None:
    await backend.store.report("p1", [Attendance(ROOM, "7", 1)])
    backend.clock.sleep(LEASE - 1)
    assert await backend.other.report("p2", [Attendance(ROOM, "8", 1)])
    assert await backend.store.find(ROOM, ["7", "8"]) == {"7", "8"}
    backend.clock.sleep(1)
    assert await backend.store.find(ROOM, ["7", "8"]) == {"8"}
    assert await backend.store.largest(10) == [(ROOM, 1)]
    assert not await backend.store.report("p1", [Attendance(HALL, "7", 1)])
    assert await backend.store.find(HALL, ["7"]) == set()


async def test_the_largest_are_those_of_all_processes_together(backend: AttendanceBackend) -> None:
    """The largest in both processes together is the largest in neither of them."""
    crowds = {"p1": {"room.a": 4, "room.c": 3, "room.b": 1}, "p2": {"room.b": 3, "room.c": 3, "room.d": 1}}
    for process, rooms in crowds.items():
        assert await backend.store.report(process, [Attendance(room, "7", n) for room, n in rooms.items()])
    assert await backend.store.largest(1) == [("room.c", 6)]
    assert await backend.store.largest(9) == [("room.c", 6), ("room.a", 4), ("room.b", 4), ("room.d", 1)]
    assert await backend.other.report("p2", [Attendance("room.c", "7", 0)])
    assert await backend.store.largest(2) == [("room.a", 4), ("room.b", 4)]


async def test_a_report_renews_the_lease(backend: AttendanceBackend) -> None:
    await backend.store.report("p1", [Attendance(ROOM, "7", 1)])
    for _ in range(3):
        backend.clock.sleep(LEASE - 1)
        assert await backend.store.report("p1", [])
    assert await backend.store.find(ROOM, ["7"]) == {"7"}


async def test_an_unknown_process_reports_nothing(backend: AttendanceBackend) -> None:
    assert not await backend.store.report("p3", [Attendance(ROOM, "7", 1)])
    backend.forget()
    assert not await backend.store.report("p1", [])
    assert await backend.store.find(ROOM, ["7"]) == set()


async def test_a_process_that_drops_leaves_at_once(backend: AttendanceBackend) -> None:
    await backend.store.report("p1", [Attendance(ROOM, "7", 1)])
    await backend.store.drop("p1")
    await backend.store.drop("never seen")
    assert await backend.other.find(ROOM, ["7"]) == set()
    assert not await backend.store.report("p1", [Attendance(ROOM, "7", 1)])


async def test_what_the_dead_leave_is_swept(backend: AttendanceBackend) -> None:
    many = [Attendance(f"room.r{number}", "7", 1) for number in range(2_500)]
    await backend.store.report("p1", many)
    await backend.other.report("p2", [Attendance(ROOM, "8", 1)])
    backend.clock.sleep(LEASE - 1)
    await backend.other.report("p2", [])
    backend.clock.sleep(1)
    await asyncio.gather(backend.store.sweep(), backend.other.sweep())
    assert await backend.store.find(ROOM, ["8"]) == {"8"}
    backend.clock.sleep(LEASE)
    await backend.store.sweep()
    assert backend.count_kept() == 0


async def test_a_crowd(backend: AttendanceBackend) -> None:
    crowd = [str(number) for number in range(2_500)]
    assert await backend.store.report("p1", [Attendance(ROOM, user, 1) for user in crowd])
    assert await backend.other.find(ROOM, [*crowd, "nobody"]) == set(crowd)
    assert await backend.store.largest(10) == [(ROOM, 2_500)]


async def test_any_key_of_a_user(backend: AttendanceBackend) -> None:
    keys = ["bob@example.com", "auth0|5f", "CORP\\sam", "名字", 'a"b', "p:1"]
    await backend.store.report("p1", [Attendance(ROOM, key, 1) for key in keys])
    assert await backend.store.find(ROOM, [*keys, "x"]) == set(keys)


async def test_a_redis_that_is_away() -> None:
    store = RedisAttendance("redis://127.0.0.1:1", "test:", lease_seconds=LEASE)
    for call in (store.begin("p1"), store.report("p1", []), store.find(ROOM, ["7"]), store.largest(1), store.sweep()):
        with pytest.raises(StoreUnavailable):
            await call
    await store.close()
