"""What staff have sent: in portions by the jobs, stopped, resumed and withdrawn in the admin."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from notifications import dispatching, types
from notifications.models import Dispatch, Notification
from tests.notifications.announced_admin import log_in_root, messages_of
from tests.notifications.staffed import address, send, staff
from tests.people import make_user
from tests.racing import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("greeting")]


@pytest.fixture
def root(db: None) -> Client:
    return log_in_root()


def logged() -> list[tuple[str, str]]:
    return [(entry.object_repr, entry.get_change_message()) for entry in LogEntry.objects.order_by("pk")]


def test_portions(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand at once, the others by the jobs; it can be stopped, resumed and withdrawn."""
    monkeypatch.setattr(dispatching, "PEOPLE_AT_ONCE", 2)
    for number in range(4):
        make_user(f"reader{number}")
    answer = send(root, audience="everyone")
    dispatch = Dispatch.objects.get()
    assert (dispatch.state, dispatch.total, dispatch.stored) == ("sending", 5, 2)
    assert "It is being sent to 5 people." in answer.content.decode()

    def step(name: str) -> Dispatch:
        root.post(address(name, dispatch, "dispatch"))
        return Dispatch.objects.get()

    assert step("stop").state == "stopped"
    dispatching.run_due(dispatch.created_at)
    assert Notification.objects.count() == 2
    assert step("stop").state == "stopped"
    assert (step("resume").stored, Dispatch.objects.get().state) == (4, "sending")
    dispatching.run_due(dispatch.created_at)
    assert (Dispatch.objects.get().state, Notification.objects.count()) == ("sent", 5)
    assert root.get(address("change", dispatch, "dispatch")).status_code == 200
    assert "5 notifications disappear" in root.get(address("withdraw", dispatch, "dispatch")).content.decode()
    make_user("joined-later")
    get_user_model().objects.filter(username="reader3").update(is_active=False)
    step("withdraw")
    assert Notification.objects.count() == 3
    dispatching.run_due(dispatch.created_at)
    dispatch = Dispatch.objects.get()
    assert (dispatch.state, dispatch.stored, Notification.objects.count()) == ("withdrawn", 0, 0)
    texts = [text for _object, text in logged()]
    assert texts == ["It is being sent to 5 people.", "Stopped.", "Resumed.", "Being withdrawn."]


@pytest.mark.django_db(transaction=True)
def test_two_processes_send_it_to_everybody_once(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatching, "PEOPLE_AT_ONCE", 2)
    for number in range(10):
        make_user(f"reader{number}")
    send(root, audience="everyone")
    key = Dispatch.objects.get().pk

    def work() -> int:
        steps = 0
        while Dispatch.objects.get().state == "sending":
            steps += dispatching.take_step(key)
        return steps

    assert sum(at_once(work, work)) == 4  # and one at the end that found nobody
    row = Dispatch.objects.get()
    assert (row.state, row.passed, row.stored) == ("sent", 11, 11)
    assert Notification.objects.values("recipient").distinct().count() == Notification.objects.count() == 11


def test_the_list_of_what_was_sent_asks_the_same_queries_for_many(root: Client, bob: Any) -> None:
    counts = []
    for number in range(3):
        send(root, bob, form_key=f"key-{number}")
        with CaptureQueriesContext(connection) as queries:
            assert root.get(address("changelist", model="dispatch")).status_code == 200
        counts.append(len(queries))
    assert len(set(counts)) == 1


def test_people_who_were_named_lose_it_when_it_is_withdrawn(root: Client, bob: Any, carol: Any) -> None:
    send(root, bob, carol)
    root.post(address("withdraw", Dispatch.objects.get(), "dispatch"))
    dispatching.run_due(Dispatch.objects.get().created_at)
    assert (Dispatch.objects.get().state, Notification.objects.count()) == ("withdrawn", 0)


def test_a_dispatch_that_cannot_go_on_says_why(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatching, "PEOPLE_AT_ONCE", 1)
    make_user("reader")
    send(root, audience="everyone")
    del types._types["greeting"]
    dispatching.run_due(Dispatch.objects.get().created_at)
    dispatch = Dispatch.objects.get()
    assert (dispatch.state, dispatch.stored) == ("failed", 1)
    assert "greeting" in dispatch.error
    assert "Resume" in root.get(address("change", dispatch, "dispatch")).content.decode()


def test_a_dispatch_that_cannot_be_withdrawn_says_why(root: Client, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("no archive")

    send(root, bob)
    with monkeypatch.context() as broken:
        broken.setattr("notifications.withdrawing._delete", fail)
        answer = root.post(address("withdraw", Dispatch.objects.get(), "dispatch"), follow=True)
        assert "no archive" in messages_of(answer)[0]
        dispatching.run_due(Dispatch.objects.get().created_at)
    dispatch = Dispatch.objects.get()
    assert (dispatch.state, dispatch.stored, dispatch.ended_at is not None) == ("not_withdrawn", 1, True)
    page = root.get(address("change", dispatch, "dispatch")).content.decode()
    assert "no archive" in page
    assert "Resume" not in page
    assert "Withdraw it" in page
    assert not dispatching.resume(dispatch.pk)
    root.post(address("withdraw", dispatch, "dispatch"))
    dispatching.run_due(dispatch.created_at)
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.error, Notification.objects.count()) == ("withdrawn", "", 0)


def test_a_first_portion_that_fails_is_no_success(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no log")

    monkeypatch.setattr("notifications.pushing.publish_all", fail)
    assert "no log" in messages_of(send(root, audience="everyone"))[0]
    assert Dispatch.objects.get().state == "failed"
    assert not Notification.objects.exists()


@pytest.mark.parametrize("step", ["stop", "resume"])
def test_a_login_after_an_expired_session_leads_to_the_page_of_the_dispatch(root: Client, bob: Any, step: str) -> None:
    send(root, bob)
    dispatch = Dispatch.objects.get()
    answer = root.get(address(step, dispatch, "dispatch"))
    assert answer.headers["Location"] == address("change", dispatch, "dispatch")
    assert Dispatch.objects.get().state == "sent"


@pytest.mark.parametrize(("step", "right"), [("stop", "send"), ("resume", "send"), ("withdraw", "delete")])
def test_each_step_of_a_dispatch_has_its_right(root: Client, bob: Any, step: str, right: str) -> None:
    send(root, bob)
    dispatch = Dispatch.objects.get()
    url = address(step, dispatch, "dispatch")
    everything = {"view_dispatch", "send_notification", "delete_notification", "change_notification"}
    assert staff(*everything - {f"{right}_notification"}).post(url).status_code == 403
    assert staff("view_dispatch", f"{right}_notification").post(url).status_code == 302
    assert root.get(address("add", model="dispatch")).status_code == 403
    assert root.post(address("delete", dispatch, "dispatch")).status_code == 403
    assert root.post(address("change", dispatch, "dispatch"), {"state": "sending"}).status_code == 403
