"""When a process may say that others have gone: only if the others could have said that they have not."""

import pytest

from realtime.presence.health import StoreHealth
from tests.backends.presence import Clock

LEASE = 20.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return StoreHealth(LEASE, clock)


def report_for(health, clock, seconds):
    """Report every second."""
    for _ in range(round(seconds)):
        clock.sleep(1)
        health.note_report()


def test_a_process_that_has_just_started_counts_out_users_but_no_processes(health, clock):
    assert (health.may_remove_users(), health.may_remove_processes()) == (True, False)
    report_for(health, clock, LEASE)
    assert (health.may_remove_users(), health.may_remove_processes()) == (True, True)


def test_after_a_refusal_everybody_gets_the_time_of_a_lease(health, clock):
    report_for(health, clock, 100)
    health.note_refusal("full")
    for _ in range(2):  # it goes on being refused
        clock.sleep(LEASE - 1)
        assert not health.may_remove_users()
        health.note_refusal("full")
    report_for(health, clock, LEASE)  # the first of these ends a long silence
    assert (health.may_remove_users(), health.may_remove_processes()) == (False, False)
    report_for(health, clock, 1)
    assert (health.may_remove_users(), health.may_remove_processes()) == (True, True)


@pytest.mark.parametrize(
    ("lease", "pause", "may"), [(LEASE, 10, True), (LEASE, 11, False), (2, 3, True), (2, 4, False)]
)
def test_a_pause_counts_as_a_refusal(clock, lease, pause, may):
    """The store hung and lost nothing, or the whole machine stood still, and with it all who should have reported."""
    health = StoreHealth(lease, clock)
    report_for(health, clock, 100)
    clock.sleep(pause)
    assert health.may_remove_users() is may  # also of a process that goes on with this question
    health.note_report()
    assert health.may_remove_users() is may


def test_a_store_that_is_away_is_in_the_log_once_until_it_takes_all_reports(health, clock, caplog):
    caplog.set_level("INFO")
    for _ in range(3):
        health.note_refusal("out of memory")
        clock.sleep(1)
        health.note_report()  # of a user who leaves
    assert [record.getMessage() for record in caplog.records] == ["The presence store is away: out of memory"]
    report_for(health, clock, LEASE)
    assert [record.getMessage() for record in caplog.records[1:]] == ["The presence store is available"]
    health.note_refusal("out of memory")
    assert len(caplog.records) == 3
