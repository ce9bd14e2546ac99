"""The schedule: announcements go live and end on time, once among all processes."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from notifications import cancel_announcement, jobs
from notifications.announcements import audiences, publishing
from notifications.announcements.schedule import keep_schedule
from notifications.models import Announcement
from realtime.integration import StoreUnavailable
from tests.notifications.announced import announce, frames, make_draft, titles
from tests.racing import at_once

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY = timedelta(days=1)


def broken() -> Any:
    raise AttributeError("no crew today")


def state_of(row: Announcement) -> str:
    row.refresh_from_db()
    return row.state


def test_it_publishes_what_is_due_and_nothing_else(bob: Any) -> None:
    due = make_draft("due", state="scheduled", starts_at=NOW)
    later = make_draft("later", state="scheduled", starts_at=NOW + DAY)
    draft = make_draft("draft", starts_at=NOW - DAY)
    keep_schedule(NOW)
    assert [state_of(row) for row in (due, later, draft)] == ["live", "scheduled", "draft"]
    assert due.live_at == NOW
    assert due.reached == 1
    assert [frame["data"]["id"] for frame in frames("announcement")] == [due.pk]
    keep_schedule(NOW + DAY)
    assert [frame["data"]["id"] for frame in frames("announcement")] == [due.pk, later.pk]


def test_it_ends_what_is_over(bob: Any) -> None:
    over, on = announce("over", ends_at=NOW + DAY), announce("on", ends_at=NOW + 2 * DAY)
    keep_schedule(NOW + DAY)
    assert [state_of(row) for row in (over, on)] == ["ended", "live"]
    assert over.over_at == NOW + DAY
    assert frames()[2:] == [{"type": "announcement_ended", "data": {"announcement_id": over.pk}}]
    keep_schedule(NOW + DAY)
    assert len(frames()) == 3


def test_one_that_was_cancelled_stays_so() -> None:
    row = announce("later", starts_at=NOW + DAY)
    cancel_announcement(row)
    keep_schedule(NOW + DAY)
    assert state_of(row) == "cancelled"
    assert not frames()


def test_what_nobody_could_publish_in_time_is_told_to_nobody() -> None:
    row = make_draft(state="scheduled", starts_at=NOW - 2 * DAY, ends_at=NOW - DAY)
    keep_schedule(NOW)
    assert state_of(row) == "ended"
    assert not frames()


def test_one_that_cannot_be_published_keeps_no_other_waiting(caplog: pytest.LogCaptureFixture) -> None:
    lost = make_draft("lost", state="scheduled", starts_at=NOW - DAY, audience="gone")
    fine = make_draft("fine", state="scheduled", starts_at=NOW)
    keep_schedule(NOW)
    assert [state_of(row) for row in (lost, fine)] == ["scheduled", "live"]
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "gone" in caplog.text


def test_an_audience_that_fails_keeps_no_other_waiting(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, django_user_model: Any
) -> None:
    monkeypatch.setattr(audiences, "_audiences", {})
    audiences.register_audience("crew", "The crew", django_user_model.objects.all)
    uncounted = announce("uncounted", audience="crew")
    Announcement.objects.update(reached=None)
    over = announce("over", ends_at=NOW + DAY)
    audiences.register_audience("crew", "The crew", broken)
    lost = make_draft("lost", state="scheduled", starts_at=NOW - DAY, audience="crew")
    fine = make_draft("fine", state="scheduled", starts_at=NOW)
    keep_schedule(NOW + DAY)
    assert [state_of(row) for row in (lost, fine, uncounted, over)] == ["scheduled", "live", "live", "ended"]
    assert [record.getMessage() for record in caplog.records] == [
        f"The announcement {lost.pk} cannot be published",
        f"The announcement {uncounted.pk} cannot be counted",
    ]
    assert "no crew today" in caplog.text


def test_while_it_is_not_known_who_is_online_others_go_live(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_online() -> dict[str, int]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(audiences, "find_online", find_online)
    waits = make_draft("waits", state="scheduled", starts_at=NOW - DAY, audience="online")
    fine = make_draft("fine", state="scheduled", starts_at=NOW)
    keep_schedule(NOW)
    assert [state_of(row) for row in (waits, fine)] == ["scheduled", "live"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_database_that_is_away_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def go_live(*_: Any, **__: Any) -> bool:
        raise OperationalError("away")

    monkeypatch.setattr(publishing, "go_live", go_live)
    make_draft("due", state="scheduled", starts_at=NOW)
    with pytest.raises(OperationalError):
        keep_schedule(NOW)


def test_an_audience_that_was_not_counted_is_counted_later(bob: Any) -> None:
    row = announce("news")
    Announcement.objects.update(reached=None)  # as if the process had died after the commit
    keep_schedule(NOW)
    assert state_of(row) == "live"
    assert row.reached == 1


def test_one_that_is_put_off_while_it_goes_live_waits_again(monkeypatch: pytest.MonkeyPatch) -> None:
    row = make_draft(state="scheduled", starts_at=NOW, audience="online")

    def find_online() -> dict[str, int]:
        Announcement.objects.update(starts_at=NOW + DAY)
        return {}

    monkeypatch.setattr(audiences, "find_online", find_online)
    keep_schedule(NOW)
    assert state_of(row) == "scheduled"
    assert not frames()


def test_one_whose_audience_changes_while_it_goes_live_waits_for_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = make_draft(state="scheduled", starts_at=NOW)

    original = audiences.require_audience

    def require_audience(key: str) -> None:
        Announcement.objects.update(audience="online")
        original(key)

    monkeypatch.setattr(audiences, "require_audience", require_audience)
    keep_schedule(NOW)
    assert state_of(row) == "scheduled"
    monkeypatch.setattr(audiences, "require_audience", original)
    keep_schedule(NOW)
    assert state_of(row) == "live"
    assert [frame["type"] for frame in frames()] == ["announcement_changed"]


@pytest.mark.django_db(transaction=True)
def test_several_processes_do_each_step_once() -> None:
    first = make_draft("first", state="scheduled", starts_at=NOW - DAY)
    make_draft("second", state="scheduled", starts_at=NOW)
    over = announce("over", ends_at=NOW + DAY)
    Announcement.objects.filter(pk=over.pk).update(ends_at=NOW)
    assert at_once(*[lambda: keep_schedule(NOW)] * 4) == [None] * 4
    assert len(frames("announcement")) == 3
    assert len(frames("announcement_ended")) == 1
    assert state_of(first) == "live"


@pytest.mark.django_db(transaction=True)
def test_a_cancellation_and_the_schedule_at_once_leave_it_cancelled(bob: Any) -> None:
    """Whoever is first, it is over in the end, and open clients know."""
    row = make_draft(state="scheduled", starts_at=NOW)
    results = at_once(lambda: publishing.go_live(row.pk, NOW, only_due=True), lambda: cancel_announcement(row))
    assert results[1] is True
    assert state_of(row) == "cancelled"
    assert [frame["type"] for frame in frames()] in ([], ["announcement", "announcement_ended"])
    assert titles(bob) == []


def test_it_is_among_the_jobs(bob: Any) -> None:
    make_draft("due", state="scheduled", starts_at=NOW - DAY)
    jobs.run_due()
    assert len(frames("announcement")) == 1
