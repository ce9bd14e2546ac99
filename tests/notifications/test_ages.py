"""Notifications are found by when they were created, through their keys."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notifications import ages
from notifications.models import Notification

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ages, "KEYS_AT_ONCE", 4)


@pytest.fixture
def days(bob: Any) -> list[int]:
    """Forty notifications, the first made 39 days ago; some are gone, and some are a little out of order."""
    for age in range(39, -1, -1):
        swapped = {8: timedelta(minutes=50), 20: -timedelta(minutes=50)}.get(age, timedelta())
        Notification.objects.create(recipient=bob, type="mention", burst=age, created_at=NOW - age * DAY + swapped)
    Notification.objects.filter(burst__in=[0, 5, *range(30, 37), 39]).delete()
    return list(Notification.objects.order_by("pk").values_list("burst", flat=True))


@pytest.mark.parametrize("age", [-2, 0, 1, 5, 7.9, 8, 8.1, 20, 29, 33, 38, 38.5, 50])
def test_all_of_a_time_are_found_and_no_others(days: list[int], age: float) -> None:
    moment = NOW - age * DAY
    all_rows = Notification.objects.order_by()
    newer = set(all_rows.filter(created_at__gte=moment).values_list("burst", flat=True))
    older = set(days) - newer
    assert {row.burst for row in ages.created_since(all_rows, moment)} == newer
    assert {row.burst for row in ages.narrow(all_rows.filter(created_at__gte=moment))} == newer
    assert {row.burst for row in ages.narrow(all_rows.filter(created_at__lt=moment))} == older
    found = [[row.burst for row in portion] for portion in ages.portions_before(all_rows, moment)]
    assert sorted(age for portion in found for age in portion) == sorted(older)
    assert all(len(portion) <= ages.KEYS_AT_ONCE for portion in found)


def test_what_is_out_of_order_by_less_than_an_hour_is_found(bob: Any) -> None:
    for minutes in [*range(200, 100, -2), 159, *range(100, 0, -2)]:
        Notification.objects.create(
            recipient=bob, type="mention", burst=minutes, created_at=NOW - timedelta(minutes=minutes)
        )
    rows = ages.narrow(Notification.objects.filter(created_at__lt=NOW - timedelta(minutes=150)))
    assert 159 in {row.burst for row in rows}


def test_no_notification_and_no_moment_is_a_problem(bob: Any) -> None:
    moments = (datetime.min.replace(tzinfo=UTC), NOW, datetime.max.replace(tzinfo=UTC))
    assert not any(ages.created_since(Notification.objects.all(), moment).exists() for moment in moments)
    assert not list(ages.portions_before(Notification.objects.all(), NOW))
    for _ in range(9):
        Notification.objects.create(recipient=bob, type="mention", created_at=NOW)
    assert [ages.created_since(Notification.objects.all(), moment).count() for moment in moments] == [9, 9, 0]
    assert [len(list(ages.portions_before(Notification.objects.all(), moment))) for moment in moments[::2]] == [1, 3]


def test_the_search_asks_few_and_cheap_questions(days: list[int]) -> None:
    with CaptureQueriesContext(connection) as asked:
        list(ages.created_since(Notification.objects.all(), NOW - 3 * DAY))
    assert len(asked.captured_queries) < 10
    assert all("LIMIT 1" in query["sql"] for query in asked.captured_queries[:-1])
