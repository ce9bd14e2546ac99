"""The verbs of rooms, for owners, members and outsiders."""

from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import post_init

from realtime import signals
from realtime.chat import rooms
from realtime.delivery import publishing
from realtime.models import Event, Membership, Message, Room, Stream
from realtime.protocol.errors import ErrorCode, Refused
from realtime.storage import deleting
from tests.people import make_user
from tests.racing import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return make_user("owner").pk


@pytest.fixture
def member():
    return make_user("member").pk


@pytest.fixture
def outsider():
    return make_user("outsider").pk


@pytest.fixture
def public(owner, member):
    return make_room("public", owner, member)


@pytest.fixture
def private(owner, member):
    return make_room("private", owner, member, private=True)


@pytest.fixture
def revoked(monkeypatch):
    """What the sockets lost."""
    signals.connect()
    said = []
    monkeypatch.setattr(publishing, "unsubscribe", lambda user_id, stream, room: said.append((user_id, stream)))
    monkeypatch.setattr(publishing, "close_stream", lambda stream, room: said.append(stream))
    return said


def make_room(slug, owner, *members, private=False):
    room = rooms.create_room(owner, title=slug.title(), slug=slug, private=private)
    for user_id in members:
        rooms.add_member(owner, slug, user_id)
    return room


def refusal(verb, *args, **kwargs):
    with pytest.raises(Refused) as refused:
        verb(*args, **kwargs)
    return refused.value.code


def test_it_makes_its_creator_the_owner(owner):
    room = rooms.create_room(owner, title="Déjà vu & more")
    assert (room.slug, room.title, room.private, room.created_by_id) == ("deja-vu-more", "Déjà vu & more", False, owner)
    assert Membership.objects.get(room=room, user=owner).role == "owner"


@pytest.mark.parametrize(
    ("title", "begins"),
    [("", ""), ("聊天室", ""), ("!!!", ""), ("Taken", "taken-"), ("Direct 1", ""), ("x" * 200, "x" * 55)],
)
def test_it_finds_a_free_slug_for_any_title(owner, title, begins):
    make_room("taken", owner)
    slug = rooms.create_room(owner, title=title).slug
    assert slug.startswith(begins)
    assert rooms.check_slug(slug) == slug
    assert len(rooms.create_room(owner, title=title).slug) <= 64


def test_it_refuses_a_slug_that_is_taken(owner, public):
    assert refusal(rooms.create_room, owner, title="Again", slug="public") == ErrorCode.CONFLICT
    assert Room.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("slug", [None, "new"])
def test_a_room_of_nobody_is_no_conflict(slug):
    """It was refused as if the id of the room were taken."""
    assert refusal(rooms.create_room, 99_999, title="Room", slug=slug) == ErrorCode.NOT_FOUND
    assert not Room.objects.exists()


@pytest.mark.parametrize("title", ["x" * 201, "Tea\0room"])
def test_a_title_is_one_that_every_database_stores(owner, title):
    assert refusal(rooms.create_room, owner, title=title) == ErrorCode.INVALID_MESSAGE
    assert rooms.create_room(owner, title="x" * 200).title == "x" * 200


def test_a_room_without_a_title_is_no_conflict(owner):
    with pytest.raises(IntegrityError):
        rooms.create_room(owner, title=None, slug="new")
    assert not Room.objects.exists()


@pytest.mark.parametrize("slug", ["", "Ab", "a b", "ä", "a/b", "a\n", "x" * 65, "direct-1", "direct-"])
def test_it_refuses_a_bad_or_reserved_slug(owner, slug):
    assert refusal(rooms.create_room, owner, title="Room", slug=slug) == ErrorCode.INVALID_MESSAGE


def test_it_shows_a_private_room_to_its_members_only(private, owner, member, outsider):
    assert rooms.get_visible(owner, "private").role == "owner"
    assert rooms.get_visible(member, "private").role == "member"
    assert refusal(rooms.get_visible, outsider, "private") == ErrorCode.NOT_FOUND


def test_it_counts_members_and_events_in_one_query(public, member, outsider, django_assert_num_queries):
    Stream.objects.create(name="room.public", last_seq=7)
    with django_assert_num_queries(1):
        room = rooms.get_visible(outsider, "public")
    assert (room.members_count, room.last_seq, room.role, room.last_read_seq) == (2, 7, None, None)
    assert rooms.get_visible(member, "public").last_read_seq == 0


def test_it_knows_its_members(public, private, member, outsider):
    assert rooms.require_member(member, "public").room == public
    assert refusal(rooms.require_member, outsider, "public") == ErrorCode.FORBIDDEN
    assert refusal(rooms.require_member, outsider, "private") == ErrorCode.NOT_FOUND
    assert refusal(rooms.require_member, member, "unknown") == ErrorCode.NOT_FOUND


def test_it_lets_anybody_join_a_public_room(public, outsider, django_assert_num_queries):
    assert rooms.join(outsider, "public") == rooms.Joined(public.pk, "public", "Public", "member", True)
    with django_assert_num_queries(1):
        assert rooms.join(outsider, "public") == rooms.Joined(public.pk, "public", "Public", "member", False)


def test_it_lets_only_members_join_a_private_room(private, owner, outsider):
    assert rooms.join(owner, "private").role == "owner"
    assert refusal(rooms.join, outsider, "private") == ErrorCode.NOT_FOUND
    assert refusal(rooms.join, outsider, "unknown") == ErrorCode.NOT_FOUND


def test_it_hides_direct_rooms_even_from_those_who_write_there(owner, member):
    slug = rooms.direct_slug(owner, member)
    room = Room.objects.create(slug=slug, private=True, direct=True)
    Membership.objects.create(room=room, user_id=owner, role="owner")
    for verb in (rooms.get_visible, rooms.require_member, rooms.require_owner, rooms.join, rooms.update, rooms.delete):
        assert refusal(verb, owner, slug) == ErrorCode.NOT_FOUND
    assert not rooms.describe(owner).exists()


def test_it_names_a_direct_room_by_its_two_users():
    slug = rooms.direct_slug(10, 9)
    assert slug == rooms.direct_slug(9, 10) == rooms.direct_slug("9", "10")
    assert slug != rooms.direct_slug(1, 90)
    assert len(slug) == len("direct-") + 32


@pytest.mark.parametrize("verb", [rooms.update, rooms.delete, rooms.require_owner])
def test_it_is_managed_by_owners(public, private, member, outsider, verb):
    changes = {"title": "Changed"} if verb is rooms.update else {}
    assert refusal(verb, member, "public", **changes) == ErrorCode.FORBIDDEN
    assert refusal(verb, outsider, "public", **changes) == ErrorCode.FORBIDDEN
    assert refusal(verb, member, "private", **changes) == ErrorCode.FORBIDDEN
    assert refusal(verb, outsider, "private", **changes) == ErrorCode.NOT_FOUND
    assert Room.objects.filter(title__in=["Public", "Private"]).count() == 2


def test_it_changes_for_its_owner(public, owner):
    rooms.update(owner, "public", title="New", private=True)
    rooms.update(owner, "public")
    assert Room.objects.values_list("title", "private").get() == ("New", True)


def test_it_has_members_added_by_its_owner(private, owner, member, outsider):
    assert refusal(rooms.add_member, member, "private", outsider) == ErrorCode.FORBIDDEN
    assert refusal(rooms.add_member, outsider, "private", outsider) == ErrorCode.NOT_FOUND
    membership, created = rooms.add_member(owner, "private", outsider, "owner")
    assert (membership.role, created) == ("owner", True)
    membership, created = rooms.add_member(owner, "private", outsider)
    assert (membership.role, created) == ("owner", False)  # nobody said that it should change
    membership, created = rooms.add_member(owner, "private", outsider, "member")
    assert (membership.role, created) == ("member", False)


def test_it_has_no_members_who_do_not_exist(private, owner):
    gone = make_user("gone", is_active=False).pk
    assert refusal(rooms.add_member, owner, "private", 10**6) == ErrorCode.NOT_FOUND
    assert refusal(rooms.add_member, owner, "private", gone) == ErrorCode.NOT_FOUND


def test_it_lets_owners_remove_and_everybody_leave(private, owner, member, outsider, revoked):
    assert refusal(rooms.remove_member, member, "private", owner) == ErrorCode.FORBIDDEN
    assert refusal(rooms.remove_member, outsider, "private", member) == ErrorCode.NOT_FOUND
    assert refusal(rooms.remove_member, outsider, "private", outsider) == ErrorCode.NOT_FOUND
    assert refusal(rooms.remove_member, owner, "private", outsider) == ErrorCode.NOT_FOUND
    rooms.remove_member(owner, "private", member)
    rooms.add_member(owner, "private", outsider)
    rooms.remove_member(outsider, "private", outsider)
    assert revoked == [(member, "room.private"), (outsider, "room.private")]


def test_it_keeps_its_last_owner(private, owner, member):
    assert refusal(rooms.remove_member, owner, "private", owner) == ErrorCode.CONFLICT
    assert refusal(rooms.add_member, owner, "private", owner, "member") == ErrorCode.CONFLICT
    rooms.add_member(owner, "private", member, "owner")
    rooms.remove_member(owner, "private", owner)
    assert rooms.require_owner(member, "private") == private


def test_it_goes_with_its_messages_and_events(private, owner, member, revoked, django_assert_max_num_queries):
    Message.objects.create(room=private, sender_id=owner, text="secret", seq=1)
    Event.objects.create(stream="room.private", seq=1, body="{}")
    Event.objects.create(stream="room.other", seq=1, body="{}")
    Stream.objects.create(name="room.private", last_seq=1)
    for number in range(5):
        rooms.add_member(owner, "private", make_user(f"more-{number}").pk)
    with django_assert_max_num_queries(25):
        rooms.delete(owner, "private")
    assert (Message.objects.count(), Membership.objects.count()) == (0, 0)
    assert list(Event.objects.values_list("stream", flat=True)) == ["room.other"]
    assert Stream.objects.get(name="room.private").last_seq == 1  # a seq never means two events
    assert revoked == ["room.private"]


def delete_by_verb(room, owner):
    return rooms.delete(owner, room.slug)


def delete_in_site_code(room, _owner):
    return room.delete()


def delete_many(room, _owner):
    return Room.objects.filter(pk=room.pk).delete()


def write_much(room, owner, count):
    """Messages, events and members, so many of each."""
    numbers = range(1, count + 1)
    Stream.objects.update_or_create(name=room.stream, defaults={"last_seq": count})
    Event.objects.bulk_create(Event(stream=room.stream, seq=n, body="{}") for n in numbers)
    Message.objects.bulk_create(Message(room=room, sender_id=owner, text="secret", seq=n) for n in numbers)
    Membership.objects.bulk_create(Membership(room=room, user=make_user(f"more-{n}")) for n in numbers)


DELETIONS = [delete_by_verb, delete_in_site_code, delete_many]


@pytest.mark.parametrize("delete", DELETIONS)
def test_it_goes_without_loading_its_members(private, owner, monkeypatch, django_assert_max_num_queries, delete):
    write_much(private, owner, 7)
    loaded = []
    post_init.connect(lambda instance, **_: loaded.append(instance.user_id), sender=Membership, weak=False)
    with django_assert_max_num_queries(25):
        delete(private, owner)
    assert loaded == [owner]
    assert [model.objects.count() for model in (Room, Message, Membership, Event)] == [0, 0, 0, 0]


@pytest.mark.parametrize("delete", [delete_in_site_code, delete_many])
def test_it_says_what_was_deleted(private, owner, monkeypatch, delete):
    monkeypatch.setattr(deleting, "ROWS_AT_ONCE", 3)
    write_much(private, owner, 7)
    named = {"realtime.Room": 1, "realtime.Message": 7, "realtime.Membership": 9}
    assert delete(private, owner) == (17, named)


def test_it_is_deleted_once(private, owner, revoked):
    """Whoever has heard of it before takes nothing from a later room with its name."""
    other = Room.objects.get(pk=private.pk)
    private.delete()
    write_much(make_room("private", owner), owner, 3)
    assert other.delete() == (0, {})
    assert (Message.objects.count(), Event.objects.count()) == (3, 3)
    assert revoked == ["room.private"]


def test_it_deletes_nothing_that_django_would_not(private, owner):
    write_much(private, owner, 1)
    for refused in (Room.objects.all()[:1], Room.objects.values("pk")):
        with pytest.raises(TypeError):
            refused.delete()
    with pytest.raises(ValueError, match="None"):
        Room(slug="private").delete()
    assert (Message.objects.count(), Event.objects.count()) == (1, 1)
    assert not hasattr(Room.objects, "delete")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delete", DELETIONS)
def test_others_can_write_while_it_is_deleted(private, owner, monkeypatch, delete):
    write_much(private, owner, 7)
    monkeypatch.setattr(deleting, "ROWS_AT_ONCE", 3)
    found = []

    def take_the_row():
        """As a message does, whose room must not go before it is stored."""
        with transaction.atomic():
            list(Room.objects.raw("SELECT id FROM realtime_room WHERE id = %s FOR KEY SHARE NOWAIT", [private.pk]))

    def write_first(execute, sql, params, many, context):
        many_rows = ("realtime_event", "realtime_message", "realtime_membership")
        if sql.startswith("DELETE") and any(f'"{table}"' in sql.split(" WHERE ")[0] for table in many_rows):
            found.extend(at_once(take_the_row))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(write_first):
        delete(private, owner)
    # Three portions of each. Then the room is locked, and what is left is deleted: messages, the owner, and events.
    assert [answer is None for answer in found] == [True] * 9 + [False] * (len(found) - 9)


def test_it_closes_the_stream_whoever_deletes(private, public, member, revoked):
    Membership.objects.filter(user=member, room=public).delete()
    Room.objects.filter(pk=private.pk).delete()
    assert revoked == [(member, "room.public"), "room.private"]


@pytest.mark.django_db(transaction=True)
def test_it_keeps_one_owner_when_two_leave_at_once(private, owner, member):
    rooms.add_member(owner, "private", member, "owner")
    outcomes = at_once(*[partial(rooms.remove_member, user, "private", user) for user in (owner, member)])
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "Refused"]
    assert Membership.objects.filter(role="owner").count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_has_one_membership_when_somebody_joins_twice_at_once(public, outsider):
    join = partial(rooms.join, outsider, "public")
    assert sorted(joined.created for joined in at_once(join, join)) == [False, True]


@pytest.mark.django_db(transaction=True)
def test_it_is_one_room_when_two_take_a_slug_at_once(owner, member):
    outcomes = at_once(*[partial(rooms.create_room, user, title="Same", slug="same") for user in (owner, member)])
    assert {type(outcome) for outcome in outcomes} == {Room, Refused}
    assert Membership.objects.get().user_id == Room.objects.get().created_by_id


def test_whoever_is_added_by_other_code_has_read_what_was_there(owner, member, outsider):
    """A new room may begin with a higher number than 1, and a member starts where it stands."""
    room = Room.objects.create(slug="plans")
    Stream.objects.create(name=room.stream, last_seq=7)
    added = Membership.objects.create(room=room, user_id=owner)
    known = Membership.objects.create(room=room, user_id=member, last_read_seq=3)
    assert (added.last_read_seq, known.last_read_seq) == (7, 3)
    added.last_read_seq = 0
    added.save()
    loaded = Membership(room=room, user_id=outsider)
    loaded.save_base(raw=True)
    assert set(room.memberships.values_list("user_id", "last_read_seq")) == {(owner, 0), (member, 3), (outsider, 0)}
