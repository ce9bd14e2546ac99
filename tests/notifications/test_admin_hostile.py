"""What staff, or whoever has their session, send to the admin of notifications: rights that they lack, and nonsense."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.test import Client

from notifications import dispatching, types
from notifications.admin import exporting
from notifications.catalogue import switching
from notifications.models import Announcement, Dispatch, Notification, Reader, TypeSwitch
from tests.notifications import announced_admin
from tests.notifications.announced_admin import log_in_root, messages_of
from tests.notifications.rows import sent
from tests.notifications.staffed import address, errors, form, send, staff
from tests.people import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("greeting")]
DEEP = "[" * 100_000


@pytest.fixture
def root(db: None) -> Client:
    return log_in_root()


@pytest.mark.parametrize("data", [DEEP, "9" * 5_000, '{"a": NaN}', '{"a": "\\ud800"}', '{"a": "\\u0000"}', "[]", "a\0"])
def test_data_that_cannot_be_stored_is_refused(root: Client, bob: Any, data: str) -> None:
    assert errors(send(root, bob, data=data)) == {"data"}
    assert not Dispatch.objects.exists()


@pytest.mark.parametrize("hours", [DEEP, "9" * 5_000, '["\\ud800"]', "a\0"])
def test_quiet_hours_that_cannot_be_stored_are_refused(root: Client, bob: Any, hours: str) -> None:
    values = {"user": bob.pk, "quiet_hours": hours, "digest": "off", "digest_hour": 8, "digest_weekday": 1}
    answer = root.post(address("add", model="reader"), values)
    assert set(answer.context["adminform"].form.errors) == {"quiet_hours"}
    assert not Reader.objects.exists()


@pytest.mark.parametrize("field", ["people", "groups"])
@pytest.mark.parametrize("key", ["9" * 30, "-1", "a\0b", "9" * 5_000])
def test_keys_that_nobody_has_are_refused(root: Client, field: str, key: str) -> None:
    assert field in errors(send(root, audience=field, **{field: [key]}))
    assert not Dispatch.objects.exists()


def test_a_text_with_a_nul_character_is_refused_once(root: Client, bob: Any) -> None:
    answer = send(root, bob, title="a\0b", param_name="a\0b", names="a\0b")
    assert errors(answer) == {"title", "param_name", "names"}
    assert {len(found) for found in answer.context["form"].errors.values()} == {1}


def test_the_key_of_the_form_of_an_announcement_may_be_anything(root: Client) -> None:
    page = announced_admin.address("add")
    assert announced_admin.errors(root.post(page, announced_admin.form(form_key="a\0b"))) == {"form_key"}
    for _time in range(2):
        assert root.post(page, announced_admin.form(form_key=" key ")).status_code == 302
    assert Announcement.objects.get().dedupe_key == "key"


def test_staff_who_may_not_see_users_find_no_addresses(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They choose users by name. A site's own search would answer for each letter of an address."""
    monkeypatch.setitem(admin.site._registry, get_user_model(), UserAdmin(get_user_model(), admin.site))
    make_user("carol", email="secret@example.com")

    def find(client: Client, term: str) -> list[str]:
        return [found["text"] for found in client.get(address("users"), {"term": term}).json()["results"]]

    sender, viewer = staff("send_notification"), staff("send_notification", "view_user")
    terms = ("secre", "car", "car\0", "a\0b", "\0bob")
    assert [find(sender, term) for term in terms] == [[], ["carol"], ["carol"], [], ["bob"]]
    assert find(viewer, "secre") == ["carol"]


def test_what_was_stored_is_linked_for_those_who_may_see_it(root: Client, bob: Any) -> None:
    send(root, bob)
    dispatch = Dispatch.objects.get()
    link = f"?dedupe_key={dispatch.dedupe_key}"
    page = address("change", dispatch, "dispatch")
    assert link not in staff("view_dispatch").get(page).content.decode()
    assert link in staff("view_dispatch", "view_notification").get(page).content.decode()


def test_a_type_that_is_switched_off_meanwhile_stops_a_dispatch(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that, all who had not had their turn would get nothing, and nobody could go on."""
    monkeypatch.setattr(dispatching, "PEOPLE_AT_ONCE", 1)
    make_user("reader")
    send(root, audience="everyone")
    switching.switch_type("greeting", off=True)
    for _time in range(2):
        dispatching.run_due(Dispatch.objects.get().created_at)
        dispatch = Dispatch.objects.get()
        assert (dispatch.state, dispatch.passed, dispatch.stored) == ("stopped", 1, 1)
        assert dispatch.error == "Staff have switched this type off."
        root.post(address("resume", dispatch, "dispatch"))
    switching.switch_type("greeting", off=False)
    root.post(address("resume", dispatch, "dispatch"))
    dispatching.run_due(dispatch.created_at)
    dispatch = Dispatch.objects.get()
    assert (dispatch.state, dispatch.stored, dispatch.error, Notification.objects.count()) == ("sent", 2, "", 2)


def test_a_type_that_is_switched_off_after_its_first_check_is_no_success(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = dispatching.start

    def switch_after(*args: Any, **options: Any) -> Dispatch:
        row = start(*args, **options)
        switching.switch_type("greeting", off=True)
        return row

    monkeypatch.setattr(dispatching, "start", switch_after)
    assert messages_of(send(root, audience="everyone")) == ["Staff have switched this type off."]
    assert (Dispatch.objects.get().state, Notification.objects.count()) == ("stopped", 0)


def test_a_group_that_is_deleted_meanwhile_ends_a_dispatch_and_its_page_says_so(
    root: Client, bob: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "PEOPLE_AT_ONCE", 1)
    crew = Group.objects.create(name="crew")
    crew.user_set.add(alice, bob)
    send(root, audience="groups", groups=[str(crew.pk)])
    crew.delete()
    dispatching.run_due(Dispatch.objects.get().created_at)
    dispatch = Dispatch.objects.get()
    assert (dispatch.state, dispatch.passed, dispatch.total) == ("failed", 1, 2)
    page = root.get(address("change", dispatch, "dispatch")).content.decode()
    assert "All groups that it was for were deleted." in page
    root.post(address("withdraw", dispatch, "dispatch"))
    dispatching.run_due(dispatch.created_at)
    assert (Dispatch.objects.get().state, Notification.objects.count()) == ("withdrawn", 0)


@pytest.mark.parametrize("off", [None, "", "2", "true", "1\0"])
def test_a_switch_wants_to_know_which_way(root: Client, off: str | None) -> None:
    answer = root.post("/admin/notifications/typeswitch/greeting/switch/", {} if off is None else {"off": off})
    assert answer.status_code == 400
    assert not TypeSwitch.objects.exists()


def test_a_text_that_cannot_be_filled_in_is_an_error_of_the_form(root: Client, bob: Any) -> None:
    types.register("letter", title="Letter", message="%(sign)c")
    for sign in ("9" * 20, "-1"):
        answer = send(root, bob, type="letter", param_sign=sign)
        assert errors(answer) == {"__all__"}, sign
    language = {"accept-language": "zh-hans"}
    chinese = root.post(address("add"), form(bob, type="letter", param_sign="-1"), headers=language)
    assert chinese.context["form"].non_field_errors()[0].startswith("无法发送：")
    assert not Dispatch.objects.exists()


@pytest.mark.parametrize("name", ["reason", "title", "type_name"])
def test_a_parameter_that_notify_cannot_take_is_an_error_of_the_form(root: Client, bob: Any, name: str) -> None:
    types.register("removed", title="Removed", message=f"Because of %({name})s")
    answer = send(root, bob, type="removed", **{f"param_{name}": "spam"})
    assert f"rename these parameters of the type: {name}." in str(answer.context["form"].errors)
    assert send(root, bob, type="removed", message="Spam", **{f"param_{name}": "spam"}).status_code == 200
    assert Notification.objects.get().message == "Spam"


def test_what_is_too_large_to_be_pushed_is_an_error_of_the_form(root: Client, bob: Any) -> None:
    assert errors(send(root, bob, param_name="x" * 10_001)) == {"param_name"}
    answer = send(root, bob, data=f'{{"a": "{"x" * 1_500_000}"}}')
    assert "MAX_QUEUED_BYTES" in answer.context["form"].non_field_errors()[0]
    assert not Dispatch.objects.exists()
    assert not LogEntry.objects.exists()


def test_every_cell_of_a_csv_is_quoted() -> None:
    """A spreadsheet that separates cells by semicolons would take the rest for another cell, and for a formula."""
    assert exporting._write([["a;=1+1", 'b"c', ""]]) == '"a;=1+1","b""c",""\r\n'


def test_withdrawing_what_staff_sent_spares_what_others_sent(root: Client, bob: Any) -> None:
    """A type may put notifications together. What staff send stays apart, because it can be withdrawn."""
    types.register("party", title="Party", message="Come", group_key="party")
    sent(bob, "party")
    send(root, bob, type="party")
    dispatch = Dispatch.objects.get()
    assert (dispatch.stored, Notification.objects.filter(recipient=bob).count()) == (1, 2)
    sent(bob, "party")
    root.post(address("withdraw", dispatch, "dispatch"))
    dispatching.run_due(dispatch.created_at)
    assert Notification.objects.get(recipient=bob).group_count == 2
    assert (Dispatch.objects.get().state, Dispatch.objects.get().stored) == ("withdrawn", 0)
