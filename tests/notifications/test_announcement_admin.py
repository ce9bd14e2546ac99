"""Announcements in the admin: the form, and each step with its line in the log."""

import re
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from notifications.announcements import audiences
from notifications.models import Announcement, AnnouncementState
from realtime.integration import StoreUnavailable
from realtime.models import Event
from tests.notifications.announced import announce, frames, make_draft, report
from tests.notifications.announced_admin import (
    LATER,
    address,
    errors,
    form,
    hidden_of,
    log_in_root,
    logged,
    messages_of,
    split,
    staff,
    state_of,
    stored,
)
from tests.racing import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> Client:
    return log_in_root()


# Writing


def test_it_stores_a_draft_with_its_texts_and_sends_nothing(root: Client) -> None:
    answer = root.post(address("add"), form("Maintenance", "维护", level="warning", closing="confirm"))
    assert answer.status_code == 302
    row = Announcement.objects.get()
    assert (row.state, row.level, row.closing, row.audience) == ("draft", "warning", "confirm", "everyone")
    assert row.created_by.username == "root"  # type: ignore[union-attr]
    assert list(row.texts.values_list("language", "title")) == [("en", "Maintenance"), ("zh-hans", "维护")]
    assert not Event.objects.exists()
    assert len(logged()) == 1


@pytest.mark.parametrize("changed", [{"texts-0-title": ""}, {"texts-1-title": "维护", "texts-1-language": "en"}])
def test_it_needs_a_text_and_one_for_each_language(root: Client, changed: dict[str, str]) -> None:
    assert root.post(address("add"), form(**changed)).status_code == 200
    assert not Announcement.objects.exists()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"link": "javascript:alert(1)"}, "link"),
        ({"audience": "nobody"}, "audience"),
        ({"audience": "groups"}, "groups"),
        ({"level": "loud"}, "level"),
        ({"ends_at_0": "9999-12-31", "ends_at_1": "23:59"}, "ends_at"),
        (split("ends_at", LATER) | split("starts_at", LATER + timedelta(hours=1)), "__all__"),
    ],
)
def test_it_explains_what_is_wrong(root: Client, changed: dict[str, str], field: str) -> None:
    assert errors(root.post(address("add"), form(**changed))) == {field}
    assert not Announcement.objects.exists()


def test_the_message_has_a_limit(root: Client) -> None:
    assert root.post(address("add"), form(**{"texts-0-message": "x" * 10_001})).status_code == 200
    assert not Announcement.objects.exists()


def test_groups_count_only_for_the_audience_of_groups(root: Client) -> None:
    crew = Group.objects.create(name="crew")
    root.post(address("add"), form(audience="groups", groups=[str(crew.pk)]))
    root.post(address("add"), form(audience="everyone", groups=[str(crew.pk)], form_key="key-2"))
    everyone, groups = Announcement.objects.all()
    assert (list(groups.groups.all()), list(everyone.groups.all())) == ([crew], [])


def test_it_offers_the_audiences_of_the_site(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiences, "_audiences", {})
    audiences.register_audience("crew", "The crew", get_user_model().objects.all)
    assert "The crew" in root.get(address("add")).content.decode()
    root.post(address("add"), form(audience="crew"))
    row = Announcement.objects.get()
    for step in ("change", "publish"):
        assert "cannot be used" not in root.get(address(step, row)).content.decode()
    audiences._audiences.clear()
    for step in ("change", "publish"):
        text = "This audience cannot be used: There is no audience &#x27;crew&#x27;."
        assert text in root.get(address(step, row)).content.decode()
    assert errors(root.post(address("change", row), stored(row))) == {"audience"}
    assert root.get(address("changelist")).status_code == 200


def test_a_site_with_many_languages_gets_one_empty_text(root: Client, settings: Any) -> None:
    settings.LANGUAGES = [(code, code) for code in ("en", "de", "fr", "es", "it", "pt", "zh-hans")]
    assert 'name="texts-TOTAL_FORMS" value="1"' in root.get(address("add")).content.decode()


# Once


def test_a_form_that_is_sent_twice_makes_one_announcement(root: Client) -> None:
    page = root.get(address("add")).content.decode()
    key = re.search(r'name="form_key" value="([^"]{20,})"', page)
    assert key
    sent = form(form_key=key[1], _publish="1")
    first = root.post(address("add"), sent)
    again = root.post(address("add"), sent, follow=True)
    row = Announcement.objects.get()
    assert first["Location"] == address("publish", row)
    assert again.redirect_chain == [(address("change", row), 302)]
    assert "This form was sent before" in messages_of(again)[0]
    assert root.get(address("add")).content.decode().count(key[1]) == 0


def test_the_way_back_to_a_form_that_was_sent_leads_to_what_it_made(root: Client) -> None:
    """A script has put the key into the address. Browsers put what was typed into the fields again."""
    opened = root.get(address("add"))
    assert "notifications/form_key.js" in opened.content.decode()
    key = opened.context["adminform"].form["form_key"].value()
    back = {"form_key": key, "level": "warning"}
    form_again = root.get(address("add"), back).context["adminform"].form
    assert (form_again["form_key"].value(), form_again["level"].value()) == (key, "warning")
    root.post(address("add"), form(form_key=key))
    again = root.get(address("add"), back, follow=True)
    assert again.redirect_chain == [(address("change", Announcement.objects.get()), 302)]
    assert "This form was sent before" in messages_of(again)[-1]


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_twice_at_once_makes_one_announcement(root: Client) -> None:
    def send() -> int:
        client = Client()
        client.cookies = root.cookies
        return client.post(address("add"), form()).status_code

    assert at_once(send, send) == [302, 302]
    assert Announcement.objects.count() == 1


def test_publishing_twice_publishes_once(root: Client) -> None:
    row = make_draft()
    root.post(address("publish", row), {"_now": "1"})
    again = root.post(address("publish", row), {"_now": "1"}, follow=True)
    assert "Somebody else" in messages_of(again)[-1]
    assert len(frames()) == 1
    assert logged() == ["Published."]


# Steps


def test_it_is_published_after_a_preview(root: Client, alice: Any) -> None:
    answer = root.post(address("add"), form("Maintenance", "维护", _publish="1"), follow=True)
    row = Announcement.objects.get()
    page = answer.content.decode()
    for text in ("Maintenance", "维护", "Everyone", "Publish now"):
        assert text in page
    assert answer.context["reach"] == 2
    assert not Event.objects.exists()
    root.post(address("publish", row), {"_now": "1"})
    assert state_of(row) == "live"
    assert row.reached == 2
    assert len(frames("announcement")) == 1
    assert logged()[1:] == ["Published."]


def test_it_is_scheduled_or_published_before_its_time(root: Client) -> None:
    row = make_draft(starts_at=LATER)
    assert "Schedule" in root.get(address("publish", row)).content.decode()
    root.post(address("publish", row), {"_schedule": "1"})
    assert state_of(row) == "scheduled"
    assert not Event.objects.exists()
    root.post(address("publish", row), {"_now": "1"})
    assert state_of(row) == "live"
    assert logged() == ["Scheduled.", "Published."]


def test_one_that_went_live_before_its_time_may_end_before_it(root: Client) -> None:
    row = make_draft(starts_at=LATER)
    root.post(address("publish", row), {"_now": "1"})
    soon = timezone.now().replace(microsecond=0) + timedelta(hours=2)
    assert root.post(address("change", row), stored(row, **split("ends_at", soon))).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.starts_at, row.ends_at) == ("live", row.live_at, soon)


def test_a_live_one_does_not_end_before_it_began(root: Client) -> None:
    began = timezone.now().replace(microsecond=0) - timedelta(hours=2)
    row = announce("Maintenance", starts_at=began)
    for end in (began, began - timedelta(hours=1)):
        assert errors(root.post(address("change", row), stored(row, **split("ends_at", end)))) == {"ends_at"}
    later = began + timedelta(seconds=1)
    assert root.post(address("change", row), stored(row, **split("ends_at", later))).status_code == 302
    row.refresh_from_db()
    assert (row.starts_at, row.ends_at) == (began, later)


def test_one_that_went_live_without_a_time_does_not_end_before_it(root: Client) -> None:
    row = announce("Maintenance")
    past = split("ends_at", timezone.now() - timedelta(days=365))
    assert errors(root.post(address("change", row), stored(row, **past))) == {"ends_at"}
    assert root.post(address("change", row), stored(row, **split("ends_at", LATER))).status_code == 302
    row.refresh_from_db()
    assert row.ends_at == LATER.replace(microsecond=0)


def test_a_test_goes_to_its_author_alone(root: Client) -> None:
    root.post(address("add"), form("Looks good?", _test="1"))
    row, author = Announcement.objects.get(), get_user_model().objects.get()
    [frame] = frames(stream=f"user.{author.pk}")
    assert frame["data"]["test"] is True
    assert frame["data"]["texts"][0]["title"] == "Looks good?"
    assert Event.objects.count() == 1
    assert state_of(row) == "draft"
    root.post(address("change", row), stored(row, _test="1", **{"texts-0-title": "Better?"}))
    assert frames(stream=f"user.{author.pk}")[1]["data"]["texts"][0]["title"] == "Better?"
    assert [text for text in logged() if "test" in text] == ["Sent as a test to oneself."] * 2


def test_a_live_one_is_changed_and_clients_hear_of_it(root: Client) -> None:
    row = announce("Maintenance")
    root.post(address("change", row), stored(row, **{"texts-0-title": "Maintenance, later"}))
    assert row.texts.get().title == "Maintenance, later"
    assert [frame["type"] for frame in frames()] == ["announcement", "announcement_changed"]
    root.post(address("change", row), stored(row, **{"texts-0-title": "Maintenance, later"}))
    assert len(frames()) == 2  # nothing was changed


def test_one_that_is_too_large_to_be_sent_is_stored_and_says_so(root: Client, settings: Any) -> None:
    settings.REALTIME = {**settings.REALTIME, "MAX_QUEUED_BYTES": 5_000}
    row = make_draft()
    changed = {"texts-0-message": "x" * 10_000}
    answer = root.post(address("change", row), stored(row, _test="1", **changed), follow=True)
    assert "too large" in messages_of(answer)[0]
    assert row.texts.get().message == "x" * 10_000
    assert "too large" in messages_of(root.post(address("publish", row), follow=True))[0]
    assert state_of(row) == "draft"


@pytest.mark.parametrize(
    ("changed", "texts"),
    [
        ({"texts-0-language": "zh-hans", "texts-1-language": "en"}, {"zh-hans": "first", "en": "second"}),
        ({"texts-0-language": "zh-hans", "texts-1-DELETE": "on"}, {"zh-hans": "first"}),
    ],
)
def test_texts_take_the_languages_of_others(root: Client, changed: dict[str, str], texts: dict[str, str]) -> None:
    row = announce({"en": "first", "zh-hans": "second"})
    keys = {text.language: str(text.pk) for text in row.texts.all()}
    ids = {"texts-0-id": keys["en"], "texts-1-id": keys["zh-hans"], "texts-INITIAL_FORMS": "2"}
    of_row = {f"texts-{number}-announcement": str(row.pk) for number in range(2)}
    answer = root.post(address("change", row), form("first", "second", **ids, **of_row, **changed))
    assert answer.status_code == 302
    assert {text.language: text.title for text in row.texts.all()} == texts


@pytest.mark.parametrize("change", ["added", "deleted"])
def test_it_says_that_somebody_else_has_changed_the_texts(root: Client, change: str) -> None:
    row = make_draft()
    row.texts.create(language="zh-hans", title="新闻")
    texts = {text.language: text for text in row.texts.all()}
    ids = {f"texts-{number}-id": str(text.pk) for number, text in enumerate(texts.values())}
    of_row = {f"texts-{number}-announcement": str(row.pk) for number in range(2)}
    known = "1" if change == "added" else "2"
    if change == "added":
        ids["texts-1-id"] = ""
    else:
        texts["zh-hans"].delete()
    fields = form("News", "消息", **of_row, **ids, **{"texts-INITIAL_FORMS": known})
    answer = root.post(address("change", row), fields)
    assert "Somebody else has changed the texts meanwhile." in answer.content.decode()
    assert "消息" not in row.texts.values_list("title", flat=True)


def test_a_form_keeps_what_somebody_else_has_changed_since_it_was_opened(root: Client) -> None:
    row = make_draft(link="/old", audience="groups")
    first, second, third = (Group.objects.create(name=name) for name in ("first", "second", "third"))
    row.groups.set([first, second])
    row.texts.create(language="zh-hans", title="新闻", message="第一行\n第二行")
    page = root.get(address("change", row)).context
    (texts,) = (inline.formset for inline in page["inline_admin_formsets"])
    hidden = hidden_of(page["adminform"].form, *texts.initial_forms)
    row.groups.set([third])
    Announcement.objects.update(level="error", link="/other")
    row.texts.filter(language="zh-hans").update(title="要闻")
    fields = form("Other news", "新闻", link="/new", audience="groups", groups=[first.pk, second.pk], **hidden)
    fields |= {"texts-INITIAL_FORMS": "2", "texts-1-message": "第一行\r\n第二行"}
    assert root.post(address("change", row), fields).status_code == 302
    row.refresh_from_db()
    assert (row.level, row.link, list(row.groups.all())) == ("error", "/new", [third])
    assert dict(row.texts.values_list("title", "message")) == {"Other news": "", "要闻": "第一行\n第二行"}


def test_an_audience_whose_function_fails_is_named(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise AttributeError("no crew today")

    monkeypatch.setattr(audiences, "_audiences", {})
    audiences.register_audience("crew", "The crew", fail)
    assert errors(root.post(address("add"), form(audience="crew"))) == {"audience"}
    row = make_draft(audience="crew")
    assert "no crew today" in root.get(address("publish", row)).content.decode()
    assert "no crew today" in messages_of(root.post(address("publish", row), follow=True))[0]
    assert state_of(row) == "draft"
    chinese: Any = {"headers": {"accept-language": "zh-hans"}}
    answer = root.post(address("add"), form(audience="crew"), **chinese)
    assert answer.context["adminform"].form.errors["audience"][0].startswith("无法使用此受众：")
    assert "无法使用此受众：" in root.get(address("publish", row), **chinese).content.decode()
    assert messages_of(root.post(address("publish", row), follow=True, **chinese))[0].startswith("无法发布：")


@pytest.mark.parametrize("error", [StoreUnavailable(), TimeoutError()])
def test_while_it_is_not_known_who_is_online_it_is_not_published_for_them(
    root: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr(audiences, "find_online", fail)
    row = make_draft(audience="online")
    text = "Who is online cannot be looked up now."
    assert text in root.get(address("publish", row)).content.decode()
    assert messages_of(root.post(address("publish", row), follow=True)) == [text]
    assert state_of(row) == "draft"


@pytest.mark.parametrize("method", ["get", "post"])
def test_one_whose_end_has_passed_is_not_published(root: Client, method: str) -> None:
    """It would be pushed to everyone and end at once. Nor is it offered."""
    row = make_draft(ends_at=timezone.now() - timedelta(hours=1))
    answer = getattr(root, method)(address("publish", row), follow=True)
    assert answer.redirect_chain == [(address("change", row), 302)]
    assert messages_of(answer) == ["It cannot be published: Its end has passed."]
    assert (state_of(row), frames()) == ("draft", [])


def test_the_audience_of_a_live_one_stays(root: Client) -> None:
    row = announce("Maintenance")
    root.post(address("change", row), stored(row, audience="online", level="error"))
    row.refresh_from_db()
    assert (row.audience, row.level) == ("everyone", "error")


def test_a_draft_is_changed_in_silence(root: Client) -> None:
    row = make_draft()
    root.post(address("change", row), stored(row, **{"texts-0-title": "Other news"}))
    assert row.texts.get().title == "Other news"
    assert not Event.objects.exists()


def test_one_that_waits_keeps_a_time(root: Client) -> None:
    row = make_draft(state="scheduled", starts_at=LATER)
    assert errors(root.post(address("change", row), stored(row))) == {"starts_at"}
    assert root.post(address("change", row), stored(row, **split("starts_at", LATER))).status_code == 302


@pytest.mark.parametrize(
    "fields", [{"state": "cancelled", "over_at": LATER}, {"state": "scheduled", "starts_at": LATER}]
)
def test_a_page_that_is_read_only_calls_its_readers_by_their_name(root: Client, fields: dict[str, Any]) -> None:
    row = make_draft(**fields)
    readers = root if fields["state"] == "cancelled" else staff("view")
    page = readers.get(address("change", row), headers={"accept-language": "zh-hans"}).content.decode()
    assert 'class="readonly">所有人</div>' in page
    assert ">everyone<" not in page


def test_it_is_cancelled_after_a_question(root: Client) -> None:
    row = announce("Oops")
    assert "Oops" in root.get(address("cancel", row)).content.decode()
    assert state_of(row) == "live"
    root.post(address("cancel", row))
    assert state_of(row) == "cancelled"
    assert frames()[1]["type"] == "announcement_ended"
    assert logged() == ["Cancelled."]


def test_what_is_over_can_only_be_read(root: Client) -> None:
    row = announce("Oops")
    root.post(address("cancel", row))
    page = root.get(address("change", row)).content.decode()
    assert "Oops" in page
    assert 'name="_save"' not in page
    late = root.post(address("change", row), stored(row, level="error"), follow=True)
    assert late.redirect_chain == [(address("change", row), 302)]
    assert messages_of(late)[-1] == "Your changes were not saved: the announcement is cancelled by now."
    row.refresh_from_db()
    assert row.level == "info"
    for step in ("publish", "cancel"):
        assert root.post(address(step, row))["Location"] == address("change", row)
    assert state_of(row) == "cancelled"


def test_it_is_deleted_with_its_readers(root: Client, alice: Any) -> None:
    row = announce("Oops", for_newer=True)
    report(alice, row, "seen")
    page = root.get(address("delete", row)).content.decode()
    assert "Readers of announcements: 1" in page or "readers of announcements: 1" in page.lower()
    root.post(address("delete", row), {"post": "yes"})
    assert not Announcement.objects.exists()
    assert not AnnouncementState.objects.exists()
    assert frames()[1]["type"] == "announcement_ended"


def test_the_actions_of_the_list(root: Client) -> None:
    first, second = announce("first"), announce("second")
    draft = make_draft("draft")

    def choose(action: str, *rows: Announcement) -> Any:
        chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
        return root.post(address("changelist"), chosen, follow=True)

    assert choose("publish_selected", draft).redirect_chain == [(address("publish", draft), 302)]
    assert "Select one" in messages_of(choose("publish_selected", draft, first))[0]
    assert messages_of(choose("cancel_selected", first, second, draft)) == ["2 announcements were cancelled."]
    assert [state_of(row) for row in (first, second, draft)] == ["cancelled", "cancelled", "draft"]
    assert logged() == ["Cancelled."] * 2


def test_none_is_cancelled_if_that_cannot_be_logged(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    row = announce("first")
    monkeypatch.setattr(LogEntry, "save", Mock(side_effect=DatabaseError("away")))
    with pytest.raises(DatabaseError):
        root.post(address("changelist"), {"action": "cancel_selected", "_selected_action": [str(row.pk)]})
    assert state_of(row) == "live"
