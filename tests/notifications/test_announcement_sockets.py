"""Announcements on sockets: what open clients hear, what a test shows, and what another device does."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from notifications import aannounce, acancel_announcement
from notifications.announcements import acts, audiences, events, publishing
from realtime.storage.database import run
from tests.notifications.announced import make_draft, make_old

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def staff(monkeypatch: pytest.MonkeyPatch, alice: Any, bob: Any, django_user_model: Any) -> None:
    """The audience `staff`, of which alice is; nobody is newer than an announcement."""
    monkeypatch.setattr(audiences, "_audiences", {})
    audiences.register_audience("staff", "Staff", lambda: django_user_model.objects.filter(is_staff=True))
    alice.is_staff = True
    make_old(alice, bob)


async def test_every_open_socket_gets_one_for_everyone(site: Any, alice: Any, bob: Any) -> None:
    sockets = [await site.connect(alice), await site.connect(bob), await site.connect(bob, path="/ws/notifications")]
    row = await aannounce("Maintenance")
    for socket in sockets:
        frame = await socket.find("announcement", id=row.pk)
        assert frame["data"]["texts"] == [{"language": "en", "title": "Maintenance", "message": ""}]
        assert frame["stream"] == "site"
    assert await acancel_announcement(row)
    for socket in sockets:
        await socket.find("announcement_ended", announcement_id=row.pk)


async def test_nobody_outside_an_audience_gets_its_text(site: Any, alice: Any, bob: Any) -> None:
    inside, outside = await site.connect(alice), await site.connect(bob)
    row = await aannounce("A secret", audience="staff")
    for socket in (inside, outside):
        await socket.find("announcement_changed", announcement_id=row.pk)
    assert await run(publishing.note_change, row)
    await acancel_announcement(row)
    for socket in (inside, outside):
        await socket.find("announcement_ended")
        assert not [frame for frame in socket.frames if "secret" in str(frame)]


async def test_who_was_away_gets_what_was_missed(site: Any, bob: Any) -> None:
    socket = await site.connect(bob)
    position = socket.greeting["streams"]["site"]
    await socket.close()
    row = await aannounce("Maintenance")
    socket = await site.connect(bob)
    await socket.send({"type": "resume", "id": "r", "streams": {"site": position}})
    assert (await socket.find("announcement_changed"))["data"]["announcement_id"] == row.pk
    await socket.find("resumed")


async def test_no_text_is_replayed_to_who_may_be_newer_or_after_its_end(site: Any, carol: Any) -> None:
    row = await aannounce("For those who were here")
    gone = await aannounce("Never mind")
    await acancel_announcement(gone)
    carol.date_joined = timezone.now() + timedelta(seconds=1)
    await run(carol.save)
    socket = await site.connect(carol)
    await socket.send({"type": "resume", "id": "r", "streams": {"site": 0}})
    frames = [frame for frame in await socket.settle() if frame["type"].startswith("announcement")]
    assert [(frame["type"], frame["seq"]) for frame in frames] == [
        ("announcement_changed", 1),
        ("announcement_changed", 2),
        ("announcement_ended", 3),
    ]
    assert [frame["data"]["announcement_id"] for frame in frames] == [row.pk, gone.pk, gone.pk]


@pytest.mark.parametrize("body", [b'{"type":"announcement","of":"the site"}', b'{"type":"order","number":"A-17"}'])
def test_frames_of_the_site_are_replayed_as_they_are(body: bytes) -> None:
    assert events.without_texts(body) == body


async def test_a_test_reaches_its_author_alone(site: Any, alice: Any, bob: Any) -> None:
    own, other = await site.connect(alice), await site.connect(bob)
    draft = await run(make_draft, "Looks good?")
    await run(events.send_test, draft, alice)
    frame = await own.find("announcement")
    assert (frame["data"]["test"], frame["stream"]) == (True, f"user.{alice.pk}")
    assert not [frame for frame in await other.settle() if frame["type"] == "announcement"]


async def test_the_readers_other_devices_hear_of_all_but_seen(site: Any, alice: Any, bob: Any) -> None:
    phone, other = await site.connect(alice), await site.connect(bob)
    row = await aannounce("Maintenance")
    for name in ("seen", "read", "dismiss", "dismiss"):
        await run(acts.act, alice, row.pk, name)
    frames = [frame for frame in await phone.settle() if frame["type"] == "announcement_state"]
    noted = [{key for key, moment in frame["data"].items() if moment} - {"announcement_id"} for frame in frames]
    assert noted == [{"seen_at", "read_at"}, {"seen_at", "read_at", "dismissed_at"}]
    assert not [frame for frame in await other.settle() if frame["type"] == "announcement_state"]


async def test_those_online_are_those_with_a_socket_at_that_moment(site: Any, alice: Any, bob: Any) -> None:
    socket = await site.connect(alice)
    await socket.settle()
    row = await aannounce("For those here", audience="online")
    assert row.online == {str(alice.pk): 1}
    assert row.reached == 1
