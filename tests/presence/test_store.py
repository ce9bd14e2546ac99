"""The contract of a presence store, on every backend; Redis is left out, visibly, where there is none."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from realtime.presence.store import Change, Entry, Lost, Process, StoredStatus
from tests.backends.presence import GRACE, LEASE, PresenceBackend, open_memory, open_redis
from tests.backends.redis_server import own_redis_prefix

AWAY, HIDDEN = StoredStatus("away", b'{"a":":"}'), StoredStatus("offline", b"")


@pytest.fixture(params=["memory", "redis"])
def redis_prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """Empty for the backend in memory."""
    if request.param == "memory":
        yield ""
        return
    with own_redis_prefix() as prefix:
        yield prefix


@pytest.fixture
async def backend(redis_prefix: str) -> AsyncIterator[PresenceBackend]:
    made = open_redis(redis_prefix) if redis_prefix else open_memory()
    yield made
    await made.close()


async def test_it_lists_who_has_arrived(backend: PresenceBackend) -> None:
    result = await backend.store.sync("p1", {"7": 2, "8": 1})
    assert result.arrived == [Change("7", "online"), Change("8", "online")]
    assert result.online_count == await backend.store.count() == 2
    assert await backend.store.page(0, 9) == [Entry("7", 2, "online", b""), Entry("8", 1, "online", b"")]
    assert await backend.store.get(["8", "9"]) == {"8": Entry("8", 1, "online", b"")}
    assert await backend.store.get([]) == {}


async def test_it_takes_the_same_sync_again(backend: PresenceBackend) -> None:
    for arrived in ([Change("7", "online")], [], []):
        assert (await backend.store.sync("p1", {"7": 2})).arrived == arrived
    assert (await backend.store.get(["7"]))["7"].connections == 2


async def test_a_sync_leaves_the_other_users_alone(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 2})
    await backend.store.sync("p1", {"8": 1})
    await backend.store.sync("p1", {})
    assert {user: entry.connections for user, entry in (await backend.store.get(["7", "8"])).items()} == {
        "7": 2,
        "8": 1,
    }


async def test_no_sockets_of_an_unknown_user_are_nothing(backend: PresenceBackend) -> None:
    result = await backend.store.sync("p1", {"7": 0})
    assert (result.online_count, result.arrived) == (0, [])
    backend.sleep(GRACE)
    assert await backend.store.sweep() == []
    assert await backend.store.get(["7"]) == {}


async def test_a_user_of_two_processes_is_one_user(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 2})
    assert (await backend.other.sync("p2", {"7": 3})).arrived == []
    assert await backend.store.page(0, 9) == [Entry("7", 5, "online", b"")]
    await backend.store.sync("p1", {"7": 0})
    backend.sleep(GRACE)
    assert await backend.store.sweep() == []
    assert (await backend.store.get(["7"]))["7"].connections == 3


async def test_who_left_is_listed_until_the_grace_time_is_over(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1})
    assert (await backend.store.sync("p1", {"7": 0})).online_count == 1
    backend.sleep(GRACE - 0.001)
    await backend.store.sync("p1", {"7": 0})  # said again: the grace time does not begin anew
    assert await backend.store.sweep() == []
    assert await backend.store.page(0, 9) == [Entry("7", 0, "online", b"")]
    backend.sleep(0.001)
    assert await backend.store.sweep() == [Change("7", "offline")]
    assert await backend.store.sweep() == await backend.online() == []
    assert await backend.store.get(["7"]) == {}


async def test_who_comes_back_within_the_grace_time_is_silent(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1})
    await backend.store.sync("p1", {"7": 0})
    backend.sleep(GRACE - 1)
    assert (await backend.other.sync("p2", {"7": 1})).arrived == []
    backend.sleep(2)
    assert await backend.store.sweep() == []
    assert await backend.online() == ["7"]


async def test_who_comes_back_later_arrives_again_as_online(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1})
    await backend.store.set_status("7", "busy", b"{}")
    await backend.store.sync("p1", {"7": 0})
    backend.sleep(GRACE)
    await backend.store.sweep()
    assert (await backend.store.sync("p1", {"7": 1})).arrived == [Change("7", "online")]
    assert await backend.store.page(0, 9) == [Entry("7", 1, "online", b"")]


async def test_a_dead_process_is_counted_out_once(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1, "8": 1})
    backend.sleep(LEASE - 1)
    await backend.other.sync("p2", {"8": 1})
    backend.sleep(1)
    assert await backend.other.sweep() == []  # the grace time begins now
    assert (await backend.store.get(["7"]))["7"].connections == 0
    backend.sleep(GRACE)
    assert await backend.other.renew("p2")
    found = await asyncio.gather(*(store.sweep() for store in (backend.store, backend.other)))
    assert sorted(found, key=len) == [[], [Change("7", "offline")]]
    assert await backend.store.page(0, 9) == [Entry("8", 1, "online", b"")]


async def test_it_tells_who_had_the_last_sockets_in_a_dead_process(backend: PresenceBackend) -> None:
    told: list[tuple[list[Lost], float]] = []

    def note(users: Sequence[Lost], seconds: float) -> None:
        if users:
            told.append((sorted(users), seconds))

    await backend.store.sync("p1", {"6": 2, "7": 1, "8": 1, "9": 1})
    await backend.store.set_status("6", "offline", b"")
    await backend.store.sync("p1", {"9": 0})
    backend.sleep(LEASE + 3)
    await backend.other.sync("p2", {"8": 1})
    await backend.other.sweep(processes=False, on_lost=note)
    assert told == []
    await backend.other.sweep(on_lost=note)
    assert told == [([Lost("6", visible=False), Lost("7", visible=True)], 3.0)]
    await backend.other.drop("p2")
    backend.sleep(GRACE)
    await backend.store.sweep(on_lost=note)
    assert len(told) == 1


async def test_a_crowd_is_lost_once(backend: PresenceBackend) -> None:
    lost: list[str] = []

    def note(users: Sequence[Lost], seconds: float) -> None:
        assert seconds == 0
        lost.extend(user.user_id for user in users)

    crowd = {str(number): 1 for number in range(2_500)}
    await backend.store.sync("p1", crowd)
    backend.sleep(LEASE)
    await asyncio.gather(*(store.sweep(on_lost=note) for store in (backend.store, backend.other)))
    assert sorted(lost) == sorted(crowd)


@pytest.mark.parametrize("renew", [True, False])
async def test_a_sync_or_renew_extends_the_lease(backend: PresenceBackend, renew: bool) -> None:
    await backend.store.sync("p1", {"7": 1})
    for _ in range(3):
        backend.sleep(LEASE - 1)
        assert await backend.store.renew("p1") if renew else await backend.store.sync("p1", {})
        await backend.store.sweep()
    assert (await backend.store.get(["7"]))["7"].connections == 1


async def test_a_process_that_retires_hears_how_many_go_on(backend: PresenceBackend) -> None:
    for process in ("p1", "p2", "p3"):
        await backend.store.sync(process, {"7": 1})
    assert await backend.store.retire("p1") == 2
    assert await backend.other.retire("p2") == 1
    assert await backend.store.retire("p1") == 1
    assert (await backend.store.get(["7"]))["7"].connections == 3
    await backend.store.renew("p1")
    backend.sleep(LEASE)
    assert await backend.store.retire("p1") == 0  # p3 is dead, though nobody has swept


async def test_a_process_that_drops_may_ask_for_more_time(backend: PresenceBackend) -> None:
    for process, user in (("p1", "7"), ("p2", "8")):
        await backend.store.sync(process, {user: 1})
    await backend.store.drop("p1", longer_seconds=10)
    await backend.store.drop("p2")
    backend.sleep(GRACE)
    assert await backend.other.sweep() == [Change("8", "offline")]
    backend.sleep(10)
    assert await backend.other.sweep() == [Change("7", "offline")]


async def test_a_process_that_drops_leaves_at_once(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1})
    await backend.store.drop("p1")
    await backend.store.drop("never seen")
    assert not await backend.store.renew("p1")
    backend.sleep(GRACE - 1)
    assert await backend.other.sweep() == []
    backend.sleep(1)
    assert await backend.other.sweep() == [Change("7", "offline")]


async def test_a_slow_process_is_reported_and_syncs_in_silence(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 2})
    backend.sleep(LEASE)
    assert await backend.store.renew("p1")  # late, but nobody had noticed
    backend.sleep(LEASE)
    await backend.other.sweep()
    assert not await backend.store.renew("p1")
    assert (await backend.store.sync("p1", {"7": 2})).arrived == []
    assert await backend.store.renew("p1")
    assert await backend.store.page(0, 9) == [Entry("7", 2, "online", b"")]


async def test_a_sync_tells_when_the_process_was_unknown(backend: PresenceBackend) -> None:
    assert not await backend.store.renew("p1")
    assert not (await backend.store.sync("p1", {"7": 1})).known
    assert (await backend.store.sync("p1", {"7": 1})).known
    backend.forget()
    assert not (await backend.store.sync("p1", {"8": 1})).known  # else `renew` would hide that user 7 is lost


async def test_lost_state_is_restored_by_a_full_sync(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 2})
    await backend.other.sync("p2", {"8": 1})
    backend.forget()
    assert await backend.online() == []
    assert not await backend.store.renew("p1")
    await backend.store.sync("p1", {"7": 2})
    await backend.other.sync("p2", {"8": 1})
    assert await backend.store.page(0, 9) == [Entry("7", 2, "online", b""), Entry("8", 1, "online", b"")]
    assert await backend.store.renew("p1")


async def test_a_status_holds_over_a_reload(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1})
    data = b'{"a:b": "\xc3\xa9"}'
    for status, given, previous in (("away", data, "online"), ("busy", b"", "away"), ("away", data, "busy")):
        assert (await backend.store.set_status("7", status, given)).previous == previous
    await backend.store.sync("p1", {"7": 0})
    await backend.other.sync("p2", {"7": 1})
    assert await backend.store.page(0, 9) == [Entry("7", 1, "away", data)]


async def test_a_status_of_nobody_is_not_stored(backend: PresenceBackend) -> None:
    assert await backend.store.set_status("7", "busy", b"{}") is None
    await backend.store.sync("p1", {"7": 1})
    assert (await backend.store.get(["7"]))["7"].status == "online"


async def test_who_appears_offline_is_in_no_list(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1, "8": 1})
    await backend.store.set_status("7", "offline", b"")
    assert (await backend.store.sync("p1", {"7": 2})).online_count == await backend.store.count() == 1
    assert await backend.online() == ["8"]
    hidden = (await backend.store.get(["7"]))["7"]
    assert (hidden, hidden.online) == (Entry("7", 2, "offline", b""), False)
    assert (await backend.store.set_status("7", "away", b"")).previous == "offline"
    assert await backend.online() == ["8", "7"]
    assert (await backend.store.get(["7"]))["7"].online


async def test_a_report_tells_the_statuses_of_those_who_have_sockets(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1, "8": 1, "9": 1})
    await backend.store.set_status("7", "offline", b"{}")
    await backend.store.set_status("8", "online", b"")
    result = await backend.other.sync("p2", {"7": 1, "8": 1, "9": 1}, {"7": AWAY, "8": HIDDEN})
    assert (result.statuses, result.hidden) == ({"7": StoredStatus("offline", b"{}"), "8": ("online", b"")}, [])
    assert (await backend.other.sync("p2", {"7": 0})).statuses == {}
    assert await backend.online() == ["8", "9"]


async def test_a_status_that_was_lost_is_stored_again(backend: PresenceBackend) -> None:
    """Before anybody could see the user. One that another process stored first hides the user later."""
    start = (await backend.store.sync("p1", {"5": 1, "6": 1})).version
    await backend.store.sync("p1", {"5": 0})
    result = await backend.other.sync("p2", dict.fromkeys("5678", 1), {"5": AWAY, "6": HIDDEN, "7": HIDDEN, "8": AWAY})
    assert result.arrived == [Change("8", "online")]
    assert result.hidden == [Change("6", "offline")]
    versions = [change.version for change in (*result.arrived, *result.hidden)]
    assert versions == [start + 1, start + 2] == [start + 1, result.version]
    assert result.census == await backend.store.census() == (2, start + 2)
    assert await backend.store.page(0, 9) == [Entry("5", 1, *AWAY), Entry("8", 1, *AWAY)]
    assert await backend.store.get(["6", "7"]) == {"6": Entry("6", 2, *HIDDEN), "7": Entry("7", 1, *HIDDEN)}
    assert result.statuses == {"5": AWAY, "6": HIDDEN, "7": HIDDEN, "8": AWAY}
    assert (await backend.store.set_status("7", "online", b"")).census == (3, start + 3)


async def test_a_status_of_a_user_without_sockets_is_not_stored_again(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1})
    for counts in ({"7": 0}, {"8": 0}, {}):
        assert (await backend.store.sync("p1", counts, {"7": HIDDEN, "8": HIDDEN})).hidden == []
    assert (await backend.store.sync("p1", {"8": 1})).arrived == [Change("8", "online")]
    assert await backend.online() == ["7", "8"]


async def test_a_crowd_of_statuses_is_stored_again(backend: PresenceBackend) -> None:
    crowd = {str(number): 1 for number in range(2_500)}
    statuses = {user: HIDDEN if int(user) % 2 else AWAY for user in crowd}
    await backend.other.sync("p2", dict.fromkeys(list(crowd)[:1_500], 1))
    result = await backend.store.sync("p1", crowd, statuses)
    assert result.statuses == statuses
    assert [change.user_id for change in result.arrived] == [str(number) for number in range(1_500, 2_500, 2)]
    assert [change.user_id for change in result.hidden] == [str(number) for number in range(1, 1_500, 2)]
    assert result.online_count == await backend.store.count() == 1_250


async def test_it_knows_whether_a_user_is_elsewhere(backend: PresenceBackend) -> None:
    async def is_elsewhere(process: str) -> bool:
        result = await backend.store.set_status("7", "busy", b"", process)
        assert result is not None
        return result.is_elsewhere

    await backend.store.sync("p1", {"7": 2})
    assert [await is_elsewhere(process) for process in ("p1", "p2")] == [False, True]
    await backend.other.sync("p2", {"7": 1})
    assert [await is_elsewhere(process) for process in ("p1", "p2")] == [True, True]
    await backend.store.sync("p1", {"7": 0})
    assert [await is_elsewhere(process) for process in ("p1", "p2")] == [True, False]


async def test_who_appears_offline_comes_and_goes_in_silence(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 1})
    await backend.store.set_status("7", "offline", b"")
    await backend.store.sync("p1", {"7": 0})
    assert (await backend.store.sync("p1", {"7": 1})).arrived == []
    await backend.store.sync("p1", {"7": 0})
    backend.sleep(GRACE)
    assert await backend.store.sweep() == []
    assert await backend.store.get(["7"]) == {}


async def test_pages_keep_the_order_of_arrival(backend: PresenceBackend) -> None:
    for user in ("c", "a", "b", "d"):
        await backend.store.sync("p1", {user: 1})
    await backend.other.sync("p2", {"c": 1})
    await backend.store.sync("p1", {"a": 0})
    await backend.store.sync("p1", {"a": 1})
    await backend.store.set_status("b", "busy", b"")
    assert await backend.online() == ["c", "a", "b", "d"]
    assert [entry.user_id for entry in await backend.store.page(1, 2)] == ["a", "b"]
    assert await backend.store.page(4, 2) == await backend.store.page(0, 0) == []


async def test_a_crowd_comes_and_goes_once(backend: PresenceBackend) -> None:
    crowd = {str(number): 1 for number in range(2_500)}
    result = await backend.store.sync("p1", crowd)
    assert [change.user_id for change in result.arrived] == list(crowd) == await backend.online()
    assert len(await backend.store.get(list(crowd))) == result.online_count == 2_500
    backend.sleep(LEASE)
    assert await asyncio.gather(backend.store.sweep(), backend.other.sweep()) == [[], []]
    backend.sleep(GRACE)
    gone = await asyncio.gather(backend.store.sweep(), backend.other.sweep())
    assert sorted(change.user_id for found in gone for change in found) == sorted(crowd)
    assert await backend.store.count() == 0


async def test_a_crowd_comes_back_while_it_is_counted_out(backend: PresenceBackend) -> None:
    crowd = {str(number): 2 for number in range(2_500)}
    await backend.store.sync("p1", crowd)
    backend.sleep(LEASE)
    _, result = await asyncio.gather(backend.other.sweep(), backend.store.sync("p1", crowd))
    assert result.arrived == []
    backend.sleep(GRACE)
    assert await backend.store.sweep() == []
    assert {entry.connections for entry in await backend.store.page(0, 9_999)} == {2}


async def test_syncs_take_effect_in_the_order_of_their_calls(backend: PresenceBackend) -> None:
    await asyncio.gather(*(backend.store.sync("p1", {"7": count}) for count in [*range(100), 3]))
    assert (await backend.store.get(["7"]))["7"].connections == 3


async def test_each_change_has_the_next_number(backend: PresenceBackend) -> None:
    store, other = backend.store, backend.other
    start = (await store.sync("p1", {"1": 1})).version
    result = await other.sync("p2", {"2": 1, "1": 1, "3": 2})
    assert [change.version for change in result.arrived] == [start + 1, start + 2]
    assert result.census == await store.census() == (3, start + 2)
    await store.sync("p1", {"1": 0})  # two sockets fewer are no change, nor is a status
    await other.sync("p2", {"1": 0})
    assert (await store.set_status("2", "busy", b"")).census == (3, start + 2)
    hidden = await store.set_status("2", "offline", b"")
    assert hidden.census == (2, start + 3)
    assert (await store.set_status("2", "offline", b"")).census == (2, start + 3)
    backend.sleep(GRACE)
    assert [change.version for change in await other.sweep()] == [start + 4]
    assert await store.census() == (1, start + 4)
    assert (await store.set_status("2", "away", b"")).census == (2, start + 5)


async def test_who_leaves_unseen_is_no_change(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"1": 1, "2": 1})
    await backend.store.set_status("1", "offline", b"")
    before = await backend.store.census()
    await backend.store.sync("p1", {"1": 0})
    backend.sleep(GRACE)
    assert await backend.store.sweep() == []
    assert await backend.store.census() == before


async def test_a_crowd_has_numbers_without_a_hole(backend: PresenceBackend) -> None:
    start = (await backend.store.sync("p0", {"x": 1})).version
    crowds = [{f"{name}{number}": 1 for number in range(1_200)} for name in "ab"]
    results = await asyncio.gather(backend.store.sync("p1", crowds[0]), backend.other.sync("p2", crowds[1]))
    numbers = [change.version for result in results for change in result.arrived]
    assert sorted(numbers) == list(range(start + 1, start + 2_401))
    for process in ("p1", "p2"):
        await backend.store.drop(process)
    backend.sleep(GRACE)
    gone = await asyncio.gather(backend.store.sweep(), backend.other.sweep())
    numbers = [change.version for changes in gone for change in changes]
    assert sorted(numbers) == list(range(start + 2_401, start + 4_801))


async def test_it_chooses_who_is_visible(backend: PresenceBackend) -> None:
    for user in ("c", "a", "d", "b"):
        await backend.store.sync("p1", {user: 1})
    await backend.store.set_status("d", "offline", b"")
    chosen = await backend.other.choose_visible(["a", "nobody", "b", "d", "c", "a"])
    assert chosen.user_ids == ["c", "a", "b"]
    assert chosen.version == (await backend.store.census()).version
    assert (await backend.store.choose_visible([])).user_ids == []
    came = await backend.store.set_status("d", "away", b"")
    assert came is not None
    last = await backend.store.choose_visible(["d", "b"])
    assert (last.user_ids, last.places) == (["b", "d"], [chosen.places[2], came.census.version])
    assert chosen.places == sorted(set(chosen.places))


async def test_it_chooses_from_a_crowd(backend: PresenceBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.presence.redis.LOOK_UP_BATCH", 1_500)
    crowd = [str(number) for number in range(2_500)]
    await backend.store.sync("p1", dict.fromkeys(crowd, 1))
    chosen = await backend.store.choose_visible([*reversed(crowd), *(f"x{number}" for number in range(2_500))])
    assert chosen.user_ids == crowd
    assert chosen.version == (await backend.store.census()).version


async def test_it_lists_processes_with_their_sockets(backend: PresenceBackend) -> None:
    assert await backend.store.processes(9) == []
    await backend.store.sync("p2", {"7": 2, "8": 1})
    await backend.other.sync("p1", {"7": 1})
    await backend.other.sync("p3", {})
    two = Process("p2", 2, 3, False)
    assert await backend.store.processes(9) == [Process("p1", 1, 1, False), two, Process("p3", 0, 0, False)]
    assert await backend.store.processes(2) == [Process("p1", 1, 1, False), two]
    await backend.store.sync("p2", {"7": 0, "8": 2})
    await backend.store.retire("p2")
    await backend.store.drop("p1")
    assert await backend.other.processes(9) == [Process("p2", 1, 2, True), Process("p3", 0, 0, False)]


async def test_a_process_that_was_taken_for_dead_is_listed_when_it_reports_again(backend: PresenceBackend) -> None:
    await backend.store.sync("p1", {"7": 2})
    backend.sleep(LEASE)
    assert await backend.store.processes(9) == []
    await backend.store.sweep()
    await backend.store.sync("p1", {"7": 3})
    assert await backend.store.processes(9) == [Process("p1", 1, 3, False)]
