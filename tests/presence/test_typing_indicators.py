"""Who is typing where, and what is heard of it when a process stops."""

import asyncio
import json

import pytest

from realtime.presence.typing_indicators import TypingIndicators
from tests.paper import open_connection
from tests.patience import PATIENCE_SECONDS


@pytest.mark.parametrize("answers", [True, False])
async def test_it_asks_the_store_nothing_any_more_once_it_has_stopped(monkeypatch, answers):
    """The store of presence was closed meanwhile: the question opened another connection, which nobody closed."""
    monkeypatch.setattr("realtime.presence.typing_indicators.PATIENCE_SECONDS", PATIENCE_SECONDS if answers else 0.01)
    monkeypatch.setattr("realtime.storage.tasks.AGAIN_SECONDS", 0.01)
    store, heard = asyncio.Event(), []

    async def ask_and_send(user_key, body):
        await store.wait()
        heard.append(user_key)

    typing = TypingIndicators(lambda _envelope: None, ask_and_send)
    connection, _ = open_connection("7")
    typing.set(connection, "a free word", True, None)
    stopping = asyncio.create_task(typing.drain())
    await asyncio.sleep(0)
    if answers:
        store.set()
    await stopping
    store.set()
    assert typing._sending == set()
    assert heard == (["7"] if answers else [])


async def test_an_end_does_not_overtake_its_beginning():
    """The store was asked on two connections, and the second may answer first: others saw the user type on."""
    slow, heard = asyncio.Event(), []

    async def ask_and_send(user_key, body):
        if json.loads(body)["data"]["is_typing"]:
            await slow.wait()
        heard.append(json.loads(body)["data"]["is_typing"])

    typing = TypingIndicators(lambda _envelope: None, ask_and_send)
    connection, _ = open_connection("7")
    typing.set(connection, "a free word", True, None)
    await asyncio.sleep(0)
    typing.set(connection, "a free word", False, None)
    await asyncio.sleep(0)
    slow.set()
    await typing.drain()
    assert heard == [True, False]


async def test_one_that_cannot_be_announced_keeps_no_other(caplog):
    heard = []

    async def fail_for_one(user_key, body):
        if (context := json.loads(body)["data"]["context"]) == "one":
            raise LookupError("no friends")
        heard.append(context)

    typing = TypingIndicators(lambda _envelope: None, fail_for_one)
    connection, _ = open_connection("7")
    for context in ("one", "two"):
        typing.set(connection, context, True, None)
    await typing.drain()
    assert heard == ["two"]
    assert "Typing was not announced: no friends" in caplog.text
    assert typing._waiting == {}
