"""Quiet hours, summaries, mails and digests on a site without USE_TZ: times are moments all the same."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import make_aware

from notifications import clock, explain, inbox, jobs, mute
from notifications.models import Delivery, Notification
from realtime.models import Room
from tests.notifications.choices import MIDNIGHT, NIGHT, Time, choose
from tests.notifications.mails import Office
from tests.notifications.rows import pushed, sent

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["Asia/Shanghai", "America/New_York", "UTC"], autouse=True)
def local_times(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = request.param


def moment(stored: datetime | None) -> datetime:
    """What the site's database has, as a moment."""
    assert stored is not None
    assert stored.tzinfo is None
    return stored.astimezone(UTC)


def test_quiet_hours_end_in_a_summary(bob: Any, time: Time) -> None:
    time.set(MIDNIGHT)
    choose(bob, quiet_hours=[NIGHT], time_zone="Europe/London")
    row = sent(bob, "mention", message="hello")
    row.refresh_from_db()
    assert moment(row.withheld_until) == MIDNIGHT + timedelta(hours=7)
    assert explain(row, bob)[0].text == "The reader has quiet hours until 2030-01-16 07:00."
    jobs.run_due()
    assert pushed(bob) == []
    time.pass_by(hours=7)
    jobs.run_due()
    assert [frame["type"] for frame in pushed(bob)] == ["notifications_waiting"]
    assert pushed(bob)[0]["data"]["since"] == "2030-01-16T00:00:00.000000Z"


def test_the_sites_zone(bob: Any, time: Time) -> None:
    choose(bob, quiet_hours=[NIGHT])
    time.set(make_aware(datetime(2030, 1, 16, 6, 59)))
    row = sent(bob, "mention", message="hello")
    row.refresh_from_db()
    assert row.withheld_until == datetime(2030, 1, 16, 7)


def test_mails_and_digests(office: Office, erin: Any) -> None:
    choose(erin, digest="daily", digest_hour=8, time_zone="Asia/Tokyo")
    office.leave(erin)
    sent(erin, "mention", message="hello")
    assert len(office.send(minutes=5)) == 1
    sent(erin, "mention", message="hello")
    assert office.send(minutes=5) == []
    assert moment(Delivery.objects.get(state="queued").due_at) == MIDNIGHT + timedelta(hours=23)
    office.time.set(MIDNIGHT + timedelta(hours=23))
    assert len(office.send()) == 1


def test_a_mute_without_an_end(bob: Any, time: Time) -> None:
    room = Room.objects.create(slug="lunch")
    mute(bob, room)
    row = sent(bob, "mention", message="hello", target=room)
    row.refresh_from_db()
    assert (row.withheld_by, row.withheld_until) == ("mute", None)


def test_a_snooze(bob: Any, time: Time) -> None:
    row = sent(bob, "mention", message="hello")
    inbox.act(bob.pk, "snooze", ids=[row.pk], until=time.now + timedelta(hours=1))
    for passed, unread in ((59, 0), (1, 1)):
        time.pass_by(minutes=passed)
        jobs.run_due()
        assert Notification.objects.in_inbox().count() == unread


@pytest.mark.parametrize("local_times", ["Europe/Berlin"], indirect=True)
def test_an_end_in_the_hour_that_comes_twice(bob: Any, time: Time) -> None:
    """Both turns of 02:15 are the same in the database; quiet hours end with the second."""
    time.set(datetime(2030, 10, 26, 22, 30, tzinfo=UTC))
    choose(bob, quiet_hours=[{**NIGHT, "end": "02:15"}])
    row = sent(bob, "mention", message="hello")
    for hour in (0, 1):
        assert pushed(bob) == []
        time.set(datetime(2030, 10, 27, hour, 15, 3, tzinfo=UTC))
        jobs.run_due()
        row.refresh_from_db()
        assert row.withheld_until is None or row.withheld_until > clock.now()
    time.set(datetime(2030, 10, 27, 1, 17, tzinfo=UTC))
    jobs.run_due()
    assert [frame["type"] for frame in pushed(bob)] == ["notifications_waiting"]


@pytest.mark.parametrize("local_times", ["Europe/Berlin"], indirect=True)
def test_a_digest_of_the_hour_that_comes_twice(office: Office, erin: Any) -> None:
    choose(erin, digest="hourly")
    for minute in (0, 20):  # of the first turn; the next mail may go in the second one
        office.time.set(datetime(2030, 10, 27, 0, minute, tzinfo=UTC))
        sent(erin, "mention", message="hello", dedupe_key=str(minute))
        assert len(office.send(minutes=5)) == (minute == 0)
    waiting = Delivery.objects.get(state="queued")
    assert waiting.reason == "digest"
    assert waiting.due_at > clock.now()
    assert len(office.send(hours=2)) == 1
