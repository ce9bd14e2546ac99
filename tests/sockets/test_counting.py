"""How many users are online, as clients count them by what they are sent."""

import asyncio

import pytest

from realtime.chat import rooms
from realtime.delivery import announcer
from realtime.presence.online import loop_store
from realtime.presence.store import StoreUnavailable
from realtime.sockets.node import get_node
from realtime.storage.database import run
from tests.clients.counting import require_count, until_count
from tests.clients.socket import until
from tests.people import client_for, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("announcements")]


@pytest.fixture
def people(db):
    return [make_user(f"user-{number}") for number in range(12)]


@pytest.mark.parametrize("number", [2, 4, 12])
async def test_all_who_come_together_count_the_same(site, people, alice, number):
    sockets = await asyncio.gather(*(site.connect(person) for person in people[:number]))
    mark = await site.connect(alice)
    await require_count(sockets, number + 1, mark)
    assert mark.greeting["online_count"] == number + 1


async def test_those_who_go_are_counted_once(site, people, alice):
    sockets = await asyncio.gather(*(site.connect(person) for person in people[:6]))
    staying, leaving = sockets[:3], sockets[3:]
    comer, *_ = await asyncio.gather(site.connect(people[6]), *(socket.close() for socket in leaving))
    for gone in leaving:
        await staying[0].expect("user_status", user_id=gone.user_id, status="offline")
    mark = await site.connect(alice)
    await require_count([*staying, comer], 5, mark)
    assert mark.greeting["online_count"] == 5


async def test_nobody_hears_of_themselves_or_of_whom_they_have_counted(site, people, alice):
    async def connect_and_again(person):
        first = await site.connect(person)
        return [first, await site.connect(person)]

    pairs = await asyncio.gather(*(connect_and_again(person) for person in people[:4]))
    sockets = [socket for pair in pairs for socket in pair]
    mark = await site.connect(alice)
    await require_count(sockets, 5, mark)
    for socket in sockets:
        heard = [frame["data"]["user_id"] for frame in socket.frames if frame["type"] == "user_status"]
        assert socket.user_id not in heard
        assert len(heard) == len(set(heard)) == 5 - socket.greeting["online_count"]


async def test_it_misses_nobody_who_comes_while_it_is_greeted(site, people, alice, bob, monkeypatch):
    """The greeting was asked for before they came, and sent after that."""
    may_greet, waiting = asyncio.Event(), asyncio.Event()

    async def arrive_slowly(user_key):
        census = await arrive(user_key)
        if user_key == str(alice.pk):
            waiting.set()
            await may_greet.wait()
        return census

    witness = await site.connect(bob)
    tracker = get_node().tracker
    arrive = tracker.arrive
    monkeypatch.setattr(tracker, "arrive", arrive_slowly)
    slow = await site.knock(alice)
    await waiting.wait()
    others = [await site.connect(person) for person in people[:3]]
    await others[0].close()
    for other in others:
        await witness.expect("user_status", user_id=other.user_id)
    await witness.expect("user_status", user_id=others[0].user_id, status="offline")
    may_greet.set()
    assert (await slow.receive())["type"] == "connected"
    mark = await site.connect(people[3])
    await require_count([slow, witness, *others[1:]], 5, mark)


async def test_a_storm_ends_with_the_right_count(site, people, alice, configure, monkeypatch):
    configure(ANNOUNCEMENTS_PER_SECOND=3)
    monkeypatch.setattr(announcer, "COUNT_SECONDS", 0.02)
    observer = await site.connect(alice)
    sockets = await asyncio.gather(*(site.connect(person) for person in people))
    for socket in (observer, *sockets):
        await until_count(socket, 13)
    await asyncio.gather(*(socket.close() for socket in sockets[2:]))
    for socket in (observer, *sockets[:2]):
        await until_count(socket, 3)
    assert observer.has("online_count")


async def test_whoever_appears_offline_counts_as_others_do(site, alice, bob, carol):
    first, second, other = await site.connect(alice), await site.connect(alice), await site.connect(bob)
    assert (await first.ask("presence", status="offline"))["type"] == "ack"
    for socket in (first, second, other):
        await until_count(socket, 1)
    third = await site.connect(alice)
    assert third.greeting["online_count"] == 1
    assert (await third.ask("presence", status="busy"))["type"] == "ack"
    for socket in (first, second, third, other):
        await until_count(socket, 2)
    mark = await site.connect(carol)
    await require_count([first, second, third, other], 3, mark)
    for socket in (first, second, third):
        assert not socket.has("user_status", user_id=alice.pk)


@pytest.mark.parametrize("audience", ["everyone", "rooms"])
async def test_a_socket_that_was_opened_without_presence_is_told_later(
    site, alice, bob, monkeypatch, configure, audience
):
    configure(PRESENCE_AUDIENCE=audience)
    await run(rooms.create_room, alice.pk, title="General", slug="general")
    await run(rooms.join, bob.pk, "general")
    await site.connect(bob)
    store = loop_store()

    async def be_away(*_args, **_kwargs):
        raise StoreUnavailable

    monkeypatch.setattr("realtime.presence.tracker.PATIENCE_SECONDS", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(store, "sync", be_away)
        socket = await site.connect(alice)
    await until_count(socket, 2)
    await until(lambda: get_node().tracker.online_count == 2)


async def test_an_announcement_that_is_lost_is_made_up_for(site, alice, bob, monkeypatch):
    """Another process made the change, and was killed before it could announce it."""
    monkeypatch.setattr("realtime.protocol.census.LOST_SECONDS", 0.0)
    socket = await site.connect(alice)
    await loop_store().sync("killed", {str(bob.pk): 1})
    await until_count(socket, 2)
    assert not socket.has("user_status", user_id=bob.pk)


async def test_those_who_share_a_room_are_counted(site, people, configure):
    configure(PRESENCE_AUDIENCE="rooms")
    mates, strangers = people[:4], people[4:6]
    await run(rooms.create_room, mates[0].pk, title="General", slug="general")
    for mate in mates[1:]:
        await run(rooms.join, mate.pk, "general")
    await asyncio.gather(*(site.connect(person) for person in strangers))
    sockets = await asyncio.gather(*(site.connect(person) for person in mates[:3]))
    mark = await site.connect(mates[3])
    await require_count(sockets, 4, mark)
    await mark.close()
    for socket in sockets:
        await until_count(socket, 3)
    # Nobody shares a room with the strangers.
    alone = await site.connect(strangers[0])
    assert alone.greeting["online_count"] == 1
    assert (await alone.ask("presence", status="offline"))["type"] == "ack"
    await until_count(alone, 0)
    assert (await site.connect(strangers[0])).greeting["online_count"] == 0


async def test_rest_and_greetings_agree(site, people, configure):
    configure(PRESENCE_AUDIENCE="rooms")
    mates, strangers = people[:4], people[4:6]
    await run(rooms.create_room, mates[0].pk, title="General", slug="general")
    for mate in mates[1:]:
        await run(rooms.join, mate.pk, "general")

    def ask(person, path):
        return client_for(person).get(f"/api/v1/{path}").json()

    for person in (*strangers, *mates):
        await site.connect(person)
    hidden = await site.connect(mates[1])
    assert (await hidden.ask("presence", status="offline"))["type"] == "ack"
    assert (await site.connect(mates[0])).greeting["online_count"] == 3
    shown = [mates[0].pk, mates[2].pk, mates[3].pk]
    for offset in (0, 1, 2, 3):
        page = await run(ask, mates[0], f"online?limit=2&offset={offset}")
        assert [user["user_id"] for user in page["users"]] == shown[offset : offset + 2]
        assert page["online_count"] == 3
    assert await run(ask, mates[0], "online/count") == {"online_count": 3}
    assert await run(ask, strangers[0], "online/count") == {"online_count": 1}
    statuses = await run(ask, strangers[0], f"status?user_ids={strangers[0].pk},{strangers[1].pk},{mates[0].pk}")
    assert [status["online"] for status in statuses] == [True, False, False]


async def test_where_nobody_is_seen_all_count_themselves(site, alice, bob, configure):
    configure(PRESENCE_AUDIENCE="nobody")
    sockets = [await site.connect(user) for user in (alice, bob, alice)]
    assert [socket.greeting["online_count"] for socket in sockets] == [1] * 3
    assert (await sockets[0].ask("presence", status="offline"))["type"] == "ack"
    for socket, expected in zip(sockets, (0, 1, 0), strict=True):
        await until_count(socket, expected)


VISIBLE: list[int] = []


def choose_visible(_reader):
    return VISIBLE


def fail(_reader):
    raise LookupError("no friends")


async def test_a_site_says_who_is_counted(site, alice, bob, carol, configure, monkeypatch):
    configure(PRESENCE_AUDIENCE=f"{__name__}.choose_visible", PRESENCE_VISIBLE=f"{__name__}.choose_visible")
    monkeypatch.setattr(f"{__name__}.VISIBLE", [alice.pk, bob.pk])
    counts = [(await site.connect(user)).greeting["online_count"] for user in (alice, bob, carol)]
    assert counts == [1, 2, 3]


async def test_a_site_whose_function_fails_has_sockets_all_the_same(site, alice, bob, configure, caplog):
    configure(PRESENCE_AUDIENCE=f"{__name__}.choose_visible", PRESENCE_VISIBLE=f"{__name__}.fail")
    counts = [(await site.connect(user)).greeting["online_count"] for user in (alice, bob)]
    assert counts == [1, 1]
    assert "no friends" in caplog.text
    caplog.clear()
