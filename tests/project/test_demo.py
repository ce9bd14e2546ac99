"""The demo: `manage.py load_demo`, and its log."""

import logging
from io import StringIO

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command

from notifications.models import Notification
from realtime.chat.rooms import describe
from realtime.models import Membership, Message, Room

pytestmark = pytest.mark.django_db


def load(**options):
    said = StringIO()
    call_command("load_demo", stdout=said, **options)
    return said.getvalue()


def people_in(slug, **filters):
    members = Membership.objects.filter(room__slug=slug, **filters)
    return sorted(members.values_list("user__username", flat=True))


def test_it_refuses_where_debug_is_off():
    with pytest.raises(CommandError, match="DEBUG"):
        load()
    assert not get_user_model().objects.exists()


def test_it_makes_accounts_and_rooms_however_often(settings):
    settings.DEBUG = True
    assert "alice" in load(bare=True)
    load(bare=True)
    assert get_user_model().objects.count() == 4
    assert people_in("general") == ["admin", "alice", "bob", "carol"]
    assert people_in("team") == ["alice", "bob"]
    assert people_in("team", role="owner") == people_in("general", role="owner") == ["alice"]
    assert dict(Room.objects.values_list("slug", "private")) == {"general": False, "team": True}


def test_it_writes_a_past_once(settings):
    settings.DEBUG = True
    load(bare=True)
    load()
    before = Message.objects.count(), Notification.objects.count()
    assert Message.objects.filter(room__slug="general").count() > 100
    assert Notification.objects.filter(recipient__username="carol", type="new_like").count() == 1  # of four people
    load()
    assert before == (Message.objects.count(), Notification.objects.count())
    assert "dana" in people_in("support")
    assert not authenticate(username="dana", password="demo")
    unread = [room.last_seq - room.last_read_seq for room in describe(get_user_model().objects.get(username="bob").pk)]
    assert unread == [0] * 4


def test_it_writes_a_past_where_there_is_a_room_without_messages(settings):
    settings.DEBUG = True
    load(bare=True)
    room = Room.objects.create(slug="tea", title="Tea")
    alice = get_user_model().objects.get(username="alice")
    Membership.objects.create(room=room, user=alice)
    load()
    assert Message.objects.filter(room__slug="general").exists()
    assert Membership.objects.get(room=room, user=alice).last_read_seq == 0


def test_it_makes_accounts_that_can_log_in(settings):
    settings.DEBUG = True
    load(bare=True)
    get_user_model().objects.filter(username="alice").update(password="!", is_active=False)
    load(bare=True)
    accounts = {name: authenticate(username=name, password="demo") for name in ("alice", "bob", "carol", "admin")}
    assert [name for name, user in accounts.items() if user.is_superuser] == ["admin"]


def test_it_says_each_line_of_its_log_once():
    logger = logging.getLogger("django")
    assert logger.propagate
    assert not logger.handlers
