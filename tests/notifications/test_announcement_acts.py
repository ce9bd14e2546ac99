"""What readers do with an announcement over REST: what is noted, and what is refused."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications import announce, cancel_announcement
from notifications.models import Announcement, AnnouncementState
from tests.notifications.announced import ADDRESS, listed, make_old, report, titles
from tests.people import client_for
from tests.racing import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_is_new(alice: Any, bob: Any) -> None:
    make_old(alice, bob)


def test_a_state_is_stored_when_there_is_one(alice: Any, bob: Any) -> None:
    row = announce("news")
    listed(alice)
    assert not AnnouncementState.objects.exists()
    answer = report(alice, row, "seen")
    state = AnnouncementState.objects.get()
    assert (state.user, state.announcement) == (alice, row)
    assert answer.json() == {
        "announcement_id": row.pk,
        "seen_at": state.seen_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),  # type: ignore[union-attr]
        "read_at": None,
        "dismissed_at": None,
        "confirmed_at": None,
    }


@pytest.mark.parametrize(
    ("act", "closing", "noted", "is_listed"),
    [
        ("seen", "dismiss", {"seen_at"}, True),
        ("read", "dismiss", {"seen_at", "read_at"}, True),
        ("dismiss", "dismiss", {"seen_at", "dismissed_at"}, False),
        ("confirm", "confirm", {"seen_at", "read_at", "confirmed_at"}, False),
        ("read", "stay", {"seen_at", "read_at"}, True),
    ],
)
def test_what_an_act_notes(alice: Any, bob: Any, act: str, closing: str, noted: set[str], is_listed: bool) -> None:
    row = announce("news", closing=closing)
    moments = report(alice, row, act).json()
    assert {name for name, moment in moments.items() if moment} - {"announcement_id"} == noted
    assert titles(alice) == (["news"] if is_listed else [])
    assert titles(bob) == ["news"]


@pytest.mark.parametrize(
    ("act", "before", "after", "is_listed"),
    [
        ("dismiss", "dismiss", "confirm", True),
        ("dismiss", "dismiss", "stay", True),
        ("confirm", "confirm", "stay", True),
        ("confirm", "confirm", "dismiss", False),
    ],
)
def test_what_was_closed_comes_back_if_it_cannot_be_closed_so_any_more(
    alice: Any, act: str, before: str, after: str, is_listed: bool
) -> None:
    row = announce("news", closing=before)
    report(alice, row, act)
    assert titles(alice) == []
    Announcement.objects.update(closing=after)
    assert titles(alice) == (["news"] if is_listed else [])
    if after == "confirm":
        assert report(alice, row, "confirm").status_code == 200
        assert titles(alice) == []


def test_a_moment_is_noted_once(alice: Any) -> None:
    row = announce("news")
    first = report(alice, row, "seen").json()
    report(alice, row, "read")
    report(alice, row, "dismiss")
    again = report(alice, row, "seen").json()
    assert again["seen_at"] == first["seen_at"]
    assert report(alice, row, "dismiss").json() == again
    assert AnnouncementState.objects.count() == 1


@pytest.mark.parametrize(
    ("act", "closing"), [("dismiss", "confirm"), ("dismiss", "stay"), ("confirm", "dismiss"), ("confirm", "stay")]
)
def test_what_an_announcement_does_not_allow(alice: Any, act: str, closing: str) -> None:
    refused = report(alice, announce("news", closing=closing), act)
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    assert not AnnouncementState.objects.exists()


def test_what_is_over_takes_no_acts(alice: Any) -> None:
    row = announce("news")
    cancel_announcement(row)
    assert report(alice, row, "seen").status_code == 404


@pytest.mark.parametrize("key", ["0", "999999", "abc", "-1", "1" * 30, "٧"])
def test_one_that_never_was(alice: Any, key: str) -> None:
    assert report(alice, key, "seen").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_two_devices_at_once_make_one_state(alice: Any) -> None:
    row = announce("news")
    client = client_for(alice)
    acts = [f"{ADDRESS}/{row.pk}/{act}" for act in ("seen", "read", "dismiss", "seen")]
    answers = at_once(*[lambda address=address: client.post(address).status_code for address in acts])  # type: ignore[misc]
    assert answers == [200] * 4
    state = AnnouncementState.objects.get()
    assert None not in (state.seen_at, state.read_at, state.dismissed_at)


def test_visitors_are_sent_away() -> None:
    row = announce("news")
    for method, address in [("get", ADDRESS), *(("post", f"{ADDRESS}/{row.pk}/{act}") for act in ("seen", "confirm"))]:
        answer = getattr(APIClient(), method)(address)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
