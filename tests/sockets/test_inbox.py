"""What one device does with notifications reaches the user's other devices at once, with the new counts."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from notifications import notify, withdraw
from notifications.inbox.changes import lock_inbox
from notifications.models import Notification
from realtime.chat import read_positions
from realtime.conf import settings
from realtime.storage.database import run
from tests.patience import PATIENCE_SECONDS
from tests.people import client_for
from tests.racing import at_once, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/notifications"


async def sent(user: Any, count: int, **options: Any) -> list[int]:
    return [(await run(partial(notify, user, "mention", message=str(n), **options))).pk for n in range(count)]


async def post(user: Any, address: str, body: Any = None) -> Any:
    """A request of another device."""
    answer = await run(lambda: client_for(user).post(f"{PATH}{address}", body or {}))
    assert answer.status_code == 200, answer.json()
    return answer.json()


def told(frames: Any) -> list[dict[str, Any]]:
    """The `data` of the `inbox` frames."""
    return [frame["data"] for frame in frames if frame["type"] == "inbox"]


async def test_the_command_read(site: Any, alice: Any, bob: Any) -> None:
    phone, laptop, other = await site.connect(bob), await site.connect(bob), await site.connect(alice)
    ids = await sent(bob, 3)
    assert (await phone.ask("read", notification_ids=ids[:2]))["type"] == "ack"
    frame = await laptop.expect("inbox")
    assert frame["data"] == {"unread": 1, "unseen": 1, "act": "read", "notification_ids": ids[:2]}
    assert (await laptop.expect("read"))["data"] == {"notification_ids": ids[:2]}
    own = await phone.expect("inbox")  # it is an event, so the device that did it gets it, too
    assert (own["seq"], own["data"]) == (frame["seq"], frame["data"])
    assert "read" not in [frame["type"] for frame in await phone.settle()]
    assert told(await other.settle()) == []


HELD: dict[str, Callable[[Any], object]] = {
    "the inbox": lambda user: lock_inbox(user.pk),
    "a notification": lambda user: list(Notification.objects.filter(recipient=user).locked()),
}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.parametrize("what", HELD)
async def test_one_whose_commands_wait_lets_others_write(
    site: Any, alice: Any, bob: Any, general: Any, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as there are database threads, while another device archives very many."""
    ids = await sent(bob, 1)
    begun, is_held, is_over = list[Any](), threading.Event(), threading.Event()
    mark = read_positions.mark_notifications

    def note(*given: Any) -> list[int]:
        begun.append(given)
        return mark(*given)

    def hold() -> None:
        with transaction.atomic():
            HELD[what](bob)
            is_held.set()
            assert is_over.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(read_positions, "mark_notifications", note)
    sockets = [await site.connect(bob) for _ in range(settings().database_threads)]
    other = await site.connect(alice)
    holding = asyncio.create_task(asyncio.to_thread(at_once, hold))
    assert await asyncio.to_thread(is_held.wait, PATIENCE_SECONDS)
    commands = [asyncio.create_task(socket.ask("read", notification_ids=ids)) for socket in sockets]
    await asyncio.to_thread(wait_until, lambda: len(begun) >= len(sockets))
    try:
        assert (await other.ask("message", room_id="general", message="hello"))["type"] == "ack"
        assert not any(command.done() for command in commands)
    finally:
        is_over.set()
    assert await holding == [None]
    assert {(await command)["type"] for command in commands} == {"ack"}


async def test_acts_over_rest(site: Any, alice: Any, bob: Any) -> None:
    phone, laptop, other = await site.connect(bob), await site.connect(bob), await site.connect(alice)
    ids = await sent(bob, 3)
    await post(bob, f"/{ids[0]}/read")
    await post(bob, f"/{ids[1]}/archive")
    undo = (await post(bob, "/acts", {"act": "delete", "up_to": ids[2]}))["undo"]
    await post(bob, "/undo", {"undo": undo})
    expected = [
        {"unread": 2, "unseen": 2, "act": "read", "notification_ids": ids[:1]},
        {"unread": 1, "unseen": 1, "act": "archive", "notification_ids": [ids[1]]},
        {"unread": 0, "unseen": 0, "act": "delete", "notification_ids": [ids[0], ids[2]]},
        {"unread": 1, "unseen": 1, "act": "undo", "notification_ids": [ids[0], ids[2]]},
    ]
    for socket in (phone, laptop):
        await socket.expect("inbox", act="undo")
        assert told(socket.frames) == expected
        assert [frame["data"] for frame in socket.frames if frame["type"] == "read"] == [{"notification_ids": ids[:1]}]
    assert told(await other.settle()) == []


async def test_what_changes_nothing_is_not_told(site: Any, bob: Any) -> None:
    phone = await site.connect(bob)
    [pk] = await sent(bob, 1)
    for _ in range(2):
        await post(bob, f"/{pk}/seen")
    await phone.ask("read", notification_ids=[pk])
    await phone.ask("read", notification_ids=[pk])
    await phone.expect("inbox", act="read")
    assert [data["act"] for data in told([*phone.frames, *await phone.settle()])] == ["seen", "read"]


async def test_opening_one(site: Any, bob: Any) -> None:
    phone = await site.connect(bob)
    [pk] = await sent(bob, 1, link="/posts/17")
    answer = await run(lambda: client_for(bob).get(f"{PATH}/{pk}/open"))
    assert answer["Location"] == "/posts/17"
    assert (await phone.expect("inbox"))["data"] == {"unread": 0, "unseen": 0, "act": "read", "notification_ids": [pk]}


async def test_withdrawn_ones_are_removed_from_all_devices(site: Any, bob: Any) -> None:
    phone, laptop = await site.connect(bob), await site.connect(bob)
    await sent(bob, 2)
    [late] = await sent(bob, 1, dedupe_key="late")
    await run(partial(withdraw, dedupe_key="late"))
    for socket in (phone, laptop):
        frame = await socket.expect("notification_removed")
        assert frame["data"] == {"unread": 2, "unseen": 2, "notification_ids": [late]}


async def test_a_device_that_was_away_learns_what_it_missed(site: Any, bob: Any) -> None:
    phone = await site.connect(bob)
    stream = f"user.{bob.pk}"
    seen = phone.greeting["streams"][stream]
    ids = await sent(bob, 2)
    await post(bob, f"/{ids[0]}/archive")
    late = await site.connect(bob)
    await late.ask("resume", streams={stream: seen})
    types = [frame["type"] for frame in late.events(stream)]
    assert types == ["notification", "notification", "inbox"]
    assert late.events(stream)[-1]["data"]["unread"] == 1
