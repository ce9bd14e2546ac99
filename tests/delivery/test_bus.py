"""What processes send each other, over a layer that fails on request."""

import asyncio
import contextlib
import time

import pytest

from realtime.delivery import bus as buses
from realtime.delivery.backlog import PORTION_BYTES
from realtime.delivery.bus import Bus
from realtime.delivery.envelopes import Control, Envelope, Passing, pack
from tests.paper import PaperLayer
from tests.patience import PATIENCE_SECONDS

BEAT_SECONDS = 0.01


class Ear:
    """What a bus delivers to its hub."""

    recoveries = 0

    def __init__(self):
        self.heard = []

    def recover(self):
        self.recoveries += 1

    async def hear(self, envelope):
        self.heard.append(envelope)


@pytest.fixture(autouse=True)
def short_waits(settings, monkeypatch):
    settings.REALTIME = {**settings.REALTIME, "BUS_BEAT_SECONDS": BEAT_SECONDS}
    monkeypatch.setattr(buses, "RETRY_SECONDS", 0.005)


@pytest.fixture
async def open_bus():
    opened = []

    def make(origin, ear, on_envelope=None):
        bus = Bus(origin, on_envelope or ear.hear, ear.recover)
        bus.start()
        opened.append(bus)
        return bus

    yield make
    for bus in opened:
        await bus.stop()


@pytest.fixture
async def layer(monkeypatch):
    layer = PaperLayer()
    monkeypatch.setattr(buses, "shared_layer", lambda: layer)
    monkeypatch.setattr(buses, "get_channel_layer", lambda: layer)
    return layer


def event(seq):
    return Envelope(events=[("site", seq, b"{}")])


def from_other(envelope):
    return {"type": "realtime", "origin": "other", "beat": envelope.beat, "envelope": pack(envelope)}


async def test_it_leaves_no_channel_in_the_group_that_nobody_reads(open_bus, layer, monkeypatch):
    """The layer counts a channel in before it asks Redis, and keeps what comes for it until somebody reads it."""
    add, failures = layer.group_add, [ConnectionError("away"), ConnectionError("away")]

    async def add_and_fail(group, channel):
        await add(group, channel)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(layer, "group_add", add_and_fail)
    bus = open_bus("one", Ear())
    await layer.until(lambda: not bus.is_down)
    assert failures == []
    assert [len(channels) for channels in layer._groups.values()] == [1]


async def test_it_is_silent_in_a_site_of_one_process(settings, open_bus):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    ear = Ear()
    bus = open_bus("one", ear)
    bus.publish(event(1))
    assert (bus.is_down, ear.recoveries) == (False, 0)


async def test_it_sends_to_the_others_and_not_itself(layer, open_bus):
    one, two = Ear(), Ear()
    bus, other = open_bus("one", one), open_bus("two", two)
    await layer.until(lambda: not bus.is_down and not other.is_down)
    whole = Envelope([("site", 1, b"{}")], [Passing(b"{}", users=("7",))], [Control("disconnect", user="7")])
    bus.publish(whole)
    await layer.until(lambda: any(e.events for e in two.heard))
    heard = [(e.events, e.passing, e.controls) for e in two.heard if e.events]
    assert heard == [(whole.events, whole.passing, whole.controls)]
    assert not any(e.events for e in one.heard)


async def test_it_gathers_while_it_publishes(layer, open_bus):
    bus = open_bus("one", Ear())
    await layer.until(lambda: not bus.is_down)
    layer.open.clear()
    bus.publish(event(1))
    await layer.until(lambda: not bus._waiting.bytes)
    for seq in (2, 3, 4):
        bus.publish(event(seq))
    layer.open.set()
    await layer.until(lambda: len(layer.publications) == 2)
    assert layer.seqs == [[1], [2, 3, 4]]


async def test_it_tries_again_without_what_is_in_the_log(layer, open_bus):
    """Each attempt would carry more: nobody needs events that are late, because the log has them."""
    bus = open_bus("one", Ear())
    await layer.until(lambda: not bus.is_down)
    layer.failing = True
    bus.publish(
        Envelope([("site", 1, b"{}"), ("room.a", 5, b"{}")], [Passing(b"1")], [Control("disconnect", user="7")])
    )
    bus.publish(event(2))
    await layer.until(lambda: bus.is_down)
    bus.publish(Envelope([("site", 3, b"{}")], [Passing(b"2")], [Control("disconnect", user="8")]))
    layer.failing = False
    await layer.until(lambda: len(layer.publications) == 2)
    # A frame that was published after a control is sent behind it, and the positions are last.
    sent = layer.publications
    assert [(each.events, each.positions) for each in sent] == [([], {}), ([], {"site": 3, "room.a": 5})]
    assert [passing.body for each in sent for passing in each.passing] == [b"1", b"2"]
    assert [control.user for each in sent for control in each.controls] == ["7", "8"]


async def test_it_sends_much_in_portions(layer, open_bus):
    bus = open_bus("one", Ear())
    await layer.until(lambda: not bus.is_down)
    large = bytes(PORTION_BYTES // 3)
    bus.publish(Envelope(events=[("site", seq, large) for seq in range(1, 8)], controls=[Control("disconnect")]))
    await layer.until(lambda: not bus._waiting and len(layer.publications) == 5)
    assert layer.seqs == [[], [1, 2], [3, 4], [5, 6], [7]]
    assert layer.publications[0].controls == [Control("disconnect")]
    assert all(len(message["envelope"]) <= PORTION_BYTES for message in layer.sent)


async def test_it_notices_that_its_beats_are_lost_and_come_back(layer, open_bus, caplog):
    ear = Ear()
    bus = open_bus("one", ear)
    assert bus.is_down  # until it has heard itself
    await layer.until(lambda: ear.recoveries == 1)
    layer.deaf = True
    await layer.until(lambda: bus.is_down)
    assert "its beats are not heard" in caplog.text
    layer.deaf = False
    await layer.until(lambda: ear.recoveries == 2)
    assert not bus.is_down


@pytest.mark.parametrize("outage", ["failing", "deaf"])
async def test_a_layer_that_is_away_from_the_start_is_in_the_log(layer, open_bus, caplog, outage):
    caplog.set_level("INFO")
    setattr(layer, outage, True)
    ear = Ear()
    open_bus("one", ear)
    await layer.until(lambda: caplog.records)
    setattr(layer, outage, False)
    await layer.until(lambda: ear.recoveries == 1)
    texts = [record.getMessage().split(":")[0] for record in caplog.records]
    assert texts == ["The channel layer is away", "The channel layer is available"]


@pytest.mark.parametrize("has_read", [True, False])
async def test_a_process_that_stood_still_does_not_blame_the_layer(layer, open_bus, monkeypatch, caplog, has_read):
    """On waking it publishes the next beat, and reads the answer to the last one after that."""
    receive, heard = layer.receive, []

    def stand_still():
        time.sleep(5 * BEAT_SECONDS)

    async def receive_and_stand_still(channel):
        if has_read and heard[-1:] == [3]:
            stand_still()
        message = await receive(channel)
        heard.append(message["beat"])
        if not has_read and message["beat"] == 3:
            stand_still()
            await layer.until(lambda: layer.sent[-1]["beat"] > 3)
        return message

    monkeypatch.setattr(layer, "receive", receive_and_stand_still)
    open_bus("one", Ear())
    await layer.until(lambda: len(heard) > 5)
    assert "away" not in caplog.text


async def test_it_does_not_take_anothers_beat_for_its_own(layer, open_bus):
    bus = open_bus("one", ear := Ear())
    layer.deaf = True
    layer.bring(from_other(Envelope(beat=1)))
    await layer.until(lambda: len(layer.sent) > 3)
    assert (bus.is_down, ear.recoveries) == (True, 0)


class PubSubLayer(PaperLayer):
    """Its method `flush` closes connections; that of other layers deletes what all processes have there."""

    __module__ = "channels_redis.pubsub"


@pytest.mark.parametrize("kind", [PubSubLayer, PaperLayer])
async def test_it_leaves_a_layer_on_which_it_hears_nothing(layer, open_bus, monkeypatch, kind):
    monkeypatch.setattr(buses, "DEAF_BEATS", 3)
    second, third = kind(), kind()
    made = iter([second, third])
    monkeypatch.setattr(buses.channel_layers, "make_backend", lambda alias: next(made))
    layer.deaf = second.deaf = True
    ear = Ear()
    bus = open_bus("one", ear)
    await third.until(lambda: ear.recoveries == 1)
    bus.publish(event(1))
    await third.until(lambda: third.publications)
    assert third.seqs == [[1]]
    # The site's own consumers may be listening to the first one.
    is_pubsub = kind is PubSubLayer
    assert (layer.flushed, second.flushed, third.flushed) == (False, is_pubsub, False)
    assert (layer.has_closed_pools, second.has_closed_pools) == (False, not is_pubsub)


@pytest.mark.parametrize(
    "broken",
    [
        {"origin": "other", "beat": 0, "envelope": b"\xc1"},
        {"origin": "other", "beat": 0, "envelope": pack(event(1))[:-1]},
        {"origin": "other", "beat": 0},
        None,
    ],
)
async def test_it_passes_over_what_it_cannot_read(layer, open_bus, caplog, broken):
    ear = Ear()
    bus = open_bus("one", ear)
    await layer.until(lambda: not bus.is_down)
    layer.bring(broken)
    layer.bring(from_other(event(2)))
    await layer.until(lambda: ear.heard)
    assert ear.heard[0].events == [("site", 2, b"{}")]
    assert caplog.text.count("could not be read") == 1


async def test_it_goes_on_when_something_cannot_be_delivered(layer, open_bus, caplog):
    ear = Ear()

    async def deliver(envelope):
        ear.heard.append(envelope)
        if len(ear.heard) == 1:
            raise RuntimeError("broken")

    bus = open_bus("one", ear, deliver)
    await layer.until(lambda: not bus.is_down)
    for seq in (1, 2):
        layer.bring(from_other(event(seq)))
    await layer.until(lambda: len(ear.heard) == 2)
    assert "RuntimeError: broken" in caplog.text


async def test_it_listens_again_after_an_error(layer, open_bus):
    ear = Ear()
    bus = open_bus("one", ear)
    await layer.until(lambda: not bus.is_down)
    layer.bring(ConnectionError("lost"))
    layer.bring(from_other(event(1)))
    await layer.until(lambda: ear.heard and ear.recoveries == 2)


async def test_it_starts_while_the_layer_is_away(layer, open_bus):
    layer.failing = True
    bus = open_bus("one", Ear())
    bus.publish(event(1))
    await layer.until(lambda: bus._waiting)
    layer.failing = False
    await layer.until(lambda: layer.publications and not bus.is_down)


async def test_it_sends_what_is_waiting_before_it_stops(layer, open_bus):
    bus = open_bus("one", Ear())
    await layer.until(lambda: not bus.is_down)
    layer.open.clear()
    bus.publish(event(1))
    await layer.until(lambda: not bus._waiting.bytes)  # it is under way
    bus.publish(event(2))
    stopping = asyncio.create_task(bus.stop())
    layer.open.set()
    await asyncio.wait_for(stopping, PATIENCE_SECONDS)
    assert layer.publications[-1].positions == {"site": 2}


async def test_it_lets_the_layer_give_up_its_channel(layer, open_bus, monkeypatch):
    """Redis took half a second for that, and the layer logged an error because it was cancelled meanwhile."""
    monkeypatch.setattr("realtime.storage.tasks.AGAIN_SECONDS", 0.001)
    receive, given_up = layer.receive, []

    async def receive_and_clean_up(channel):
        try:
            return await receive(channel)
        except asyncio.CancelledError:
            await asyncio.sleep(0.02)
            given_up.append(channel)
            raise

    monkeypatch.setattr(layer, "receive", receive_and_clean_up)
    bus = open_bus("one", Ear())
    await layer.until(lambda: not bus.is_down)
    await bus.stop()
    assert given_up == ["channel-1"]


async def test_it_stops_although_the_layer_loses_a_cancellation(layer, open_bus, monkeypatch):
    """As redis-py does on Python 3.11. It is cancelled again late only: it might be giving up its channel."""
    monkeypatch.setattr(buses, "LEAVE_SECONDS", 10 * PATIENCE_SECONDS)
    begun = asyncio.Event()

    async def add_and_go_on(group, channel):
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(layer, "group_add", add_and_go_on)
    bus = open_bus("one", Ear())
    await begun.wait()
    await asyncio.wait_for(bus.stop(), PATIENCE_SECONDS)
