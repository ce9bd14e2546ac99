"""Presence over sockets: who hears about whom, and when."""

import asyncio
from types import SimpleNamespace

import pytest

from realtime.chat import rooms
from realtime.delivery import announcer
from realtime.models import LastSeen
from realtime.presence.online import loop_store
from realtime.sockets.node import get_node
from realtime.storage.database import run
from realtime.testing import connect, other_process
from tests.clients.socket import is_refused, until
from tests.patience import PATIENCE_SECONDS
from tests.people import client_for, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("announcements")]

HEARERS: list[int] = []  # whom `choose_hearers` names


def choose_hearers(_user):
    return HEARERS


def about(frames, user, type="user_status"):
    return [f["data"]["status"] for f in frames if f["type"] == type and f["data"]["user_id"] == user.pk]


async def online():
    return [int(entry.user_id) for entry in await loop_store().page(0, 100)]


async def forgotten(user):
    """Wait until the grace time is over."""
    store = loop_store()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await store.get([str(user.pk)]):  # noqa: ASYNC110 (the store has no event for it)
            await asyncio.sleep(0.01)


async def test_it_announces_who_comes_and_goes(site, alice, bob):
    observer = await site.connect(alice)
    comer = await site.connect(bob)
    assert comer.greeting["online_count"] == 2
    assert (await observer.find("user_status"))["data"]["status"] == "online"
    await comer.close()
    gone = (await observer.find("user_status"))["data"]
    assert (gone["user_id"], gone["status"]) == (bob.pk, "offline")
    assert await online() == [alice.pk]


def last_seen(user):
    return LastSeen.objects.filter(user=user).values_list("at", flat=True).first()


async def seen(user, after=None):
    """Wait until the user has been seen later than `after`."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (at := await run(last_seen, user)) == after:  # noqa: ASYNC110 (nothing tells when it is written)
            await asyncio.sleep(0.01)
    return at


async def test_it_tells_when_users_were_last_seen_and_not_when_they_left_unseen(site, alice, bob):
    comer, other = await site.connect(bob), await site.connect(bob)
    assert (await comer.ask("presence", status="offline"))["type"] == "ack"
    hid_at = await seen(bob)
    for socket in (comer, other):
        await socket.close()
    # Whoever leaves later is written no earlier.
    await forgotten(bob)
    await (await site.connect(alice)).close()
    await seen(alice)
    assert await run(last_seen, bob) == hid_at
    await (await site.connect(bob)).close()
    assert await seen(bob, after=hid_at) > hid_at


async def test_it_says_nothing_about_further_sockets(site, alice, bob, carol):
    observer = await site.connect(alice)
    first, second = await site.connect(bob), await site.connect(bob)
    assert second.greeting["online_count"] == 2
    await first.close()
    await site.connect(carol)
    heard = [await observer.find("user_status") for _ in range(2)]
    assert [frame["data"]["user_id"] for frame in heard] == [bob.pk, carol.pk]
    await second.close()
    assert (await observer.find("user_status"))["data"]["status"] == "offline"


async def test_it_says_nothing_about_a_page_that_is_loaded_again(site, alice, bob, carol, configure):
    configure(PRESENCE_GRACE_SECONDS=600)  # however long it takes to load
    observer = await site.connect(alice)
    page = await site.connect(bob)
    await observer.find("user_status", user_id=bob.pk)
    for _ in range(5):
        await page.close()
        await until(lambda: len(get_node().hub.connections) == 1)
        assert sorted(await online()) == [alice.pk, bob.pk]
        page = await site.connect(bob)
    await site.connect(carol)
    assert (await observer.find("user_status"))["data"]["user_id"] == carol.pk


async def test_it_counts_users_not_sockets(site, alice, bob):
    counts = [(await site.connect(user)).greeting["online_count"] for user in (alice, alice, bob, bob, alice)]
    assert counts == [1, 1, 2, 2, 2]


async def test_it_announces_a_status(site, alice, bob):
    observer, first, second = await site.connect(alice), await site.connect(bob), await site.connect(bob)
    await observer.find("user_status")
    for status in ("away", "busy", "online"):
        assert (await first.ask("presence", status=status, data={"device": "mobile"}))["type"] == "ack"
        assert await observer.receive() == {
            "type": "presence",
            "data": {"user_id": bob.pk, "status": status, "data": {"device": "mobile"}},
        }
    assert about(await second.settle(), bob, "presence") == []  # it is his own
    await second.ask("presence", status="away")
    assert (await observer.find("presence"))["data"]["data"] == {}


async def test_it_lets_a_user_appear_offline(site, alice, bob, carol):
    observer, hidden = await site.connect(alice), await site.connect(bob)
    await observer.find("user_status", status="online")
    assert (await hidden.ask("presence", status="offline"))["type"] == "ack"
    assert (await observer.find("user_status"))["data"]["status"] == "offline"
    assert await online() == [alice.pk]
    heard = len(observer.frames)
    tab = await site.connect(bob)
    comer = await site.connect(carol)
    assert (tab.greeting["online_count"], comer.greeting["online_count"]) == (1, 2)
    await observer.find("user_status", user_id=carol.pk)
    await tab.close()
    await hidden.close()
    await forgotten(bob)
    await observer.settle()
    frames = observer.frames[heard:]
    assert (about(frames, carol), about(frames, bob)) == (["online"], [])
    assert (await site.connect(bob)).greeting["online_count"] == 3


async def test_it_announces_who_appears_again(site, alice, bob):
    observer, hidden = await site.connect(alice), await site.connect(bob)
    await observer.find("user_status", status="online")
    await hidden.ask("presence", status="offline")
    await observer.find("user_status", status="offline")
    await hidden.ask("presence", status="online")
    assert (await observer.receive())["type"] == "user_status"
    await hidden.ask("presence", status="offline")
    await observer.find("user_status", status="offline")
    await hidden.ask("presence", status="busy")
    frames = [await observer.receive() for _ in range(2)]
    assert [(frame["type"], frame["data"]["status"]) for frame in frames] == [
        ("user_status", "online"),
        ("presence", "busy"),
    ]


async def test_it_forgets_a_status_with_its_user(site, alice, bob):
    observer, first = await site.connect(alice), await site.connect(bob)
    await first.ask("presence", status="offline")
    await observer.find("user_status", status="offline")
    await first.close()
    await forgotten(bob)
    assert about(await observer.settle(), bob) == []  # he had been gone for everybody before
    await site.connect(bob)
    assert (await observer.find("user_status"))["data"]["status"] == "online"


async def test_every_process_of_a_user_knows_the_status(alice, bob, monkeypatch):
    """Where no other process has the user, none is told."""
    told = []

    def publish(envelope):
        told.extend(control.user for control in envelope.controls)
        send(envelope)

    async with connect(alice) as here, other_process() as other, connect(alice, process=other), connect(bob) as alone:
        trackers, send = [get_node().tracker, other.node.tracker], get_node().hub.bus.publish
        monkeypatch.setattr(get_node().hub.bus, "publish", publish)
        for status, known in (("offline", [True] * 2), ("busy", [False] * 2)):
            await here.send({"type": "presence", "status": status})
            await until(lambda known=known: [one._statuses.is_hidden(str(alice.pk)) for one in trackers] == known)
        await alone.send({"type": "presence", "status": "away", "id": "x"})
        await alone.expect("ack")
    assert told == [str(alice.pk)] * 2


async def test_it_announces_to_nobody(site, alice, bob, configure):
    configure(PRESENCE_AUDIENCE="nobody")
    observer, other = await site.connect(alice), await site.connect(bob)
    assert (await other.ask("presence", status="away"))["type"] == "ack"
    await other.close()
    assert (await site.connect(alice)).greeting["online_count"] == 1
    await until(lambda: get_node().tracker.online_count == 1)
    assert await observer.settle() == []


async def test_it_announces_to_those_who_share_a_room(site, alice, bob, carol, configure):
    configure(PRESENCE_AUDIENCE="rooms")
    await run(rooms.create_room, alice.pk, title="General", slug="general")
    await run(rooms.join, bob.pk, "general")
    await run(rooms.add_member, alice.pk, "general", carol.pk)  # who has not opened it
    mate, stranger = await site.connect(alice), await site.connect(carol)
    comer = await site.connect(bob)
    await mate.find("user_status", user_id=bob.pk, status="online")
    await comer.ask("presence", status="away")
    await mate.find("presence", user_id=bob.pk)
    await comer.close()
    await mate.find("user_status", user_id=bob.pk, status="offline")
    assert await stranger.settle() == []
    await stranger.close()
    assert about(await mate.settle(), carol) == []


async def test_it_announces_to_whom_the_site_chooses(site, alice, bob, carol, configure, monkeypatch):
    configure(PRESENCE_AUDIENCE="tests.sockets.test_presence.choose_hearers")
    monkeypatch.setattr("tests.sockets.test_presence.HEARERS", [carol.pk, bob.pk])
    chosen, other = await site.connect(carol), await site.connect(alice)
    comer = await site.connect(bob)
    await chosen.find("user_status", user_id=bob.pk, status="online")
    assert about(await comer.settle(), bob) == []
    assert await other.settle() == []


FRIENDS: dict[object, list[int]] = {}


def find_friends(user_id):
    return FRIENDS.get(user_id, ())


async def test_the_sites_functions_get_the_id_as_it_is_in_frames(site, alice, bob, carol, configure, monkeypatch):
    """They got it as a text, also where it is a number, and a function that compares it named nobody."""
    path = f"{__name__}.find_friends"
    configure(PRESENCE_AUDIENCE=path, PRESENCE_VISIBLE=path)
    monkeypatch.setitem(FRIENDS, alice.pk, [bob.pk])
    monkeypatch.setitem(FRIENDS, bob.pk, [alice.pk])
    friend, comer = await site.connect(bob), await site.connect(alice)
    await friend.find("user_status", user_id=alice.pk, status="online")
    assert comer.greeting["online_count"] == 2
    assert (await site.connect(carol)).greeting["online_count"] == 1
    client = await run(client_for, bob)
    page = (await run(client.get, "/api/v1/online")).json()
    assert [user["user_id"] for user in page["users"]] == [bob.pk, alice.pk]


async def test_the_site_may_choose_users_instead_of_ids(site, alice, carol, configure, monkeypatch):
    """They were taken by their names, which may be the keys of others."""
    bob = await run(make_user, str(alice.pk))
    path = "tests.sockets.test_presence.choose_hearers"
    configure(PRESENCE_AUDIENCE=path, PRESENCE_VISIBLE=path)
    monkeypatch.setattr("tests.sockets.test_presence.HEARERS", [bob, None, str(carol.pk)])
    other, chosen = await site.connect(alice), [await site.connect(bob), await site.connect(carol)]
    comer = await site.connect(carol)
    await comer.ask("presence", status="away")
    await chosen[0].find("presence", user_id=carol.pk)
    assert comer.greeting["online_count"] == 2
    assert await other.settle() == []


async def test_it_counts_instead_of_announcing_a_storm(site, alice, configure, monkeypatch):
    configure(ANNOUNCEMENTS_PER_SECOND=5)
    monkeypatch.setattr(announcer, "time", SimpleNamespace(monotonic=lambda: 0.0))  # the second never ends
    people = [await run(make_user, f"user-{number}") for number in range(18)]
    observer = await site.connect(alice)
    await asyncio.gather(*(site.connect(person) for person in people))
    announced, counts = [], []
    while 19 not in counts:
        match await observer.receive():
            case {"type": "user_status", "data": data}:
                announced.append(data["status"])
            case {"type": "online_count", "data": data}:
                counts.append(data["online_count"])
    assert announced == ["online"] * 4  # five with her own
    assert counts == sorted(set(counts))


async def test_it_refuses_data_that_is_too_large(site, alice):
    socket = await site.connect(alice)
    refused = await socket.ask("presence", status="away", data={"x": "y" * 1100})
    assert is_refused(refused, "INVALID_MESSAGE")
    assert (await socket.ask("presence", status="away", data={"x": "y" * 900}))["type"] == "ack"


async def test_a_visit_that_ended_unseen_is_not_stored_if_the_grace_time_is_none(site, alice, bob, configure):
    """The user had been forgotten before anybody could ask whether they appeared offline."""
    configure(PRESENCE_GRACE_SECONDS=0)
    comer = await site.connect(bob)
    assert (await comer.ask("presence", status="offline"))["type"] == "ack"
    hid_at = await seen(bob)
    tracker = get_node().tracker
    await comer.close()
    await until(lambda: not tracker._counts and not tracker._changed)
    await loop_store().sweep()
    await (await site.connect(alice)).close()
    await seen(alice)
    assert await run(last_seen, bob) == hid_at


@pytest.mark.parametrize(("limit", "data", "is_taken"), [(0, {}, True), (0, {"a": 1}, False), (7, {"a": 1}, True)])
async def test_the_data_of_a_status_has_a_limit(configure, alice, limit, data, is_taken):
    configure(PRESENCE_DATA_BYTES=limit)
    async with connect(alice) as socket:
        await socket.send({"type": "presence", "status": "away", "data": data, "id": "p"})
        assert (await socket.receive())["type"] == ("ack" if is_taken else "error")
