"""Two processes, rooms that come and go under one name, and a bus that delays, loses and repeats: at random."""

import asyncio
import random
from itertools import count

import pytest

from realtime.auth.access import find_access
from realtime.chat import messages, rooms
from realtime.delivery import feed, hub, review
from realtime.delivery.envelopes import Control, Envelope, Passing
from realtime.models import Membership
from realtime.storage import database
from realtime.storage.database import run
from tests.paper import open_connection
from tests.people import make_user

pytestmark = pytest.mark.django_db(transaction=True)
STREAM = "room.plans"
STEPS = 60


@pytest.fixture(autouse=True)
def short_waits(settings, monkeypatch):
    settings.REALTIME = {**settings.REALTIME, "GAP_WAIT_MS": 1}
    monkeypatch.setattr(feed, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(review, "DOUBT_SECONDS", 0.01)


class World:
    """The site, and what each socket may hear: frames name the primary key of the room that they belong to."""

    def __init__(self, chance, users):
        self.chance = chance
        self.users = users
        self.hubs = [hub.Hub(), hub.Hub()]
        self.on_the_way = []  # envelopes, each with the process that it goes to
        self.members = {}  # users by room, also of rooms that have gone
        self.room = None
        self.sockets = []
        self.tasks = set()
        self.numbers = count()

    def publish(self, here, envelope):
        self.hubs[here].take(envelope)
        if self.chance.random() < 0.8:
            self.on_the_way.append((1 - here, envelope))

    async def create(self):
        if self.room is None:
            self.room = await run(rooms.create_room, self.users[0], title="Plans", slug="plans", private=True)
            chosen = self.chance.sample(self.users, 2)
            for user in chosen:
                await run(Membership.objects.get_or_create, room=self.room, user_id=user)
            self.members[self.room.pk] = {self.users[0], *chosen}

    async def delete(self):
        if self.room is not None:
            gone, pk, self.room = self.room, self.room.pk, None
            await run(gone.delete)
            late = Envelope(controls=[Control("unsubscribe", stream=STREAM, room=pk)])
            self.on_the_way += [(process, late) for process in (0, 1)]

    async def post(self):
        if self.room is not None:
            pk, here = self.room.pk, self.chance.randrange(2)
            text = f"{pk}/{next(self.numbers)}"
            post = messages.Post(self.users[0], self.users[0], "writer", text, "text", None, pk, "plans")
            (posted,) = await run(messages.store, [post])
            if isinstance(posted, messages.Posted):
                self.publish(here, Envelope(events=[tuple(event) for event in posted.events]))

    async def type(self):
        if self.room is not None:
            body = b'{"type":"typing","data":{"message":"%d/"}}' % self.room.pk
            passing = Passing(body, stream=STREAM, room=self.room.pk)
            self.publish(self.chance.randrange(2), Envelope(passing=[passing]))

    async def join(self):
        task = asyncio.ensure_future(self._join(self.chance.choice(self.users), self.chance.choice(self.hubs)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _join(self, user, process):
        connection, socket = open_connection(str(user))
        process.register(connection)
        self.sockets.append((user, connection, socket))
        connection.subscriptions.ask(STREAM)
        (access,) = await run(find_access, [(str(user), "plans")])
        if access is None or not access.member:
            connection.subscriptions.withdraw(STREAM)
            return
        connection.subscriptions.grant(STREAM, access.room)
        await asyncio.sleep(self.chance.choice([0, 0, 0.01]))
        async with process.open_feeds([STREAM], connection) as feeds:
            await asyncio.sleep(self.chance.choice([0, 0, 0.01]))
            process.attach(connection, feeds[0])

    async def hear(self):
        self.chance.shuffle(self.on_the_way)
        for _ in range(self.chance.randrange(4)):
            if self.on_the_way:
                to, envelope = self.on_the_way.pop()
                self.hubs[to].take(envelope)

    async def compare(self):
        await self.chance.choice(self.hubs).compare_positions()

    async def end(self):
        while self.tasks:
            await asyncio.wait(set(self.tasks))
        for process in self.hubs:
            await process.compare_positions()
        while tasks := self._looking():
            await asyncio.wait(tasks)

    def _looking(self):
        """What still looks into the log."""
        fillers = {feed._filler for process in self.hubs for feed in process.feeds.values()}
        return (fillers | {process._reviewer._doubting for process in self.hubs}) - {None}


@pytest.mark.parametrize("seed", range(4))
async def test_nobody_hears_a_room_that_they_are_not_in(seed):
    chance = random.Random(seed)
    users = [await run(lambda name=name: make_user(name).pk) for name in ("owner", "one", "two", "three")]
    world = World(chance, users)
    often = [world.post] * 6 + [world.join] * 3 + [world.hear] * 3
    for _ in range(STEPS):
        await chance.choice([world.create, world.create, world.delete, world.type, world.compare, *often])()
    await world.create()
    await world.end()
    await world.post()
    await world.end()
    for user, connection, socket in world.sockets:
        rooms_heard = [int(frame["data"]["message"].split("/")[0]) for frame in socket.frames if "data" in frame]
        assert all(user in world.members[pk] for pk in rooms_heard), (user, socket.frames)
        assert socket.seqs == sorted(set(socket.seqs))
        if connection.subscriptions.find_room("plans") is not None:
            assert connection.subscriptions.find_room("plans") == world.room.pk
            assert rooms_heard[-1] == world.room.pk
            assert "resumed" not in [frame["type"] for frame in socket.frames]
    for process in world.hubs:
        await process.stop()
    database.shutdown()
