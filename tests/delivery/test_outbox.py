"""What a process without sockets sends while the channel layer hangs or refuses, and when it is back."""

import asyncio

import pytest

from realtime.delivery import outbox, publishing
from realtime.delivery.backlog import PORTION_BYTES
from realtime.delivery.envelopes import Control, Envelope, Passing
from realtime.delivery.outbox import Outbox
from realtime.delivery.publishing import apublish
from tests.paper import PaperLayer
from tests.patience import PATIENCE_SECONDS


class Layer(PaperLayer):
    """Counts how often something was to be sent."""

    attempts = 0

    async def group_send(self, group, message):
        self.attempts += 1
        await super().group_send(group, message)


@pytest.fixture
async def layer():
    return Layer()


@pytest.fixture
async def box():
    box = Outbox()
    yield box
    if box._retrying is not None:
        box._retrying.cancel()


@pytest.fixture
def never_again(monkeypatch):
    """It does not look whether the layer is back."""
    monkeypatch.setattr(outbox, "RETRY_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def soon_again(monkeypatch):
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.005)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(outbox, "PATIENCE_SECONDS", 0.01)


def event(seq, body=b"{}"):
    return Envelope(events=[("site", seq, body)])


def passing(text):
    return Envelope(passing=[Passing(text.encode(), stream="site")])


def kick(user):
    return Envelope(controls=[Control("disconnect", user=user)])


async def send(box, layer, *envelopes):
    for envelope in envelopes:
        await box.send(layer, "group", envelope)


async def test_it_sends_at_once(box, layer):
    await send(box, layer, event(1), passing("a"), kick("7"))
    assert [layer.seqs, len(layer.sent)] == [[[1], [], []], 3]
    assert {message["origin"] for message in layer.sent} == {outbox.ORIGIN}


async def test_it_sends_in_portions(box, layer):
    large = bytes(PORTION_BYTES // 2)
    whole = Envelope([("site", seq, large) for seq in range(1, 50)], [Passing(large)], [Control("disconnect")])
    await send(box, layer, whole)
    sent = layer.publications
    events = [event for envelope in sent for event in envelope.events]
    assert events == whole.events[: len(events)]
    assert {"site": 49} in [envelope.positions for envelope in sent]
    assert [passing for envelope in sent for passing in envelope.passing] == whole.passing
    assert [control for envelope in sent for control in envelope.controls] == whole.controls
    assert all(len(message["envelope"]) <= PORTION_BYTES for message in layer.sent)


async def test_it_waits_once_for_a_layer_that_hangs(box, layer, impatient, never_again, caplog):
    layer.open.clear()
    await send(box, layer, *map(event, range(1, 30)), kick("7"))
    assert (layer.attempts, layer.sent) == (1, [])
    assert caplog.text.count("The channel layer is away: it does not answer") == 1


class Late(Layer):
    """Delivers at once, and answers the first time too late: this process stood still, or Redis did."""

    async def group_send(self, group, message):
        await super().group_send(group, message)
        if self.attempts == 1:
            await asyncio.Event().wait()


@pytest.mark.django_db
async def test_a_frame_that_is_sent_again_has_the_same_id(box, impatient, soon_again, monkeypatch):
    """So each process delivers it once. A frame of the site's was shown twice."""
    layer, published = Late(), []
    monkeypatch.setattr(publishing.bridge, "publish", published.append)
    for number in (1, 2):
        await apublish("site", {"type": "toast", "n": number}, durable=False)
    await send(box, layer, *published)
    await box._retrying
    frames = [frame for envelope in layer.publications for frame in envelope.passing]
    assert [frame.body[-2:-1] for frame in frames] == [b"1", b"1", b"2"]
    assert frames[0].id == frames[1].id != 0
    assert frames[2].id not in (0, frames[0].id)


async def test_it_says_once_that_a_layer_refuses(box, layer, never_again, caplog):
    layer.failing = True
    await send(box, layer, *map(event, range(1, 30)))
    assert layer.attempts == 1
    assert caplog.text.count("The channel layer is away: the layer is away") == 1
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("failure", ["hangs", "refuses"])
async def test_it_sends_what_waits_when_the_layer_is_back(box, layer, impatient, soon_again, failure, caplog):
    layer.failing = failure == "refuses"
    if failure == "hangs":
        layer.open.clear()
    await send(box, layer, event(1), passing("a"), kick("7"), event(2), passing("b"), kick("8"))
    layer.failing = False
    layer.open.set()
    await box._retrying
    back = layer.publications
    assert [[control.user for control in each.controls] for each in back] == [["7"], ["8"]]
    assert [[frame.body for frame in each.passing] for each in back] == [[b"a"], [b"b"]]
    # What was attempted is read from the log; and where that has to be read anyway, what follows is, too.
    assert [(each.events, each.positions) for each in back] == [([], {}), ([], {"site": 2})]
    with caplog.at_level("INFO"):
        await send(box, layer, event(3))
    assert layer.seqs == [[], [], [3]]


async def test_it_says_that_the_layer_is_back_and_notices_the_next_outage(box, layer, soon_again, caplog):
    caplog.set_level("INFO")
    for seq in (1, 2):
        layer.failing = True
        await send(box, layer, event(seq))
        layer.failing = False
        await box._retrying
    assert [record.getMessage() for record in caplog.records] == [
        "The channel layer is away: the layer is away",
        "The channel layer is available",
    ] * 2


async def test_those_who_wait_at_the_same_moment_say_it_once_and_lose_nothing(
    box, layer, impatient, soon_again, caplog
):
    layer.open.clear()
    await asyncio.gather(*(send(box, layer, passing(str(n))) for n in range(8)))
    assert caplog.text.count("The channel layer is away") == 1
    layer.open.set()
    await box._retrying
    assert {frame.body for envelope in layer.publications for frame in envelope.passing} == {
        str(n).encode() for n in range(8)
    }


async def test_it_gives_up_an_attempt_that_hangs(box, layer, impatient, soon_again, monkeypatch):
    """A layer without time limits of its own would keep it for ever on a connection that has died."""
    monkeypatch.setattr(outbox, "TIMEOUT_SECONDS", 0.01)
    layer.open.clear()
    await send(box, layer, kick("7"))
    await layer.until(lambda: layer.attempts >= 3)
    layer.open.set()
    await box._retrying
    assert [control.user for envelope in layer.publications for control in envelope.controls] == ["7"]


async def test_it_keeps_what_was_not_sent_of_a_publication(box, layer, never_again):
    """Of several portions, the layer took one."""
    send_one = layer.group_send

    async def fail_after_one(group, message):
        layer.failing = bool(layer.sent)
        await send_one(group, message)

    layer.group_send = fail_after_one
    large = bytes(PORTION_BYTES // 2 + 1)
    await send(
        box, layer, Envelope(controls=[Control("disconnect", user="7")], passing=[Passing(large), Passing(large)])
    )
    assert [control.user for control in layer.publications[0].controls] == ["7"]
    assert box._waiting.take().passing == [Passing(large)]
    assert box._waiting.take().passing == [Passing(large)]


async def test_it_keeps_what_a_caller_has_given_up(box, never_again):
    begun = asyncio.Event()

    class Stubborn(Layer):
        async def group_send(self, group, message):
            begun.set()
            await asyncio.Event().wait()

    sending = asyncio.create_task(box.send(Stubborn(), "group", passing("kept")))
    await begun.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert [one.body for one in box._waiting.take().passing] == [b"kept"]
    assert box._retrying is not None
