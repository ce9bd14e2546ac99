"""Counting, with times given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.limits import ErrorBudget, Quota, TokenBucket

START = 1_000.0
waits = st.lists(st.floats(0, 3, allow_nan=False), max_size=60)


def test_it_allows_a_burst_and_then_the_rate():
    bucket = TokenBucket(rate=2, burst=3)
    assert [bucket.take(START) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert bucket.take(START + 0.25) == pytest.approx(0.25)
    assert bucket.take(START + 0.5) == 0
    assert bucket.take(START + 0.5) == pytest.approx(0.5)


def test_it_saves_no_more_than_the_burst():
    bucket = TokenBucket(rate=10, burst=2)
    assert [bucket.take(START) for _ in range(3)] == [0, 0, pytest.approx(0.1)]
    assert [bucket.take(START + 3600) for _ in range(3)] == [0, 0, pytest.approx(0.1)]


def test_it_charges_nothing_for_a_refusal():
    bucket = TokenBucket(rate=1, burst=1)
    bucket.take(START)
    assert [bucket.take(START + 0.5) for _ in range(100)] == [pytest.approx(0.5)] * 100
    assert bucket.take(START + 1) == 0


@given(waits)
def test_it_never_lets_more_through_than_burst_and_rate(pauses):
    bucket, now, through = TokenBucket(rate=3, burst=5), START, 0
    for pause in pauses:
        now += pause
        through += bucket.take(now) == 0
    assert through <= 5 + 3 * (now - START) + 1e-6


@given(waits)
def test_it_lets_through_whoever_waits_as_long_as_advised(pauses):
    bucket, now = TokenBucket(rate=3, burst=2), START
    for pause in pauses:
        now += pause
        if wait := bucket.take(now):
            now += wait + 1e-6
            assert bucket.take(now) == 0


def test_it_forgives_errors_that_are_rare():
    budget = ErrorBudget(limit=3, window_seconds=10)
    assert all(budget.spend(START + 11 * number) for number in range(20))


def test_it_is_spent_by_the_last_of_many_errors():
    budget = ErrorBudget(limit=3, window_seconds=10)
    assert [budget.spend(START + second) for second in (0, 5, 10)] == [True, True, False]
    assert not budget.spend(START + 10)


def test_it_counts_afresh_when_the_window_has_passed():
    budget = ErrorBudget(limit=3, window_seconds=10)
    assert [budget.spend(START + second) for second in (0, 9, 10.5, 11, 20)] == [True, True, True, True, False]


def test_it_has_one_bucket_for_all_sockets_of_a_user():
    quota = Quota(TokenBucket(rate=1, burst=2), TokenBucket(rate=1, burst=1))
    assert [quota.bucket.take(START) for _ in range(3)] == [0, 0, 1]
    assert quota.refused == 0


def test_it_gives_nothing_at_a_rate_of_none():
    bucket = TokenBucket(rate=0, burst=1)
    assert bucket.take(0.0) == 0.0
    assert round(bucket.take(100.0) * 1000) == 3_600_000  # a number that a frame can carry
