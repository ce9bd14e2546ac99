"""Synchronous functions in a process without sockets, from any thread or loop. Forks and gevent: `tests.processes`."""

import asyncio
import selectors
import threading

import pytest
from django.core.exceptions import SynchronousOnlyOperation

import realtime
from notifications import notify
from realtime.delivery import bridge, unseen_loop
from realtime.delivery.unseen_loop import UnseenLoop
from realtime.manager import manager
from realtime.models import Event
from realtime.storage.database import run
from tests.delivery.publications import numbers, say
from tests.paper import PaperLayer
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)
TWIN = "await the asynchronous twin"


@pytest.fixture
def layer(monkeypatch):
    layer = PaperLayer()
    monkeypatch.setattr(bridge, "shared_layer", lambda: layer)
    return layer


def test_it_publishes_from_many_threads(layer):
    threads = [threading.Thread(target=say, args=(n, "site", False)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(layer.publications)) == [[n] for n in range(8)]


def test_it_publishes_from_one_event_loop_after_the_other(layer):
    for n in range(3):
        asyncio.run(realtime.apublish("site", {"type": "test", "n": n}))
        assert asyncio.run(manager.aget_online_count()) == 0
    say(3)
    assert numbers(layer.publications) == [[0], [1], [2], [3]]
    assert manager.get_online_count() == 0


async def test_it_works_where_a_loop_runs_already(layer):
    """As in a notebook, whose cells run on an event loop."""
    realtime.publish("site", {"type": "test", "n": 1}, durable=False)
    realtime.disconnect_user(7)
    assert numbers(layer.publications) == [[1], []]
    assert manager.get_online_count() == 0
    assert not manager.is_user_online(7)
    assert manager.get_online_users() == []


@pytest.mark.parametrize("page", [{"limit": -1}, {"offset": -1}, {"limit": 10, "offset": -20}])
def test_it_refuses_a_page_that_cannot_be(layer, page):
    """In memory it was an error of another function, and in Redis users from the end."""
    with pytest.raises(ValueError, match=r"`limit` and `offset` are 0 or more"):
        manager.get_online_users(**page)


async def test_it_says_what_to_call_where_a_loop_runs_already(layer):
    with pytest.raises(SynchronousOnlyOperation, match=TWIN):
        realtime.publish("site", {"type": "test", "n": 1})
    with pytest.raises(SynchronousOnlyOperation, match=TWIN):
        realtime.send_to_user(7, {"type": "test", "n": 1})
    with pytest.raises(SynchronousOnlyOperation, match=TWIN):
        realtime.create_room(7, title="General")
    with pytest.raises(SynchronousOnlyOperation, match=TWIN):
        notify(7, "new_follower")
    assert await run(Event.objects.count) == 0
    await realtime.apublish("site", {"type": "test", "n": 2})
    assert numbers(layer.publications) == [[2]]


async def test_it_refuses_to_wait_for_the_loop_of_the_sockets(site, alice):
    await site.connect(alice)
    assert bridge.home_loop() is asyncio.get_running_loop()
    with pytest.raises(RuntimeError, match=TWIN):
        manager.get_online_count()
    assert await manager.aget_online_count() == 1
    assert await asyncio.to_thread(manager.get_online_count) == 1


# The loop


def on(loop, work):
    return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_SECONDS)


@pytest.fixture
def loop():
    loop = UnseenLoop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_it_counts_as_running_only_while_it_does_something(monkeypatch):
    """Under gevent, other greenlets run meanwhile: while it waits for I/O, and for a thread to start."""
    seen = []
    waiting = unseen_loop.make_selector

    def make_selector():
        selector = waiting()
        select = selector.select

        def look(timeout=None):
            seen.append(asyncio._get_running_loop())
            return select(timeout)

        selector.select = look
        return selector

    monkeypatch.setattr(unseen_loop, "make_selector", make_selector)
    start = threading.Thread.start

    def start_and_look(thread):
        seen.append(asyncio._get_running_loop())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_and_look)

    async def work():
        await asyncio.sleep(0.001)
        return await asyncio.to_thread(lambda: 7), asyncio.get_running_loop()

    loop = UnseenLoop()
    outcome = loop.run_until_complete(work())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert outcome == (7, loop)
    # Another thread waits for the threads of the pool at the end, and is started by asyncio in the same way.
    assert len(seen) > 3
    assert set(seen[:3]) == {None}


def test_it_leaves_a_loop_that_runs_around_it_as_it_was(loop):
    async def outer():
        inner = UnseenLoop()
        running = asyncio.get_running_loop()
        inner.call_soon(inner.stop)
        inner.run_forever()
        inner.close()
        assert asyncio.get_running_loop() is running
        return running

    assert on(loop, outer()) is loop


def test_it_does_not_share_what_it_waits_for_with_processes_that_are_forked(loop):
    assert not isinstance(loop._selector, getattr(selectors, "EpollSelector", ()))


def test_it_ends_in_a_new_process():
    """Where threads are greenlets, it goes on there."""
    loop = UnseenLoop()
    loop.call_soon(setattr, loop, "_made_in", -1)
    loop.call_later(PATIENCE_SECONDS, loop.stop)
    loop.call_soon(loop.call_soon, int)
    loop.run_forever()
    assert not loop._io.get_map()
    loop.close()
