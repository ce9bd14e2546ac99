"""Topics over sockets: who may subscribe, and what comes then."""

import asyncio
import importlib
import threading

import pytest

import realtime
from realtime.delivery import publishing
from realtime.protocol.errors import ErrorCode
from realtime.sockets.node import get_node
from realtime.storage.database import run
from tests.clients.socket import is_refused, until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("no_topics")
LONG = 60.0  # seconds between calls
NOW = "2025-10-22T10:00:00.000000Z"


def value():
    return 1


async def publish(name, data):
    await realtime.apublish(f"topic.{name}", {"type": "topic", "topic": name, "data": data, "timestamp": NOW})


async def test_it_sends_values_to_who_has_subscribed(site, alice, bob):
    realtime.topic("news")
    reader, stranger = await site.connect(alice), await site.connect(bob)
    answer = await reader.ask("subscribe", topic="news", id="s-1")
    assert answer == {"type": "subscribed", "topic": "news", "seq": 0, "id": "s-1"}
    await publish("news", "one")
    assert (await reader.find("topic"))["data"] == "one"
    assert "topic" not in {frame["type"] for frame in await stranger.settle()}
    answer = await reader.ask("unsubscribe", topic="news", id="s-2")
    assert answer == {"type": "unsubscribed", "topic": "news", "id": "s-2"}
    await publish("news", "two")
    assert "topic" not in {frame["type"] for frame in await reader.settle()}
    assert is_refused(await reader.ask("unsubscribe", topic="news"), ErrorCode.NOT_FOUND)


async def test_it_sends_a_value_of_the_function_at_once_to_each(site, alice, bob):
    calls = []
    realtime.topic("metrics", every=LONG)(lambda: calls.append(1) or {"calls": len(calls)})
    for user in (alice, bob, alice):
        socket = await site.connect(user)
        await socket.send({"type": "subscribe", "topic": "metrics"})
        assert (await socket.find("subscribed"))["seq"] == 0
        assert (await socket.find("topic"))["data"] == {"calls": 1}


async def test_the_demos_metrics_are_of_the_machine(site, alice):
    import project.topics

    importlib.reload(project.topics)
    socket = await site.connect(alice)
    await socket.send({"type": "subscribe", "topic": "metrics"})
    data = (await socket.find("topic"))["data"]
    assert len(data["load"]) == 3
    assert data["online_count"] >= 1


async def test_it_hides_a_topic_from_who_may_not_subscribe(site, alice, bob):
    asked = []
    realtime.topic("staff", allow=lambda user_id: asked.append(user_id) or user_id == alice.pk)
    insider, outsider = await site.connect(alice), await site.connect(bob)
    assert (await insider.ask("subscribe", topic="staff"))["type"] == "subscribed"
    hidden = await outsider.ask("subscribe", topic="staff", id="x")
    unknown = await outsider.ask("subscribe", topic="unknown", id="x")
    assert is_refused(hidden, ErrorCode.NOT_FOUND)
    assert {**hidden, "timestamp": ""} == {**unknown, "timestamp": ""}
    assert asked == [alice.pk, bob.pk]
    await publish("staff", "among us")
    assert (await insider.find("topic"))["data"] == "among us"
    assert "topic" not in {frame["type"] for frame in await outsider.settle()}


async def test_it_lets_nobody_in_when_asking_fails(site, alice, caplog):
    def fail(user_id):
        raise RuntimeError("broken")

    realtime.topic("staff", allow=fail)
    socket = await site.connect(alice)
    assert is_refused(await socket.ask("subscribe", topic="staff"), ErrorCode.NOT_FOUND)
    assert "its `allow` failed" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, 7, None])
async def test_it_refuses_bad_names_of_clients(site, alice, name):
    socket = await site.connect(alice)
    for command in ("subscribe", "unsubscribe"):
        assert is_refused(await socket.ask(command, topic=name), ErrorCode.INVALID_MESSAGE)


async def test_it_replays_a_durable_topic(site, alice):
    realtime.topic("kept", durable=True)
    for data in ("one", "two", "three"):
        await publish("kept", data)
    socket = await site.connect(alice)
    answer = await socket.ask("subscribe", topic="kept", since=1)
    assert (answer["seq"], answer["recovered"]) == (3, True)
    assert [(await socket.find("topic"))["data"] for _ in range(2)] == ["two", "three"]
    await publish("kept", "four")
    assert (await socket.find("topic"))["seq"] == 4
    late = await site.connect(alice)
    assert (await late.ask("subscribe", topic="kept"))["seq"] == 4
    lost = await late.ask("subscribe", topic="kept", since=9)  # from the future
    assert (lost["seq"], lost["recovered"], lost.get("fetch")) == (4, False, None)


async def test_it_asks_anew_when_streams_are_resumed(site, alice):
    allowed = {alice.pk}
    realtime.topic("staff", durable=True, allow=lambda user_id: user_id in allowed)
    await publish("staff", "one")
    socket = await site.connect(alice)
    await socket.send({"type": "resume", "streams": {"topic.staff": 0}})
    assert (await socket.find("topic"))["data"] == "one"
    assert (await socket.find("resumed"))["streams"] == {"topic.staff": {"recovered": True, "seq": 1}}
    allowed.clear()
    await socket.send({"type": "resume", "streams": {"topic.staff": 0, "topic.unknown": 0}})
    refused = [await socket.find("error") for _ in range(2)]
    assert {(frame["error_code"], frame["stream"]) for frame in refused} == {
        ("NOT_FOUND", "topic.staff"),
        ("NOT_FOUND", "topic.unknown"),
    }
    assert (await socket.find("resumed"))["streams"] == {}
    await publish("staff", "two")
    assert "topic" not in {frame["type"] for frame in await socket.settle()}


async def test_a_session_takes_its_topics_along(site, alice):
    realtime.topic("metrics", every=LONG)(value)
    realtime.topic("kept", durable=True)
    socket = await site.connect(alice)
    for name in ("metrics", "kept"):
        await socket.ask("subscribe", topic=name)
    await socket.expect("topic", topic="metrics")  # a value that is kept for who comes next
    await get_node().keeper.save()  # as happens once a second
    await socket.close()
    await publish("kept", "missed")
    back = await site.connect(alice, path=f"/api/v1/ws/reconnect/{socket.greeting['session_id']}")
    frames = []
    while (frame := await back.receive())["type"] != "resumed":
        frames.append(frame)
    assert {"topic.metrics", "topic.kept"} <= set(frame["streams"])
    assert {frame["data"] for frame in frames if frame["type"] == "topic"} == {1, "missed"}


async def test_it_takes_a_topic_away(site, alice):
    realtime.topic("staff")
    socket = await site.connect(alice)
    await socket.ask("subscribe", topic="staff")
    await run(publishing.unsubscribe, alice.pk, "topic.staff")
    assert await socket.find("unsubscribed") == {"type": "unsubscribed", "topic": "staff", "reason": "REMOVED"}
    await publish("staff", "among us")
    assert "topic" not in {frame["type"] for frame in await socket.settle()}


async def test_it_gives_no_topic_that_is_taken_away_while_the_right_is_looked_up(site, alice):
    """The look-up had begun before the right went, and what it found was out of date."""
    asked, go_on = threading.Event(), threading.Event()

    def allow(user_id):
        asked.set()
        return go_on.wait(PATIENCE_SECONDS)

    realtime.topic("news", allow=allow)
    commands = {"type": "subscribe", "topic": "news"}, {"type": "resume", "streams": {"topic.news": 0}}
    for command, answer in zip(commands, ("error", "resumed"), strict=True):
        socket = await site.connect(alice)
        asked.clear()
        go_on.clear()
        await socket.send({**command, "id": "c-1"})
        assert await asyncio.to_thread(asked.wait, PATIENCE_SECONDS)
        await run(publishing.unsubscribe, alice.pk, "topic.news")
        assert (await socket.find("unsubscribed"))["reason"] == "REMOVED"
        go_on.set()
        while (frame := await socket.receive())["type"] != answer:
            assert frame["type"] == "error", frame
        await publish("news", "one")
        assert "topic" not in {frame["type"] for frame in await socket.settle()}


@pytest.mark.parametrize("is_wrapped", [False, True])
async def test_allow_may_be_asynchronous(site, alice, bob, is_wrapped):
    """A coroutine is true, so everybody could subscribe."""

    async def allow(user_id):
        return user_id == alice.pk

    def wrapped(user_id):
        return allow(user_id)

    realtime.topic("staff", allow=wrapped if is_wrapped else allow)
    reader, stranger = await site.connect(alice), await site.connect(bob)
    assert is_refused(await stranger.ask("subscribe", topic="staff"), ErrorCode.NOT_FOUND)
    assert (await reader.ask("subscribe", topic="staff"))["type"] == "subscribed"


async def test_an_allow_that_hangs_keeps_nobody_who_is_disabled(site, alice, bob, configure):
    """The recheck of users waited for that of topics."""
    configure(AUTH_RECHECK_SECONDS=0.1)
    release, asked = asyncio.Event(), []

    async def allow(user_id):
        asked.append(user_id)
        if len(asked) > 1:
            await release.wait()
        return True

    realtime.topic("news", allow=allow, recheck=True)
    reader, other = await site.connect(alice), await site.connect(bob)
    await reader.ask("subscribe", topic="news", id="s-1")
    await until(lambda: len(asked) > 1)
    await run(type(bob).objects.filter(pk=bob.pk).update, is_active=False)
    assert await other.ending() == (4403, "USER_DISABLED")
    release.set()
