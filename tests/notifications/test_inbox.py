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
    monkeypatch.setattr(inbox, "IDS_AT_ONCE", 2)
    pks = [sent(bob, "hello").pk for _ in range(5)]
    assert inbox.mark_read(bob, pks[::-1]) == pks


def test_marking_counts_what_changed_and_keeps_the_first_time(bob: Any) -> None:
    first, second = (sent(bob, text) for text in ("one", "two"))
    assert Notification.objects.filter(pk=first.pk).mark_read() == 1
    first.refresh_from_db()
    assert first.is_read
    assert Notification.objects.mark_read() == 1
    assert Notification.objects.get(pk=first.pk).read_at == first.read_at
    assert list(Notification.objects.unread()) == []
    assert Notification.objects.filter(pk=second.pk).mark_unread() == 1
    assert Notification.objects.filter(pk=second.pk).mark_unread() == 0
