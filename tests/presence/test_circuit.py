"""A store that hangs keeps one caller waiting, and not those who come after."""

import asyncio
from functools import partial

import pytest

from realtime.integration import StoreUnavailable, find_connected, find_present
from realtime.presence import circuit, online
from realtime.presence.attendance import lookup

LATE = "It does not answer in time"
AWAY = "It did not answer a moment ago"


class Store:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.questions = 0

    async def get(self) -> str:
        self.questions += 1
        self.asked.set()
        await self.answers.wait()
        return "answer"

    async def ask(self) -> str:
        try:
            return await circuit.ask(self.get)
        except StoreUnavailable as error:
            return str(error)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> dict:
    """Since when a store counts as away. Each attempt fails at once, and the next one is far away."""
    until: dict = {}
    monkeypatch.setattr(circuit, "_away_until", until)
    monkeypatch.setattr(circuit, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(circuit, "RETRY_SECONDS", 600)
    return until


def let_retry(away: dict) -> None:
    away.update(dict.fromkeys(away, 0.0))


async def test_one_waits_and_the_others_do_not(away):
    store = Store()
    assert [await store.ask() for _ in range(3)] == [LATE, AWAY, AWAY]
    assert store.questions == 1


async def test_a_process_that_stood_still_takes_an_answer_that_came_meanwhile(away, monkeypatch):
    """Else who has a room open would not count as present there, for seconds."""
    loop, store = asyncio.get_running_loop(), Store()
    monkeypatch.setattr(circuit, "PATIENCE_SECONDS", 600)
    asking = asyncio.create_task(store.ask())
    await store.asked.wait()
    loop.call_later(599, store.answers.set)
    later = loop.time() + 700
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: later)
        assert await asking == "answer"
    assert away == {}


async def test_one_of_all_looks_whether_it_is_back(away, monkeypatch):
    store = Store()
    await store.ask()
    let_retry(away)
    monkeypatch.setattr(circuit, "PATIENCE_SECONDS", 600)
    store.asked.clear()
    looking = asyncio.create_task(store.ask())
    await store.asked.wait()
    assert await store.ask() == AWAY
    store.answers.set()
    assert await looking == "answer"
    assert [await store.ask() for _ in range(2)] == ["answer"] * 2
    assert (store.questions, away) == (4, {})


@pytest.mark.parametrize("find", [find_connected, partial(find_present, "room.general")])
def test_very_many_are_asked_about_in_portions(away, monkeypatch, find):
    """A question about a million users took longer than a second, and the store counted as away."""
    questions = []

    class Store:
        async def get(self, user_keys):
            return dict.fromkeys(await self.find("", user_keys))

        async def find(self, _stream, user_keys):
            questions.append(len(user_keys))
            return set(user_keys)

    monkeypatch.setattr(circuit, "PATIENCE_SECONDS", 600)
    for module in (online, lookup):
        monkeypatch.setattr(module, "loop_store", Store)
    assert find(range(2_500)) == set(range(2_500))
    assert questions == [1_000, 1_000, 500]


def test_who_is_connected_is_asked_in_this_way(away, monkeypatch):
    class Away:
        async def get(self, user_keys):
            raise StoreUnavailable("away")

    monkeypatch.setattr(circuit, "PATIENCE_SECONDS", 600)
    monkeypatch.setattr(online, "loop_store", Away)
    for message in ("away", AWAY):
        with pytest.raises(StoreUnavailable, match=message):
            find_connected([1])
