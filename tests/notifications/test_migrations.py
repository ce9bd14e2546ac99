"""Taking the tables away, and making them again: a site gives the app up, and comes back to it."""

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection

from notifications import announce, notify
from notifications.models import Notification


@pytest.fixture
def people(transactional_db):  # SQLite changes no tables within a transaction
    yield [get_user_model().objects.create_user(name) for name in ("alice", "bob")]
    call_command("migrate", "notifications", verbosity=0)


def test_tables_with_rows_go_and_come_again(people):
    alice, bob = people
    for key in ("one", "other"):
        notify(alice, "new_like", actor=bob, group_key="post.7", dedupe_key=key)
    announce("News")
    call_command("migrate", "notifications", "zero", verbosity=0)
    with connection.cursor() as cursor:
        left = connection.introspection.table_names(cursor)
    assert not [name for name in left if name.startswith("notifications_")]
    call_command("migrate", "notifications", verbosity=0)
    notify(alice, "mention", actor=bob)
    assert Notification.objects.count() == 1
