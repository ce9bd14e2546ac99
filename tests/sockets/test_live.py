"""What staff see live: the built-in topics over sockets, and who may subscribe to them."""

import os

from django.contrib.auth.models import Permission

from realtime.delivery.process_names import read_name
from realtime.presence import live, online
from realtime.presence.attendance import lookup
from realtime.presence.store import StoreUnavailable
from realtime.protocol import topics
from realtime.protocol.errors import ErrorCode
from realtime.sockets.node import get_node
from realtime.sockets.recheck import recheck_topics
from realtime.storage.database import run
from tests.clients.socket import is_refused
from tests.people import make_user

USERS, PROCESSES, ROOMS = live.USERS, live.PROCESSES, live.ROOMS
RIGHTS = {
    f"view_live_{name}": topic for name, topic in {"users": USERS, "processes": PROCESSES, "rooms": ROOMS}.items()
}


def make_person(name, *rights, **fields):
    user = make_user(name, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


async def look(socket, topic):
    """Subscribe. The first value of the topic, or None if it is refused."""
    answer = await socket.ask("subscribe", topic=topic)
    if is_refused(answer, ErrorCode.NOT_FOUND):
        return None
    return (await socket.find("topic", topic=topic))["data"]


async def test_each_topic_is_for_staff_with_its_right(site, alice):
    people = {right: await run(make_person, right, right, is_staff=True) for right in RIGHTS}
    for right, user in people.items():
        socket = await site.connect(user)
        for topic in RIGHTS.values():
            assert (await look(socket, topic) is not None) is (RIGHTS[right] == topic)
    others = [
        alice,
        await run(make_person, "clerk", "disconnect_user", "view_room", is_staff=True),
        await run(make_person, "no staff", *RIGHTS),
        await run(make_person, "no staff either", is_superuser=True),
    ]
    for user in others:
        socket = await site.connect(user)
        assert [await look(socket, topic) for topic in RIGHTS.values()] == [None] * 3
        assert "topic" not in {frame["type"] for frame in await socket.settle()}
    boss = await site.connect(await run(make_person, "boss", is_staff=True, is_superuser=True))
    assert None not in [await look(boss, topic) for topic in RIGHTS.values()]


async def test_it_shows_users_processes_and_rooms(site, alice, bob, carol, secret):
    boss = await run(make_person, "boss", is_staff=True, is_superuser=True)
    for user, status in ((alice, "away"), (bob, "busy"), (carol, "offline")):
        socket = await site.connect(user)
        assert (await socket.ask("presence", status=status))["type"] == "ack"
    await site.join(bob, "secret")
    await get_node().attendance.report()  # as happens once a second
    socket = await site.connect(boss)
    data = await look(socket, USERS)
    assert data["online_count"] == 3
    rows = [(user["user_id"], user["username"], user["status"], user["sockets"]) for user in data["users"]]
    assert rows == [(boss.pk, "boss", "online", 1), (bob.pk, "bob", "busy", 2), (alice.pk, "alice", "away", 1)]
    data = await look(socket, PROCESSES)
    assert data["sockets"] == 5
    (process,) = data["processes"]
    seen = {name: process[name] for name in ("pid", "users", "sockets", "stopping")}
    assert seen == {"pid": os.getpid(), "users": 4, "sockets": 5, "stopping": False}
    assert process["host"] == read_name(get_node().hub.id).host
    room = {"room_id": "secret", "title": "Secret", "private": True, "sockets": 1}
    assert await look(socket, ROOMS) == {"rooms": [room]}


async def test_a_frame_has_the_newest_users_and_no_more_than_so_many(site, alice, bob, monkeypatch):
    monkeypatch.setattr(live, "MOST_USERS", 2)
    for user in (alice, bob):
        await site.connect(user)
    socket = await site.connect(await run(make_person, "boss", is_staff=True, is_superuser=True))
    data = await look(socket, USERS)
    assert data["online_count"] == 3
    assert [user["username"] for user in data["users"]] == ["boss", "bob"]


async def test_who_loses_the_right_loses_the_topic(site):
    clerk = await run(make_person, "clerk", *RIGHTS, is_staff=True)
    other = await run(make_person, "other", *RIGHTS, is_staff=True)
    socket, stays = await site.connect(clerk), await site.connect(other)
    for topic in RIGHTS.values():
        assert await look(socket, topic)
        assert await look(stays, topic)
    right = await run(Permission.objects.get, codename="view_live_rooms")
    await run(clerk.user_permissions.remove, right)
    await recheck_topics(get_node().hub)  # as happens every AUTH_RECHECK_SECONDS
    assert (await socket.find("unsubscribed", topic=ROOMS))["reason"] == "REMOVED"
    await run(type(clerk).objects.filter(pk=clerk.pk).update, is_staff=False)
    await recheck_topics(get_node().hub)
    for topic in (USERS, PROCESSES):
        assert (await socket.find("unsubscribed", topic=topic))["reason"] == "REMOVED"
    assert "unsubscribed" not in {frame["type"] for frame in await stays.settle()}


async def test_it_sends_nothing_while_nobody_knows(monkeypatch):
    async def fail(*_):
        raise StoreUnavailable

    monkeypatch.setattr(online, "_ask", fail)
    monkeypatch.setattr(lookup, "_ask", fail)
    assert [await topics.find(topic).function() for topic in RIGHTS.values()] == [None] * 3
