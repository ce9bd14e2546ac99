"""Who may use which address: the owner, another user, staff of all rights, and somebody who is not logged in.

What is mailed has addresses with signed tokens: `test_unsubscribing`.
"""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.urls import get_resolver
from rest_framework.test import APIClient
from rest_framework_simplejwt.models import TokenUser
from rest_framework_simplejwt.tokens import AccessToken

from notifications import announce, follow, inbox, mute
from notifications.models import Follow, Notification, Preference, Reader
from notifications.models.announcement import AnnouncementState
from notifications.preferences.changing import change
from tests.notifications.api.conftest import PATH
from tests.notifications.rows import sent
from tests.people import NO_KEY, client_for, make_user
from tests.shop.models import Item

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invitation", "own_items")]

# By the name of the address: method, path and body; what the owner gets, and what another user does.
ADDRESSES: dict[str, list[tuple[str, str, Any, int, int]]] = {
    "inbox": [("get", "", None, 200, 200)],
    "counts": [("get", "/counts", None, 200, 200)],
    "acts": [
        ("post", "/acts", {"act": "read", "ids": ["{id}"]}, 200, 200),
        ("post", "/acts", {"act": "read", "up_to": "{id}"}, 200, 404),
    ],
    "undo": [("post", "/undo", {"undo": "{undo}"}, 200, 400)],
    "follows": [("get", "/follows", None, 200, 200)],
    "follow": [
        ("get", "/follows/shop.item/{item}", None, 200, 404),
        ("put", "/follows/shop.item/{item}", None, 200, 404),
        ("delete", "/follows/shop.item/{item}", None, 204, 204),
    ],
    "mute": [
        ("put", "/mutes/shop.item/{item}", None, 200, 404),
        ("delete", "/mutes/shop.item/{item}", None, 204, 204),
    ],
    "preferences": [
        ("get", "/preferences", None, 200, 200),
        ("patch", "/preferences", {"channels": {"mail": False}, "types": {"mention": {"mail": False}}}, 200, 200),
    ],
    "notification": [("get", "/{id}", None, 200, 404)],
    "explain": [("get", "/{id}/explain", None, 200, 404)],
    "open": [("get", "/{id}/open", None, 302, 404)],
    "action": [("post", "/{id}/actions/accept", None, 200, 404)],
    "act": [
        *(("post", f"/{{id}}/{act}", None, 200, 404) for act in ("seen", "read", "unread", "archive", "unarchive")),
        ("post", "/{id}/snooze", {"until": "{until}"}, 200, 404),
        ("post", "/{id}/unsnooze", None, 200, 404),
        ("post", "/{id}/delete", None, 200, 404),
    ],
    "announcements": [("get", "/api/v1/announcements", None, 200, 200)],
    **{
        f"announcement-{act}": [("post", f"/api/v1/announcements/{{announcement}}/{act}", None, owner, 404)]
        for act, owner in (("seen", 200), ("read", 200), ("dismiss", 409), ("confirm", 200))
    },
}
CASES = [case for cases in ADDRESSES.values() for case in cases]
EACH = pytest.mark.parametrize(
    ("method", "path", "body", "owner"), [pytest.param(*case[:4], id=f"{case[0]} {case[1]}") for case in CASES]
)


@pytest.fixture
def known(bob: Any) -> dict[str, Any]:
    """What the addresses name: things of bob."""
    row, marked = sent(bob, "invitation"), sent(bob, "mention", message="x")
    item = Item.objects.create(owner=bob)
    follow(bob, item)
    mute(bob, item)
    undo = inbox.act(bob.pk, "read", ids=[marked.pk]).undo
    until = f"{row.created_at.year + 2}-01-01T00:00:00Z"
    group = Group.objects.create(name="crew")
    group.user_set.add(bob)
    announcement = announce("Crew", audience=group, for_newer=True, closing="confirm").pk
    change(bob, mail=True, types={"mention": {"mail": True}})
    return {"id": row.pk, "item": item.pk, "undo": undo, "until": until, "announcement": announcement}


def fill(template: Any, known: dict[str, Any]) -> Any:
    if isinstance(template, dict):
        return {name: fill(value, known) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, known) for value in template]
    return template.format(**known) if isinstance(template, str) else template


def ask(client: APIClient, method: str, path: str, body: Any, known: dict[str, Any]) -> Any:
    filled, headers = fill(path, known), {"accept": "application/json"}
    address = filled if filled.startswith("/api/") else f"{PATH}{filled}"
    return getattr(client, method)(address, fill(body, known), format="json", headers=headers)


def everything() -> Any:
    """All that belongs to bob."""
    found: list[Any] = [model.objects for model in (Notification, Follow, AnnouncementState)]
    found += [model.objects.filter(user__username="bob") for model in (Reader, Preference)]  # others have their own
    return [list(rows.order_by("pk").values()) for rows in found]


def test_every_address_is_in_the_table() -> None:
    resolver = next(found for found in get_resolver().url_patterns if getattr(found, "app_name", "") == "notifications")
    names = {found.name for found in resolver.url_patterns}
    assert names - {"unsubscribe"} == set(ADDRESSES)


@EACH
def test_the_owner(bob: Any, known: Any, method: str, path: str, body: Any, owner: int) -> None:
    answer = ask(client_for(bob), method, path, body, known)
    assert (answer.status_code, answer["Cache-Control"]) == (owner, "private, no-store")


@EACH
def test_a_user_who_is_known_by_the_token_alone(
    bob: Any, known: Any, method: str, path: str, body: Any, owner: int
) -> None:
    """As simplejwt's stateless authentication leaves it: no row of the user was read."""
    client = APIClient()
    client.force_authenticate(TokenUser(AccessToken.for_user(bob)))
    assert ask(client, method, path, body, known).status_code == owner


@pytest.mark.parametrize("name", ["carol", "clerk", "root"])
def test_another_user_sees_and_changes_nothing(known: Any, name: str) -> None:
    user = make_user(name, is_staff=name != "carol", is_superuser=name == "root")  # staff have the admin for more
    if name == "clerk":
        user.user_permissions.set(Permission.objects.all())
    client, before = client_for(user), everything()
    for method, path, body, _owner, other in CASES:
        answer = ask(client, method, path, body, known)
        assert answer.status_code == other, (method, path)
        if other == 404:
            assert answer.json()["code"] == "NOT_FOUND"
            unknown = ask(client, method, path, body, known | dict.fromkeys(("id", "item", "announcement"), NO_KEY))
            assert unknown.json() == answer.json()  # it does not say that there is one
        elif answer.content:
            assert str(known["id"]) not in [str(found["id"]) for found in answer.json().get("notifications", [])]
            assert answer.json().get("changed", 0) == 0
            assert answer.json().get("follows", []) == []
            assert answer.json().get("announcements", []) == []
        assert everything() == before, (method, path)


def test_somebody_who_is_not_logged_in(known: Any) -> None:
    before = everything()
    for method, path, body, *_statuses in CASES:
        answer = ask(APIClient(), method, path, body, known)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED"), (method, path)
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert everything() == before, (method, path)


def test_who_has_left(bob: Any, known: Any) -> None:
    client, before = client_for(bob), everything()
    type(bob).objects.filter(pk=bob.pk).update(is_active=False)
    for method, path, body, *_statuses in CASES:
        assert ask(client, method, path, body, known).status_code == 401, (method, path)
        assert everything() == before, (method, path)


def test_a_cookie_needs_the_token_against_forgery(bob: Any, known: Any) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(bob)
    assert ask(client, "get", "", None, known).status_code == 200
    assert ask(client, "post", "/{id}/read", None, known).status_code == 403
    assert ask(client, "get", "/{id}/open", None, known).status_code == 302
