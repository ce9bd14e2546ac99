"""The admin of rooms, members and messages."""

import html
import re

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import translation

from notifications import anotify
from realtime import signals
from realtime.admin import NAME_CHARS
from realtime.chat import rooms
from realtime.chat.direct import open_pair
from realtime.delivery import publishing
from realtime.models import Membership, Message, Room
from realtime.storage.database import run
from realtime.testing import connect
from tests.people import make_user

pytestmark = pytest.mark.django_db

ROOMS, MEMBERS, MESSAGES = (f"/admin/realtime/{name}/" for name in ("room", "membership", "message"))
NOTIFICATIONS = "/admin/notifications/notification/"


@pytest.fixture
def admin():
    client = Client()
    client.force_login(make_user("admin", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def room():
    return fill("general")


def fill(slug):
    """A room of three with three messages."""
    users = [make_user(f"{slug}-{number}") for number in range(3)]
    room = rooms.create_room(users[0].pk, title=slug.title(), slug=slug)
    for user in users[1:]:
        rooms.add_member(users[0].pk, slug, user.pk)
    Message.objects.bulk_create(
        Message(room=room, sender=user, text=f"from {user}", seq=n) for n, user in enumerate(users)
    )
    return room


def inline(room, deleted=(), added=None):
    """The form of a room as a browser sends it."""
    members = list(room.memberships.order_by("pk"))
    data = {"title": room.title, "created_by": room.created_by_id or ""}
    data |= {"memberships-TOTAL_FORMS": len(members), "memberships-INITIAL_FORMS": len(members)}
    for n, member in enumerate(members):
        data |= {f"memberships-{n}-id": member.pk, f"memberships-{n}-room": room.pk}
        data |= {f"memberships-{n}-role": member.role}
        if member.user_id in deleted:
            data[f"memberships-{n}-DELETE"] = "on"
    data |= {"memberships-2-TOTAL_FORMS": 1, "memberships-2-INITIAL_FORMS": 0}
    return data | {
        "memberships-2-0-user": added or "",
        "memberships-2-0-role": "member",
        "memberships-2-0-room": room.pk,
    }


@pytest.mark.parametrize("address", [ROOMS, MEMBERS, MESSAGES])
def test_it_asks_as_often_for_a_long_list_as_for_a_short_one(admin, room, address, django_assert_num_queries):
    with django_assert_num_queries(20, exact=False) as short:
        assert admin.get(address).status_code == 200
    for number in range(5):
        fill(f"room-{number}")
    with django_assert_num_queries(len(short), exact=False):
        assert "room-4" in admin.get(address).content.decode().lower()


def test_it_asks_as_often_for_a_full_room_as_for_an_empty_one(admin, room, django_assert_num_queries):
    with django_assert_num_queries(20, exact=False) as short:
        assert admin.get(f"{ROOMS}{room.pk}/change/").status_code == 200
    for number in range(10):
        Membership.objects.create(room=room, user=make_user(f"more-{number}"))
    with django_assert_num_queries(len(short), exact=False):
        assert "more-9" in admin.get(f"{ROOMS}{room.pk}/change/").content.decode()


@pytest.mark.parametrize("address", [ROOMS, MEMBERS, MESSAGES])
def test_it_searches(admin, room, address):
    fill("other")
    found = admin.get(address, {"q": "general"})
    assert found.status_code == 200
    assert "other" not in found.content.decode().split("result_list")[1].lower()


def test_it_links_a_room_to_its_members(admin, room):
    link = f"{MEMBERS}?room__id__exact={room.pk}"
    assert link in admin.get(ROOMS).content.decode()
    assert admin.get(link).status_code == 200


def test_it_links_no_members_for_those_who_may_not_see_them(room):
    clerk = make_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_room"))
    client = Client()
    client.force_login(clerk)
    page = client.get(ROOMS).content.decode()
    assert MEMBERS not in page
    assert '<td class="field-members_count">3</td>' in page


def test_it_adds_and_removes_members(admin, room, monkeypatch):
    signals.connect()
    revoked = []
    monkeypatch.setattr(publishing, "unsubscribe", lambda *what: revoked.append(what))
    removed, added = room.memberships.last().user, make_user("new")
    answer = admin.post(f"{ROOMS}{room.pk}/change/", inline(room, [removed.pk], added.pk))
    assert answer.status_code == 302, answer.content.decode()
    assert set(room.memberships.values_list("user__username", flat=True)) == {"general-0", "general-1", "new"}
    assert revoked == [(removed.pk, "room.general", room.pk)]


def test_it_says_that_a_new_member_is_one_already(admin, room):
    known = room.memberships.last().user
    answer = admin.post(f"{ROOMS}{room.pk}/change/", inline(room, added=known.pk))
    assert answer.status_code == 200
    assert "already" in answer.content.decode()
    assert room.memberships.count() == 3


def test_it_says_that_a_member_has_left_meanwhile(admin, room):
    form = inline(room)
    room.memberships.last().delete()
    assert "A member has left meanwhile." in admin.post(f"{ROOMS}{room.pk}/change/", form).content.decode()


def test_it_makes_a_room(admin):
    empty = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    assert admin.post(f"{ROOMS}add/", {"slug": "new", "title": "New", **empty}).status_code == 302
    assert Room.objects.get().slug == "new"


@pytest.mark.parametrize("slug", ["direct-1", "A b", ""])
def test_it_refuses_a_bad_or_reserved_slug(admin, slug):
    empty = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    assert admin.post(f"{ROOMS}add/", {"slug": slug, "title": "New", **empty}).status_code == 200
    assert not Room.objects.exists()


def test_it_never_changes_a_slug(admin, room):
    admin.post(f"{ROOMS}{room.pk}/change/", {**inline(room), "slug": "other", "title": "Changed"})
    assert Room.objects.values_list("slug", "title").get() == ("general", "Changed")


def test_a_direct_room_stays_private(admin, alice, bob):
    """The database has it no other way: the page was answered with 500."""
    room = find_room_of(alice, bob)
    answer = admin.post(f"{ROOMS}{room.pk}/change/", inline(room))
    assert answer.status_code == 302, answer.content.decode()
    room.refresh_from_db()
    assert room.private


@pytest.mark.parametrize("name", ["x" * 200, "a title of many words " * 9])
def test_long_names_leave_room_for_the_text_of_a_message(admin, name):
    """A direct room has a slug of 39 characters, which pushed the text out of the page."""
    writer, reader = make_user("x" * 150), make_user("y" * 150)
    Message.objects.create(room=Room.objects.create(slug="z" * 64, title=name), sender=writer, text="In a room", seq=1)
    pair = find_room_of(writer, reader)
    Message.objects.create(room=pair, sender=writer, recipient=reader, text="Between two", seq=2, recipient_seq=1)
    for address in (MESSAGES, ROOMS, MEMBERS):
        shown = cells(admin.get(address))
        assert shown
        assert max(len(word) for text in shown for word in text.split()) <= NAME_CHARS
    assert pair.slug not in admin.get(MESSAGES).content.decode()
    assert {"In a room", "Between two"} <= set(cells(admin.get(MESSAGES)))


def test_a_list_of_messages_costs_what_it_shows(admin, room, alice, normalized):
    marks = "\u0301\u0316" * 5_000
    for seq, text in enumerate([marks, f"{marks}{'word ' * 10}", "word " * 20], 10):
        Message.objects.create(room=room, sender=alice, text=text, seq=seq)
    shown = cells(admin.get(MESSAGES))
    assert 0 < max(normalized) < 500
    assert [len(text) for text in shown if text.endswith("…")] == [80, 401, 401]


def find_room_of(writer, reader):
    return Room.objects.get(pk=open_pair(writer.pk, reader.pk).room)


def cells(page):
    """The texts in the table of a list."""
    rows = page.content.decode().split("<tbody>")[1].split("</tbody>")[0]
    return [text for text in (html.unescape(text).strip() for text in re.split(r"<[^>]*>", rows)) if text]


def test_a_direct_room_is_called_what_it_is(alice, bob):
    room = find_room_of(alice, bob)
    with translation.override("en"):
        assert str(room) == "Direct messages"
    with translation.override("zh-hans"):
        assert str(room) == "私聊"


async def test_a_room_that_is_renamed_has_its_new_title_on_open_sockets(in_general):
    client, room, socket = in_general
    await run(client.post, f"{ROOMS}{room.pk}/change/", {**await run(inline, room), "title": "Tea room"})
    frame = await socket.expect("room_updated", room_id="general", title="Tea room")
    assert frame["private"] is False


async def test_what_is_marked_as_read_is_read_on_open_sockets(in_general):
    client, _room, socket = in_general
    note = await anotify(socket.greeting["user_id"], "mention", title="Lunch", message="See you")
    selected = {"action": "mark_read", "_selected_action": [note.pk]}
    await run(client.post, NOTIFICATIONS, selected)
    await socket.expect("read", notification_ids=[note.pk])


@pytest.fixture
async def in_general(transactional_db):
    """An admin, a room, and a socket of its owner that has joined it."""

    def prepare():
        client = Client()
        client.force_login(make_user("admin", is_staff=True, is_superuser=True))
        return client, fill("general")

    client, room = await run(prepare)
    async with connect(room.created_by_id) as socket:
        await socket.send({"type": "join", "room_id": "general"})
        await socket.expect("joined")
        yield client, room, socket


def test_it_leaves_out_the_members_of_a_crowded_room(admin, room, monkeypatch):
    monkeypatch.setattr("realtime.admin.rooms.INLINE_MEMBERS", 2)
    page = admin.get(f"{ROOMS}{room.pk}/change/").content.decode()
    assert "general-2" not in page
    assert "memberships-0-user" in page  # to add one


def test_it_deletes_a_room_and_says_how_much_goes_with_it(admin, room):
    page = admin.get(f"{ROOMS}{room.pk}/delete/").content.decode()
    assert "Messages: 3" in page
    assert "Memberships: 3" in page
    assert admin.post(f"{ROOMS}{room.pk}/delete/", {"post": "yes"}).status_code == 302
    assert (Room.objects.count(), Message.objects.count()) == (0, 0)


def test_it_names_members_and_messages_by_what_is_loaded(room, django_assert_num_queries):
    member, message = Membership.objects.first(), Message.objects.last()
    with django_assert_num_queries(0):
        assert str(member) == f"user {member.user_id} in room {room.pk}"
        assert str(message) == f"Message 2 in room {room.pk}"
        message.recipient_seq = 1
        assert str(message) == f"Direct message {message.pk}"
    assert str(Membership.objects.select_related("user", "room").first()) == "general-0 in General"
    assert str(Message.objects.select_related("room").last()) == "Message 2 in General"


@pytest.mark.parametrize(("address", "name"), [(MEMBERS, "general-0 in General"), (MESSAGES, "Message 0 in General")])
def test_it_titles_pages_with_names(admin, room, address, name):
    model = Membership if address == MEMBERS else Message
    assert name in admin.get(f"{address}{model.objects.first().pk}/change/").content.decode()


def test_it_deletes_a_user_without_a_query_for_each_room(admin, room, django_assert_num_queries):
    user = room.memberships.first().user
    address = f"/admin/auth/user/{user.pk}/delete/"
    with django_assert_num_queries(40, exact=False) as short:
        assert f"general-0 in room {room.pk}" in admin.get(address).content.decode()
    for number in range(5):
        Membership.objects.create(user=user, room=fill(f"room-{number}"))
    with django_assert_num_queries(len(short), exact=False):
        assert admin.get(address).status_code == 200


def test_it_only_shows_messages(admin, room):
    message = Message.objects.first()
    assert admin.get(f"{MESSAGES}{message.pk}/change/").status_code == 200
    for address in ("add/", f"{message.pk}/delete/"):
        assert admin.post(f"{MESSAGES}{address}").status_code == 403
    admin.post(f"{MESSAGES}{message.pk}/change/", {"text": "changed"})
    assert Message.objects.get(pk=message.pk).text == message.text


def test_it_is_managed_by_staff_with_the_permission(room):
    user = make_user("staff", is_staff=True)
    client = Client()
    client.force_login(user)
    assert client.get(ROOMS).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_room"))
    assert client.get(ROOMS).status_code == 200
    assert client.post(f"{ROOMS}{room.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", ["stream", "event", "ticket", "lastseen"])
def test_it_shows_nothing_of_the_log(admin, model):
    assert admin.get(f"/admin/realtime/{model}/").status_code == 404
