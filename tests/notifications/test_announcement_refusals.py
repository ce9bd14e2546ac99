"""What `announce` refuses, and the audiences that a site registers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from notifications import announce
from notifications.announcements import audiences
from notifications.models import Announcement
from realtime.models import Event
from tests.notifications.announced import titles

pytestmark = pytest.mark.django_db

LATER = timedelta(hours=1)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, django_user_model: Any) -> None:
    """The audience `staff`; those that a test registers are gone after it."""
    monkeypatch.setattr(audiences, "_audiences", {})
    audiences.register_audience("staff", "Staff", lambda: django_user_model.objects.filter(is_staff=True))


def assert_nothing_was_sent() -> None:
    assert not Announcement.objects.exists()
    assert not Event.objects.exists()


# Refusals


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": {}},
        {"title": None},
        {"title": {"en": None}},
        {"title": "x" * 256},
        {"title": "\0"},
        {"message": "x" * 10_001},
        {"message": "\0"},
        {"link": "javascript:alert(1)"},
        {"link": "//evil.example"},
        {"level": "loud"},
        {"closing": "never"},
        {"dedupe_key": "x" * 256},
        {"dedupe_key": "\0"},
        {"title": {"en": "fine", "zh-hans": "x" * 256}},
        {"title": {"zh-hans": "维护"}, "message": {"en": "a message without a title"}},
    ],
)
def test_it_refuses_what_no_client_should_get(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        announce(**({"title": "Fine"} | wrong))
    assert_nothing_was_sent()


def test_it_refuses_an_end_before_the_beginning() -> None:
    now = timezone.now()
    with pytest.raises(ValidationError, match="end after it goes live"):
        announce("Backwards", starts_at=now + LATER, ends_at=now)
    assert_nothing_was_sent()


def test_it_refuses_an_end_that_has_passed() -> None:
    """It would be pushed to everyone and end at once."""
    with pytest.raises(ValueError, match="Its end has passed"):
        announce("Over", ends_at=timezone.now() - LATER)
    assert_nothing_was_sent()


def test_what_was_announced_before_is_found_after_its_end() -> None:
    first = announce("Once", dedupe_key="once", ends_at=timezone.now() + LATER)
    over = timezone.now() - LATER
    Announcement.objects.update(ends_at=over)
    assert announce("Once", dedupe_key="once", ends_at=over) == first


def test_it_refuses_a_moment_without_a_time_zone() -> None:
    for name in ("starts_at", "ends_at"):
        with pytest.raises(ValueError, match="time zone"):
            announce("When?", **{name: datetime(2990, 1, 1)})
    assert_nothing_was_sent()


def test_a_moment_is_stored_as_the_site_stores_moments(settings: Any) -> None:
    settings.USE_TZ = False
    row = announce("Later", starts_at=datetime(2990, 1, 1, tzinfo=UTC))
    assert (row.state, row.starts_at) == ("scheduled", datetime(2990, 1, 1))


@pytest.mark.parametrize("moment", [timedelta(days=1), "2030-01-01", NOW.date()])
@pytest.mark.parametrize("name", ["starts_at", "ends_at"])
def test_it_refuses_what_is_no_moment(name: str, moment: Any) -> None:
    with pytest.raises(TypeError, match="A datetime is needed"):
        announce("News", **{name: moment})
    assert_nothing_was_sent()


@pytest.mark.parametrize("name", ["starts_at", "ends_at"])
def test_it_refuses_a_moment_that_other_time_zones_cannot_show(settings: Any, name: str) -> None:
    settings.TIME_ZONE = "America/New_York"
    for moment in (datetime.max.replace(tzinfo=UTC), timezone.make_aware(datetime(9999, 12, 31, 23, 59))):
        with pytest.raises(ValueError, match="A moment from"):
            announce("For ever", **{name: moment})
    assert_nothing_was_sent()


def test_what_is_none_is_empty() -> None:
    row = announce("News", None, link=None, dedupe_key=None)  # type: ignore[arg-type]
    assert (row.link, row.dedupe_key, row.texts.get().message) == ("", "", "")


@pytest.mark.parametrize("author", [0.5, object(), ""])
def test_its_author_is_a_user(alice: Any, author: Any) -> None:
    with pytest.raises(TypeError):
        announce("Hello", created_by=author)
    assert announce("Hello", created_by=alice).created_by == alice
    assert announce("Hello", created_by=alice.pk).created_by == alice


@pytest.mark.parametrize("audience", ["staf", "groups", "", [], [1], 7, None, NOW])
def test_it_refuses_an_audience_that_does_not_exist(audience: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        announce("For whom?", audience=audience)
    assert_nothing_was_sent()


def test_a_mistyped_audience_names_the_known_ones(registry: None) -> None:
    with pytest.raises(ValueError, match=r"no audience 'staf'\. Audiences: everyone, groups, online, staff"):
        announce("For whom?", audience="staf")


# Audiences of the site


@pytest.mark.parametrize("key", ["", "x" * 65, "everyone", "online", "groups", 7])
def test_a_key_that_cannot_be_registered(registry: None, key: Any) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        audiences.register_audience(key, "Label", list)


def test_an_audience_is_a_function(registry: None, django_user_model: Any) -> None:
    with pytest.raises(TypeError, match="a function"):
        audiences.register_audience("some", "Some", django_user_model.objects.all())  # type: ignore[arg-type]


def test_an_audience_that_cannot_be_asked_for_one_reader_is_refused(registry: None, django_user_model: Any) -> None:
    users = django_user_model.objects.all()
    distinct = users.distinct("is_staff")
    for wrong in (lambda: users[:5], lambda: users.union(users), lambda: distinct, lambda: [1, 2], Group.objects.all):
        audiences.register_audience("wrong", "Wrong", wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'wrong'"):
            announce("For whom?", audience="wrong")
    assert_nothing_was_sent()


def test_an_audience_whose_function_fails(
    registry: None, alice: Any, django_user_model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Any:
        raise AttributeError("no crew today")

    audiences.register_audience("crew", "Crew", fail)
    with pytest.raises(ValueError, match=r"'crew' has failed: AttributeError\('no crew today'\)"):
        announce("For whom?", audience="crew")
    assert_nothing_was_sent()
    audiences.register_audience("crew", "Crew", django_user_model.objects.all)
    announce("For the crew", audience="crew", for_newer=True)
    announce("For all", for_newer=True)
    assert titles(alice) == ["For all", "For the crew"]
    audiences.register_audience("crew", "Crew", fail)
    assert titles(alice) == ["For all"]
    assert "no crew today" in caplog.text


def test_it_counts_the_active_users_of_its_audience(registry: None, django_user_model: Any) -> None:
    crew = Group.objects.create(name="crew")
    more = Group.objects.create(name="more")
    for number in range(4):
        user = django_user_model.objects.create_user(f"u{number}", is_staff=number < 2, is_active=number < 3)
        user.groups.add(crew, more)
    assert announce("Hello").reached == 3
    assert announce("Hello", audience="staff").reached == 2
    assert announce("Hello", audience=crew).reached == 3
    assert announce("Hello", audience=[crew, more]).reached == 3


def test_the_right_is_looked_up_with_the_reader_in_the_query(
    registry: None, alice: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1) as asked:
        assert not audiences.includes("staff", alice)
    assert f'"id" = {alice.pk}' in asked.captured_queries[0]["sql"].replace(connection.ops.quote_name("id"), '"id"')
