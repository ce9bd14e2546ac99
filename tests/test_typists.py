"""Who is typing where, and what is told of it when a process stops."""

import asyncio

import pytest

from realtime.typists import Typists
from tests.paper import open_connection
from tests.patience import PATIENCE_SECONDS


@pytest.mark.parametrize("answers", [True, False])
async def test_it_asks_the_store_nothing_any_more_once_it_has_stopped(monkeypatch, answers):
    """The store of presence was closed meanwhile: the question opened another connection, which nobody closed."""
    monkeypatch.setattr("realtime.typists.PATIENCE_SECONDS", PATIENCE_SECONDS if answers else 0.01)
    monkeypatch.setattr("realtime.cancellation.AGAIN_SECONDS", 0.01)
    store, told = asyncio.Event(), []

    async def ask_and_tell(user_key, body):
        await store.wait()
        told.append(user_key)

    typists = Typists(lambda _envelope: None, ask_and_tell)
    connection, _ = open_connection("7")
    typists.set(connection, "a free word", True, None)
    stopping = asyncio.create_task(typists.drain())
    await asyncio.sleep(0)
    if answers:
        store.set()
    await stopping
    store.set()
    assert typists._telling == set()
    assert told == (["7"] if answers else [])
