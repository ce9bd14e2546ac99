"""The inbox: which notifications are marked as read, and which are left alone."""

from typing import Any

import pytest

from notifications import inbox, notify
from notifications.models import Notification

pytestmark = pytest.mark.django_db


def sent(recipient: Any, message: str) -> Notification:
    notification = notify(recipient, "mention", message=message)
    assert notification is not None
    return notification


def test_it_returns_the_users_own_unread_ids_and_marks_no_others(alice: Any, bob: Any) -> None:
    first, second, third, foreign = (sent(user, "hello") for user in (bob, bob, bob, alice))
    assert inbox.mark_read(bob.pk, [first.pk]) == [first.pk]
    assert inbox.mark_read(bob.pk, [second.pk, first.pk, foreign.pk, 2**62]) == [second.pk]
    assert set(Notification.objects.unread()) == {third, foreign}


def test_ids_are_locked_in_one_order_whatever_the_callers_is(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls with the same ids do not wait for each other."""
    monkeypatch.setattr("notifications.inbox.acts.IDS_AT_ONCE", 2)
    pks = [sent(bob, "hello").pk for _ in range(5)]
    assert inbox.mark_read(bob, pks[::-1]) == pks
