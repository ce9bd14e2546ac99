"""Going back to older tables: a deploy is taken back, or a site gives the app up."""

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from notifications import notify
from notifications.models import Delivery, GroupMember, Notification, TypeSwitch

OLDEST = ["zero", "0005", "0014"]


@pytest.fixture
def alice(transactional_db):  # SQLite changes no tables within a transaction
    yield get_user_model().objects.create_user("alice")
    call_command("migrate", "notifications", verbosity=0)


@pytest.fixture
def bob(transactional_db):
    return get_user_model().objects.create_user("bob")


@pytest.fixture
def narrow(alice, bob):
    """Rows of which older tables allow one only: of a person in a group, of groups with a key, of mails."""
    for number in range(2):
        notify(alice, "new_like", actor=bob, group_key="post.7", dedupe_key=f"like-{number}")
    liked = notify(alice, "new_comment", actor=bob, group_key="post.7", dedupe_key="comment")
    for number in (1, 2):
        Delivery.objects.create(notification=liked, user=alice, channel="web_push", round=number, due_at=timezone.now())
    TypeSwitch.objects.create(type="mention")


@pytest.mark.parametrize("target", OLDEST)
def test_tables_with_rows_go_back_and_come_again(narrow, target):
    call_command("migrate", "notifications", target, verbosity=0)
    with connection.cursor() as cursor:
        left = connection.introspection.table_names(cursor)
    assert (Notification._meta.db_table in left) is (target != "zero")
    call_command("migrate", "notifications", verbosity=0)
    assert Notification.objects.count() == (0 if target == "zero" else 2)


def test_the_newest_of_them_is_kept(alice, narrow):
    liked, commented = Notification.objects.order_by("pk")
    call_command("migrate", "notifications", "0014", verbosity=0)
    call_command("migrate", "notifications", verbosity=0)
    assert list(Notification.objects.filter(group_open=True)) == [commented]
    assert sorted(GroupMember.objects.values_list("notification", flat=True)) == [liked.pk, commented.pk]
    assert Delivery.objects.filter(notification=commented, channel="web_push").count() == 1
