"""Sockets of a site's tests: opening, sending, expecting, losing."""

import pytest
from asgiref.sync import sync_to_async

import realtime
from realtime.chat import rooms
from realtime.conf import CREDENTIALS
from realtime.models import Membership, Message, Room
from realtime.testing import connect, other_process

pytestmark = pytest.mark.django_db  # in a transaction that nobody else can see


async def test_people_talk(alice, bob, shared):
    async with connect(alice) as hers, connect(bob) as his:
        for socket in (hers, his):
            await socket.send({"type": "join", "room_id": "general"})
            await socket.expect("joined", role="owner" if socket is hers else "member")
        await his.send({"type": "message", "room_id": "general", "message": "Hello!", "id": "c-1"})
        await his.expect("ack", id="c-1")
        chat = await hers.expect("chat", message="Hello!", from_user_id=bob.pk, stream="room.general")
        assert chat["seq"] == 1
        await his.expect("chat")
        await hers.expect_nothing()
        assert [frame["type"] for frame in hers.frames if frame["type"] != "user_status"] == [
            "connected",
            "joined",
            "chat",
        ]


async def test_people_write_to_each_other_after_an_earlier_test_was_rolled_back(alice, bob):
    """Its users had the same keys: they are made for a class of tests, or SQLite gives the keys once more."""
    for _ in range(2):
        async with connect(alice) as hers, connect(bob) as his:
            await hers.send({"type": "message", "to_user_id": bob.pk, "message": "Hello!", "id": "c-1"})
            await hers.expect("ack", id="c-1")
            await his.expect("chat", message="Hello!")
            assert await Room.objects.filter(messages__text="Hello!").acount() == 1
            for model in (Message, Membership, Room):
                await sync_to_async(model.objects.all()._raw_delete)("default")  # without signals, as a rollback


@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_every_credential_opens_a_socket(alice, credential):
    async with connect(alice, credential=credential) as socket:
        assert socket.greeting["user_id"] == alice.pk
        assert socket.subprotocol == ("realtime.v1" if credential == "subprotocol" else None)


async def test_there_is_no_other_credential(alice):
    with pytest.raises(ValueError, match="no credential 'password': it is one of token, ticket"):
        async with connect(alice, credential="password"):
            pass


async def test_a_credential_of_ones_own(alice, token):
    async with connect(query={"token": token(alice)}) as socket:
        await socket.expect("connected", user_id=alice.pk)
    async with connect(path=f"/api/v1/ws?token={token(alice)}") as socket:
        await socket.expect("connected", user_id=alice.pk)
    async with connect(headers={"Authorization": f"Bearer {token(alice)}"}) as socket:
        await socket.expect("connected", user_id=alice.pk)
    async with connect() as socket:
        await socket.send({"type": "auth", "token": token(alice), "id": "a"})
        await socket.expect("ack", id="a")


async def test_a_refused_socket(alice, bob, secret):
    async with connect(query={"token": "nonsense"}) as socket:
        await socket.expect_closed(4401, "UNAUTHENTICATED")
        with pytest.raises(AssertionError, match="no greeting, but the server has closed the socket with 4401"):
            socket.greeting  # noqa: B018
    async with connect(alice, headers={"Origin": "https://evil.example"}) as socket:
        await socket.expect_closed(403)
    async with connect(alice, path="/nowhere") as socket:
        await socket.expect_closed(404)


async def test_a_socket_for_one_room(alice, bob, carol, secret):
    async with connect(bob, path="/ws/chat/secret") as his, connect(carol, path="/ws/chat/secret") as hers:
        await hers.expect_closed(4403)
        await his.send("Hello!")
        await his.expect(status="ok")
        await his.expect("message", content="Hello!", sender="bob")


async def test_nothing_comes_of_what_others_have_only_just_sent(alice, bob, shared):
    async with connect(alice) as hers, connect(bob) as his:
        await hers.send({"type": "join", "room_id": "general"})
        await his.send({"type": "join", "room_id": "general"})
        await his.send({"type": "message", "room_id": "general", "message": "Hello!"})
        await hers.expect("joined")
        with pytest.raises(AssertionError, match="nothing like 'chat'"):
            await hers.expect_nothing("chat", within=0)
        await hers.expect_nothing("pong")


async def test_an_error(alice, secret, carol):
    async with connect(carol) as socket:
        await socket.send({"type": "join", "room_id": "secret", "id": "j"})
        await socket.expect_error("NOT_FOUND", id="j")
        await socket.send(b"\0")
        await socket.expect_error("INVALID_MESSAGE")
        await socket.expect_nothing()


async def test_what_site_code_publishes_arrives(alice, bob):
    async with connect(alice) as socket:
        await realtime.asend_to_user(alice, {"type": "order", "number": "A-17"})
        await socket.expect("order", number="A-17", seq=1)
        await realtime.apublish("site", {"type": "cursor", "place": ["any", "value"]}, durable=False)
        await socket.expect("cursor")
        await realtime.asend_to_user(bob, {"type": "order"})
        await socket.expect_nothing()
        await realtime.adisconnect_user(alice)
        await socket.expect_closed(4403, "KICKED")


async def test_a_socket_that_comes_back_has_missed_nothing(alice, bob, shared):
    async with connect(alice) as socket:
        await socket.send({"type": "join", "room_id": "general"})
        await socket.expect("joined")
        await realtime.apublish("room.general", {"type": "step", "n": 1})
        await socket.expect("step", n=1)
        socket.drop_network()
        await realtime.apublish("room.general", {"type": "step", "n": 2})
        await realtime.asend_to_user(alice, {"type": "step", "n": 3})
        with pytest.raises(AssertionError, match="without a network"):
            await socket.expect("step", n=2)
        async with connect(alice, resume=socket) as again:
            await realtime.apublish("room.general", {"type": "step", "n": 4})
            await again.expect("step", n=4)
            steps = [frame["n"] for frame in again.frames if frame["type"] == "step" and frame["stream"] != "site"]
            assert sorted(steps) == [2, 3, 4]
            assert again.positions["room.general"] == 3
    async with connect(alice, resume=again) as third:
        assert third.positions == again.positions
        await third.expect("resumed")
        await third.expect_nothing("step")


async def test_a_session_is_taken_up(alice, shared):
    async with connect(alice) as socket:
        await socket.send({"type": "join", "room_id": "general"})
        await socket.expect("joined")
        socket.drop_network()
        await realtime.apublish("room.general", {"type": "step", "n": 1})
        path = f"/api/v1/ws/reconnect/{socket.greeting['session_id']}"
        async with connect(alice, path=path) as again:
            await again.expect("step", n=1)
            await again.expect("resumed")


async def test_the_time_of_a_session_is_over(alice):
    async with connect(alice, credential="session") as socket:
        socket.expire_token(seconds=30)
        warning = await socket.expect("auth_expiring")
        assert 0 < warning["data"]["seconds"] <= 30
        socket.expire_token()
        await socket.expect_closed(4410, "SESSION_OUTDATED")


async def test_a_token_expires(alice):
    async with connect(alice) as socket:
        socket.expire_token(seconds=30)
        warning = await socket.expect("auth_expiring")
        assert 0 < warning["data"]["seconds"] <= 30
        socket.expire_token()
        await socket.expect("disconnect", reason="TOKEN_EXPIRED", reconnect=False)
        await socket.expect_closed(4401, "TOKEN_EXPIRED")
        with pytest.raises(AssertionError, match="Nothing can be sent, but the server has closed"):
            await socket.send({"type": "ping"})
        with pytest.raises(AssertionError, match="cannot expire, but the server has closed"):
            socket.expire_token()


async def test_another_process(alice, bob, shared, configure):
    configure(PRESENCE_AUDIENCE="everyone")
    async with connect(alice) as hers, other_process() as other, connect(bob, process=other) as his:
        assert hers.greeting["online_count"] == 1
        assert his.greeting["online_count"] == 2
        for socket in (hers, his):
            await socket.send({"type": "join", "room_id": "general"})
            await socket.expect("joined")
        await his.send({"type": "message", "room_id": "general", "message": "From afar"})
        await hers.expect("chat", message="From afar")
        await hers.send({"type": "message", "room_id": "general", "message": "To afar"})
        await his.expect("chat", message="To afar")
        await other.run(realtime.send_to_user, alice, {"type": "order"}, durable=False)
        await hers.expect("order")
        await other.run(realtime.asend_to_user, alice, {"type": "stored"})
        await other.run(lambda: realtime.asend_to_user(alice, {"type": "by lambda"}))
        await hers.expect("stored", seq=1)
        await hers.expect("by lambda", seq=2)
        await other.run(rooms.remove_member, alice.pk, "general", bob.pk)
        await his.expect("left", reason="REMOVED")
        path = f"/api/v1/ws/reconnect/{hers.greeting['session_id']}"
        hers.drop_network()
        async with connect(alice, path=path, process=other) as again:
            await again.expect("resumed")


async def test_a_failure_says_what_came_instead(alice):
    async with connect(alice) as socket:
        await realtime.asend_to_user(alice, {"type": "order", "number": "A-17"})
        await socket.send({"type": "ping", "timestamp": 1})
        with pytest.raises(AssertionError) as failure:
            await socket.expect("order", number="B-2", timeout=0)
        assert str(failure.value).startswith("Expected 'order', number='B-2' within 0 s. What came:\n")
        await socket.expect("pong")
        with pytest.raises(AssertionError, match=r"nothing like 'order'\. What came:\n  .*A-17"):
            await socket.expect_nothing("order")
        with pytest.raises(AssertionError, match=r"nothing like any frame\. What came:\n  .*A-17"):
            await socket.expect_nothing()
        await socket.expect_nothing("order", number="B-2")
        await socket.receive()
        await realtime.adisconnect_user(alice)
        with pytest.raises(AssertionError, match=r"Expected the end with 4401, but .* with 4403 KICKED"):
            await socket.expect_closed(4401)
        with pytest.raises(AssertionError, match="Expected 'chat', but the server has closed the socket with 4403"):
            await socket.expect("chat")
