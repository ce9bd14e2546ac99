"""Who is next to be replayed to: users take turns, and whoever has gone keeps nobody waiting."""

import asyncio

import pytest

from realtime.protocol.errors import ErrorCode, Refused
from realtime.recovery.turns import SHARES, Turns
from tests.clients.socket import until


class Queue:
    """Sockets that want a turn. Each holds its turn until the test ends it."""

    def __init__(self, limit=1, max_waiting=100, max_waiting_per_user=100):
        self.turns = Turns(
            limit, max_waiting=max_waiting, max_waiting_per_user=max_waiting_per_user, retry_after_ms=2_000
        )
        self.began = []  # the users, in the order of their turns
        self._ends = []
        self.tasks = []

    async def add(self, user):
        """One more socket of the user. Returns its task, which has its turn or waits for it."""
        task = asyncio.create_task(self._hold(user))
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def _hold(self, user):
        async with self.turns.turn(user):
            self.began.append(user)
            end = asyncio.Event()
            self._ends.append(end)
            await end.wait()

    async def end(self, number):
        """End the turn that was the `number`th to begin, and let the next one begin."""
        self._ends[number].set()
        for _ in range(3):
            await asyncio.sleep(0)

    async def end_all(self):
        for number in range(len(self.tasks)):
            await until(lambda number=number: len(self._ends) > number)
            await self.end(number)
        await asyncio.gather(*self.tasks)


async def test_users_take_turns_however_many_sockets_each_has():
    queue = Queue()
    for user in ["mallory"] * 50 + ["bob", "carol", "bob"]:
        await queue.add(user)
    await queue.end_all()
    assert queue.began[:7] == ["mallory", "mallory", "bob", "carol", "mallory", "bob", "mallory"]


async def test_one_user_never_has_all_turns():
    queue = Queue(limit=8)
    for _ in range(50):
        await queue.add("mallory")
    assert queue.began == ["mallory"] * (8 // SHARES)
    await queue.add("bob")
    assert queue.began[-1] == "bob"
    await queue.end(0)
    assert queue.began[-1] == "mallory"


async def test_a_limit_of_one_serves_everybody():
    queue = Queue(limit=1)
    for user in ("alice", "bob", "alice"):
        await queue.add(user)
    await queue.end_all()
    assert queue.began == ["alice", "bob", "alice"]


async def test_who_has_gone_keeps_nobody_waiting():
    queue = Queue()
    await queue.add("alice")
    dead = [await queue.add("mallory") for _ in range(50)]
    await queue.add("bob")
    for task in dead:
        task.cancel()
    await queue.end(0)
    assert queue.began == ["alice", "bob"]
    assert queue.turns._count == 0
    await queue.end(1)
    await queue.add("carol")
    assert queue.began[-1] == "carol"


async def test_a_turn_that_is_given_to_who_leaves_at_that_moment_goes_on_to_the_next():
    queue = Queue()
    await queue.add("alice")
    leaving = await queue.add("mallory")
    await queue.add("bob")
    queue._ends[0].set()
    await asyncio.sleep(0)
    leaving.cancel()  # its turn was given, but its task has not run since
    for _ in range(3):
        await asyncio.sleep(0)
    assert queue.began == ["alice", "bob"]


@pytest.mark.parametrize("moment", ["waiting", "holding", "waiting again"])
async def test_a_cancelled_turn_is_given_back_once(moment):
    turns = Turns(1, max_waiting=9, max_waiting_per_user=9, retry_after_ms=1)
    busy = asyncio.Event()

    async def replay():
        async with turns.turn("mallory") as turn:
            if moment == "waiting again":
                turn.give_back()
                await turns.wait("alice")
                busy.set()
                await turn.take()
            busy.set()
            await asyncio.Event().wait()

    if moment == "waiting":
        await turns.wait("alice")
        busy.set()
    task = asyncio.create_task(replay())
    await busy.wait()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert (turns._free, dict(turns._held)) == ((1, {}) if moment == "holding" else (0, {"alice": 1}))


async def test_a_long_replay_lets_others_go_first():
    turns = Turns(1, max_waiting=9, max_waiting_per_user=9, retry_after_ms=1)
    order = []

    async def replay(user, parts):
        async with turns.turn(user) as turn:
            for part in range(parts):
                if part:
                    await turn.share()
                order.append(f"{user} {part}")
                await asyncio.sleep(0)

    await asyncio.gather(replay("mallory", 5), replay("mallory", 1), replay("bob", 2))
    assert order.index("bob 0") <= 2
    assert order.index("bob 1") < order.index("mallory 4")


async def test_it_refuses_what_is_too_much():
    queue = Queue(max_waiting=3, max_waiting_per_user=2)
    for user in ("mallory", "mallory", "mallory"):
        await queue.add(user)
    with pytest.raises(Refused) as refused:
        await (await queue.add("mallory"))
    assert (refused.value.code, refused.value.retry_after_ms) == (ErrorCode.RATE_LIMITED, 2_000)
    await queue.add("bob")
    with pytest.raises(Refused) as refused:
        await (await queue.add("carol"))
    assert refused.value.code == ErrorCode.UNAVAILABLE
    await queue.end(0)
    await queue.add("carol")
    assert queue.turns._count == 3
