"""Who gets an announcement over REST, in which language, and what readers do with it."""

from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone
from rest_framework_simplejwt.models import TokenUser

from notifications import announce, cancel_announcement
from notifications.announcements import acts, audiences, reading
from notifications.models import Announcement, AnnouncementState
from realtime.integration import StoreUnavailable
from realtime.presence.online import OnlinePage
from realtime.presence.store import Entry
from realtime.protocol.errors import Refused
from tests.notifications.announced import listed, make_old, report, titles

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_is_new(alice: Any, bob: Any) -> None:
    make_old(alice, bob)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, django_user_model: Any) -> None:
    monkeypatch.setattr(audiences, "_audiences", {})
    audiences.register_audience("staff", "Staff", lambda: django_user_model.objects.filter(is_staff=True))


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """Who is online."""
    entries: list[Entry] = []

    def page(offset: int, limit: int) -> OnlinePage:
        return OnlinePage(len(entries), entries[offset : offset + limit])

    monkeypatch.setattr(audiences, "online_page", page)
    return entries


def enter(user: Any, status: str = "online") -> Entry:
    return Entry(str(user.pk), 1, status, b"")


# The list


def test_it_has_what_a_client_shows(alice: Any) -> None:
    row = announce("Maintenance", "At three.", level="warning", link="/status", closing="confirm")
    [item] = listed(alice)
    assert item == {
        "id": row.pk,
        "level": "warning",
        "link": "/status",
        "closing": "confirm",
        "live_at": item["live_at"],
        "ends_at": None,
        "language": "en",
        "title": "Maintenance",
        "message": "At three.",
        "seen_at": None,
        "read_at": None,
    }


def test_it_has_what_is_live_the_newest_first(alice: Any) -> None:
    announce("first")
    announce("second")
    cancel_announcement(announce("cancelled"))
    announce("later", starts_at=timezone.now() + timedelta(hours=1))
    Announcement.objects.create(state="draft").texts.create(language="en", title="draft")
    over = announce("over", ends_at=timezone.now() + timedelta(hours=1))
    Announcement.objects.filter(pk=over.pk).update(ends_at=timezone.now() - timedelta(seconds=1))
    assert titles(alice) == ["second", "first"]


def test_each_reader_gets_the_language_of_the_request(alice: Any) -> None:
    announce({"en": "Maintenance", "zh-hans": "维护"})
    announce({"zh-hans": "只有中文"})
    assert titles(alice, "zh-hans") == ["只有中文", "维护"]
    assert titles(alice, "en") == ["只有中文", "Maintenance"]
    assert [item["language"] for item in listed(alice, "en")] == ["zh-hans", "en"]


def test_one_without_a_text_is_left_out(alice: Any) -> None:
    Announcement.objects.create(state="live", live_at=timezone.now())
    assert listed(alice) == []


def test_it_costs_the_same_queries_for_many_as_for_one(
    alice: Any, registry: None, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        announce(f"n{number}", audience="staff" if number % 2 else "everyone")
    with django_assert_max_num_queries(3):
        assert len(reading.list_live(alice)) == 10


# Who it is for


def test_members_of_a_group_see_what_is_for_their_group(alice: Any, bob: Any) -> None:
    crew, other = Group.objects.create(name="crew"), Group.objects.create(name="other")
    alice.groups.add(crew, other)
    announce("for the crew", audience=crew)
    announce("for both", audience=[crew, other])
    assert titles(alice) == ["for both", "for the crew"]
    assert titles(bob) == []


def test_a_user_model_without_groups(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Group.objects.create(name="crew")
    announce("for everyone")
    announce("for the crew", audience=crew)
    monkeypatch.setattr(audiences, "has_groups", lambda: False)
    assert [item.title for item in reading.list_live(alice)] == ["for everyone"]
    assert "groups" not in dict(audiences.choices())
    assert audiences.users_of(Announcement(audience="groups")).count() == 0


def test_a_user_who_is_known_by_their_token_alone(alice: Any, carol: Any, registry: None) -> None:
    crew = Group.objects.create(name="crew")
    alice.groups.add(crew)
    carol.date_joined = timezone.now() + timedelta(days=1)
    carol.save()
    for audience in (crew, "staff", "everyone"):
        announce(f"for {audience}", audience=audience)

    def seen_by(key: Any) -> list[str]:
        return [item.title for item in reading.list_live(TokenUser({"user_id": key}))]

    assert seen_by(alice.pk) == seen_by(str(alice.pk)) == ["for everyone", "for crew"]
    assert seen_by(carol.pk) == []
    key = Announcement.objects.get(audience="groups").pk
    assert acts.act(TokenUser({"user_id": alice.pk}), key, "read").read_at
    with pytest.raises(Refused):
        acts.act(TokenUser({"user_id": carol.pk}), key, "read")


def test_an_audience_of_the_site_is_asked_each_time(alice: Any, bob: Any, registry: None) -> None:
    row = announce("for staff", audience="staff")
    assert titles(alice) == []
    alice.is_staff = True
    alice.save()
    assert titles(alice) == ["for staff"]
    assert titles(bob) == []
    audiences._audiences.clear()  # the site registers it no more
    assert titles(alice) == []
    assert report(alice, row, "seen").status_code == 404


def test_those_who_were_online_see_it_and_those_who_come_later_do_not(
    alice: Any, bob: Any, present: list[Entry]
) -> None:
    present.append(enter(alice))
    row = announce("for those here", audience="online")
    present[:] = [enter(bob)]
    assert titles(alice) == ["for those here"]
    assert titles(bob) == []
    assert row.reached == 1
    cancel_announcement(row)
    assert Announcement.objects.get().online == {}


def test_those_who_appear_offline_are_not_online(alice: Any, bob: Any, present: list[Entry]) -> None:
    present += [enter(alice), enter(bob, "offline")]
    announce("for those here", audience="online")
    assert (titles(alice), titles(bob)) == (["for those here"], [])


def test_a_crowd_that_is_online_is_read_in_pages_that_overlap(present: list[Entry]) -> None:
    present += [Entry(str(number), 1, "online", b"") for number in range(2_500)]
    assert set(audiences.find_online()) == {str(number) for number in range(2_500)}
    assert audiences.find_online().keys() == announce("Hello", audience="online").online.keys()


def test_nothing_is_published_while_nobody_knows_who_is_online(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(offset: int, limit: int) -> OnlinePage:
        raise StoreUnavailable

    monkeypatch.setattr(audiences, "online_page", fail)
    with pytest.raises(StoreUnavailable):
        announce("for those here", audience="online")
    assert not Announcement.objects.exists()


@pytest.mark.parametrize("act", ["seen", "read", "dismiss", "confirm"])
def test_others_announcements_do_not_exist(alice: Any, bob: Any, registry: None, act: str) -> None:
    alice.is_staff = True
    alice.save()
    row = announce("for staff", audience="staff", closing="confirm" if act == "confirm" else "dismiss")
    refused = report(bob, row, act)
    assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND")
    assert not AnnouncementState.objects.exists()
    assert report(alice, row, act).status_code == 200


# Newer users


def test_users_who_joined_later_do_not_see_it(carol: Any) -> None:
    row = announce("old news")
    announce("for later users, too", for_newer=True)
    carol.date_joined = timezone.now() + timedelta(seconds=1)
    carol.save()
    assert titles(carol) == ["for later users, too"]
    assert report(carol, row, "seen").status_code == 404


@pytest.mark.parametrize(
    ("user", "field", "is_newer"),
    [
        (SimpleNamespace(date_joined=timezone.now() + timedelta(days=2)), "date_joined", True),
        (SimpleNamespace(date_joined=date(2990, 1, 1)), "date_joined", True),
        (SimpleNamespace(date_joined=timezone.now() - timedelta(days=2)), "date_joined", False),
        (SimpleNamespace(born=timezone.now() + timedelta(days=2)), "born", True),
        (SimpleNamespace(born=timezone.now() + timedelta(days=2)), "date_joined", False),
        (SimpleNamespace(date_joined=timezone.now() + timedelta(days=2)), "", False),
        (SimpleNamespace(date_joined=None), "date_joined", False),
    ],
)
def test_when_a_user_joined_is_the_sites_to_say(settings: Any, user: Any, field: str, is_newer: bool) -> None:
    settings.NOTIFICATIONS = {"JOINED_FIELD": field}
    joined = reading._joined_at(user)
    assert (joined is not None and joined > timezone.now()) == is_newer
