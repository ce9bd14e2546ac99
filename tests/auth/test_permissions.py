"""Whom the right to a topic of staff lets in, with whichever user model."""

from types import SimpleNamespace

import pytest

from realtime.auth import permissions
from realtime.auth.permissions import staff_with

RIGHT = "realtime.view_live_users"


def make_user(**fields):
    return SimpleNamespace(**fields)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (make_user(is_staff=True, has_perm={RIGHT}.__contains__), True),
        (make_user(is_staff=True, has_perm=set().__contains__), False),
        (make_user(is_staff=False, has_perm={RIGHT}.__contains__), False),
        (make_user(has_perm={RIGHT}.__contains__), True),  # such a model knows staff by their rights alone
        (make_user(has_perm=set().__contains__), False),
        (make_user(is_staff=True), False),  # such a model has no rights
        (None, False),
    ],
)
def test_it_lets_in_those_whom_the_admin_lets_in(monkeypatch, user, expected):
    """The page Live was shown where the model has no `is_staff`, and took itself away a second later."""
    monkeypatch.setattr(permissions, "active_users", lambda keys: SimpleNamespace(first=lambda: user))
    assert staff_with(RIGHT)(1) is expected
