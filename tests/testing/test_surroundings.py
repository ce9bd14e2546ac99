"""What happens around sockets in a site's tests: views, fixtures, presence, topics, settings."""

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpResponse
from django.test import TestCase, override_settings
from django.urls import include, path
from django.utils.decorators import sync_only_middleware

import realtime
from notifications import anotify, notify
from realtime.manager import manager
from realtime.testing import assert_published, connect, other_process, published
from tests.people import PASSWORD, make_user

SYNCHRONOUS = ["tests.testing.test_surroundings.pass_on"]


@sync_only_middleware
def pass_on(get_response):
    """A middleware around asynchronous views: asgiref then runs the view inside a thread that waits for it."""

    def respond(request):
        return get_response(request)

    return respond


def tell(request, pk):
    notify(pk, "new_follower", title="From a view", message="there")
    return HttpResponse()


async def atell(request, pk):
    await anotify(pk, "new_follower", title="From a view", message="there")
    return HttpResponse()


def tell_in_turn(request, pk):
    async_to_sync(anotify)(pk, "new_follower", title="From a view", message="there")
    return HttpResponse()


urlpatterns = [
    path("tell/<int:pk>", tell),
    path("atell/<int:pk>", atell),
    path("tell_in_turn/<int:pk>", tell_in_turn),
    path("", include("realtime.urls")),
]


async def check_views(client, user):
    for view in ("tell", "atell", "tell_in_turn"):
        async with connect(user) as socket:
            assert (await client.get(f"/{view}/{user.pk}")).status_code == 200
            await socket.expect("notification", title="From a view")


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=SYNCHRONOUS)
class Views(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_user("alice")

    async def test_a_view_reaches_sockets(self):
        await check_views(self.async_client, self.alice)

    def test_a_view_publishes(self):
        for view in ("tell", "atell", "tell_in_turn"):
            with assert_published(f"user.{self.alice.pk}", "notification", title="From a view"):
                self.client.get(f"/{view}/{self.alice.pk}")


@pytest.mark.django_db
@pytest.mark.urls(__name__)
async def test_a_view_reaches_sockets(alice, async_client, settings):
    settings.MIDDLEWARE = SYNCHRONOUS
    await check_views(async_client, alice)


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls(__name__)
async def test_a_view_reaches_sockets_after_a_real_commit(alice, async_client, settings):
    settings.MIDDLEWARE = SYNCHRONOUS
    await check_views(async_client, alice)


@pytest.mark.django_db
async def test_a_logout_over_rest_closes_the_socket(alice, async_client):
    async with published():  # so that the client sees alice
        login = await async_client.post("/api/v1/auth/token", {"username": "alice", "password": PASSWORD})
        async with connect(query={"token": login.json()["access"]}) as socket:
            await socket.expect("connected")
            answer = await async_client.post("/api/v1/auth/logout", {"refresh": login.json()["refresh"]})
            assert answer.status_code == 204
            await socket.expect_closed(4401)


@pytest.fixture
async def hers(alice):
    async with connect(alice) as socket:
        yield socket


@pytest.fixture
def frames(db):
    with published() as frames:
        yield frames


@pytest.mark.django_db
async def test_fixtures_may_open_blocks(frames, hers, alice):
    await realtime.asend_to_user(alice, {"type": "order"})
    await hers.expect("order")
    assert [frame["type"] for frame in frames] == ["order"]


@pytest.mark.django_db
async def test_presence_and_topics(alice, bob, no_topics):
    realtime.topic("visitors", every=0.01)(lambda: {"online_count": manager.get_online_count()})
    async with connect(alice.pk) as hers, connect(bob):
        assert await manager.aget_online_count() == 2
        assert await sync_to_async(manager.is_user_online)(alice)
        await hers.send({"type": "subscribe", "topic": "visitors"})
        await hers.expect("topic", topic="visitors", online_count=2)


@pytest.mark.django_db
async def test_many_sockets_of_a_room(alice, bob, shared):
    async with asyncio.TaskGroup() as group, connect(bob) as sender:
        ready, over = asyncio.Semaphore(0), asyncio.Event()

        async def listen():
            async with connect(alice) as socket:
                await socket.send({"type": "join", "room_id": "general"})
                await socket.expect("joined")
                ready.release()
                for number in range(10):
                    await socket.expect("chat", message=str(number))
                await socket.expect_nothing("chat")
                await over.wait()

        listeners = [group.create_task(listen()) for _ in range(10)]
        for _ in listeners:
            await ready.acquire()
        for number in range(10):
            await sender.send({"type": "message", "room_id": "general", "message": str(number)})
        for _ in range(10):
            await sender.expect("ack")
        over.set()


@pytest.mark.django_db
@override_settings(REALTIME={"REDIS_URL": "redis://127.0.0.1:1", "MAX_MESSAGE_CHARS": 3})
async def test_the_sites_settings_hold(alice, general):
    async with connect(alice) as socket:
        await socket.send({"type": "message", "room_id": "general", "message": "too long"})
        await socket.expect_error("INVALID_MESSAGE")


@pytest.mark.django_db
async def test_a_failure_in_the_block_is_the_one_that_is_shown(alice):
    with pytest.raises(ZeroDivisionError):
        async with other_process() as other, connect(alice, process=other):
            raise ZeroDivisionError
    async with connect(alice) as socket:  # and nothing of the site stays
        assert socket.greeting["online_count"] == 1


@pytest.mark.django_db
async def test_batches(alice):
    async with connect(alice, query={"batch": "2", "flush_ms": "60000"}) as socket:
        for number in (1, 2):
            await realtime.apublish("site", {"type": "order", "number": number})
        batch = await socket.expect("batch")
        assert [frame["number"] for frame in batch["messages"]] == [1, 2]
        assert socket.positions["site"] == 2


@pytest.mark.django_db
def test_one_event_loop_at_a_time(alice):
    async def open_another():
        async with connect(alice):
            await asyncio.to_thread(lambda: asyncio.run(open_in_vain()))

    async def open_in_vain():
        with pytest.raises(RuntimeError, match="open in another event loop"):
            async with connect(alice):
                pass

    asyncio.run(open_another())


@pytest.mark.django_db
async def test_blocks_that_end_while_others_begin(alice):
    async def come_and_go():
        for _ in range(5):
            async with connect(alice) as socket:
                await socket.send({"type": "ping"})
                await socket.expect("pong")

    await asyncio.gather(*(come_and_go() for _ in range(3)))
