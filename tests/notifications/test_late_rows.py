"""A user can be deleted while others notify them, and while they do something themselves."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models.deletion import Collector

from notifications import follow, notify
from notifications.models import Delivery, Follow, Notification, Preference, Reader
from notifications.preferences.changing import change
from tests.notifications.mails import Office
from tests.notifications.rows import sent
from tests.racing import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def come_between(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """`act` when Django has found what goes with a user, and has not begun to delete it."""
    delete, steps = Collector.delete, [act]

    def pause(collector: Collector) -> Any:
        if steps:
            steps.pop()()
        return delete(collector)

    monkeypatch.setattr(Collector, "delete", pause)


def test_what_comes_while_a_user_is_deleted(
    erin: Any, alice: Any, bob: Any, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arrive() -> None:
        notify([erin, bob], "new_like", actor=alice, group_key="post")
        notify([alice, bob], "mention", actor=erin)
        change(erin, mail=False, types={"mention": {"socket": False}})
        follow(erin, alice)

    sent(erin, "mention", message="before")
    come_between(monkeypatch, arrive)
    erin.delete()
    assert set(Notification.objects.values_list("recipient__username", "type", "actor__username")) == {
        ("bob", "new_like", "alice"),
        ("bob", "mention", None),
        ("alice", "mention", None),
    }
    assert set(Delivery.objects.values_list("user__username", flat=True)) == {"alice", "bob"}
    assert not any(model.objects.exists() for model in (Follow, Preference, Reader))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.parametrize("is_kept", [True, False])
def test_what_comes_while_a_transaction_that_deletes_a_user_is_open(
    erin: Any, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    come_between(monkeypatch, lambda: at_once(lambda: notify(erin, "mention", message="late")))
    key = erin.pk
    with transaction.atomic():
        erin.delete()
        transaction.set_rollback(is_kept)
    assert get_user_model().objects.filter(pk=key).exists() is is_kept
    assert Notification.objects.count() == is_kept
