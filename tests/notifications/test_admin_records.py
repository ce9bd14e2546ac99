"""What readers have chosen, mails and jobs in the admin: staff can look, and change the choices of readers."""

import html
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notifications import jobs
from notifications.mailing.unsubscribing import stop_mails
from notifications.models import Delivery, Preference, Reader
from tests.notifications.announced_admin import hidden_of, messages_of
from tests.notifications.choices import NIGHT, NOON, choose
from tests.notifications.mails import Office, reader, states
from tests.notifications.rows import sent
from tests.patience import PATIENCE_SECONDS
from tests.racing import somebody_waits, wait_until

pytestmark = pytest.mark.django_db
ALWAYS = {**NIGHT, "start": "00:00", "end": "00:00"}


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def fill(office: Office, number: int) -> None:
    user = reader(f"reader{number}")
    choose(user, mail=True, types={"mention": {"socket": True}})
    sent(user, "mention", message="hello")


@pytest.mark.parametrize("model", ["reader", "preference", "delivery", "jobrun"])
def test_lists_ask_the_same_queries_for_many_rows_as_for_one(staff: Client, office: Office, model: str) -> None:
    url = reverse(f"admin:notifications_{model}_changelist")
    jobs.run_due()
    fill(office, 0)
    counts = []
    for number in range(1, 6):
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(url).status_code == 200
        counts.append(len(queries))
        fill(office, number)
    assert len(set(counts)) == 1


@pytest.mark.parametrize(
    ("model", "name"),
    [("reader", "reader0"), ("preference", "reader0: 类型 mention, 推送"), ("delivery", "新提及, 邮件: 排队中")],
)
def test_pages_are_titled_with_names(staff: Client, office: Office, model: str, name: str) -> None:
    fill(office, 0)
    row = {"reader": Reader, "preference": Preference, "delivery": Delivery}[model].objects.get()
    pages = ["change"] if model == "delivery" else ["change", "delete"]
    for page in pages:
        address = reverse(f"admin:notifications_{model}_{page}", args=[row.pk])
        text = staff.get(address, headers={"accept-language": "zh-hans"}).content.decode()
        assert f"{name}<" in text or f"“{name}”" in text


def test_readers_and_their_choices_are_found_by_name(staff: Client, office: Office) -> None:
    for number in range(2):
        fill(office, number)
    Reader.objects.filter(user__username="reader0").update(bounced_address="Old@example.com")

    def find(model: str, term: str) -> list[str]:
        answer = staff.get(reverse(f"admin:notifications_{model}_changelist"), {"q": term})
        return sorted(row.user.username for row in answer.context["cl"].result_list)

    assert [find("reader", term) for term in ("ER1", "READER0@example.org", "old@example.com", "nobody", "\\%")] == [
        ["reader1"],
        ["reader0"],
        ["reader0"],
        [],
        [],
    ]
    assert [find("preference", term) for term in ("reader", "mention", "ment")] == [["reader0", "reader1"]] * 2 + [[]]


def test_what_is_written_down_cannot_be_changed(staff: Client, office: Office, erin: Any) -> None:
    sent(erin, "mention", message="hello")
    url = reverse("admin:notifications_delivery_change", args=[Delivery.objects.get().pk])
    assert staff.get(url).status_code == 200
    assert staff.post(url, {"state": "sent"}).status_code == 403
    assert staff.get(reverse("admin:notifications_delivery_add")).status_code == 403


@pytest.mark.parametrize("is_selected", [False, True])
@pytest.mark.parametrize("model", [Reader, Preference])
def test_what_waits_is_decided_again_when_staff_delete_what_a_reader_has_chosen(
    staff: Client, office: Office, erin: Any, model: Any, is_selected: bool
) -> None:
    if model is Reader:
        choose(erin, muted_until=NOON + timedelta(days=14))
    else:
        choose(erin, quiet_hours=[ALWAYS], types={"mention": {"mail": True}})
    row = sent(erin, "mention", message="hello")
    assert office.send(minutes=5) == []
    assert Delivery.objects.get().due_at > office.time.now
    found = model.objects.get()
    page = f"admin:notifications_{model._meta.model_name}"
    if is_selected:
        form = {"action": "delete_selected", "_selected_action": [found.pk], "post": "yes"}
        assert staff.post(reverse(f"{page}_changelist"), form).status_code == 302
    else:
        assert staff.post(reverse(f"{page}_delete", args=[found.pk]), {"post": "yes"}).status_code == 302
    assert not model.objects.exists()
    row.refresh_from_db()
    assert row.withheld_until == Delivery.objects.get().due_at == office.time.now


def test_what_was_not_mailed_for_a_mute_is_mailed_after_staff_delete_that(
    staff: Client, office: Office, erin: Any
) -> None:
    choose(erin, muted_until=NOON.replace(year=9999))
    sent(erin, "mention", message="hello")
    assert office.send(minutes=5) == []
    assert states() == [("suppressed", "mute")]
    staff.post(reverse("admin:notifications_reader_delete", args=[erin.pk]), {"post": "yes"})
    assert len(office.send()) == 1


def test_what_a_reader_has_chosen_stays_theirs(staff: Client, erin: Any, bob: Any) -> None:
    choose(erin, types={"mention": {"mail": False}})
    form = {"user": bob.pk, "quiet_hours": "[]", "digest": "off", "digest_hour": 8, "digest_weekday": 1}
    assert staff.post(reverse("admin:notifications_reader_change", args=[erin.pk]), form).status_code == 302
    assert Reader.objects.get().user == erin
    url = reverse("admin:notifications_preference_change", args=[Preference.objects.get().pk])
    form = {"user": bob.pk, "scope": "type", "key": "mention", "channel": "mail"}
    assert staff.post(url, form).status_code == 302
    assert Preference.objects.get().user == erin


@pytest.mark.parametrize("step", ["change", "delete"])
@pytest.mark.parametrize("model", ["reader", "preference"])
def test_a_reader_who_is_deleted_while_staff_save_what_they_have_chosen_is_not_there(
    staff: Client, erin: Any, monkeypatch: pytest.MonkeyPatch, model: str, step: str
) -> None:
    choose(erin, mail=True, types={"mention": {"mail": False}})
    key = erin.pk if model == "reader" else Preference.objects.get().pk
    get_object = admin.ModelAdmin.get_object

    def find_and_delete(page: Any, *args: Any) -> Any:
        found = get_object(page, *args)
        erin.delete()
        return found

    monkeypatch.setattr(admin.ModelAdmin, "get_object", find_and_delete)
    answer = staff.post(reverse(f"admin:notifications_{model}_{step}", args=[key]), {"post": "yes"}, follow=True)
    assert answer.redirect_chain == [(reverse("admin:index"), 302)]
    assert f"with ID “{key}” doesn’t exist" in messages_of(answer)[0]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", ["reader", "preference"])
def test_a_user_for_whom_staff_choose_something_is_deleted_after_that(
    staff: Client, erin: Any, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    def delete() -> None:
        try:
            get_user_model().objects.filter(pk=erin.pk).delete()
        finally:
            connection.close()

    deletion = threading.Thread(target=delete)
    save = admin.ModelAdmin.save_model

    def delete_and_save(*args: Any) -> None:
        deletion.start()
        wait_until(lambda: somebody_waits() or not deletion.is_alive())
        save(*args)

    monkeypatch.setattr(admin.ModelAdmin, "save_model", delete_and_save)
    own = {"quiet_hours": "[]", "digest": "off", "digest_hour": 8, "digest_weekday": 1}
    form = {"user": erin.pk, "scope": "type", "key": "mention", "channel": "mail", **own}
    assert staff.post(reverse(f"admin:notifications_{model}_add"), form).status_code == 302
    deletion.join(PATIENCE_SECONDS)
    assert not get_user_model().objects.filter(pk=erin.pk).exists()
    assert not Reader.objects.exists()
    assert not Preference.objects.exists()


def test_staff_do_not_choose_one_thing_twice_for_a_reader(staff: Client, erin: Any) -> None:
    choose(erin, types={"mention": {"mail": False, "socket": False}})
    row = Preference.objects.get(channel="mail")
    form = {"scope": "type", "key": "mention", "channel": "socket", "enabled": "on"}
    answer = staff.post(reverse("admin:notifications_preference_change", args=[row.pk]), form)
    assert answer.context["adminform"].form.errors == {
        "__all__": ["Preference with this User, Scope, Key and Channel already exists."]
    }
    assert not Preference.objects.filter(enabled=True).exists()


@pytest.mark.parametrize(("scope", "key"), [("type", "mentions"), ("type", "social"), ("category", "mention")])
def test_staff_choose_nothing_for_what_there_is_not(staff: Client, erin: Any, scope: str, key: str) -> None:
    form = {"user": erin.pk, "scope": scope, "key": key, "channel": "mail"}
    answer = staff.post(reverse("admin:notifications_preference_add"), form)
    (error,) = answer.context["adminform"].form.errors["key"]
    assert f"There is no “{key}” here. Choose from: " in error
    form["key"] = {"type": "mention", "category": "social"}[scope]
    assert staff.post(reverse("admin:notifications_preference_add"), form).status_code == 302


def test_staff_change_what_a_reader_has_chosen_for_a_type_that_is_gone(staff: Client, erin: Any) -> None:
    row = Preference.objects.create(user=erin, scope="type", key="gone", channel="mail", enabled=True)
    url = reverse("admin:notifications_preference_change", args=[row.pk])
    form = {"scope": "type", "key": "gone", "channel": "mail"}
    assert staff.post(url, form).status_code == 302
    row.refresh_from_db()
    assert not row.enabled
    assert set(staff.post(url, {**form, "key": "gone too"}).context["adminform"].form.errors) == {"key"}


def test_staff_keep_what_the_reader_has_changed_since_they_opened_the_form(staff: Client, erin: Any) -> None:
    """Such as by the link of a mail. What both have changed is as staff want it."""
    until = NOON + timedelta(days=1, microseconds=5)
    choose(erin, quiet_hours=[NIGHT], muted_until=until)
    url = reverse("admin:notifications_reader_change", args=[erin.pk])
    hidden = hidden_of(staff.get(url).context["adminform"].form)
    stop_mails(erin.pk)
    Reader.objects.update(quiet_hours=[], digest="daily", bounced_address="erin@example.org")
    muted = {"muted_until_0": f"{until:%Y-%m-%d}", "muted_until_1": f"{until:%H:%M:%S}"}
    form = {**hidden, "socket": "on", "mail": "on", "quiet_hours": json.dumps([NIGHT]), **muted}
    form |= {"digest": "weekly", "digest_hour": 8, "digest_weekday": 1}
    answer = staff.post(url, {**form, "time_zone": "Berlin"})
    assert hidden_of(answer.context["adminform"].form) == hidden
    answer = staff.post(url, {**form, "time_zone": "Europe/Berlin"}, follow=True)
    assert ">erin</a>” was changed" in messages_of(answer)[0]
    row = Reader.objects.get()
    assert (row.mail, row.quiet_hours, row.bounced_address) == (False, [], "erin@example.org")
    assert (row.digest, row.time_zone, row.muted_until) == ("weekly", "Europe/Berlin", until)
    assert LogEntry.objects.get().get_change_message() == "Changed Time zone and Digest."


@pytest.mark.parametrize("empty", ["", "null", "{}", '""'])
def test_staff_empty_the_quiet_hours_of_a_reader(staff: Client, erin: Any, empty: str) -> None:
    choose(erin, quiet_hours=[NIGHT])
    form = {"quiet_hours": empty, "digest": "off", "digest_hour": 8, "digest_weekday": 1}
    assert staff.post(reverse("admin:notifications_reader_change", args=[erin.pk]), form).status_code == 302
    assert Reader.objects.get().quiet_hours == []


def test_staff_hear_what_is_wrong_with_quiet_hours(staff: Client, erin: Any) -> None:
    """That it is no valid JSON is said of what is none."""
    choose(erin, mail=True)
    url = reverse("admin:notifications_reader_change", args=[erin.pk])
    form = {"quiet_hours": '[{"days": [9]}]', "digest": "off", "digest_hour": 8, "digest_weekday": 1}
    errors = staff.post(url, form).context["adminform"].form.errors
    assert errors == {"quiet_hours": ["These are no quiet hours: Expected `int` <= 7 - at `$[0].days[0]`"]}
    errors = staff.post(url, {**form, "quiet_hours": "["}).context["adminform"].form.errors
    assert errors == {"quiet_hours": ["Enter a valid JSON."]}
    assert '"start": "22:00"' in html.unescape(staff.get(url).content.decode())


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin"])
def test_staff_cannot_mute_beyond_the_calendar_of_other_time_zones(
    staff: Client, erin: Any, settings: Any, zone: str
) -> None:
    settings.TIME_ZONE = zone
    choose(erin, mail=True)
    form = {"quiet_hours": "[]", "digest": "off", "digest_hour": 8, "digest_weekday": 1, "muted_until_1": "12:00"}
    url = reverse("admin:notifications_reader_change", args=[erin.pk])
    answer = staff.post(url, {**form, "muted_until_0": "9999-12-31"})
    assert set(answer.context["adminform"].form.errors) == {"muted_until"}
    assert staff.post(url, {**form, "muted_until_0": "9999-12-29"}).status_code == 302
    assert staff.get(reverse("admin:notifications_reader_changelist")).status_code == 200


def test_staff_change_what_a_reader_has_chosen(staff: Client, office: Office, erin: Any) -> None:
    choose(erin, muted_until=NOON + timedelta(days=1))
    sent(erin, "mention", message="hello")
    office.send(minutes=5)
    form = {"user": erin.pk, "mail": "on", "quiet_hours": "[]", "digest": "off", "digest_hour": 8, "digest_weekday": 1}
    url = reverse("admin:notifications_reader_change", args=[erin.pk])
    assert staff.post(url, {**form, "quiet_hours": '[{"days": [9]}]'}).status_code == 200
    assert staff.post(url, form).status_code == 302
    assert Reader.objects.get().muted_until is None
    assert len(office.send()) == 1
    form = {"user": erin.pk, "scope": "type", "key": "mention", "channel": "mail"}
    assert staff.post(reverse("admin:notifications_preference_add"), form).status_code == 302
    assert Preference.objects.get().enabled is False
