"""Opening a socket: the greeting, the first command, and who is not let in."""

import asyncio
import gc

import pytest
from channels.testing import HttpCommunicator

from project.asgi import application
from realtime.delivery.envelopes import Passing
from realtime.presence.tracker import Tracker
from realtime.protocol.frames import OnlineCount, OnlineCountData, encode
from realtime.routing import asgi_application
from realtime.server.http import BoundedHttpProtocol
from realtime.sockets.handshake import RealtimeConsumer
from realtime.sockets.node import get_node
from tests.clients.socket import until
from tests.patience import PATIENCE_SECONDS
from tests.settings import REALTIME
from tests.sites.in_process import PATH, Refusal, TcpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("announcements")]


async def test_it_limits_the_sockets_of_one_user(site, alice, bob, configure):
    configure(MAX_CONNECTIONS_PER_USER=2)
    first, second = await site.connect(alice), await site.connect(alice)
    third = await site.knock(alice)
    assert await third.ending() == (4409, "TOO_MANY_CONNECTIONS")
    assert third.contract.goodbye.retry_after_ms == 6_000
    await site.connect(bob)
    await first.close()
    await second.settle()
    assert (await site.connect(alice)).greeting["online_count"] == 2


async def test_it_refuses_sockets_over_its_capacity(site, alice, bob, configure):
    configure(MAX_CONNECTIONS=1)
    await site.connect(alice)
    with pytest.raises(Refusal) as refusal:
        await site.knock(bob)
    assert refusal.value.status == 503


@pytest.mark.parametrize("path", ["/api/v1/nothing", f"{PATH}/", "/", "/api/v1/w%73/..", "/api/v1"])
async def test_it_knows_no_other_path(site, alice, path):
    with pytest.raises(Refusal) as refusal:
        await site.knock(alice, path=path)
    assert refusal.value.status == 404


@pytest.mark.parametrize(
    ("path", "root_path"),
    [(PATH, ""), (f"{PATH}/reconnect/x", ""), (f"{PATH}/chat/general", ""), (PATH, "/app"), (f"/app{PATH}", "/app")],
)
async def test_it_says_what_a_request_lacks_that_was_a_handshake(site, caplog, path, root_path):
    """A proxy without the lines for sockets: Django knew no such address, and so did whoever looked for the fault."""
    request = HttpCommunicator(application, "GET", path)
    request.scope.update(root_path=root_path, http_version="1.1")
    answer = await request.get_response(PATIENCE_SECONDS)
    assert (answer["status"], dict(answer["headers"])[b"upgrade"]) == (426, b"websocket")
    assert answer["body"].decode().endswith("A proxy has to pass the headers `Upgrade` and `Connection`.")
    expected = f"A request for '{path}' was refused (426): NO_HANDSHAKE. Does the proxy pass Upgrade?"
    assert [record.getMessage() for record in caplog.records] == [expected]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("version", ["1.0", "2"])
async def test_it_says_so_in_every_version_of_http(site, method, version):
    request = HttpCommunicator(application, method, PATH)
    request.scope["http_version"] = version
    answer = await request.get_response(PATIENCE_SECONDS)
    assert (answer["status"], bool(answer["body"])) == (426, method == "GET")
    assert b"upgrade" not in dict(answer["headers"])


async def answer_as_the_site(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("path", [f"{PATH}/ticket", f"{PATH}/", f"{PATH}x", "/ws/chat/general"])
async def test_other_addresses_are_left_to_the_site(path):
    request = HttpCommunicator(asgi_application(answer_as_the_site), "GET", path)
    assert (await request.get_response(PATIENCE_SECONDS))["status"] == 204


async def test_it_greets(site, alice, token):
    socket = await site.connect(token(alice, exp=2_000_000_000))
    greeting = dict(socket.greeting)
    assert greeting.pop("connection_id")
    greeting.pop("session_id", None)
    assert greeting == {
        "message": "Welcome, alice!",
        "user_id": alice.pk,
        "online_count": 1,
        "protocol": 1,
        "expires_at": "2033-05-18T03:33:20.000000Z",
        "heartbeat_seconds": REALTIME["HEARTBEAT_SECONDS"],
        "max_frame_bytes": 65536,
        "typing_seconds": 600,
        "streams": {f"user.{alice.pk}": 0, "site": 0},
    }


async def test_it_sends_nothing_before_the_greeting(site, alice, monkeypatch):
    arrive = Tracker.arrive

    async def arrive_in_a_crowd(tracker, user_key):
        count = await arrive(tracker, user_key)
        get_node().hub.announce(Passing(encode(OnlineCount(OnlineCountData(7)))))
        return count

    monkeypatch.setattr(Tracker, "arrive", arrive_in_a_crowd)
    socket = await site.connect(alice)
    assert await socket.settle() == []


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        ("zh-CN,zh;q=0.9", "欢迎, alice!"),
        ("zh-hans", "欢迎, alice!"),
        ("fr, en;q=0.5, zh;q=0.1", "Welcome, alice!"),
        ("de;q=1, xx-yy", "Welcome, alice!"),
        ("!?," * 100, "Welcome, alice!"),
    ],
)
async def test_it_greets_in_the_clients_language(site, alice, languages, message):
    socket = await site.connect(alice, headers={"accept-language": languages})
    assert socket.greeting["message"] == message


async def test_it_takes_a_token_as_the_first_command(site, alice, token):
    socket = await site.knock()
    for frame in ({"type": "ping"}, {"type": "join", "room_id": "general"}, "no JSON", b"\0"):
        await socket.send(frame)
    await socket.send({"type": "auth", "id": "a-1", "token": token(alice, exp=2_000_000_000)})
    assert (await socket.receive())["type"] == "connected"  # nothing was answered before it
    ack = await socket.receive()
    assert (ack["id"], ack["expires_at"]) == ("a-1", "2033-05-18T03:33:20.000000Z")
    assert [f["type"] for f in await socket.settle() if f["type"] != "user_status"] == []


async def test_it_waits_for_the_first_command_no_longer_than_it_says(site, configure):
    configure(AUTH_TIMEOUT_SECONDS=0.1)
    socket = await site.knock()
    await socket.send({"type": "ping"})
    assert await socket.ending() == (4401, "AUTH_TIMEOUT")


async def test_a_process_that_stood_still_takes_the_first_command_that_came_in_time(configure, monkeypatch):
    """The frame and the end of the time wait for the same turn of the loop."""
    configure(AUTH_TIMEOUT_SECONDS=600)
    loop, arrived = asyncio.get_running_loop(), asyncio.Queue()
    consumer = RealtimeConsumer()
    consumer.receive = arrived.get
    reading = asyncio.create_task(consumer.read_auth())
    await asyncio.sleep(0)
    for text in ('{"type":"ping"}', '{"type":"auth","id":"a-1","token":"abc"}'):
        loop.call_later(599, arrived.put_nowait, {"type": "websocket.receive", "text": text})
    later = loop.time() + 700
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: later)
        assert (await reading).value == "abc"
    assert consumer.auth_id == "a-1"


async def test_it_bears_no_flood_before_the_first_command(site, configure):
    socket = await site.knock()
    for _ in range(30):
        await socket.send({"type": "ping"})
    assert await socket.ending() == (4400, "TOO_MANY_ERRORS")


async def test_it_forgets_who_leaves_without_a_command(site, alice):
    stranger = await site.knock()
    await stranger.close()
    assert (await site.connect(alice)).greeting["online_count"] == 1


@pytest.mark.parametrize("site", [TcpServer], indirect=True, ids=["direct"])
async def test_it_keeps_nothing_of_the_handshake(site, alice):
    await site.connect(alice)
    (socket,) = (connection.sink._socket for connection in get_node().hub.connections.values())
    await until(lambda: not hasattr(socket, "scope"))
    assert "request" not in socket.conn.parser.gi_frame.f_locals
    # `isinstance` would look through weak proxies, also of what has gone.
    assert not [kept for kept in gc.get_objects() if issubclass(type(kept), BoundedHttpProtocol)]


async def test_it_counts_a_socket_once_while_it_is_opened(site, alice, bob, configure, monkeypatch):
    """It was counted twice from its registration on, so sockets were refused below the limit."""
    configure(MAX_CONNECTIONS=2)
    may_enter, enter = asyncio.Event(), RealtimeConsumer.enter

    async def enter_slowly(consumer, connection):
        await may_enter.wait()
        await enter(consumer, connection)

    monkeypatch.setattr(RealtimeConsumer, "enter", enter_slowly)
    sockets = [await site.knock(alice)]
    await until(lambda: get_node().hub.connections)
    sockets.append(await site.knock(bob))
    may_enter.set()
    for socket in sockets:
        await socket.find("connected")
    assert get_node().opening == 0
