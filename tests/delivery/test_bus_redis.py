"""Much that is sent from one process to another over a real Redis, also over one that hangs meanwhile."""

import asyncio
import uuid
from contextlib import asynccontextmanager
from signal import SIGCONT, SIGSTOP

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis.exceptions import ConnectionError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from realtime.delivery import bus as buses
from realtime.delivery.backlog import PORTION_BYTES, WAITING_BYTES
from realtime.delivery.bus import Bus
from realtime.delivery.envelopes import Control, Envelope, Passing, pack
from realtime.delivery.reader_errors import LOGGER, ReaderErrors
from tests.backends.redis_server import REDIS_URL, own_redis_prefix
from tests.clients.socket import until
from tests.patience import PATIENCE_SECONDS
from tests.sites.processes import Redis

MESSAGE = bytes(range(256)) * 160  # 40 KB


@pytest.fixture(autouse=True)
def short_waits(settings, monkeypatch):
    settings.REALTIME = {
        **settings.REALTIME,
        "BUS_BEAT_SECONDS": 0.01,
        "KEY_PREFIX": f"test-{uuid.uuid4().hex}",
    }
    monkeypatch.setattr(buses, "RETRY_SECONDS", 0.005)
    # The layer begins to read after a tenth of a second: ten beats of this file's, and the bus would leave it as deaf.
    monkeypatch.setattr(buses, "DEAF_BEATS", 1_000_000)


@asynccontextmanager
async def open_buses(url, monkeypatch):
    """A bus that hears itself, and a queue of what another one has heard from it."""
    layers = [RedisPubSubChannelLayer(hosts=[{"address": url, "socket_timeout": PATIENCE_SECONDS}]) for _ in range(2)]
    remaining, delivered = iter(layers), asyncio.Queue()
    monkeypatch.setattr(buses, "shared_layer", lambda: next(remaining))
    up = [asyncio.Event(), asyncio.Event()]
    one, two = (Bus(name, delivered.put, heard.set) for name, heard in zip(("one", "two"), up, strict=True))
    async with asyncio.timeout(PATIENCE_SECONDS):
        for bus, heard in zip((one, two), up, strict=True):
            bus.start()
            await heard.wait()
        yield one, delivered
    await asyncio.gather(one.stop(), two.stop())
    await asyncio.gather(*(layer.flush() for layer in layers))


async def test_it_sends_portions(monkeypatch):
    with own_redis_prefix():
        async with open_buses(REDIS_URL, monkeypatch) as (bus, delivered):
            events = [("site", seq, MESSAGE) for seq in range(1, 101)]
            for event in events:
                bus.publish(Envelope([event], [Passing(b"%d" % event[1])], [Control("disconnect", user=str(event[1]))]))
            received = []
            while sum(len(envelope.passing) for envelope in received) < 100:
                received.append(await delivered.get())
        assert [event for envelope in received for event in envelope.events] == events
        assert [int(passing.body) for envelope in received for passing in envelope.passing] == list(range(1, 101))
        assert [int(control.user) for envelope in received for control in envelope.controls] == list(range(1, 101))
        assert max(len(pack(envelope)) for envelope in received) <= PORTION_BYTES


async def test_it_comes_back_from_a_hang_with_much_to_send(monkeypatch):
    """By default, Redis refuses half a gigabyte in one message, and this one refuses 2 MB."""
    with Redis("--proto-max-bulk-len", "2mb") as redis:
        async with open_buses(redis.url, monkeypatch) as (bus, delivered):
            redis.signal(SIGSTOP)
            kicks = [Control("disconnect", user=str(number)) for number in range(100)]
            for seq in range(1, 1_001):
                bus.publish(Envelope([("site", seq, MESSAGE)], controls=[kicks[seq % 100]]))
                if seq == 1:
                    await asyncio.sleep(0)  # so that the first one is under way
            assert bus._waiting.bytes < 2 * WAITING_BYTES
            redis.signal(SIGCONT)
            received, heard = [], set()
            while not any(envelope.positions for envelope in received) or len(heard) < 100:
                received.append(await delivered.get())
                heard.update(received[-1].controls)
        sent = [seq for envelope in received for _, seq, _ in envelope.events]
        assert sent == list(range(1, len(sent) + 1))
        assert [envelope.positions for envelope in received if envelope.positions] == [{"site": 1_000}]


async def test_an_outage_is_two_lines_in_the_log(monkeypatch, caplog):
    """The layer logged a traceback each second."""
    caplog.set_level("INFO")
    with Redis() as redis:
        async with open_buses(redis.url, monkeypatch) as (bus, _):
            caplog.clear()
            errors = bus._reader_errors
            await asyncio.to_thread(redis.stop)
            await until(lambda: bus.is_down and errors.last)
            redis.start()
            await asyncio.to_thread(redis.wait_ready)
            await until(lambda: not bus.is_down)
            assert errors.last == ""
        lines = [(record.name, record.getMessage()) for record in caplog.records if record.levelname != "DEBUG"]
    assert [name for name, _ in lines] == ["realtime.delivery.bus"] * 4  # of two buses
    assert sorted(line.partition(":")[0] for _, line in lines) == [
        *["The channel layer is available"] * 2,
        *["The channel layer is away"] * 2,
    ]


def test_other_errors_of_the_layer_stay_in_the_log(caplog):
    errors = ReaderErrors()
    errors.start()
    try:
        for error in (ResponseError("no"), ConnectionError("x"), RedisTimeout("late"), OSError("gone"), KeyError("k")):
            try:
                raise error
            except Exception:
                LOGGER.exception("Unexpected exception in receive task")
    finally:
        errors.stop()
    LOGGER.error("later")
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [ResponseError, KeyError, None]
    assert errors.last == "gone"
