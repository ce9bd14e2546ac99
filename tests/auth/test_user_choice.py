"""Choosing a user by name in the admin: whoever may fill in the form may search, and nobody else."""

import re

import pytest
from django.contrib.admin import site
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from tests.people import make_user

pytestmark = pytest.mark.django_db

ROOMS, MEMBERS = "/admin/realtime/room/", "/admin/realtime/membership/"
NOTIFICATIONS = "/admin/notifications/notification/"
SEARCHES = {"room": f"{ROOMS}users/", "membership": f"{MEMBERS}users/", "notification": NOTIFICATIONS + "users/"}


def clerk(*permissions):
    """Somebody of the staff who may not see users, logged in."""
    user = make_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


RIGHTS = [(model, right) for model in ("room", "membership") for right in ("add", "change")]


@pytest.mark.parametrize(("model", "right"), RIGHTS)
def test_a_clerk_finds_users_by_name(bob, carol, model, right):
    answer = clerk(f"{right}_{model}").get(SEARCHES[model], {"term": "BO"})
    assert answer.json() == {"results": [{"id": str(bob.pk), "text": "bob"}], "pagination": {"more": False}}


# Nobody fills in a form with these.
OTHERS = ["add_notification", "change_notification"]


@pytest.mark.parametrize("model", SEARCHES)
@pytest.mark.parametrize("rights", [[], ["view"], ["delete"]])
def test_others_find_nobody(bob, model, rights):
    client = clerk(*(f"{right}_{model}" for right in rights), *OTHERS)
    assert client.get(SEARCHES[model], {"term": "bo"}).status_code == 403
    assert Client().get(SEARCHES[model], {"term": "bo"}).status_code == 302  # to the login page


def test_many_users_come_in_pages():
    client = clerk("add_room")
    people = [make_user(f"person-{number:02}") for number in range(25)]
    pages = [client.get(SEARCHES["room"], {"term": "person", "page": page}).json() for page in (1, 2)]
    assert [page["pagination"]["more"] for page in pages] == [True, False]
    found = [int(one["id"]) for page in pages for one in page["results"]]
    assert found == [person.pk for person in people]


@pytest.mark.parametrize("fields", [None, []])
def test_a_site_without_a_search_for_users_has_ours(bob, fields, monkeypatch):
    """Its user model has no admin, or one that searches nothing."""
    if fields is None:
        monkeypatch.delitem(site._registry, get_user_model())
    else:
        monkeypatch.setattr(site._registry[get_user_model()], "search_fields", fields)
    client = clerk("add_membership")
    assert [one["text"] for one in client.get(SEARCHES["membership"], {"term": "bo"}).json()["results"]] == ["bob"]
    assert client.get(f"{MEMBERS}add/").status_code == 200


FORMS = [
    ("room", f"{ROOMS}add/", ["created_by", "memberships-0-user"]),
    ("membership", f"{MEMBERS}add/", ["user"]),
    ("notification", f"{NOTIFICATIONS}add/?type=mention", ["people", "actor"]),
]


@pytest.mark.parametrize(("model", "address", "fields"), FORMS)
def test_the_forms_ask_the_search_that_their_reader_may_use(model, address, fields):
    client = clerk(f"add_{model}", "add_membership", "send_notification")
    page = client.get(address, follow=True).content.decode()
    for field in fields:
        (select,) = re.findall(rf'<select name="{field}".*?>', page, re.S)
        assert f'data-ajax--url="{SEARCHES[model]}"' in select


def test_a_clerk_adds_a_member_by_name(general, bob):
    client = clerk("add_membership", "view_room")
    page = client.get(f"{MEMBERS}add/").content.decode()
    assert 'data-ajax--url="/admin/autocomplete/"' in page  # for the room
    client.post(f"{MEMBERS}add/", {"room": general.pk, "user": bob.pk, "role": "member"})
    assert general.memberships.filter(user=bob).exists()


def test_a_clerk_who_may_not_see_rooms_gives_their_number(general, bob):
    client = clerk("add_membership")
    assert 'data-ajax--url="/admin/autocomplete/"' not in client.get(f"{MEMBERS}add/").content.decode()
    client.post(f"{MEMBERS}add/", {"room": general.pk, "user": bob.pk, "role": "member"})
    assert general.memberships.filter(user=bob).exists()
