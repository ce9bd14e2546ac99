"""Two processes, a Redis and a PostgreSQL: what happens when one of them dies, hangs or comes back empty."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL, SIGQUIT, SIGTERM

import httpx
import psycopg
import pytest

from tests.clients.people import People, open_socket
from tests.clients.socket import texts
from tests.sites.cluster import (
    ROOM,
    Cluster,
    Talk,
    full,
    hanging,
    open_cluster,
    require_all,
    require_bus,
    require_chat,
    require_online,
    room_texts,
    send_again,
    stopped,
    stored,
)
from tests.sites.processes import Site, wait_until
from tests.sites.tcp_proxy import Proxy

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]

DISABLED = (4403, "USER_DISABLED")
UNAUTHENTICATED = (4401, "UNAUTHENTICATED")
# "full" is longer than a lease and the grace time.
OUTAGE_SECONDS = {"empty": 10, "hanging": 4, "full": 8}


@pytest.fixture(scope="module")
def cluster(cluster_template: Path) -> Iterator[Cluster]:
    with open_cluster(cluster_template) as opened:
        yield opened


async def test_it_announces_those_whose_process_was_killed(cluster):
    with cluster.site.varied(PRESENCE_LEASE_SECONDS=2).process() as doomed:
        async with People() as people:
            alice = await people.connect(cluster.here, "alice", ROOM)
            bob = await people.connect(cluster.there, "bob", ROOM)
            carol = await people.connect(doomed, "carol", ROOM)
            await people.connect(doomed, "alice")
            await require_online(cluster, {alice.user_id: 2, bob.user_id: 1, carol.user_id: 1})
            talk = Talk(carol, "carol")
            await bob.until(lambda: len(room_texts(bob)) > 3)
            doomed.signal(SIGKILL)
            await carol.ending()
            for client in (alice, bob):
                await client.expect("user_status", status="offline", user_id=carol.user_id)
            await require_online(cluster, {alice.user_id: 1, bob.user_id: 1})
            assert not bob.has("user_status", status="offline", user_id=alice.user_id)
            await require_chat(alice, bob)
            acked = {id for id in talk.sent if carol.has("ack", id=id)}
            await require_all([alice, bob], acked)


async def test_it_stops_all_workers_with_grace(cluster):
    with cluster.site.process("serve", "--workers", "2") as process:
        async with People() as people:
            clients = [await people.connect(process, "alice") for _ in range(8)]
            process.signal(SIGTERM)
            for client in clients:
                await client.expect("disconnect", code=1012, reason="RESTARTING")
                assert (await client.ending()).code == 1012
        assert await asyncio.to_thread(process.wait) == 0
    assert not process.is_ready()


@pytest.mark.parametrize("outage", OUTAGE_SECONDS)
async def test_it_survives_an_outage_of_redis(cluster, outage):
    redis = cluster.redis
    await require_online(cluster, {})  # or who was here in an earlier test may be announced as gone now
    async with People() as people:
        alice = await people.connect(cluster.here, "alice", ROOM)
        bob = await people.connect(cluster.there, "bob", ROOM)
        carols = [await people.connect(process, "carol", ROOM) for process in (cluster.here, cluster.there)]
        talks = [Talk(alice, "alice"), Talk(bob, "bob")]
        async with {"empty": stopped(redis, SIGKILL), "hanging": hanging(redis), "full": full(redis)}[outage]:
            await asyncio.sleep(OUTAGE_SECONDS[outage])  # how long it is away is what is tested
        answers = [await talk.end() for talk in talks]
        acked = set.union(*(acked for acked, _ in answers))
        assert len(acked) > OUTAGE_SECONDS[outage]  # the database was there all the time
        await require_all([alice, bob, *carols], acked)
        assert all(client.is_open for client in (alice, bob, *carols))
        await require_online(cluster, {alice.user_id: 1, bob.user_id: 1, carols[0].user_id: 2})
        await require_chat(alice, bob)
        await require_chat(bob, alice)
        assert not any(client.has("user_status", status="offline") for client in (alice, bob, *carols))


async def test_it_hears_again_when_connections_to_redis_broke_in_silence(cluster):
    async with Proxy(cluster.redis.port) as proxy, People() as people:
        site = Site(redis_url=f"redis://127.0.0.1:{proxy.port}/0", DATABASE_URL=cluster.postgres.url)
        with site.process() as process:
            alice = await people.connect(process, "alice")
            bob = await people.connect(cluster.there, "bob")
            await require_bus(bob, alice)
            await require_bus(alice, bob)
            await proxy.fall_silent()
            await require_bus(bob, alice)
            await require_bus(alice, bob)
            await require_online(cluster, {alice.user_id: 1, bob.user_id: 1})


async def test_it_survives_a_database_that_stops(cluster):
    async with People() as people:
        alice = await people.connect(cluster.here, "alice", ROOM)
        bob = await people.connect(cluster.there, "bob", ROOM)
        talks = [Talk(alice, "alice"), Talk(bob, "bob")]
        await bob.until(lambda: len(room_texts(bob)) > 3)
        async with stopped(cluster.postgres, SIGQUIT):
            for client in (alice, bob):
                await client.until(lambda client=client: client.has("error", error_code="UNAVAILABLE"))
            answers = [await talk.end() for talk in talks]
            await alice.send({"type": "ping", "timestamp": "alive"})
            await alice.expect("pong", timestamp="alive")
        for talk, (_, refused) in zip(talks, answers, strict=True):
            await send_again(talk.client, refused)
        written = {id for talk in talks for id in talk.sent}
        await require_all([alice, bob], written)
        await require_chat(alice, bob)
        await require_online(cluster, {alice.user_id: 1, bob.user_id: 1})
    assert stored(cluster.postgres, written) == sorted(written)


FROM_A_SHELL = """
import json, realtime
from django.db import transaction
from realtime.manager import manager
realtime.send_to_user({bob}, {{"type": "order", "number": 1}})
with transaction.atomic():
    realtime.send_to_user({bob}, {{"type": "order", "number": 2}})
    realtime.publish("room.general", {{"type": "note", "number": 1}}, durable=False)
try:
    with transaction.atomic():
        realtime.send_to_user({bob}, {{"type": "order", "number": 3}})
        realtime.publish("room.general", {{"type": "note", "number": 2}}, durable=False)
        raise ValueError
except ValueError:
    pass
# Before bob is disconnected: some time after that, nobody lists him any more.
answers = [manager.get_online_count(), sorted(manager.get_online_users()), manager.is_user_online({bob}),
    manager.is_user_online(User.objects.get(username='carol').pk), manager.get_user_connections_count({alice})]
transaction.set_autocommit(False)
realtime.send_to_user({bob}, {{"type": "order", "number": 4}})
transaction.rollback()
realtime.send_to_user({bob}, {{"type": "order", "number": 5}})
realtime.disconnect_user({bob})
transaction.commit()
transaction.set_autocommit(True)
print(json.dumps(answers))
"""


async def test_it_hears_a_shell(cluster):
    async with People() as people:
        alices = [await people.connect(process, "alice", ROOM) for process in (cluster.here, cluster.there)]
        bobs = [await people.connect(process, "bob", ROOM) for process in (cluster.here, cluster.there)]
        for socket in (*alices, *bobs):
            socket.contract.site_types |= {"order", "note"}
        alice, bob = alices[0].user_id, bobs[0].user_id
        await require_online(cluster, {alice: 2, bob: 2})
        code = FROM_A_SHELL.format(alice=alice, bob=bob)
        answers = json.loads(await asyncio.to_thread(cluster.site.run, code))
        assert answers == [2, sorted([alice, bob]), True, False, 2]
        for client in bobs:
            await client.expect("disconnect", code=4403, reason="KICKED", reconnect=False)
            assert (await client.ending()).code == 4403
            assert [frame["number"] for frame in client.frames if frame["type"] == "order"] == [1, 2, 5]
        for client in (*alices, *bobs):
            assert [frame["number"] for frame in client.frames if frame["type"] == "note"] == [1]
        assert all(client.is_open for client in alices)


async def test_it_closes_the_sockets_of_a_logout_elsewhere(cluster):
    async with People() as people:
        leaving = await people.connect(cluster.there, "alice")
        async with People() as others:
            staying = await others.connect(cluster.there, "alice")
            await asyncio.to_thread(cluster.here.rest, "POST", "/auth/logout", people.tokens["alice"])
            await leaving.expect("disconnect", code=4401)
            assert (await leaving.ending()).code == 4401
            await staying.send({"type": "ping", "timestamp": "here"})
            await staying.expect("pong", timestamp="here")


async def test_it_keeps_members_of_a_deleted_room_out_of_the_next_one_with_its_name(cluster):
    """Nothing gets through Redis, so no process but the first hears that the room was deleted."""

    def rest(method, path, **body):
        return asyncio.to_thread(cluster.here.rest, method, path, people.tokens["alice"], **body)

    async def make_room(*others):
        await rest("POST", "/rooms", id="plans", title="Plans", private=True)
        for other in others:
            await rest("POST", "/rooms/plans/members", user_id=other.user_id)

    async def say_secretly(client, n):
        return await client.ask("message", room_id="plans", message=f"secret {n}", id=f"plans-{n}")

    async with People() as people:
        alice = await people.connect(cluster.here, "alice")
        bob, carol, admin = [await people.connect(cluster.there, name) for name in ("bob", "carol", "admin")]
        await make_room(bob)
        assert (await bob.ask("join", room_id="plans"))["type"] == "joined"
        # Ids of their own: the senders have written in other tests, with the ids that `ask` gives.
        first = await bob.ask("message", room_id="plans", message="for the first room", id="plans")
        assert first["type"] == "ack"
        async with hanging(cluster.redis):
            await rest("DELETE", "/rooms/plans")
            await make_room(carol, admin)
            # Neither has joined the new room: nothing but the event itself reveals it.
            acked = [await say_secretly(admin, n) for n in range(3)]
            assert (await bob.find("left")) == {"type": "left", "room_id": "plans", "reason": "REMOVED"}
            joined = await carol.ask("join", room_id="plans")
            acked += [await say_secretly(admin, n) for n in range(3, 6)]
            await carol.until(lambda: len(carol.events("room.plans")) == 3)
        assert (await alice.ask("join", room_id="plans", since=1))["recovered"] is False
        await require_bus(alice, bob)
    assert texts(bob.events("room.plans")) == ["for the first room"]
    assert texts(carol.events("room.plans")) == ["secret 3", "secret 4", "secret 5"]
    # No number of the first room was used again, and the late order to leave it did not concern the second.
    assert [answer["seq"] for answer in acked] == [3, 4, 5, 6, 7, 8]
    assert joined["seq"] == 5
    assert not carol.has("left")


async def say(client, text):
    """Send until it is stored, and return its `seq`: a process may notice late that the database is there again."""
    while (answer := await client.ask("message", room_id=ROOM, message=text))["type"] != "ack":
        pass
    return answer["seq"]


async def resume_room(client, since):
    """Ask until it is answered, and return what became of the room's stream."""
    while (answer := await client.ask("resume", streams={f"room.{ROOM}": since}))["type"] == "error":
        assert answer["error_code"] == "UNAVAILABLE", answer
    return answer["streams"][f"room.{ROOM}"]


def read_history(process, token):
    while True:
        with contextlib.suppress(httpx.HTTPStatusError):
            return process.rest("GET", f"/rooms/{ROOM}/messages", token)["messages"]


async def test_it_goes_on_when_the_database_has_gone_back(cluster):
    """As after a failover to a replica that lacked the last commits. Numbers that clients know mean no other events."""
    async with People() as people:
        alice = await people.connect(cluster.here, "alice", ROOM)
        bob = await people.connect(cluster.there, "bob", ROOM)
        back = await people.connect(cluster.here, "alice")
        kept = await say(alice, "kept")
        async with stopped(cluster.postgres, SIGQUIT):
            cluster.postgres.save()
        lost = [await say(alice, f"lost {n}") for n in range(3)]
        assert lost == [kept + 1, kept + 2, kept + 3]
        await require_all([alice, bob], {"kept", "lost 0", "lost 1", "lost 2"})
        async with stopped(cluster.postgres, SIGQUIT):
            cluster.postgres.restore()
        written = [await say(bob, f"after {n}") for n in range(6)]
        for client in (alice, bob):
            outcome = (await client.expect("resumed"))["streams"][f"room.{ROOM}"]
            assert (outcome["recovered"], outcome["fetch"]) == (False, "/api/v1/rooms/general/messages")
        last = await say(bob, "heard by all")
        for client in (alice, bob):
            await client.until(lambda client=client: "heard by all" in room_texts(client))
        assert last > max(lost)
        for since in (kept, *lost):
            assert (await resume_room(back, since))["recovered"] is False, since
        history = await asyncio.to_thread(read_history, cluster.here, people.tokens["alice"])
        assert [each["seq"] for each in history][:8] == [last, *reversed(written), kept]


MAKE = "[User.objects.create_user(name, password='demo') for name in ('dave', 'erin')]"
END = """
dave, erin = (User.objects.get(username=name) for name in ('dave', 'erin'))
dave.is_active = False
dave.save()
erin.set_password('another')
erin.save()
"""
HELD = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def test_it_lets_nobody_in_who_is_disabled_during_the_handshake(cluster):
    """A lock holds both handshakes after they have read the user, until the news has come and found no socket."""
    await asyncio.to_thread(cluster.site.run, MAKE)
    async with People() as people:
        dave, erin = await people.connect(cluster.here, "dave"), await people.connect(cluster.there, "erin")
        with psycopg.connect(cluster.postgres.url) as holder, psycopg.connect(cluster.postgres.url) as watch:
            holder.execute("LOCK token_blacklist_blacklistedtoken IN ACCESS EXCLUSIVE MODE")
            watch.autocommit = True
            async with (
                open_socket(cluster.here, f"?token={people.tokens['dave']}") as disabled,
                open_socket(cluster.there, f"?token={people.tokens['erin']}") as changed,
            ):
                await asyncio.to_thread(wait_until, lambda: watch.execute(HELD).fetchone() == (2,))
                await asyncio.to_thread(cluster.site.run, END)
                assert (await dave.ending(), await erin.ending()) == (DISABLED, UNAUTHENTICATED)
                holder.rollback()
                assert (await disabled.ending(), await changed.ending()) == (DISABLED, UNAUTHENTICATED)
                assert not disabled.has("connected")
                assert not changed.has("connected")
