"""A site that has an app, tables, indexes or settings called notifications: ours leaves them alone, or says so."""

import sqlite3

import pytest
from django.db.migrations.loader import MigrationLoader

from notifications.migration import OwnMigration
from tests.sites.small import IN_MEMORY, SITE, SmallSite

SETTINGS = SITE["mysite/settings.py"] + IN_MEMORY
OTHER_NAMES = "notifications.apps.RealtimeNotificationsConfig"
# The table and the rows of django-notifications-hq.
LEFT = """
CREATE TABLE notifications_notification (
    id integer PRIMARY KEY, level varchar(20), recipient_id integer, unread bool, actor_object_id varchar(255),
    verb varchar(255), description text, timestamp datetime, public bool, data text
);
CREATE TABLE django_migrations (id integer PRIMARY KEY AUTOINCREMENT, app varchar, name varchar, applied datetime);
INSERT INTO django_migrations (app, name, applied) VALUES
    ('notifications', '0001_initial', '2019-01-01'), ('notifications', '0002_auto_20150224_1134', '2019-01-01');
"""
# An app of the site with the label, the table, the indexes and the setting that ours has by default.
OWN_APP = {
    "mysite/notifications/__init__.py": "",
    "mysite/notifications/models.py": """
from django.conf import settings
from django.db import models

class Notification(models.Model):
    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications")
    verb = models.CharField(max_length=9)

    class Meta:
        indexes = [
            models.Index(name="notifications_inbox", fields=["recipient"]),
            models.Index(name="notifications_unread", fields=["verb"]),
        ]
""",
    "mysite/notifications/migrations/__init__.py": "",
    "tests.py": """
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import TestCase

from mysite.notifications.models import Notification as OwnNotification
from notifications import announce, conf, export_user, inbox, jobs, notify, withdraw
from notifications.languages import language_of
from notifications.models import Notification
from notifications.preferences.changing import change
from realtime.testing import published


class Both(TestCase):
    def test_both_are_used(self):
        user = get_user_model().objects.create_user("alice")
        user.notifications.create(verb="liked")
        with published() as frames:
            notify(user, "new_follower", actor=get_user_model().objects.create_user("bob"))
        self.assertEqual([frame["data"]["title"] for frame in frames], ["新粉丝"])
        self.assertEqual((Notification.objects.count(), OwnNotification.objects.count()), (1, 1))

    def test_all_tables_are_found(self):
        user, other = (get_user_model().objects.create_user(name) for name in ("alice", "bob"))
        for _ in range(2):
            notify([user], "new_like", actor=other, group_key="post", target=other)
        announce("News")
        change(user, mail=False, types={"new_like": {"socket": False}})
        outcome = inbox.act(user.pk, "delete", ids=[Notification.objects.get().pk])
        self.assertEqual(inbox.undo(user.pk, outcome.undo).changed, 1)
        self.assertEqual(len(jobs.run_due()), len(jobs.JOBS))
        tables = {record["table"] for record in export_user(user)}
        self.assertLessEqual({"notification", "reader", "preference", "delivery"}, tables)
        self.assertEqual(withdraw(target=other), 1)

    def test_nothing_is_left_to_migrate(self):
        call_command("makemigrations", "realtime_notifications", check_changes=True, dry_run=True)
        call_command("check", databases=["default"])


def choose_language(user):
    return "zh-hans"
""",
}


def write(*lines):
    return "\n".join(["", *lines, ""])


@pytest.mark.process
def test_it_lives_beside_an_app_of_the_site(tmp_path):
    settings = SETTINGS.replace('"notifications",', f'"mysite.notifications", "{OTHER_NAMES}",')
    settings += write(
        'NOTIFICATIONS = {"EMAIL": True}',
        'SILENCED_SYSTEM_CHECKS = ["notifications.E007"]  # no mail is opened here',
        'TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]',
        'MAIL = {"MAIL": True, "SITE_URL": "https://example.com"}',
        'REALTIME_NOTIFICATIONS = {"LANGUAGE": "tests.choose_language", **MAIL}',
        'DATABASES["default"]["TEST"] = {}',
    )
    site = SmallSite(tmp_path, {**OWN_APP, "mysite/settings.py": settings})
    site.run("django", "makemigrations", "notifications")
    assert "Ran 3 tests" in site.run("django", "test", "tests")


@pytest.mark.process
def test_an_app_with_the_same_label_is_named(tmp_path):
    settings = SETTINGS.replace('"notifications",', '"mysite.notifications", "notifications",')
    output = SmallSite(tmp_path, {**OWN_APP, "mysite/settings.py": settings}).run("django", "check", fails=True)
    assert "The app 'mysite.notifications' has the label 'notifications', too. Install ours under" in output
    assert OTHER_NAMES in output


@pytest.mark.process
def test_an_app_without_realtime_says_so(tmp_path):
    settings = SETTINGS.replace('"realtime",', "")
    output = SmallSite(tmp_path, {"mysite/settings.py": settings}).run("django", "check", fails=True)
    assert "The app 'notifications' needs the app 'realtime': add it to INSTALLED_APPS." in output


@pytest.mark.process
def test_it_does_not_migrate_the_tables_of_another_package(tmp_path):
    database = sqlite3.connect(tmp_path / "db.sqlite3")
    database.executescript(LEFT)
    database.close()
    site = SmallSite(tmp_path, {"mysite/settings.py": SETTINGS})
    output = site.run("django", "migrate", fails=True)
    assert "(notifications.E004) The table notifications_notification belongs to another app: it has no" in output
    assert OTHER_NAMES in output
    site = SmallSite(tmp_path, {"mysite/settings.py": SETTINGS.replace('"notifications",', f'"{OTHER_NAMES}",')})
    assert "Applying realtime_notifications.0002_room_for_acts... OK" in site.run("django", "migrate")


def test_its_migrations_belong_to_the_label_of_the_site():
    found = MigrationLoader(None).disk_migrations
    own = {name: migration for (label, name), migration in found.items() if label == "notifications"}
    assert len(own) > 1
    for name, migration in own.items():
        assert isinstance(migration, OwnMigration), name
        assert {label for label, _ in type(migration)(name, "live").dependencies} <= {"live", "auth", "contenttypes"}
