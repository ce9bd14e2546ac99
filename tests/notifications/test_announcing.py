"""Announcing: what is stored and sent, once for all readers, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy

from notifications import aannounce, acancel_announcement, announce, cancel_announcement
from notifications.announcements import audiences, publishing
from notifications.announcements.events import LEAST_MS, MOST_MS, USUAL_MS, measure_spread
from notifications.announcements.wording import words_of
from notifications.models import Announcement, AnnouncementState
from realtime.integration import StoreUnavailable
from realtime.models import Event
from tests.notifications.announced import frames, make_draft
from tests.racing import at_once

pytestmark = pytest.mark.django_db

LATER = timedelta(hours=1)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, django_user_model: Any) -> None:
    """The audience `staff`; those that a test registers are gone after it."""
    monkeypatch.setattr(audiences, "_audiences", {})
    audiences.register_audience("staff", "Staff", lambda: django_user_model.objects.filter(is_staff=True))


@pytest.fixture
def crowd(django_user_model: Any) -> None:
    django_user_model.objects.bulk_create([django_user_model(username=f"u{number}") for number in range(300)])


def assert_nothing_was_sent() -> None:
    assert not Announcement.objects.exists()
    assert not Event.objects.exists()


# One row and one event


@pytest.mark.usefixtures("crowd")
def test_it_is_one_row_and_one_event_however_many_users(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(20):  # with savepoints
        row = announce("Maintenance", "At three.")
    assert Announcement.objects.get() == row
    assert Event.objects.count() == 1
    assert not AnnouncementState.objects.exists()
    assert row.reached == 300


def test_everyone_gets_the_texts_of_all_languages() -> None:
    row = announce(
        {"en": "Maintenance", "zh-hans": "维护"},
        {"en": "At three.", "zh-hans": "三点。"},
        level="warning",
        link="/status",
    )
    [frame] = frames()
    assert frame == {
        "type": "announcement",
        "data": {
            "id": row.pk,
            "level": "warning",
            "link": "/status",
            "closing": "dismiss",
            "live_at": frame["data"]["live_at"],
            "ends_at": None,
            "texts": [
                {"language": "en", "title": "Maintenance", "message": "At three."},
                {"language": "zh-hans", "title": "维护", "message": "三点。"},
            ],
            "fallback": "en",
            "test": False,
        },
        "timestamp": frame["timestamp"],
    }


@pytest.mark.parametrize("audience", ["online", "staff", Group(name="crew")])
def test_others_are_sent_no_text(registry: None, audience: Any) -> None:
    if isinstance(audience, Group):
        audience.save()
    row = announce("For a few", "A secret.", audience=audience)
    assert frames() == [
        {"type": "announcement_changed", "data": {"announcement_id": row.pk, "within_ms": LEAST_MS}},
    ]
    assert not Event.objects.filter(body__contains="secret").exists()


def test_a_rollback_leaves_nothing() -> None:
    with transaction.atomic():
        announce("Maintenance")
        transaction.set_rollback(True)
    assert_nothing_was_sent()


@pytest.mark.django_db(transaction=True)
async def test_the_asynchronous_twins() -> None:
    row = await aannounce("Maintenance", level="error")
    assert str(row) == "Maintenance"
    assert await Event.objects.acount() == 1
    assert await acancel_announcement(row)
    assert (await Announcement.objects.aget()).state == "cancelled"


# Texts


def test_a_lazy_translation_is_stored_in_each_language_in_which_it_differs() -> None:
    row = announce(gettext_lazy("New like"), gettext_lazy("No such words"))
    assert list(row.texts.values_list("language", "title", "message")) == [
        ("en", "New like", "No such words"),
        ("zh-hans", "新点赞", "No such words"),
    ]


def test_a_lazy_translation_in_a_dictionary_is_stored_in_its_language() -> None:
    like, comment = gettext_lazy("New like"), gettext_lazy("New comment")
    row = announce({"en": like, "zh-hans": like}, {"en": "In English", "zh-hans": comment})
    assert list(row.texts.values_list("language", "title", "message")) == [
        ("en", "New like", "In English"),
        ("zh-hans", "新点赞", "新评论"),
    ]


@pytest.mark.parametrize(
    ("languages", "wanted", "expected"),
    [
        (["en", "zh-hans"], "zh-hans", "zh-hans"),
        (["en", "zh-hans"], "ZH-HANS", "zh-hans"),
        (["en", "zh-hans"], "zh-hans-cn", "zh-hans"),
        (["en", "pt"], "pt-br", "pt"),
        (["de", "en"], "fr", "en"),
        (["de", "fr"], "it", "de"),
        (["de"], "", "de"),
        ([], "en", None),
    ],
)
def test_the_text_for_a_language(languages: list[str], wanted: str, expected: str | None) -> None:
    row = Announcement.objects.create()
    for language in languages:
        row.texts.create(language=language, title=language)
    words = words_of(row, wanted)
    assert (words and words.language) == expected


def test_the_sites_language_may_be_a_variant(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en-us"
    row = announce("Hello")
    assert row.texts.get().language == "en"
    assert frames()[0]["data"]["fallback"] == "en"


@pytest.mark.parametrize(
    ("code", "stored"), [("zh_CN", "zh-hans"), ("ZH-Hans", "zh-hans"), ("en-us", "en"), ("en-GB", "en")]
)
def test_a_language_of_the_site_may_be_spelt_in_each_usual_way(settings: Any, code: str, stored: str) -> None:
    settings.LANGUAGE_CODE = "en-us"
    row = announce({code: "Maintenance"}, {stored: "Tonight"})
    assert list(row.texts.values_list("language", "title", "message")) == [(stored, "Maintenance", "Tonight")]


def test_the_site_s_language_comes_first_however_it_is_spelt(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en-us"
    row = announce({"zh-hans": "维护", "en-us": "Maintenance"})
    assert frames()[0]["data"]["fallback"] == "en"
    words = words_of(row, "en")
    assert words
    assert words.title == "Maintenance"


def test_the_exact_name_of_a_language_goes_before_a_variant_of_it() -> None:
    for given in ({"en": "Colour", "en-us": "Color"}, {"en-us": "Color", "en": "Colour"}):
        assert announce(given).texts.get().title == "Colour"


def test_a_language_that_the_site_lacks_is_refused() -> None:
    for code in ("xx", "", None):
        with pytest.raises(ValidationError, match="en, zh-hans"):
            announce({"en": "Maintenance"}, {code: "Tonight"})  # type: ignore[dict-item]
    assert not Announcement.objects.exists()


# Once


def test_a_second_call_with_the_same_key_announces_nothing() -> None:
    first = announce("Release", dedupe_key="release-1")
    assert announce("Something else", dedupe_key="release-1") == first
    assert announce("Release", dedupe_key="release-2") != first
    assert len(frames()) == 2


@pytest.mark.django_db(transaction=True)
def test_several_processes_announce_the_same_thing_once() -> None:
    results = at_once(*[lambda: announce("Release", dedupe_key="release-1").pk] * 4)
    assert results == [Announcement.objects.get().pk] * 4
    assert len(frames()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_draft_that_several_publish_goes_live_once() -> None:
    draft = make_draft()
    results = at_once(*[lambda: publishing.publish(draft)] * 4)
    assert sorted(results) == [False, False, False, True]
    assert len(frames("announcement")) == 1


# The life of an announcement


def test_one_for_later_waits_for_its_time() -> None:
    row = announce("Later", starts_at=timezone.now() + LATER)
    assert (row.state, row.live_at, row.reached) == ("scheduled", None, None)
    assert not Event.objects.exists()


def test_one_whose_time_has_come_goes_live_at_once() -> None:
    assert announce("Now", starts_at=timezone.now() - LATER).state == "live"


def test_it_is_cancelled_while_it_is_live_and_open_clients_hear_of_it() -> None:
    row = announce("Oops")
    assert cancel_announcement(row)
    assert frames()[1:] == [{"type": "announcement_ended", "data": {"announcement_id": row.pk}}]
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert row.over_at is not None
    assert not cancel_announcement(row.pk)
    assert len(frames()) == 2


def test_one_that_waits_is_cancelled_in_silence() -> None:
    row = announce("Later", starts_at=timezone.now() + LATER)
    assert cancel_announcement(row.pk)
    assert not Event.objects.exists()


@pytest.mark.parametrize("state", ["draft", "ended", "cancelled"])
def test_there_is_nothing_to_cancel(state: str) -> None:
    row = make_draft(state=state)
    assert not cancel_announcement(row)
    row.refresh_from_db()
    assert row.state == state


def test_a_change_is_told_without_a_text_even_to_everyone() -> None:
    row = announce("Maintenance")
    row.texts.update(title="Maintenance, later")
    assert publishing.note_change(row)
    assert frames()[1:] == [
        {"type": "announcement_changed", "data": {"announcement_id": row.pk, "within_ms": LEAST_MS}},
    ]


def test_a_change_of_what_is_not_live_is_told_to_nobody() -> None:
    assert not publishing.note_change(make_draft())
    assert not Event.objects.exists()


def test_a_live_one_that_is_deleted_is_over_for_its_readers() -> None:
    key = announce("Oops").pk
    make_draft()
    Announcement.objects.all().delete()
    assert frames()[1:] == [{"type": "announcement_ended", "data": {"announcement_id": key}}]


def test_an_unsafe_link_that_is_stored_already_is_sent_to_nobody() -> None:
    publishing.publish(make_draft(link="javascript:alert(1)"))
    assert frames()[0]["data"]["link"] == ""


# How clients spread their requests


@pytest.mark.parametrize(
    ("online", "expected"),
    [(0, LEAST_MS), (300, 1_500), (2_000, 10_000), (500_000, 2_500_000), (1_000_000, MOST_MS)],
)
def test_the_more_are_online_the_longer_they_spread(
    monkeypatch: pytest.MonkeyPatch, online: int, expected: int
) -> None:
    monkeypatch.setattr("notifications.announcements.events.count_online", lambda: online)
    assert measure_spread() == expected


def test_a_site_says_how_many_requests_it_answers(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr("notifications.announcements.events.count_online", lambda: 2_000)
    settings.NOTIFICATIONS = {"ANNOUNCEMENT_REQUESTS_PER_SECOND": 1_000}
    assert measure_spread() == 2_000


@pytest.mark.parametrize("error", [StoreUnavailable(), TimeoutError()])
def test_it_goes_live_while_nobody_knows_who_is_online(
    monkeypatch: pytest.MonkeyPatch, registry: None, error: Exception
) -> None:
    def fail() -> int:
        raise error

    monkeypatch.setattr("notifications.announcements.events.count_online", fail)
    announce("For a few", audience="staff")
    assert frames()[0]["data"]["within_ms"] == USUAL_MS
