"""Who may use which address of this app: a member of a room, somebody else, staff, and who is not logged in.

That nobody is told what exists is in the tests of each address.
"""

from typing import Any

import pytest
from django.db import transaction
from django.urls import get_resolver
from rest_framework.test import APIClient

from realtime.chat import rooms
from realtime.presence import online
from realtime.presence.memory import MemoryPresence
from tests.people import PASSWORD, client_for, make_user

pytestmark = pytest.mark.django_db

LOGIN = {"username": "bob", "password": PASSWORD}
NEW = {"id": "lounge", "title": "Lounge"}
# By the name of the address: method, path and body; what an owner of the room gets, a member, and another user.
ADDRESSES: dict[str, list[tuple[str, str, Any, int, int, int]]] = {
    "login": [("post", "auth/token", LOGIN, 200, 200, 200)],
    "refresh": [("post", "auth/refresh", {"refresh": "x"}, 401, 401, 401)],
    "logout": [("post", "auth/logout", {}, 204, 204, 204)],
    "ticket": [("post", "ws/ticket", {}, 200, 200, 200)],
    "online": [("get", "online", None, 200, 200, 200)],
    "online-count": [("get", "online/count", None, 200, 200, 200)],
    "statuses": [("get", "status?user_ids={bob}", None, 200, 200, 200)],
    "status": [("get", "status/{bob}", None, 200, 200, 200)],
    "rooms": [("get", "rooms", None, 200, 200, 200), ("post", "rooms", NEW, 201, 201, 201)],
    "room": [
        ("get", "rooms/secret", None, 200, 200, 404),
        ("patch", "rooms/secret", {"title": "Other"}, 200, 403, 404),
        ("delete", "rooms/secret", None, 204, 403, 404),
    ],
    "members": [
        ("get", "rooms/secret/members", None, 200, 200, 404),
        ("post", "rooms/secret/members", {"user_id": "{dave}"}, 201, 403, 404),
        ("delete", "rooms/secret/members", None, 409, 204, 404),
    ],
    "member": [("delete", "rooms/secret/members/{bob}", None, 204, 204, 404)],
    "room-messages": [("get", "rooms/secret/messages", None, 200, 200, 404)],
    "direct-messages": [("get", "messages?with={bob}", None, 200, 200, 200)],
}
OPEN = {"login", "refresh"}  # to those who are not logged in
CASES = [(name, *case) for name, cases in ADDRESSES.items() for case in cases]


@pytest.fixture
def known(alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the addresses name: a private room of alice, with bob in it, and somebody who is not. Nobody is online."""
    monkeypatch.setattr(online, "loop_store", lambda: MemoryPresence(lease_seconds=600, grace_seconds=600))
    rooms.create_room(alice.pk, title="Secret", slug="secret", private=True)
    rooms.add_member(alice.pk, "secret", bob.pk)
    return {"bob": bob.pk, "dave": make_user("dave").pk}


def ask(client: APIClient, method: str, path: str, body: Any, known: dict[str, Any]) -> Any:
    """The answer. What was done for it is undone."""
    given = {key: value.format(**known) for key, value in body.items()} if body else body
    with transaction.atomic():
        answer = getattr(client, method)(f"/api/v1/{path.format(**known)}", given, format="json")
        transaction.set_rollback(True)
    return answer


def test_every_address_is_in_the_table() -> None:
    resolver = next(found for found in get_resolver().url_patterns if getattr(found, "app_name", "") == "realtime")
    assert {found.name for found in resolver.url_patterns} == set(ADDRESSES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]} {case[2]}")
def test_each_gets_what_is_theirs(alice: Any, bob: Any, carol: Any, known: Any, case: Any) -> None:
    name, method, path, body, owner, member, other = case
    outsiders = [carol, make_user("clerk", is_staff=True), make_user("root", is_staff=True, is_superuser=True)]
    wanted = {alice: owner, bob: member, **dict.fromkeys(outsiders, other)}  # staff have the admin for more
    answers = {user: ask(client_for(user), method, path, body, known) for user in wanted}
    assert {user: answer.status_code for user, answer in answers.items()} == wanted
    assert {answer["Cache-Control"] for answer in answers.values()} == {"private, no-store"}
    assert not any("Secret" in answers[user].content.decode() for user in outsiders)
    if name not in OPEN:
        answer = ask(APIClient(), method, path, body, known)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
