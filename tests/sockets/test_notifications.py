"""Sockets of notifications: what passes, and whose."""

import pytest

from realtime.delivery import publishing
from realtime.protocol.errors import ErrorCode
from realtime.storage.database import run
from tests.clients.socket import Ending, is_refused

pytestmark = pytest.mark.django_db(transaction=True)

FORBIDDEN = Ending(4403, "FORBIDDEN")


@pytest.mark.parametrize("path", ["/api/v1/ws/notifications", "/ws/notifications"])
async def test_it_passes_notifications_and_what_a_site_sends(site, alice, bob, path):
    socket, other = await site.connect(alice, path=path), await site.connect(bob)
    order = {"type": "order_status_changed", "order_id": "A-1", "status": "sent", "timestamp": "2025-10-22T10:00:00Z"}
    await other.ask("message", to_user_id=alice.pk, message="psst")
    await other.ask("presence", status="busy")
    await run(publishing.send_to_user, alice.pk, order)
    frame = await socket.receive()
    assert frame == {**order, "stream": f"user.{alice.pk}", "seq": 2}
    await run(publishing.publish, "site", {"type": "maintenance"}, durable=False)
    assert await socket.receive() == {"type": "maintenance"}


async def test_it_has_notifications_of_oneself_only(site, alice, bob):
    for prefix in ("/ws/notifications/", "/api/v1/ws/notifications/"):
        mine = await site.connect(alice, path=f"{prefix}{alice.pk}")
        assert mine.greeting["streams"].keys() == {f"user.{alice.pk}", "site"}
        for id in (bob.pk, 999_999, "me", f"0{alice.pk}"):
            assert await (await site.knock(alice, path=f"{prefix}{id}")).ending() == FORBIDDEN


async def test_it_understands_what_is_about_notifications(site, alice, token):
    socket = await site.connect(alice, path="/ws/notifications")
    await run(publishing.send_to_user, alice.pk, {"type": "order_status_changed"})
    await socket.find("order_status_changed")
    await socket.send({"type": "resume", "id": "r", "streams": {f"user.{alice.pk}": 0}})
    socket.contract.rewind(f"user.{alice.pk}", 0)
    assert (await socket.receive())["seq"] == 1
    assert (await socket.receive())["type"] == "resumed"
    assert (await socket.ask("auth", token=token(alice)))["type"] == "ack"
    assert (await socket.ask("ping"))["type"] == "pong"
    assert (await socket.ask("read", notification_ids=[1]))["type"] == "ack"
    for type, fields in [("join", {"room_id": "general"}), ("message", {"to_user_id": 1, "message": "x"})]:
        assert is_refused(await socket.ask(type, **fields), ErrorCode.UNKNOWN_MESSAGE_TYPE)
    await socket.send("plain text")
    assert is_refused(await socket.receive(), ErrorCode.INVALID_JSON)
